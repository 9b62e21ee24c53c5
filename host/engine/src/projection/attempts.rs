//! How often events were given to the plugin, counted durably before they are where it matters.
//!
//! A crash of the host is an attempt as well: an event that brings the process down must not do so for
//! ever. Counting every delivery would double the commits, so only these are counted first:
//!
//! - the first delivery of each partition after the runner took the view: if the process ends in it,
//!   the next runner finds the count, and gives the events of that batch one at a time;
//! - each delivery of an event that failed before.
//!
//! The commit that ends a delivery removes the count.

use std::collections::HashMap;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use annals_core::port::StateStore;
use annals_core::port::state_store::{RowKey, StateError, StateWrite};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::checkpoint::TABLE;

/// A delivery that has begun, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// The first event that was delivered.
    position: Position,
    /// Up to here (inclusive) events are delivered one at a time if it does not end.
    until: Position,
    /// How often the first event was delivered, this time included.
    pub(super) count: u32,
}

/// What was begun in each partition.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<Partition, Begun>);

#[derive(Debug)]
struct Begun {
    /// What is stored, or will be with the next delivery.
    attempt: Option<Attempt>,
    is_stored: bool,
    /// Whether the next delivery is counted before it is made.
    counts: bool,
}

impl Default for Begun {
    fn default() -> Self {
        Self { attempt: None, is_stored: false, counts: true }
    }
}

/// A delivery that is to be made.
pub(super) struct Delivery {
    /// What to store before; `None`: nothing.
    pub(super) attempt: Option<Attempt>,
    /// Whether it is of the first event alone.
    pub(super) is_alone: bool,
}

impl Attempts {
    /// As they are stored, for a runner that has just taken the view.
    pub(super) async fn load(
        state: &dyn StateStore,
        partitions_count: u32,
    ) -> Result<Self, StateError> {
        let partitions: Vec<_> = (0..partitions_count).map(Partition).collect();
        let rows: Vec<_> = partitions.iter().copied().map(row).collect();
        let values = state.get_many(&rows).await?;
        let begun = partitions.into_iter().zip(values).map(|(partition, value)| {
            let attempt = value.map(|value| serde_json::from_slice(&value)).transpose();
            let attempt = attempt.map_err(|error| {
                StateError::Damaged(DriverError::with_source("attempts of a projection", error))
            })?;
            Ok((partition, Begun { attempt, is_stored: attempt.is_some(), counts: true }))
        });
        begun.collect::<Result<_, _>>().map(Self)
    }

    /// The delivery of the first of `events`, at most `events_max`.
    pub(super) fn next(&self, events: &[RecordedEvent], events_max: usize) -> Delivery {
        let Some(first) = events.first() else {
            return Delivery { attempt: None, is_alone: false };
        };
        let begun = self.0.get(&first.partition);
        let before = begun.and_then(|begun| begun.attempt);
        if begun.is_some_and(|begun| !begun.counts) {
            return Delivery { attempt: None, is_alone: false };
        }
        let position = first.position;
        let count = before.filter(|before| before.position == position).map_or(0, |it| it.count);
        let is_alone = before.is_some_and(|before| position <= before.until);
        let last = events.iter().take(events_max.max(1)).next_back();
        let until = match before {
            Some(before) if is_alone => before.until,
            _ => last.map_or(position, |last| last.position),
        };
        let attempt = Attempt { position, until, count: count.saturating_add(1) };
        Delivery { attempt: Some(attempt), is_alone }
    }

    /// Notes what was stored before a delivery.
    pub(super) fn has_begun(&mut self, partition: Partition, attempt: Attempt) {
        let begun = self.0.entry(partition).or_default();
        (begun.attempt, begun.is_stored) = (Some(attempt), true);
    }

    /// Notes that the delivery of `event` alone failed; returns how often it was delivered.
    pub(super) fn has_failed(&mut self, event: &RecordedEvent) -> u32 {
        let begun = self.0.entry(event.partition).or_default();
        begun.counts = true;
        let position = event.position;
        let known = begun.attempt.filter(|attempt| attempt.position == position);
        // What was behind it in its batch is not suspected: the process goes on.
        let count = known.map_or(1, |attempt| attempt.count);
        let attempt = Attempt { position, until: position, count };
        begun.attempt = Some(attempt);
        attempt.count
    }

    /// Notes that a delivery of several events failed, which ended nothing: they are delivered in smaller
    /// batches.
    pub(super) fn has_been_answered(&mut self, partition: Partition) {
        let begun = self.0.entry(partition).or_default();
        (begun.attempt, begun.counts) = (None, true);
    }

    /// What a commit that ends a delivery removes, if anything is stored.
    pub(super) fn removal(&self, partition: Partition) -> Option<StateWrite> {
        let is_stored = self.0.get(&partition).is_some_and(|begun| begun.is_stored);
        is_stored.then(|| StateWrite::Delete(row(partition)))
    }

    /// Notes that a delivery up to `position` ended well.
    pub(super) fn has_ended(&mut self, partition: Partition, position: Position) {
        let begun = self.0.entry(partition).or_default();
        begun.is_stored = false;
        // What is left of a batch in which the process ended is still given one event at a time.
        let is_careful = begun.attempt.is_some_and(|attempt| position < attempt.until);
        begun.counts = is_careful;
        if !is_careful {
            begun.attempt = None;
        }
    }
}

impl Attempt {
    /// The write that stores it.
    pub(super) fn write(&self, partition: Partition) -> StateWrite {
        // Numbers always have JSON.
        let value = serde_json::to_vec(self).map(Bytes::from).unwrap_or_default();
        StateWrite::Put(row(partition), value)
    }
}

fn row(partition: Partition) -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from(format!("attempt-{partition}")) }
}
