//! What happened to a plugin: who did what when, from the registry's stream.

use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::name::PluginName;
use annals_core::place::Revision;
use annals_core::port::event_store::Direction;
use annals_core::time::Timestamp;

use super::log::{self, RebuildEvent, RegistryEvent};
use super::{HistoryEntry, HistoryEvent, HistoryPage, Registry, RestoreError};

impl Registry {
    /// At most `limit` entries of the history of a plugin, newest first, from `from` on (inclusive);
    /// `None`: nothing of this name was ever installed, as far as this host has read.
    pub(crate) async fn history(
        &self,
        name: &PluginName,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Option<HistoryPage>, RestoreError> {
        let last = {
            let registered = self.registered();
            if registered.get(name).is_none() {
                return Ok(None);
            }
            registered.revision.0.unwrap_or_default()
        };
        let mut from = from.unwrap_or(last).min(last);
        let mut entries = Vec::new();
        loop {
            let page = log::read(&*self.ports.store, from, Direction::Backwards).await?;
            for recorded in &page.events {
                let event = RegistryEvent::parse(recorded)?;
                if event.name() != name {
                    continue;
                }
                if entries.len() >= limit {
                    return Ok(Some(HistoryPage { entries, next: Some(recorded.revision) }));
                }
                entries.push(self.entry(event, recorded));
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(Some(HistoryPage { entries, next: None })),
            }
        }
    }

    fn entry(&self, event: RegistryEvent, recorded: &RecordedEvent) -> HistoryEntry {
        let (at, event) = match event {
            RegistryEvent::Installed(event) => {
                let log::Installed { installed_at, version, digest, force_reason, .. } = event;
                (installed_at, HistoryEvent::Installed { version, digest, force_reason })
            }
            RegistryEvent::Activated(event) => {
                let log::Activated { name, digest, activated_at, force_reason } = event;
                // A version that is no longer kept is known by its digest.
                let version = self.version_of(&name, digest);
                (activated_at, HistoryEvent::Activated { version, digest, force_reason })
            }
            RegistryEvent::Removed(event) => {
                let log::Removed { removed_at, deletes_views, .. } = event;
                (removed_at, HistoryEvent::Removed { deletes_views })
            }
            RegistryEvent::Rebuild(event) => self.of_rebuild(event),
        };
        let principal = recorded.origin.principal.as_ref().map(Arc::clone);
        HistoryEntry { revision: recorded.revision, at, principal, event }
    }

    fn of_rebuild(&self, event: RebuildEvent) -> (Timestamp, HistoryEvent) {
        match event {
            RebuildEvent::Started(it) => {
                let log::RebuildStarted { started_at, version, digest, build, .. } = it;
                (started_at, HistoryEvent::RebuildStarted { version, digest, build })
            }
            RebuildEvent::CutOver(it) => {
                let log::ViewCutOver { name, digest, build, differences, .. } = it;
                let version = self.version_of(&name, digest);
                let event = HistoryEvent::CutOver { version, digest, build, differences };
                (it.cut_over_at, event)
            }
            RebuildEvent::Cancelled(it) => {
                let log::RebuildCancelled { digest, build, cancelled_at, .. } = it;
                (cancelled_at, HistoryEvent::RebuildCancelled { digest, build })
            }
            RebuildEvent::RolledBack(it) => {
                let log::ViewRolledBack { name, digest, build, rolled_back_at } = it;
                let version = self.version_of(&name, digest);
                (rolled_back_at, HistoryEvent::ViewRolledBack { version, digest, build })
            }
            RebuildEvent::PreviousDropped(it) => {
                let log::PreviousDropped { digest, build, dropped_at, .. } = it;
                (dropped_at, HistoryEvent::PreviousDropped { digest, build })
            }
        }
    }
}
