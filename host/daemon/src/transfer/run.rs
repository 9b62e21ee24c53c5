//! Commits that may be on their way into a store at the same time.
//!
//! All of a run are appended at once, in order. A store that fails for a moment may accept a later one
//! and not an earlier one, which is then tried again: nothing but the order of streams among each
//! other may come of that. A commit that writes to a stream says at which revision, so it is refused
//! when one before it is missing. The others do not share what they are about with one before them.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::commit::Commit;
use annals_core::port::event_store::Capabilities;
use annals_core::stream::StreamId;

use super::route::{Pending, Route};

/// Most commits that are in flight, or accepted and not yet known to be durable: enough that waiting
/// for the disk or the network costs little, few enough for every driver's queue.
pub(super) const IN_FLIGHT_COMMITS_MAX: usize = 1_024;

/// The same in bytes of their lines, for each partition up to eight: of what is in flight for one, a
/// driver makes groups of some MB.
const IN_FLIGHT_BYTES_MAX: usize = 4 << 20;

/// The most bytes of lines in flight into a store.
pub(super) fn in_flight_bytes_max(capabilities: Capabilities) -> usize {
    let partitions_count = usize::try_from(capabilities.partitions_count).unwrap_or(usize::MAX);
    IN_FLIGHT_BYTES_MAX * partitions_count.clamp(1, 8)
}

/// A run of commits.
#[derive(Debug)]
pub(super) struct Run {
    route: Route,
    bytes_max: usize,
    pub(super) commits: Vec<Pending>,
    pub(super) bytes_count: usize,
    /// Whether it is one commit over several partitions.
    pub(super) is_across: bool,
    written: HashSet<StreamId>,
    /// Streams that commits are about without writing to them.
    seen: HashSet<StreamId>,
    /// Scopes and keys of claims and releases.
    names: HashSet<(Arc<str>, Arc<str>)>,
}

impl Run {
    pub(super) fn new(route: Route, bytes_max: usize) -> Self {
        Self {
            route,
            bytes_max,
            commits: Vec::new(),
            bytes_count: 0,
            is_across: false,
            written: HashSet::new(),
            seen: HashSet::new(),
            names: HashSet::new(),
        }
    }

    /// Whether a commit may be in flight with those that are in the run.
    pub(super) fn has_room_for(&self, pending: &Pending) -> bool {
        let commit = &pending.gathered.recorded.commit;
        if self.commits.is_empty() {
            return true;
        }
        let is_full = self.commits.len() >= IN_FLIGHT_COMMITS_MAX
            || self.bytes_count.saturating_add(pending.bytes_count) > self.bytes_max;
        if is_full || self.is_across || self.route.is_across(commit) {
            return false;
        }
        // That an expected stream was written to before is told by its revision.
        let mut named = commit.streams.iter().map(|append| &append.stream);
        let is_after_seen = named.any(|stream| self.seen.contains(stream));
        let is_after_home = unnamed_home(commit)
            .is_some_and(|home| self.seen.contains(home) || self.written.contains(home));
        let mut names = names_of(commit);
        !is_after_seen && !is_after_home && !names.any(|name| self.names.contains(&name))
    }

    /// Adds a commit.
    pub(super) fn push(&mut self, pending: Pending) {
        let commit = &pending.gathered.recorded.commit;
        self.is_across = self.route.is_across(commit);
        for append in &commit.streams {
            let streams = if append.events.is_empty() { &mut self.seen } else { &mut self.written };
            streams.insert(append.stream.clone());
        }
        self.seen.extend(unnamed_home(commit).cloned());
        self.names.extend(names_of(commit));
        self.bytes_count = self.bytes_count.saturating_add(pending.bytes_count);
        self.commits.push(pending);
    }
}

/// The stream of a command that says nothing of it.
fn unnamed_home(commit: &Commit) -> Option<&StreamId> {
    commit.home().filter(|home| commit.streams.iter().all(|append| append.stream != **home))
}

fn names_of(commit: &Commit) -> impl Iterator<Item = (Arc<str>, Arc<str>)> {
    let claims = commit.claims.iter().map(|claim| (&claim.scope, &claim.key));
    let releases = commit.releases.iter().map(|release| (&release.scope, &release.key));
    claims.chain(releases).map(|(scope, key)| (Arc::clone(scope), Arc::clone(key)))
}
