//! Building views anew, as operators want it: starting, cutting over, cancelling, rolling back. What
//! happens by itself is in [`crate::rebuild`].

use std::sync::{Arc, PoisonError};

use annals_core::error::ErrorChain;
use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_core::plugin::{Description, PluginKind};
use annals_core::port::guest::GuestPlugin;
use annals_core::time::Timestamp;
use tokio::time::timeout;
use tracing::{info, warn};

use super::install::Next;
use super::log::{
    Installed, PreviousDropped, RebuildCancelled, RebuildEvent, RebuildStarted, RegistryEvent,
    ViewCutOver, ViewRolledBack,
};
use super::registered::{Made, Previous};
use super::{INSTALL_ATTEMPTS_MAX, InstallError, Installing, Registry};
use crate::catalog::Catalog;
use crate::projection::{Progress, Projection};
use crate::rebuild::{
    BeginError, Comparison, CutsOver, DifferenceCounts, PreviousView, ProjectionViews,
    RebuildBegin, RebuildRequest, RebuildStatus, Supervision, places_before, read_report,
};

/// Something to be done about a view beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ViewTask {
    pub(crate) name: PluginName,
    pub(super) made: Made,
    pub(crate) kind: ViewTaskKind,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ViewTaskKind {
    /// It is compared with the view `base`, and may take over.
    #[expect(private_interfaces, reason = "only compared, by this folder")]
    Candidate { base: Made, cuts_over: CutsOver },
    /// It goes.
    Previous { until: Timestamp },
}

