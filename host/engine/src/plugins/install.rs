//! Installing a version of a plugin, and rolling back to one that is kept.
//!
//! ```text
//!  what other hosts did ─► what this is ─► gate ─► start ─► record ─► activate ─► drop old versions
//!         ▲                                                   │
//!         └──────────────── another host was first ───────────┘
//! ```

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::plugin::PluginKind;
use annals_core::port::event_store::EventTypeCount;
use annals_core::port::guest::GuestPlugin;
use tracing::info;

use super::changes::{self, Change};
use super::log::{self, Activated, Installed, RegistryEvent};
use super::{
    Activation, INSTALL_ATTEMPTS_MAX, InstallError, InstallOutcome, InstallRequest, Installing,
    PluginStatus, Registry, RollBackRequest, UnreadEvents, gate,
};
use crate::catalog::Catalog;

/// A version that is about to be active.
pub(super) struct Next<'a> {
    pub(super) plugin: &'a Arc<dyn GuestPlugin>,
    pub(super) event: RegistryEvent,
    pub(super) principal: Option<Arc<str>>,
    /// Projection: which build is its view.
    pub(super) build: u32,
}

impl Registry {
    /// Checks, compiles, records and activates a plugin.
    pub(crate) async fn install(
        &self,
        catalog: &Catalog,
        request: InstallRequest,
    ) -> Result<Activation, InstallError> {
        let plugin = self.load(request.bytes.clone()).await?;
        let described = plugin.description().name.clone();
        if let Some(asked) = request.name.filter(|asked| *asked != described) {
            return Err(InstallError::OtherName { asked, described });
        }
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            // What another host has installed decides what this installation is.
            self.follow(catalog, &mut installing).await?;
            let outcome = self.outcome_of_installing(&*plugin)?;
            let changes = self.changes(&*plugin);
            if outcome != InstallOutcome::Unchanged {
                self.check_no_rebuild(&described)?;
                if request.force.is_none() {
                    self.check_history(&plugin).await?;
                }
                let bytes = request.bytes.clone();
                self.ports.blobs.put(bytes.clone()).await.map_err(InstallError::Blob)?;
                let mut event = Installed::of(&*plugin, self.ports.clock.now());
                event.force_reason = request.force.clone();
                event.dropped = self.surplus(&event);
                let event = RegistryEvent::Installed(event);
                let (principal, build) = (request.principal.clone(), self.build_of(&*plugin));
                let next = Next { plugin: &plugin, event, principal, build };
                if !self.record(catalog, &mut installing, next).await? {
                    continue;
                }
                // Another host may have deleted the bytes of an earlier time in between.
                self.ports.blobs.put(bytes).await.map_err(InstallError::Blob)?;
                self.delete_dropped(catalog, &mut installing).await;
            }
            let plugin = self.status(&described).ok_or(InstallError::Stopping)?;
            let unread = self.unread(&plugin);
            return Ok(Activation { outcome, plugin, changes, unread });
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Activates a version again that is kept.
    pub(crate) async fn roll_back(
        &self,
        catalog: &Catalog,
        request: RollBackRequest,
    ) -> Result<Activation, InstallError> {
        let name = &request.name;
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            self.follow(catalog, &mut installing).await?;
            let digest = self.version_to_activate(&request)?;
            if self.is_active(name, digest) {
                let plugin = self.status(name).ok_or(InstallError::Stopping)?;
                let outcome = InstallOutcome::Unchanged;
                let (changes, unread) = (Vec::new(), self.unread(&plugin));
                return Ok(Activation { outcome, plugin, changes, unread });
            }
            self.check_no_rebuild(name)?;
            let plugin = self.load_kept(digest).await?;
            self.outcome_of_installing(&*plugin)?;
            let changes = self.changes(&*plugin);
            if request.force.is_none() {
                self.check_history(&plugin).await?;
            }
            let event = RegistryEvent::Activated(Activated {
                name: name.clone(),
                digest,
                activated_at: self.ports.clock.now(),
                force_reason: request.force.clone(),
            });
            let (principal, build) = (request.principal.clone(), self.build_of(&*plugin));
            let next = Next { plugin: &plugin, event, principal, build };
            if self.record(catalog, &mut installing, next).await? {
                let plugin = self.status(name).ok_or(InstallError::Stopping)?;
                let (outcome, unread) = (InstallOutcome::RolledBack, self.unread(&plugin));
                return Ok(Activation { outcome, plugin, changes, unread });
            }
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Records that a version is active and activates it; returns whether it did, or another host
    /// recorded something first.
    pub(super) async fn record(
        &self,
        catalog: &Catalog,
        installing: &mut Installing,
        next: Next<'_>,
    ) -> Result<bool, InstallError> {
        let name = next.event.name().clone();
        // Started before it is recorded: a projection that cannot start is not installed. Active
        // after it is recorded: what serves is in the log.
        let prepared = self.prepare(Arc::clone(next.plugin), next.build).await?;
        let recorded = self.append_event(next.event, next.principal).await;
        if !matches!(recorded, Ok(true)) {
            if !prepared.is_running {
                prepared.active.request_stop();
            }
            return recorded;
        }
        installing.waiting.remove(&name);
        self.activate(catalog, prepared, installing);
        self.follow_beside_or_wait(installing, &name).await;
        let digest = next.plugin.inspection().digest;
        let version = &next.plugin.description().version;
        info!(plugin = %name, %version, digest = %digest.short(), "plugin activated");
        Ok(true)
    }

    /// Records an event, and adds up the registry with it; returns whether it did, or another host
    /// recorded something first.
    pub(super) async fn append_event(
        &self,
        event: RegistryEvent,
        principal: Option<Arc<str>>,
    ) -> Result<bool, InstallError> {
        let before = self.registered().revision;
        let appended = log::append(&*self.ports.store, &event, before, principal.clone()).await?;
        let Some(revision) = appended.and_then(|after| after.0) else {
            return Ok(false);
        };
        self.registered_mut().add(event, principal, revision)?;
        Ok(true)
    }

    /// Refuses a version that does not read what is recorded.
    pub(super) async fn check_history(
        &self,
        plugin: &Arc<dyn GuestPlugin>,
    ) -> Result<(), InstallError> {
        let counts = self.ports.store.event_type_counts().await;
        let counts = counts.map_err(InstallError::History)?;
        let description = plugin.description();
        let kind = plugin.inspection().kind;
        if kind == PluginKind::Upcaster {
            let next = Some(Arc::clone(plugin));
            return self.check_readers(&description.name, next, &counts);
        }
        let upcasts = self.ports.projections.upcasts.current();
        let unreadable = gate::unreadable(kind, description, &counts, &upcasts);
        if unreadable.is_empty() {
            return Ok(());
        }
        Err(InstallError::UnreadableHistory {
            name: description.name.clone(),
            version: description.version.clone(),
            unreadable,
        })
    }

    /// Refuses to remove an upcaster that active plugins need.
    pub(super) async fn check_removal(&self, name: &PluginName) -> Result<(), InstallError> {
        if self.status(name).is_none_or(|status| status.kind != PluginKind::Upcaster) {
            return Ok(());
        }
        let counts = self.ports.store.event_type_counts().await;
        self.check_readers(name, None, &counts.map_err(InstallError::History)?)
    }

    /// Refuses a version of the upcaster `upcaster`, or its absence, with which an active plugin reads
    /// less than now.
    fn check_readers(
        &self,
        upcaster: &PluginName,
        next: Option<Arc<dyn GuestPlugin>>,
        counts: &[EventTypeCount],
    ) -> Result<(), InstallError> {
        let now = self.ports.projections.upcasts.current();
        let then = now.with(upcaster, next);
        for status in self.statuses() {
            let description = &status.description;
            let before = gate::unreadable(status.kind, description, counts, &now);
            let mut unreadable = gate::unreadable(status.kind, description, counts, &then);
            unreadable.retain(|events| !before.contains(events));
            if !unreadable.is_empty() {
                return Err(InstallError::NeededUpcaster {
                    upcaster: upcaster.clone(),
                    reader: description.name.clone(),
                    unreadable,
                });
            }
        }
        Ok(())
    }

    /// How the commands and events of `plugin` differ from those that are active.
    fn changes(&self, plugin: &dyn GuestPlugin) -> Vec<Change> {
        let description = plugin.description();
        let kind = plugin.inspection().kind;
        let before = self.active_description(&description.name);
        before.map_or_else(Vec::new, |before| changes::between(kind, &before, description))
    }

    /// What other active plugins want of an aggregate's events and cannot read.
    fn unread(&self, recorder: &PluginStatus) -> Vec<UnreadEvents> {
        if recorder.kind != PluginKind::Aggregate {
            return Vec::new();
        }
        let upcasts = self.ports.projections.upcasts.current();
        let category = recorder.description.name.as_str();
        let newest = gate::newest_as_counts(category, &recorder.description);
        let readers = self.statuses().into_iter().filter(|it| it.kind != PluginKind::Aggregate);
        let unread = readers.flat_map(|it| {
            let unread = gate::unreadable(it.kind, &it.description, &newest, &upcasts);
            unread.into_iter().map(move |events| UnreadEvents {
                reader: it.description.name.clone(),
                event_type: events.event_type,
                schema_version: events.schema_version,
            })
        });
        unread.collect()
    }

    /// Which build is the view of a version that becomes active.
    fn build_of(&self, plugin: &dyn GuestPlugin) -> u32 {
        let registered = self.registered();
        let entry = registered.get(&plugin.description().name);
        entry.map_or(0, |entry| entry.build_of(plugin.inspection().digest))
    }

    fn surplus(&self, event: &Installed) -> Vec<Digest> {
        let kept_max = self.ports.projections.options.versions_kept.get();
        let registered = self.registered();
        let entry = registered.get(&event.name);
        entry.map_or_else(Vec::new, |entry| entry.surplus(event.digest, kept_max, None))
    }

    fn version_to_activate(&self, request: &RollBackRequest) -> Result<Digest, InstallError> {
        let name = request.name.clone();
        if self.registered().get(&name).is_none() {
            return Err(self.unknown_plugin(name));
        }
        let registered = self.registered();
        let Some(entry) = registered.get(&name) else {
            return Err(InstallError::NoVersionBefore { name });
        };
        let Some(digest) = request.digest else {
            return entry.previous().ok_or(InstallError::NoVersionBefore { name });
        };
        let mut kept = entry.versions().iter().rev().map(|version| version.digest);
        if kept.any(|kept| kept == digest) {
            return Ok(digest);
        }
        let kept = entry.versions().iter().rev().map(|version| version.digest).collect();
        Err(InstallError::VersionNotKept { name, digest, kept })
    }

    /// What is said of a name that nothing of is known, or active.
    pub(super) fn unknown_plugin(&self, name: PluginName) -> InstallError {
        let known = self.statuses().into_iter().map(|status| status.description.name.clone());
        InstallError::UnknownPlugin { name, known: known.collect() }
    }
}
