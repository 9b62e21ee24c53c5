//! The window: events that were read and are not handled. What may be delivered, and to whom, is
//! decided here, without any I/O.
//!
//! Order per stream: an event is delivered only if all earlier ones of its stream that are in the
//! window go along in the same lease. So when an event comes back, later ones of its stream that a
//! member holds are taken back as well (`restore_order`).

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Events in order of partition and position.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Window(Vec<Entry>);

/// One event of the window. Its fields have short names in the row, which has many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "s")]
    pub(super) stream: StreamId,
    #[serde(rename = "r")]
    pub(super) revision: Revision,
    #[serde(rename = "p")]
    pub(super) partition: Partition,
    #[serde(rename = "n")]
    pub(super) position: Position,
    /// Every event before this one that the filter lets through is at or before this position.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Position>,
    /// Whether it was parked, or waited behind one that was: the checkpoint is past it.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_back: bool,
    /// How often it was delivered.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub(super) attempts: u32,
    /// Why it is to be tried again, as a member said.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<Arc<str>>,
    #[serde(rename = "h", default, skip_serializing_if = "Holding::is_nobody")]
    pub(super) holding: Holding,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Who has an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Holding {
    /// It can be delivered.
    #[default]
    #[serde(rename = "n")]
    Nobody,
    /// It is to be tried again, and not before.
    #[serde(rename = "w")]
    Waits(Timestamp),
    /// A member has it.
    #[serde(rename = "l")]
    Leased {
        #[serde(rename = "m")]
        member: u64,
        #[serde(rename = "l")]
        lease: u64,
        #[serde(rename = "u")]
        until: Timestamp,
    },
}

impl Holding {
    fn is_nobody(&self) -> bool {
        *self == Self::Nobody
    }

    fn ends_at(self) -> Option<Timestamp> {
        match self {
            Self::Nobody => None,
            Self::Waits(until) | Self::Leased { until, .. } => Some(until),
        }
    }
}

/// Where an event of the window was read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// In the feed, after this position.
    Feed { after: Option<Position> },
    /// In its stream, which was released from parking.
    Released,
}

impl Entry {
    /// An event that nobody has had yet.
    pub(super) fn new(event: &RecordedEvent, source: Source) -> Self {
        let (after, is_back) = match source {
            Source::Feed { after } => (after, false),
            Source::Released => (None, true),
        };
        Self {
            stream: event.stream.clone(),
            revision: event.revision,
            partition: event.partition,
            position: event.position,
            after,
            is_back,
            attempts: 0,
            cause: None,
            holding: Holding::Nobody,
        }
    }

    pub(super) fn place(&self) -> (Partition, Position) {
        (self.partition, self.position)
    }

    /// About how many bytes it has in the row, once it is leased.
    pub(super) fn bytes(&self) -> usize {
        const OF_A_LEASE: usize = 64;
        // A stream id and numbers always have JSON.
        serde_json::to_vec(self).map_or(0, |bytes| bytes.len()).saturating_add(OF_A_LEASE)
    }
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(Entry::bytes).sum()
    }

    /// The first event of a partition that holds back the checkpoint.
    pub(super) fn first_of(&self, partition: Partition) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.partition == partition && !entry.is_back)
    }

    pub(super) fn get(&self, place: (Partition, Position)) -> Option<&Entry> {
        self.index_of(place).and_then(|index| self.0.get(index))
    }

    pub(super) fn get_mut(&mut self, place: (Partition, Position)) -> Option<&mut Entry> {
        self.index_of(place).and_then(|index| self.0.get_mut(index))
    }

    fn index_of(&self, place: (Partition, Position)) -> Option<usize> {
        self.0.binary_search_by_key(&place, Entry::place).ok()
    }

    /// Adds an event; one that is there stays as it is.
    pub(super) fn insert(&mut self, entry: Entry) {
        if let Err(index) = self.0.binary_search_by_key(&entry.place(), Entry::place) {
            self.0.insert(index, entry);
        }
    }

    pub(super) fn remove(&mut self, place: (Partition, Position)) -> Option<Entry> {
        self.index_of(place).map(|index| self.0.remove(index))
    }

    /// Removes the events of a stream after a position: they wait behind one that is parked.
    pub(super) fn remove_after(&mut self, stream: &StreamId, position: Position) {
        self.0.retain(|entry| entry.stream != *stream || entry.position <= position);
    }

    /// How many events a member has.
    pub(super) fn held_count(&self, member: u64) -> usize {
        self.0.iter().filter(|entry| is_held_by(entry, member)).count()
    }

    /// Takes back what a member has.
    pub(super) fn take_back(&mut self, member: u64) {
        for entry in self.0.iter_mut().filter(|entry| is_held_by(entry, member)) {
            entry.holding = Holding::Nobody;
        }
        self.restore_order();
    }

    /// Takes back what was leased or waits until `now` or before.
    pub(super) fn expire(&mut self, now: Timestamp) {
        for entry in &mut self.0 {
            if entry.holding.ends_at().is_some_and(|end| end <= now) {
                entry.holding = Holding::Nobody;
            }
        }
        self.restore_order();
    }

    /// Takes back leased events of streams whose earlier events are not leased. Nothing is wrong with
    /// them: the attempt does not count.
    pub(super) fn restore_order(&mut self) {
        let mut broken = HashSet::new();
        for entry in &mut self.0 {
            let is_leased = matches!(entry.holding, Holding::Leased { .. });
            if is_leased && broken.contains(&entry.stream) {
                entry.holding = Holding::Nobody;
                entry.attempts = entry.attempts.saturating_sub(1);
            } else if !is_leased {
                broken.insert(entry.stream.clone());
            }
        }
    }

    /// When the next event comes back by itself.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|entry| entry.holding.ends_at()).min()
    }

    /// The events that were delivered as often as they may be and came back, at most `count`.
    pub(super) fn exhausted(&self, attempts_max: u32, count: usize) -> Vec<(Partition, Position)> {
        let mut streams = HashSet::new();
        let mut exhausted = Vec::new();
        for entry in &self.0 {
            // Of each stream the first one that is not handled; the others wait behind it.
            let is_first = streams.insert(&entry.stream);
            let is_back = !matches!(entry.holding, Holding::Leased { .. });
            if is_first && is_back && entry.attempts >= attempts_max && exhausted.len() < count {
                exhausted.push(entry.place());
            }
        }
        exhausted
    }

    /// The events that can be delivered now, beginning with a partition, at most `count`. Those that
    /// were delivered `attempts_max` times are to be parked.
    pub(super) fn deliverable(
        &self,
        first: Partition,
        count: usize,
        attempts_max: u32,
    ) -> Vec<(Partition, Position)> {
        let begin = self.0.partition_point(|entry| entry.partition < first);
        let (before, from) = self.0.split_at(begin);
        let mut blocked = HashSet::new();
        let mut deliverable = Vec::new();
        for entry in from.iter().chain(before) {
            if entry.holding != Holding::Nobody || entry.attempts >= attempts_max {
                blocked.insert(&entry.stream);
            } else if deliverable.len() < count && !blocked.contains(&entry.stream) {
                deliverable.push(entry.place());
            }
        }
        deliverable
    }

    /// Streams with an event that cannot be delivered now: later ones wait for it.
    pub(super) fn blocked(&self) -> HashSet<StreamId> {
        let held = self.0.iter().filter(|entry| entry.holding != Holding::Nobody);
        held.map(|entry| entry.stream.clone()).collect()
    }
}

fn is_held_by(entry: &Entry, holder: u64) -> bool {
    matches!(entry.holding, Holding::Leased { member, .. } if member == holder)
}