impl Registry {
    /// Begins to build a view beside the one that serves.
    pub(crate) async fn start_rebuild(
        &self,
        catalog: &Catalog,
        request: RebuildRequest,
    ) -> Result<(), InstallError> {
        let name = &request.name;
        let other = match &request.bytes {
            Some(bytes) => Some(self.load(bytes.clone()).await?),
            None => None,
        };
        if let Some(other) = &other
            && other.description().name != *name
        {
            let (asked, described) = (name.clone(), other.description().name.clone());
            return Err(InstallError::OtherName { asked, described });
        }
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            let active = self.active_projection(name)?;
            if self.has_candidate(name) {
                return Err(InstallError::RebuildUnderWay { name: name.clone() });
            }
            let plugin = other.as_ref().unwrap_or(&active.plugin);
            self.outcome_of_installing(&**plugin)?;
            self.check_history(plugin).await?;
            if let Some(bytes) = &request.bytes {
                self.ports.blobs.put(bytes.clone()).await.map_err(InstallError::Blob)?;
            }
            let is_other = plugin.inspection().digest != active.plugin.inspection().digest;
            let differs = is_other || request.begin.is_some();
            let by_default = if differs { CutsOver::WhenCaughtUp } else { CutsOver::WhenEqual };
            let mut event = self.started(plugin, request.cuts_over.unwrap_or(by_default));
            if let Some(begin) = request.begin {
                event.after = self.after(plugin, begin).await?;
            }
            let event = RegistryEvent::Rebuild(RebuildEvent::Started(event));
            if !self.append_event(event, request.principal.clone()).await? {
                continue;
            }
            if let Some(bytes) = &request.bytes {
                // Another host may have deleted the bytes of an earlier time in between.
                self.ports.blobs.put(bytes.clone()).await.map_err(InstallError::Blob)?;
            }
            self.follow_beside_or_wait(&mut installing, name).await;
            return Ok(());
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Where a view is to begin, if its projection allows it.
    async fn after(
        &self,
        plugin: &Arc<dyn GuestPlugin>,
        begin: RebuildBegin,
    ) -> Result<Vec<Option<Position>>, InstallError> {
        let Description { name, begins_later, .. } = &**plugin.description();
        if !begins_later {
            let cause = format!(
                "the view of `{name}` begins with the first event: the projection does not say that \
                 it may begin later"
            );
            return Err(InstallError::BadBegin { cause });
        }
        places_before(&*self.ports.store, begin).await.map_err(|error| match error {
            BeginError::Bad(cause) => InstallError::BadBegin { cause },
            BeginError::Read(cause) => InstallError::History(cause),
        })
    }

    fn started(&self, plugin: &Arc<dyn GuestPlugin>, cuts_over: CutsOver) -> RebuildStarted {
        let Installed { name, version, digest, component_bytes, installed_at, .. } =
            Installed::of(&**plugin, self.ports.clock.now());
        let build = self.registered().get(&name).map_or(1, super::registered::Entry::next_build);
        RebuildStarted {
            name,
            version,
            digest,
            component_bytes,
            build,
            cuts_over,
            started_at: installed_at,
            after: Vec::new(),
        }
    }

    /// Lets the view that was built take over now, whatever differs.
    pub(crate) async fn cut_over(
        &self,
        catalog: &Catalog,
        name: &PluginName,
        principal: Option<Arc<str>>,
    ) -> Result<(), InstallError> {
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            let made = self.candidate_of(name)?;
            let counts = self.report(name, made).await.map(|report| report.counts());
            let counts =
                counts.ok_or_else(|| InstallError::RebuildNotReady { name: name.clone() })?;
            let cut = (name, made, Some(counts));
            if self.record_cut_over(catalog, &mut installing, cut, principal.clone()).await? {
                return Ok(());
            }
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// The same for the candidate of a task, unless the registry says something else by now.
    pub(crate) async fn cut_over_candidate(
        &self,
        catalog: &Catalog,
        task: &ViewTask,
        counts: DifferenceCounts,
    ) -> Result<(), InstallError> {
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            if !self.view_tasks().contains(task) {
                return Ok(());
            }
            let cut = (&task.name, task.made, Some(counts));
            if self.record_cut_over(catalog, &mut installing, cut, None).await? {
                return Ok(());
            }
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    async fn record_cut_over(
        &self,
        catalog: &Catalog,
        installing: &mut Installing,
        (name, made, differences): (&PluginName, Made, Option<DifferenceCounts>),
        principal: Option<Arc<str>>,
    ) -> Result<bool, InstallError> {
        let Some(new) = self.projection_beside(name, made) else { return Ok(false) };
        if let Some(old) = self.projection(name) {
            self.wait_for_it(&old, &new).await;
        }
        let now = self.ports.clock.now();
        let options = &self.ports.projections.options;
        let window_ms = u64::try_from(options.rollback_window.as_millis()).unwrap_or(u64::MAX);
        let event = ViewCutOver {
            name: name.clone(),
            digest: made.digest,
            build: made.build,
            cut_over_at: now,
            previous_until: Timestamp::from_ms(now.ms().saturating_add(window_ms)),
            differences,
            dropped: self.surplus_of(name, made, self.active_made(name)),
        };
        let event = RegistryEvent::Rebuild(RebuildEvent::CutOver(event));
        let next = Next { plugin: &new.plugin, event, principal, build: made.build };
        if !self.record(catalog, installing, next).await? {
            return Ok(false);
        }
        self.delete_dropped(catalog, installing).await;
        Ok(true)
    }

    /// Waits a moment until the view that takes over is as far as the one that serves, so that nobody
    /// reads an older state than before.
    async fn wait_for_it(&self, old: &Projection, new: &Projection) {
        let places = old.progress.borrow().checkpoints.clone();
        let is_there =
            |it: &Progress| it.checkpoints.iter().zip(&places).all(|(new, old)| new >= old);
        let mut progress = new.progress.clone();
        let hold_max = self.ports.projections.options.compare_hold_max;
        if timeout(hold_max, progress.wait_for(is_there)).await.is_err() {
            let projection = &new.description.name;
            info!(%projection, "the view that takes over is a little behind");
        }
    }

    /// Ends a rebuild; the view that was built is deleted.
    pub(crate) async fn cancel_rebuild(
        &self,
        catalog: &Catalog,
        name: &PluginName,
        principal: Option<Arc<str>>,
    ) -> Result<(), InstallError> {
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            let Made { digest, build } = self.candidate_of(name)?;
            let cancelled_at = self.ports.clock.now();
            let event = RebuildCancelled { name: name.clone(), digest, build, cancelled_at };
            let event = RegistryEvent::Rebuild(RebuildEvent::Cancelled(event));
            if self.append_event(event, principal.clone()).await? {
                self.follow_beside_or_wait(&mut installing, name).await;
                self.delete_dropped(catalog, &mut installing).await;
                return Ok(());
            }
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Lets the view serve again that did before the last cut-over.
    pub(crate) async fn roll_back_view(
        &self,
        catalog: &Catalog,
        name: &PluginName,
        principal: Option<Arc<str>>,
    ) -> Result<(), InstallError> {
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            self.active_projection(name)?;
            let previous = self.previous_of(name).map(|previous| previous.version.made());
            let made =
                previous.ok_or_else(|| InstallError::NoPreviousView { name: name.clone() })?;
            let plugin = match self.plugin_beside(name, made) {
                Some(plugin) => plugin,
                None => self.load_kept(made.digest).await?,
            };
            let event = RegistryEvent::Rebuild(RebuildEvent::RolledBack(ViewRolledBack {
                name: name.clone(),
                digest: made.digest,
                build: made.build,
                rolled_back_at: self.ports.clock.now(),
            }));
            let principal = principal.clone();
            let next = Next { plugin: &plugin, event, principal, build: made.build };
            if self.record(catalog, &mut installing, next).await? {
                return Ok(());
            }
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Follows the view of a task no longer, unless the registry says something else by now.
    pub(crate) async fn drop_previous(
        &self,
        catalog: &Catalog,
        task: &ViewTask,
    ) -> Result<(), InstallError> {
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            let name = &task.name;
            let active = self.active_made(name).filter(|_| self.view_tasks().contains(task));
            let Some(active) = active else { return Ok(()) };
            let event = RegistryEvent::Rebuild(RebuildEvent::PreviousDropped(PreviousDropped {
                name: name.clone(),
                digest: task.made.digest,
                build: task.made.build,
                dropped_at: self.ports.clock.now(),
                dropped: self.surplus_of(name, active, None),
            }));
            if self.append_event(event, None).await? {
                info!(projection = %name, "the view of before the cut-over is dropped");
                self.follow_beside_or_wait(&mut installing, name).await;
                self.delete_dropped(catalog, &mut installing).await;
                return Ok(());
            }
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// All views of a projection; `None`: there is no such projection.
    pub(crate) async fn views(&self, name: &PluginName) -> Option<ProjectionViews> {
        let active = self.projection(name)?;
        let (candidate, previous) = {
            let registered = self.registered();
            let entry = registered.get(name)?;
            (entry.candidate().cloned(), entry.previous_view().cloned())
        };
        let rebuild = match candidate {
            Some(candidate) => {
                let made = candidate.version.made();
                let comparison = self.report(name, made).await;
                let (progress, supervision) = self.seen_of(name, made);
                let cuts_over = candidate.cuts_over;
                Some(RebuildStatus {
                    version: candidate.version.version,
                    digest: made.digest,
                    build: made.build,
                    started_at: candidate.version.installed_at,
                    started_by: candidate.version.installed_by,
                    cuts_over,
                    after: candidate.after,
                    phase: supervision.phase(cuts_over, progress.as_ref(), comparison.as_ref()),
                    events_per_second: supervision.events_per_second(),
                    progress,
                    comparison,
                })
            }
            None => None,
        };
        let previous = match previous {
            Some(Previous { version, until }) => Some(PreviousView {
                version: version.version,
                digest: version.digest,
                build: version.build,
                until,
                comparison: read_or_warn(&active).await,
            }),
            None => None,
        };
        Some(ProjectionViews { build: active.view.build, rebuild, previous })
    }

    fn seen_of(&self, name: &PluginName, made: Made) -> (Option<Progress>, Arc<Supervision>) {
        let beside = self.beside();
        let found = beside.get(name).and_then(|all| all.iter().find(|it| it.active.made() == made));
        let Some(found) = found else { return (None, Arc::default()) };
        let progress = found.active.projection.as_ref().map(|it| it.progress.borrow().clone());
        (progress, Arc::clone(&found.supervision))
    }

    async fn report(&self, name: &PluginName, made: Made) -> Option<Comparison> {
        let projection = self.projection_beside(name, made)?;
        read_or_warn(&projection).await
    }

    fn projection_beside(&self, name: &PluginName, made: Made) -> Option<Arc<Projection>> {
        let beside = self.beside();
        let found = beside.get(name)?.iter().find(|it| it.active.made() == made)?;
        found.active.projection.as_ref().map(Arc::clone)
    }

    fn active_projection(&self, name: &PluginName) -> Result<Arc<Projection>, InstallError> {
        self.projection(name).ok_or_else(|| InstallError::UnknownProjection {
            name: name.clone(),
            known: self.projection_names(),
        })
    }

    pub(super) fn active_made(&self, name: &PluginName) -> Option<Made> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name).map(super::Active::made)
    }

    /// Whether a view of the projection is built.
    pub(super) fn has_candidate(&self, name: &PluginName) -> bool {
        self.registered().get(name).is_some_and(|entry| entry.candidate().is_some())
    }

    fn candidate_of(&self, name: &PluginName) -> Result<Made, InstallError> {
        self.active_projection(name)?;
        let registered = self.registered();
        let candidate = registered.get(name).and_then(|entry| entry.candidate());
        let made = candidate.map(|candidate| candidate.version.made());
        made.ok_or_else(|| InstallError::NoRebuild { name: name.clone() })
    }

    fn previous_of(&self, name: &PluginName) -> Option<Previous> {
        self.registered().get(name)?.previous_view().cloned()
    }

    /// Which versions go when `made` is active and `spared` stays.
    fn surplus_of(
        &self,
        name: &PluginName,
        made: Made,
        spared: Option<Made>,
    ) -> Vec<annals_core::id::Digest> {
        let kept_max = self.ports.projections.options.versions_kept.get();
        let registered = self.registered();
        let surplus = registered
            .get(name)
            .map(|entry| entry.surplus(made.digest, kept_max, spared.map(|spared| spared.digest)));
        surplus.unwrap_or_default()
    }

    /// Runs the views beside as the registry says; what does not start is tried again later.
    pub(super) async fn follow_beside_or_wait(
        &self,
        installing: &mut Installing,
        name: &PluginName,
    ) {
        // Whoever waits for this may go away in the middle: then it is done later.
        installing.waiting.insert(name.clone());
        let followed = self.follow_beside(name).await;
        let may_pass = followed.as_ref().is_err_and(InstallError::may_pass);
        if !may_pass {
            installing.waiting.remove(name);
        }
        if let Err(error) = followed {
            let error = ErrorChain(&error).to_string();
            warn!(projection = %name, error, may_pass, "a view beside does not start");
        }
    }

    /// Refuses to change the active version while a view is built that would be compared with it.
    pub(super) fn check_no_rebuild(&self, name: &PluginName) -> Result<(), InstallError> {
        let is_projection =
            self.status(name).is_some_and(|status| status.kind == PluginKind::Projection);
        if is_projection && self.has_candidate(name) {
            return Err(InstallError::RebuildUnderWay { name: name.clone() });
        }
        Ok(())
    }
}

async fn read_or_warn(projection: &Projection) -> Option<Comparison> {
    read_report(&*projection.state).await.unwrap_or_else(|error| {
        let error = ErrorChain(&error).to_string();
        warn!(projection = %projection.description.name, error, "a comparison cannot be read");
        None
    })
}
