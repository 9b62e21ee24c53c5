//! What the registry's events add up to: which versions of which plugins are kept, which one of each
//! is active, and which views of a projection are followed.
//!
//! `entry.rs` has what they mean for one plugin.

mod entry;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::{ActualRevision, Revision};
use annals_core::plugin::PluginKind;

use super::RestoreError;
use super::log::{RegistryEvent, damaged};

pub(super) use entry::{Entry, Made, Previous, Version};

/// Most versions and views that are remembered as no longer kept, so that a host that ended before it
/// deleted them does so later; the oldest are forgotten first.
const DROPPED_MAX: usize = 16;

/// The fold of the registry's events.
#[derive(Debug, Default)]
pub(super) struct Registered {
    plugins: BTreeMap<PluginName, Entry>,
    /// What was dropped lately and did not come back.
    dropped: VecDeque<Dropped>,
    /// Where the registry's stream ended when it was read last.
    pub(super) revision: ActualRevision,
}

/// A version, or a view of one, that is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) name: PluginName,
    pub(super) kind: PluginKind,
    pub(super) made: Made,
}

impl Registered {
    /// The plugin of a name that was ever installed.
    pub(super) fn get(&self, name: &PluginName) -> Option<&Entry> {
        self.plugins.get(name)
    }

    /// The plugins whose views are built or followed beside the ones that serve.
    pub(super) fn with_views_beside(&self) -> impl Iterator<Item = (&PluginName, &Entry)> {
        self.plugins.iter().filter(|(_, entry)| entry.views_beside().next().is_some())
    }

    /// The version of a plugin that is active.
    pub(super) fn active(&self, name: &PluginName) -> Option<&Version> {
        self.get(name)?.active()
    }

    /// Whether any plugin needs the component of this content.
    pub(super) fn keeps(&self, digest: Digest) -> bool {
        self.plugins.values().any(|entry| entry.keeps(digest))
    }

    /// Whether a view is the one of a version that is kept, or is built or followed.
    pub(super) fn needs_view(&self, name: &PluginName, made: Made) -> bool {
        self.get(name).is_some_and(|entry| entry.needs_view(made))
    }

    /// What is no longer kept and may still be there.
    pub(super) fn dropped(&self) -> Vec<Dropped> {
        self.dropped.iter().cloned().collect()
    }

    /// Forgets that something was dropped: it is gone.
    pub(super) fn forget_dropped(&mut self, gone: &Dropped) {
        self.dropped.retain(|dropped| dropped != gone);
    }

    /// Adds a page of the registry's events; returns whose plugins changed.
    pub(super) fn apply(
        &mut self,
        events: &[RecordedEvent],
    ) -> Result<BTreeSet<PluginName>, RestoreError> {
        let mut changed = BTreeSet::new();
        for recorded in events {
            let event = RegistryEvent::parse(recorded)?;
            changed.insert(event.name().clone());
            self.add(event, recorded.origin.principal.clone(), recorded.revision)?;
        }
        Ok(changed)
    }

    /// Adds the event at `revision`.
    pub(super) fn add(
        &mut self,
        event: RegistryEvent,
        principal: Option<Arc<str>>,
        revision: Revision,
    ) -> Result<(), RestoreError> {
        let unknown = |what: &str| damaged(revision, &format!("about {what}"));
        let name = event.name().clone();
        if matches!(event, RegistryEvent::Installed(_)) {
            self.plugins.entry(name.clone()).or_default();
        }
        let entry = self.plugins.get_mut(&name).ok_or_else(|| unknown("an unknown plugin"))?;
        let gone = match event {
            RegistryEvent::Installed(event) => Some(entry.install(&event, principal)),
            RegistryEvent::Activated(event) => entry.activate(event),
            RegistryEvent::Removed(_) => Some(entry.remove()),
            RegistryEvent::Rebuild(event) => entry.add(event, principal),
        };
        let gone = gone.ok_or_else(|| unknown("a version or view that is not kept"))?;
        self.note_dropped(&name, gone);
        self.revision = revision.into();
        Ok(())
    }

    fn note_dropped(&mut self, name: &PluginName, gone: Vec<(PluginKind, Made)>) {
        for (kind, made) in gone {
            if self.needs_view(name, made) {
                continue;
            }
            if self.dropped.len() >= DROPPED_MAX {
                self.dropped.pop_front();
            }
            self.dropped.push_back(Dropped { name: name.clone(), kind, made });
        }
    }
}
