//! One plugin: its versions, and of a projection the views beside the one that serves.
//!
//! ```text
//!               install ───────────────────────────────────────► active
//!   start rebuild ─► candidate ── cut over ─► active ── roll back ─► dropped
//!                        │ cancel               what was active: previous ─► active
//!                        ▼                                          │ window over
//!                     dropped                                       ▼ dropped, or kept with its version
//! ```
//! Installing, activating and removing end what is beside.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::place::Position;
use annals_core::plugin::PluginKind;
use annals_core::time::Timestamp;

use super::super::ForceReason;
use super::super::log::{
    Activated, Installed, PreviousDropped, RebuildEvent, RebuildStarted, ViewCutOver,
    ViewRolledBack,
};
use crate::rebuild::CutsOver;

/// Which view, or which component of one: what made it, and which of what that made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plugins) struct Made {
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) build: u32,
}

/// What an event made needless.
type Gone = Vec<(PluginKind, Made)>;

/// One plugin.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Entry {
    /// Those that are kept, in the order of their last activation.
    versions: Vec<Version>,
    /// What to roll back through: each version above the one that was active before it. Invariant:
    /// each is in `versions`, once.
    undo: Vec<Digest>,
    is_removed: bool,
    /// The highest number of a build. Each is given out once, so that deleting an old view late never
    /// hits a new one. While it is 0 there was no rebuild, and every view is build 0.
    builds_count: u32,
    candidate: Option<Candidate>,
    previous: Option<Previous>,
}

/// One version of a plugin.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct Version {
    pub(in crate::plugins) kind: PluginKind,
    pub(in crate::plugins) version: String,
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) component_bytes: usize,
    pub(in crate::plugins) installed_at: Timestamp,
    pub(in crate::plugins) installed_by: Option<Arc<str>>,
    pub(in crate::plugins) activated_at: Timestamp,
    /// Why it was activated in spite of what the gate would say.
    pub(in crate::plugins) force_reason: Option<ForceReason>,
    /// Projection: which build is its view.
    pub(in crate::plugins) build: u32,
}

/// A view that is built beside the one that serves.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct Candidate {
    /// What makes it.
    pub(in crate::plugins) version: Version,
    pub(in crate::plugins) cuts_over: CutsOver,
    /// Per partition: only events after this position. Empty: all events.
    pub(in crate::plugins) after: Vec<Option<Position>>,
}

/// The view that served before the last cut-over.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct Previous {
    pub(in crate::plugins) version: Version,
    pub(in crate::plugins) until: Timestamp,
}

impl Version {
    pub(in crate::plugins) const fn made(&self) -> Made {
        Made { digest: self.digest, build: self.build }
    }

    const fn gone(&self) -> (PluginKind, Made) {
        (self.kind, self.made())
    }
}

impl Entry {
    /// The version that is active; none when the plugin was removed.
    pub(in crate::plugins) fn active(&self) -> Option<&Version> {
        self.versions.last().filter(|_| !self.is_removed)
    }

    pub(in crate::plugins) const fn is_removed(&self) -> bool {
        self.is_removed
    }

    /// The versions that are kept, in the order of their last activation.
    pub(in crate::plugins) fn versions(&self) -> &[Version] {
        &self.versions
    }

    pub(in crate::plugins) const fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// The view that can be restored at once.
    pub(in crate::plugins) const fn previous_view(&self) -> Option<&Previous> {
        self.previous.as_ref()
    }

    /// The views that are followed and do not serve.
    pub(in crate::plugins) fn views_beside(&self) -> impl Iterator<Item = Made> {
        let candidate = self.candidate.iter().map(|candidate| candidate.version.made());
        candidate.chain(self.previous.iter().map(|previous| previous.version.made()))
    }

    pub(super) fn keeps(&self, digest: Digest) -> bool {
        let mut versions = self.versions.iter().map(|version| version.digest);
        versions.any(|kept| kept == digest) || self.views_beside().any(|it| it.digest == digest)
    }

