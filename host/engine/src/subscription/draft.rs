//! A change of a subscription while it is thought out, before it is committed.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::place::{Partition, Position};
use annals_core::port::StateStore;
use annals_core::port::state_store::{StateError, StateWrite};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

use super::error::SubscriptionError;
use super::limits::SubscriptionLimits;
use super::parked::{self, ParkedPlace};
use super::record::{Change, Record, Stored};
use super::status::events_between;
use super::window::Entry;

/// Most events parked by one commit: each is a row that is written and one that is deleted, and every
/// driver takes 90 rows.
pub(super) const COMMIT_PARKED_MAX: usize = 40;

/// What is to become of a record, with further writes.
#[derive(Debug)]
pub(super) struct Draft {
    stored: Stored,
    before: Record,
    writes: Vec<StateWrite>,
    /// Streams that were parked by this change.
    pub(super) parked: HashSet<StreamId>,
    /// Streams whose events were all read in again by this change.
    pub(super) read_in: HashSet<StreamId>,
    window_bytes: usize,
}

impl Draft {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            before: stored.record.clone(),
            window_bytes: stored.record.window.bytes(),
            stored,
            writes: Vec::new(),
            parked: HashSet::new(),
            read_in: HashSet::new(),
        }
    }

    pub(super) fn record(&self) -> &Record {
        &self.stored.record
    }

    pub(super) fn record_mut(&mut self) -> &mut Record {
        &mut self.stored.record
    }

    pub(super) fn write(&mut self, write: StateWrite) {
        self.writes.push(write);
    }

    pub(super) fn writes_count(&self) -> usize {
        self.writes.len()
    }

    /// How many more events may be in flight.
    pub(super) fn room(&self) -> usize {
        let max =
            usize::try_from(self.record().settings.in_flight_events_max).unwrap_or(usize::MAX);
        max.saturating_sub(self.record().window.len())
    }

    /// Adds an event to the window; `false`: there is no room for it.
    pub(super) fn insert(&mut self, entry: Entry, limits: &SubscriptionLimits) -> bool {
        let bytes = self.window_bytes.saturating_add(entry.bytes());
        // One always fits: a window would stand still for ever otherwise.
        let fits = bytes <= limits.window_bytes_max || self.record().window.len() == 0;
        if self.room() == 0 || !fits {
            return false;
        }
        self.window_bytes = bytes;
        self.record_mut().window.insert(entry);
        true
    }

    /// Whether causes fit into the row beside the events.
    pub(super) fn has_room_for(&self, bytes: usize, limits: &SubscriptionLimits) -> bool {
        self.record().window.bytes().saturating_add(bytes) <= limits.window_bytes_max
    }

    /// How often an event may have been delivered to be delivered again. Without room to park it, it
    /// may be any number of times.
    pub(super) fn attempts_max(&self, limits: &SubscriptionLimits) -> u32 {
        let is_full = self.record().parked_streams_count >= limits.parked_streams_max;
        if is_full { u32::MAX } else { self.record().settings.attempts_max }
    }

    /// Whether there are events to park that one commit could not hold.
    pub(super) fn has_exhausted(&self, limits: &SubscriptionLimits) -> bool {
        !self.record().window.exhausted(self.attempts_max(limits), 1).is_empty()
    }

    /// Parks the events that came back too often, as many as one commit can hold. The rest follow with
    /// the next change.
    pub(super) async fn park_exhausted(
        &mut self,
        state: &dyn StateStore,
        limits: &SubscriptionLimits,
        now: Timestamp,
    ) -> Result<(), SubscriptionError> {
        let attempts_max = self.record().settings.attempts_max;
        let free = limits.parked_streams_max.saturating_sub(self.record().parked_streams_count);
        let free = usize::try_from(free).unwrap_or(usize::MAX).min(COMMIT_PARKED_MAX);
        let exhausted = self.record().window.exhausted(attempts_max, free);
        let causes = exhausted.into_iter().map(|place| {
            let entry = self.stored.record.window.get(place);
            let attempts = entry.map_or(0, |entry| entry.attempts);
            let said = entry.and_then(|entry| entry.cause.as_ref());
            let cause = match said {
                Some(said) => format!("delivered {attempts} times, and not handled: {said}"),
                None => format!("delivered {attempts} times, and not handled in time"),
            };
            (place, Arc::from(cause))
        });
        let causes: Vec<_> = causes.collect();
        self.park(state, causes, now).await
    }

    /// Parks events, each with its cause: what comes after it in its stream waits behind it.
    pub(super) async fn park(
        &mut self,
        state: &dyn StateStore,
        causes: Vec<((Partition, Position), Arc<str>)>,
        now: Timestamp,
    ) -> Result<(), SubscriptionError> {
        let mut places: Vec<ParkedPlace> = Vec::with_capacity(causes.len());
        for (place, cause) in causes {
            // An event whose stream was parked before it waits behind the other one.
            let Some(Entry { stream, revision, partition, position, attempts, .. }) =
                self.record_mut().window.remove(place)
            else {
                continue;
            };
            self.record_mut().window.remove_after(&stream, position);
            let parked_at = now;
            places.push(ParkedPlace {
                stream,
                revision,
                partition,
                position,
                cause,
                attempts,
                parked_at,
            });
        }
        self.forget_released(state, &places).await?;
        let before = self.parked_before(state, &places).await?;
        // Of two of one stream the earlier one is parked last: the other one waits behind it.
        places.sort_by_key(|place| std::cmp::Reverse(place.position));
        for place in places {
            let incarnation = Arc::clone(&self.record().incarnation);
            self.writes.push(place.write(&incarnation));
            let is_first = !before.contains(&place.stream) && self.parked.insert(place.stream);
            let record = self.record_mut();
            record.parked_streams_count += u64::from(is_first);
            record.counts.parked = record.counts.parked.saturating_add(1);
        }
        self.parked.extend(before);
        Ok(())
    }

    /// The streams of which a later event is parked already: it waits behind the new one.
    async fn parked_before(
        &self,
        state: &dyn StateStore,
        places: &[ParkedPlace],
    ) -> Result<HashSet<StreamId>, StateError> {
        if self.record().parked_streams_count == 0 || places.is_empty() {
            return Ok(HashSet::new());
        }
        let incarnation = Arc::clone(&self.record().incarnation);
        let rows = places.iter().map(|place| parked::parked_row(&incarnation, &place.stream));
        let values = state.get_many(&rows.collect::<Vec<_>>()).await?;
        let there = places.iter().zip(values).filter(|(_, value)| value.is_some());
        Ok(there.map(|(place, _)| place.stream.clone()).collect())
    }

    /// What was still to be read of streams that are parked again waits once more.
    async fn forget_released(
        &mut self,
        state: &dyn StateStore,
        places: &[ParkedPlace],
    ) -> Result<(), StateError> {
        if self.record().released_streams_count == 0 || places.is_empty() {
            return Ok(());
        }
        let incarnation = Arc::clone(&self.record().incarnation);
        let rows: Vec<_> =
            places.iter().map(|place| parked::released_row(&incarnation, &place.stream)).collect();
        let values = state.get_many(&rows).await?;
        for (row, _) in rows.into_iter().zip(values).filter(|(_, value)| value.is_some()) {
            self.writes.push(StateWrite::Delete(row));
            let record = self.record_mut();
            record.released_streams_count = record.released_streams_count.saturating_sub(1);
        }
        Ok(())
    }

    /// Whether there is something to commit. A way further in the feed alone is, when it is at least so
    /// many events.
    pub(super) fn is_worth_it(&self, worth_events: u64) -> bool {
        let (before, after) = (&self.before, self.record());
        let is_changed = !self.writes.is_empty()
            || before.window != after.window
            || before.members != after.members;
        let partitions = before.partitions.iter().zip(&after.partitions);
        let passed_over =
            partitions.map(|(before, after)| events_between(before.read_up_to, after.read_up_to));
        is_changed || passed_over.sum::<u64>() >= worth_events
    }

    pub(super) async fn commit(self, state: &dyn StateStore) -> Result<Change, StateError> {
        self.stored.replace(state, self.writes).await
    }
}
