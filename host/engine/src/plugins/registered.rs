//! What the registry's events add up to: which versions of which plugins are kept, and which one of
//! each is active.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::{ActualRevision, Revision};
use annals_core::plugin::PluginKind;
use annals_core::time::Timestamp;

use super::log::{Installed, RegistryEvent, damaged};
use super::{ForceReason, RestoreError};

/// Most versions that are remembered as no longer kept, so that a host that ended before it deleted
/// their bytes does so later; the oldest are forgotten first.
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

/// One plugin.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Those that are kept, in the order of their last activation.
    versions: Vec<Version>,
    /// What to roll back through: each version above the one that was active before it. Invariant:
    /// each is in `versions`, once.
    undo: Vec<Digest>,
    is_removed: bool,
}

/// One version of a plugin.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) kind: PluginKind,
    pub(super) version: String,
    pub(super) digest: Digest,
    pub(super) component_bytes: usize,
    pub(super) installed_at: Timestamp,
    pub(super) installed_by: Option<Arc<str>>,
    pub(super) activated_at: Timestamp,
    /// Why it was activated in spite of what the gate would say.
    pub(super) force_reason: Option<ForceReason>,
}

/// A version that is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) name: PluginName,
    pub(super) kind: PluginKind,
    pub(super) digest: Digest,
}

impl Registered {
    /// The plugin of a name that was ever installed.
    pub(super) fn get(&self, name: &PluginName) -> Option<&Entry> {
        self.plugins.get(name)
    }

    /// The version of a plugin that is active.
    pub(super) fn active(&self, name: &PluginName) -> Option<&Version> {
        self.get(name)?.active()
    }

    /// Whether any plugin keeps this content.
    pub(super) fn keeps(&self, digest: Digest) -> bool {
        let mut versions = self.plugins.values().flat_map(|entry| &entry.versions);
        versions.any(|version| version.digest == digest)
    }

    /// What is no longer kept and whose bytes may still be there.
    pub(super) fn dropped(&self) -> Vec<Dropped> {
        self.dropped.iter().cloned().collect()
    }

    /// Forgets that a version was dropped: its bytes are gone.
    pub(super) fn forget_dropped(&mut self, digest: Digest) {
        self.dropped.retain(|dropped| dropped.digest != digest);
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
        match event {
            RegistryEvent::Installed(event) => {
                let entry = self.plugins.entry(event.name.clone()).or_default();
                let gone = entry.install(&event, principal);
                self.forget_dropped(event.digest);
                for version in gone {
                    if self.dropped.len() >= DROPPED_MAX {
                        self.dropped.pop_front();
                    }
                    let Version { kind, digest, .. } = version;
                    self.dropped.push_back(Dropped { name: event.name.clone(), kind, digest });
                }
            }
            RegistryEvent::Activated(event) => {
                let entry = self.plugins.get_mut(&event.name);
                let entry = entry.ok_or_else(|| unknown("an unknown plugin"))?;
                let version = entry.take(event.digest);
                let mut version = version.ok_or_else(|| unknown("a version that is not kept"))?;
                version.activated_at = event.activated_at;
                version.force_reason = event.force_reason;
                entry.versions.push(version);
                // Rolling back takes away what is above; anything else goes on top.
                match entry.undo.iter().position(|known| *known == event.digest) {
                    Some(place) => entry.undo.truncate(place.saturating_add(1)),
                    None => entry.undo.push(event.digest),
                }
                entry.is_removed = false;
            }
            RegistryEvent::Removed(event) => {
                let entry = self.plugins.get_mut(&event.name);
                entry.ok_or_else(|| unknown("an unknown plugin"))?.is_removed = true;
            }
        }
        self.revision = revision.into();
        Ok(())
    }
}

impl Entry {
    /// The version that is active; none when the plugin was removed.
    pub(super) fn active(&self) -> Option<&Version> {
        self.versions.last().filter(|_| !self.is_removed)
    }

    pub(super) const fn is_removed(&self) -> bool {
        self.is_removed
    }

    /// The versions that are kept, in the order of their last activation.
    pub(super) fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// What rolling back leads to: the version that was active before. Of a removed plugin: the one
    /// that was active when it was removed.
    pub(super) fn previous(&self) -> Option<Digest> {
        let steps_back = usize::from(!self.is_removed);
        self.undo.iter().rev().nth(steps_back).copied()
    }

    /// Which versions go when `digest` is installed and at most `kept_max` are kept, it among them.
    pub(super) fn surplus(&self, digest: Digest, kept_max: usize) -> Vec<Digest> {
        let others = self.versions.iter().map(|version| version.digest);
        let others: Vec<_> = others.filter(|other| *other != digest).collect();
        let surplus = others.len().saturating_add(1).saturating_sub(kept_max.max(1));
        others.into_iter().take(surplus).collect()
    }

    /// Adds the version that is active from now on; returns those that are no longer kept.
    fn install(&mut self, event: &Installed, installed_by: Option<Arc<str>>) -> Vec<Version> {
        self.take(event.digest);
        let gone = event.dropped.iter().filter_map(|digest| self.take(*digest)).collect();
        self.versions.push(Version {
            kind: event.kind,
            version: event.version.clone(),
            digest: event.digest,
            component_bytes: event.component_bytes,
            installed_at: event.installed_at,
            installed_by,
            activated_at: event.installed_at,
            force_reason: event.force_reason.clone(),
        });
        self.undo.retain(|known| *known != event.digest && !event.dropped.contains(known));
        self.undo.push(event.digest);
        self.is_removed = false;
        gone
    }

    fn take(&mut self, digest: Digest) -> Option<Version> {
        let place = self.versions.iter().position(|version| version.digest == digest)?;
        Some(self.versions.remove(place))
    }
}