    pub(in crate::plugins) fn needs_view(&self, made: Made) -> bool {
        let mut versions = self.versions.iter().map(Version::made);
        versions.any(|kept| kept == made) || self.views_beside().any(|beside| beside == made)
    }

    /// Which build is the view of a version that is installed or activated now.
    pub(in crate::plugins) fn build_of(&self, digest: Digest) -> u32 {
        let kept = self.versions.iter().find(|version| version.digest == digest);
        match kept {
            Some(version) => version.build,
            None if self.builds_count == 0 => 0,
            None => self.next_build(),
        }
    }

    /// The number of the next build.
    pub(in crate::plugins) const fn next_build(&self) -> u32 {
        self.builds_count.saturating_add(1)
    }

    /// What rolling back leads to: the version that was active before. Of a removed plugin: the one
    /// that was active when it was removed.
    pub(in crate::plugins) fn previous(&self) -> Option<Digest> {
        let steps_back = usize::from(!self.is_removed);
        self.undo.iter().rev().nth(steps_back).copied()
    }

    /// Which versions go when `digest` becomes active and at most `kept_max` are kept, it among them.
    /// `spared` does not go.
    pub(in crate::plugins) fn surplus(
        &self,
        digest: Digest,
        kept_max: usize,
        spared: Option<Digest>,
    ) -> Vec<Digest> {
        let others = self.versions.iter().map(|version| version.digest);
        let others: Vec<_> = others.filter(|other| *other != digest).collect();
        let surplus = others.len().saturating_add(1).saturating_sub(kept_max.max(1));
        others.into_iter().filter(|other| Some(*other) != spared).take(surplus).collect()
    }

    /// Adds the version that is active from now on; returns what is no longer kept.
    pub(super) fn install(&mut self, event: &Installed, by: Option<Arc<str>>) -> Gone {
        let mut gone = self.end_beside();
        let build = self.build_of(event.digest);
        self.builds_count = self.builds_count.max(build);
        self.take(event.digest);
        gone.extend(self.drop_versions(&event.dropped));
        self.versions.push(Version {
            kind: event.kind,
            version: event.version.clone(),
            digest: event.digest,
            component_bytes: event.component_bytes,
            installed_at: event.installed_at,
            installed_by: by,
            activated_at: event.installed_at,
            force_reason: event.force_reason.clone(),
            build,
        });
        self.put_on_top(event.digest);
        self.is_removed = false;
        gone
    }

    /// Makes a version active that is kept; `None`: it is not.
    pub(super) fn activate(&mut self, event: Activated) -> Option<Gone> {
        let mut version = self.take(event.digest)?;
        version.activated_at = event.activated_at;
        version.force_reason = event.force_reason;
        self.undo_to(event.digest);
        self.versions.push(version);
        self.is_removed = false;
        Some(self.end_beside())
    }

    pub(super) fn remove(&mut self) -> Gone {
        self.is_removed = true;
        self.end_beside()
    }

    /// Adds what happened to its views; `None`: it is about a view that is not there.
    pub(super) fn add(&mut self, event: RebuildEvent, by: Option<Arc<str>>) -> Option<Gone> {
        match event {
            RebuildEvent::Started(event) => Some(self.start_rebuild(event, by)),
            RebuildEvent::CutOver(event) => self.cut_over(&event),
            RebuildEvent::Cancelled(_) => Some(self.cancel_rebuild()),
            RebuildEvent::RolledBack(event) => self.roll_back(&event),
            RebuildEvent::PreviousDropped(event) => Some(self.drop_previous(&event)),
        }
    }

