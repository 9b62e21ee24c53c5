//! The views of projections that run and do not serve: those that are built, and those that served
//! before. What should run is in `registered.rs`; this makes it so.

use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use annals_core::error::ErrorChain;
use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_core::plugin::PluginKind;
use annals_core::port::guest::GuestPlugin;
use annals_core::port::state_store::StateSpace;
use tokio::sync::watch;
use tracing::{info, warn};

use super::registered::{Entry, Made};
use super::{Active, InstallError, Registry, ViewTask, ViewTaskKind};
use crate::projection::{Projection, ViewOptions};
use crate::rebuild::Supervision;

/// A view that runs and does not serve.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) active: Active,
    pub(super) supervision: Arc<Supervision>,
}

type AllBeside = std::collections::BTreeMap<PluginName, Vec<Beside>>;

impl Beside {
    pub(super) fn new(active: Active) -> Self {
        Self { active, supervision: Arc::default() }
    }
}

/// A view that should run and not serve.
struct Wanted {
    made: Made,
    after: Vec<Option<Position>>,
    is_candidate: bool,
}

impl Registry {
    pub(super) fn beside(&self) -> RwLockReadGuard<'_, AllBeside> {
        self.beside.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn beside_mut(&self) -> RwLockWriteGuard<'_, AllBeside> {
        self.beside.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of each change of which views there are.
    pub(crate) fn views_changes(&self) -> watch::Receiver<u64> {
        self.views_changes.subscribe()
    }

    /// What is to be done about views, as the registry says.
    pub(crate) fn view_tasks(&self) -> Vec<ViewTask> {
        let registered = self.registered();
        let tasks = registered.with_views_beside().flat_map(|(name, entry)| {
            let base = entry.active().map(|version| version.made());
            let task = |made, kind| ViewTask { name: name.clone(), made, kind };
            let candidate = entry.candidate().zip(base).map(|(candidate, base)| {
                let cuts_over = candidate.cuts_over;
                task(candidate.version.made(), ViewTaskKind::Candidate { base, cuts_over })
            });
            let previous = entry.previous_view().map(|previous| {
                task(previous.version.made(), ViewTaskKind::Previous { until: previous.until })
            });
            candidate.into_iter().chain(previous)
        });
        tasks.collect()
    }

    /// The view that serves and the candidate of a task, if both run on this host.
    pub(crate) fn running_pair(
        &self,
        task: &ViewTask,
    ) -> Option<(Arc<Projection>, Arc<Projection>, Arc<Supervision>)> {
        let ViewTaskKind::Candidate { base, .. } = task.kind else { return None };
        let old = self.projection(&task.name)?;
        let beside = self.beside();
        let new = beside.get(&task.name)?.iter().find(|it| it.active.made() == task.made)?;
        let projection = new.active.projection.as_ref().map(Arc::clone)?;
        (made(&old) == base).then(|| (old, projection, Arc::clone(&new.supervision)))
    }

    /// A view that runs beside and can serve at once.
    pub(super) fn ready_beside(&self, name: &PluginName, made: Made) -> Option<Active> {
        let beside = self.beside();
        let found = beside.get(name)?.iter().find(|it| it.active.made() == made)?;
        let projection = found.active.projection.as_ref()?;
        (!projection.view.is_background).then(|| found.active.clone())
    }

    /// The plugin of a view that runs beside.
    pub(super) fn plugin_beside(
        &self,
        name: &PluginName,
        made: Made,
    ) -> Option<Arc<dyn GuestPlugin>> {
        let beside = self.beside();
        let found = beside.get(name)?.iter().find(|it| it.active.made().digest == made.digest)?;
        Some(Arc::clone(&found.active.plugin))
    }

    /// Takes a view out that serves from now on.
    pub(super) fn take_from_beside(&self, name: &PluginName, active: &Active) {
        let Some(projection) = &active.projection else { return };
        if let Some(all) = self.beside_mut().get_mut(name) {
            all.retain(|it| {
                let other = it.active.projection.as_ref();
                !other.is_some_and(|other| Arc::ptr_eq(other, projection))
            });
        }
    }

    /// Puts aside what served until now: it is followed further, or ended.
    pub(super) fn set_aside(&self, name: &PluginName, before: Active) {
        let is_followed = {
            let registered = self.registered();
            let entry = registered.get(name);
            let is_ours = before.projection.is_some();
            is_ours
                && entry.is_some_and(|it| {
                    it.views_beside().any(|made| made == before.made())
                        || !it.needs_view(before.made())
                })
        };
        // What is deleted next must have ended: `follow_beside` waits for it.
        if is_followed {
            self.beside_mut().entry(name.clone()).or_default().push(Beside::new(before));
        } else {
            before.request_stop();
        }
    }

