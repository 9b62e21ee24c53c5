//! One partition: its feed, its commits, and its time.

use annals_core::commit::RecordedCommit;
use annals_core::event::RecordedEvent;
use annals_core::place::Position;
use annals_core::time::Timestamp;

use super::{count_of, index_of};

/// What was ever accepted in one partition.
#[derive(Debug, Default)]
pub(super) struct PartitionLog {
    // Invariant: the position of an event is its index.
    events: Vec<RecordedEvent>,
    // Per event: how many commits of all partitions were accepted before its own. Never decreases.
    accepted_before: Vec<u64>,
    // Invariant: the number of a commit is its index.
    commits: Vec<RecordedCommit>,
    // Invariant: no event and no commit is recorded later.
    latest: Timestamp,
}

impl PartitionLog {
    /// The position of the last event.
    pub(super) fn head(&self) -> Option<Position> {
        self.events.last().map(|event| event.position)
    }

    /// The position of the last event of the first `commits_count` commits of all partitions.
    pub(super) fn head_before(&self, commits_count: u64) -> Option<Position> {
        let end = self.accepted_before.partition_point(|before| *before < commits_count);
        self.events.get(..end)?.last().map(|event| event.position)
    }

    /// The position of the next event.
    pub(super) fn next_position(&self) -> Position {
        Position::new(count_of(self.events.len()))
    }

    /// How many commits there are.
    pub(super) fn commits_count(&self) -> u64 {
        count_of(self.commits.len())
    }

    /// No event or commit is recorded later than this.
    pub(super) const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// The event at an index.
    pub(super) fn event(&self, index: usize) -> Option<&RecordedEvent> {
        self.events.get(index)
    }

    /// All events after a position.
    pub(super) fn events_after(&self, after: Option<Position>) -> &[RecordedEvent] {
        let start = after.map_or(0, |position| index_of(position.get()).saturating_add(1));
        self.events.get(start..).unwrap_or_default()
    }

    /// The commits from a number (inclusive).
    pub(super) fn commits_from(&self, number: u64) -> &[RecordedCommit] {
        self.commits.get(index_of(number)..).unwrap_or_default()
    }

    /// Moves the time of the partition forward.
    pub(super) fn reach(&mut self, time: Timestamp) {
        self.latest = self.latest.max(time);
    }

    /// Adds an event of the commit before which `accepted_before` were accepted, and returns its
    /// index.
    pub(super) fn push_event(&mut self, event: RecordedEvent, accepted_before: u64) -> usize {
        let index = self.events.len();
        self.events.push(event);
        self.accepted_before.push(accepted_before);
        index
    }

    pub(super) fn push_commit(&mut self, commit: RecordedCommit) {
        self.commits.push(commit);
    }
}