    fn start_rebuild(&mut self, event: RebuildStarted, started_by: Option<Arc<str>>) -> Gone {
        let gone = self.cancel_rebuild();
        self.builds_count = self.builds_count.max(event.build);
        self.candidate = Some(Candidate {
            version: Version {
                kind: PluginKind::Projection,
                version: event.version,
                digest: event.digest,
                component_bytes: event.component_bytes,
                installed_at: event.started_at,
                installed_by: started_by,
                activated_at: event.started_at,
                force_reason: None,
                build: event.build,
            },
            cuts_over: event.cuts_over,
            after: event.after,
        });
        gone
    }

    /// Makes the candidate active and keeps what was; `None`: it is not the candidate.
    fn cut_over(&mut self, event: &ViewCutOver) -> Option<Gone> {
        let made = Made { digest: event.digest, build: event.build };
        let candidate = self.candidate.take_if(|it| it.version.made() == made)?;
        let mut gone: Gone = self.previous.take().into_iter().map(|it| it.version.gone()).collect();
        let before = self.active().cloned();
        let known = self.take(event.digest);
        // Its view goes, unless it is that which served.
        gone.extend(known.as_ref().map(Version::gone));
        self.previous = before.map(|version| Previous { version, until: event.previous_until });
        self.put_on_top(event.digest);
        self.versions.push(Version {
            installed_at: known
                .as_ref()
                .map_or(candidate.version.installed_at, |it| it.installed_at),
            installed_by: match known {
                Some(version) => version.installed_by,
                None => candidate.version.installed_by.clone(),
            },
            activated_at: event.cut_over_at,
            ..candidate.version
        });
        gone.extend(self.drop_versions(&event.dropped));
        Some(gone)
    }

    fn cancel_rebuild(&mut self) -> Gone {
        self.candidate.take().into_iter().map(|it| it.version.gone()).collect()
    }

    /// Makes the view active again that served before the cut-over; `None`: there is none.
    fn roll_back(&mut self, event: &ViewRolledBack) -> Option<Gone> {
        let made = Made { digest: event.digest, build: event.build };
        let previous = self.previous.take_if(|it| it.version.made() == made)?;
        let left = self.versions.last().cloned()?;
        let gone = vec![left.gone()];
        // Whoever activates that version later begins a view of its own.
        self.builds_count = self.next_build();
        let build = self.builds_count;
        if let Some(version) = self.versions.last_mut() {
            version.build = build;
        }
        self.take(event.digest);
        self.undo_to(event.digest);
        self.versions.push(Version { activated_at: event.rolled_back_at, ..previous.version });
        Some(gone)
    }

    fn drop_previous(&mut self, event: &PreviousDropped) -> Gone {
        let previous = self.previous.take();
        let mut gone: Gone = previous.into_iter().map(|it| it.version.gone()).collect();
        gone.extend(self.drop_versions(&event.dropped));
        gone
    }

    /// What a change of the active version makes needless.
    fn end_beside(&mut self) -> Gone {
        let mut gone = self.cancel_rebuild();
        gone.extend(self.previous.take().map(|previous| previous.version.gone()));
        gone
    }

    fn drop_versions(&mut self, dropped: &[Digest]) -> Gone {
        self.undo.retain(|known| !dropped.contains(known));
        let gone = dropped.iter().filter_map(|digest| self.take(*digest));
        gone.map(|version| version.gone()).collect()
    }

    /// Notes that a version took over from the one before.
    fn put_on_top(&mut self, digest: Digest) {
        self.undo.retain(|known| *known != digest);
        self.undo.push(digest);
    }

    /// Notes that a version is active again: rolling back takes away what is above it.
    fn undo_to(&mut self, digest: Digest) {
        match self.undo.iter().position(|known| *known == digest) {
            Some(place) => self.undo.truncate(place.saturating_add(1)),
            None => self.undo.push(digest),
        }
    }

    fn take(&mut self, digest: Digest) -> Option<Version> {
        let place = self.versions.iter().position(|version| version.digest == digest)?;
        Some(self.versions.remove(place))
    }
}