    /// Runs the views of a projection that should run beside the one that serves, ends the others, and
    /// deletes those that nobody needs.
    pub(super) async fn follow_beside(&self, name: &PluginName) -> Result<(), InstallError> {
        let wanted = self.registered().get(name).map_or_else(Vec::new, wanted);
        let is_wanted = |it: &Beside| wanted.iter().any(|wanted| wanted.made == it.active.made());
        let needless: Vec<_> = {
            let mut beside = self.beside_mut();
            let all = beside.entry(name.clone()).or_default();
            let needless = all.extract_if(.., |it| !is_wanted(it)).collect();
            if all.is_empty() {
                beside.remove(name);
            }
            needless
        };
        for Beside { active, .. } in &needless {
            active.request_stop();
        }
        for Beside { active, .. } in needless {
            if let Some(projection) = &active.projection {
                projection.ended().await;
            }
        }
        self.delete_dropped_views(name).await;
        let mut started = Ok(());
        for wanted in wanted {
            started = started.and(self.start_beside(name, wanted).await);
        }
        self.views_changes.send_modify(|count| *count = count.wrapping_add(1));
        started
    }

    async fn start_beside(&self, name: &PluginName, wanted: Wanted) -> Result<(), InstallError> {
        let Wanted { made, after, is_candidate } = wanted;
        let runs = |all: &Vec<Beside>| all.iter().any(|it| it.active.made() == made);
        if self.beside().get(name).is_some_and(runs) {
            return Ok(());
        }
        let plugin = match self.plugin_of(name, made) {
            Some(plugin) => plugin,
            None => self.load_kept(made.digest).await?,
        };
        let view = ViewOptions { build: made.build, is_background: is_candidate, after };
        let ports = self.ports.projections.clone();
        let projection = Projection::start(Arc::clone(&plugin), ports, view).await?;
        let projection = Some(Arc::new(projection));
        let active = Active { plugin, projection, process: None };
        self.beside_mut().entry(name.clone()).or_default().push(Beside::new(active));
        let (digest, build) = (made.digest.short(), made.build);
        info!(projection = %name, %digest, build, is_candidate, "view runs beside");
        Ok(())
    }

    /// A plugin of this content that is loaded already.
    fn plugin_of(&self, name: &PluginName, made: Made) -> Option<Arc<dyn GuestPlugin>> {
        if let Some(plugin) = self.plugin_beside(name, made) {
            return Some(plugin);
        }
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let plugin = &active.get(name)?.plugin;
        (plugin.inspection().digest == made.digest).then(|| Arc::clone(plugin))
    }

    /// Deletes views that nobody needs any more. A failure costs space only: the next change or start
    /// tries again.
    async fn delete_dropped_views(&self, name: &PluginName) {
        let mut dropped = self.registered().dropped();
        dropped.retain(|it| it.name == *name && it.kind == PluginKind::Projection);
        if dropped.is_empty() {
            return;
        }
        let states = &self.ports.projections.states;
        let deleted = async {
            let spaces = states.list().await?;
            for dropped in dropped {
                let Made { digest, build } = dropped.made;
                let space = StateSpace::View { projection: name.clone(), digest, build };
                let is_needed = self.registered().needs_view(name, dropped.made);
                if spaces.contains(&space) && !is_needed {
                    states.remove(&space).await?;
                    info!(projection = %name, view = %space, "view deleted");
                }
            }
            Ok::<_, annals_core::port::state_store::StateError>(())
        };
        if let Err(error) = deleted.await {
            let error = ErrorChain(&error).to_string();
            warn!(projection = %name, error, "an old view could not be deleted");
        }
    }
}

/// What should run beside what serves.
fn wanted(entry: &Entry) -> Vec<Wanted> {
    let candidate = entry.candidate().map(|it| Wanted {
        made: it.version.made(),
        after: it.after.clone(),
        is_candidate: true,
    });
    let previous = entry.previous_view().map(|it| Wanted {
        made: it.version.made(),
        after: Vec::new(),
        is_candidate: false,
    });
    candidate.into_iter().chain(previous).collect()
}

fn made(projection: &Projection) -> Made {
    let digest = projection.plugin.inspection().digest;
    Made { digest, build: projection.view.build }
}

impl Active {
    pub(super) fn made(&self) -> Made {
        let digest = self.plugin.inspection().digest;
        let build = self.projection.as_ref().map_or(0, |projection| projection.view.build);
        Made { digest, build }
    }
}
