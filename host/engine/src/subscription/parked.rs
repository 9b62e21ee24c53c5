//! Parked events: what members gave up on, or had too often. Each is kept with its cause; what comes
//! after it in its stream waits behind it, other streams go on.
//!
//! ```text
//! space host, table `subscription-parked`,   key = incarnation/stream, value = JSON of `ParkedPlace`
//! space host, table `subscription-released`, key = incarnation/stream, value = revision to read on from
//! ```
//! Only the place is kept: the events are in the store. Those that wait are those of the stream after
//! the parked one, up to where the subscription has read. Releasing a stream moves its row from one
//! table to the other; leases read its events into the window, and then the stream is as any other.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::name::SubscriptionName;
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::StateStore;
use annals_core::port::event_store::Direction;
use annals_core::port::state_store::{RowKey, StateCommit, StateError, StateWrite};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::draft::{COMMIT_PARKED_MAX, Draft};
use super::error::SubscriptionError;
use super::record::Record;
use super::{Subscriptions, rows_of};

const PARKED: &str = "subscription-parked";
const RELEASED: &str = "subscription-released";

/// The cause of a parked event, as a member said it or the host.
pub type ParkedCause = Arc<str>;

/// Where a parked event is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedPlace {
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its partition of the feed.
    pub partition: Partition,
    /// Its place in the partition.
    pub position: Position,
    /// Why it is parked.
    pub cause: ParkedCause,
    /// How often it was delivered.
    pub attempts: u32,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// An event that is parked, or waits behind one that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// The event.
    pub event: RecordedEvent,
    /// Why it is parked; `None`: it waits.
    pub parked: Option<ParkedPlace>,
}

/// Some parked events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParkedPage {
    /// In order of stream and revision.
    pub events: Vec<ParkedEvent>,
    /// Where the next page begins (inclusive); `None`: there is none.
    pub next: Option<(StreamId, Revision)>,
}

/// What becomes of parked events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The parked event is delivered again, and then what waits behind it.
    Replay,
    /// The parked event is given up, and what waits behind it is delivered.
    Discard,
}

impl ParkedPlace {
    pub(super) fn write(&self, incarnation: &str) -> StateWrite {
        // Ids, numbers and texts always have JSON.
        let value = serde_json::to_vec(self).unwrap_or_default();
        StateWrite::Put(parked_row(incarnation, &self.stream), value.into())
    }

    fn parse(value: &[u8]) -> Result<Self, StateError> {
        serde_json::from_slice(value)
            .map_err(|error| StateError::Damaged(DriverError::with_source("a parked event", error)))
    }
}

fn row(table: &str, incarnation: &str, stream: &StreamId) -> RowKey {
    RowKey { table: Arc::from(table), key: Bytes::from(format!("{incarnation}/{stream}")) }
}

pub(super) fn parked_row(incarnation: &str, stream: &StreamId) -> RowKey {
    row(PARKED, incarnation, stream)
}

pub(super) fn released_row(incarnation: &str, stream: &StreamId) -> RowKey {
    row(RELEASED, incarnation, stream)
}

/// The write that says from where on a released stream is still to be read.
pub(super) fn write_released(incarnation: &str, stream: &StreamId, next: Revision) -> StateWrite {
    StateWrite::Put(released_row(incarnation, stream), Bytes::from(next.to_string()))
}

/// Some released streams, and from where on they are still to be read.
pub(super) async fn released(
    state: &dyn StateStore,
    incarnation: &str,
    limit: usize,
) -> Result<Vec<(StreamId, Revision)>, StateError> {
    let rows = state.scan(RELEASED, rows_of(incarnation), limit).await?;
    let parse = |key: &[u8], value: &[u8]| {
        let (_, stream) = std::str::from_utf8(key).ok()?.split_once('/')?;
        let next = std::str::from_utf8(value).ok()?.parse().ok()?;
        Some((StreamId::parse(stream).ok()?, Revision::new(next)))
    };
    let damaged = || StateError::Damaged(DriverError::new("a released stream cannot be read"));
    rows.iter().map(|row| parse(&row.key, &row.value).ok_or_else(damaged)).collect()
}

/// Deletes what belongs to an incarnation that is gone.
pub(super) async fn clear(
    state: &dyn StateStore,
    incarnation: &str,
) -> Result<(), SubscriptionError> {
    for table in [PARKED, RELEASED] {
        loop {
            let rows = state.scan(table, rows_of(incarnation), COMMIT_PARKED_MAX).await?;
            if rows.is_empty() {
                break;
            }
            let delete = |key| StateWrite::Delete(RowKey { table: Arc::from(table), key });
            let writes = rows.into_iter().map(|row| delete(row.key)).collect();
            state.commit(StateCommit { conditions: Vec::new(), writes }).await?;
        }
    }
    Ok(())
}

impl Subscriptions {
    /// At most `limit` parked events and those that wait behind them, from `from` on (inclusive).
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`], [`SubscriptionError::State`], [`SubscriptionError::Store`].
    pub async fn parked(
        &self,
        name: &SubscriptionName,
        from: Option<(StreamId, Revision)>,
        limit: usize,
    ) -> Result<ParkedPage, SubscriptionError> {
        let record = self.load(name).await?.record;
        let mut range = rows_of(&record.incarnation);
        if let Some((stream, _)) = &from {
            range.start = parked_row(&record.incarnation, stream).key;
        }
        let mut page = ParkedPage::default();
        loop {
            let rows = self.ports.state.scan(PARKED, range.clone(), COMMIT_PARKED_MAX).await?;
            let Some(last) = rows.last() else { return Ok(page) };
            range = range.after(&last.key);
            for row in &rows {
                let place = ParkedPlace::parse(&row.value)?;
                let asked = from.as_ref().filter(|(stream, _)| *stream == place.stream);
                let begin = asked.map_or(place.revision, |(_, revision)| *revision);
                if page.events.len() >= limit {
                    page.next = Some((place.stream, begin));
                    return Ok(page);
                }
                let left = limit - page.events.len();
                let (events, next) = self.events_of(&record, &place, begin, left).await?;
                page.events.extend(events);
                if next.is_some() {
                    page.next = next.map(|revision| (place.stream, revision));
                    return Ok(page);
                }
            }
        }
    }

    /// At most `limit` events of one parked stream, and where to go on when there are more.
    async fn events_of(
        &self,
        record: &Record,
        place: &ParkedPlace,
        begin: Revision,
        limit: usize,
    ) -> Result<(Vec<ParkedEvent>, Option<Revision>), SubscriptionError> {
        let filter = record.settings.filter.for_feed();
        let mut events = Vec::new();
        let mut next = begin.max(place.revision);
        while events.len() < limit {
            let left = limit - events.len();
            let read = self.ports.store.read_stream(&place.stream, next, left, Direction::Forwards);
            let read = read.await?;
            for event in read.events {
                if Some(event.position) > record.read_up_to(place.partition) {
                    return Ok((events, None));
                }
                let is_parked = event.revision == place.revision;
                if is_parked || filter.lets_through(&event.stream, &event.event_type) {
                    let parked = is_parked.then(|| place.clone());
                    events.push(ParkedEvent { event, parked });
                }
            }
            let Some(revision) = read.next else { return Ok((events, None)) };
            next = revision;
        }
        Ok((events, Some(next)))
    }

    /// Delivers parked events again, or gives them up; what waits behind them follows, in order.
    /// Returns how many streams were released. `streams`: only these; those that are not parked are
    /// passed over.
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`], [`SubscriptionError::Contended`],
    /// [`SubscriptionError::State`]; those that were released before it stay released.
    pub async fn release(
        &self,
        name: &SubscriptionName,
        streams: Option<&[StreamId]>,
        release: Release,
    ) -> Result<u64, SubscriptionError> {
        let mut released_count = 0_u64;
        let begun_at = self.ports.clock.now();
        match streams {
            Some(streams) => {
                for streams in streams.chunks(COMMIT_PARKED_MAX) {
                    released_count += self.release_some(name, streams, release).await?;
                }
            }
            None => {
                // What is parked again meanwhile stays parked, or this would never end.
                let incarnation = self.load(name).await?.record.incarnation;
                let mut range = rows_of(&incarnation);
                loop {
                    let rows = self.ports.state.scan(PARKED, range.clone(), COMMIT_PARKED_MAX);
                    let rows = rows.await?;
                    let Some(last) = rows.last() else { break };
                    range = range.after(&last.key);
                    let places = rows.iter().map(|row| ParkedPlace::parse(&row.value));
                    let places = places.collect::<Result<Vec<_>, _>>()?;
                    let old = places.into_iter().filter(|place| place.parked_at <= begun_at);
                    let streams: Vec<_> = old.map(|place| place.stream).collect();
                    released_count += self.release_some(name, &streams, release).await?;
                }
            }
        }
        Ok(released_count)
    }

    /// Releases at most as many streams as one commit can hold.
    async fn release_some(
        &self,
        name: &SubscriptionName,
        streams: &[StreamId],
        release: Release,
    ) -> Result<u64, SubscriptionError> {
        let state = &*self.ports.state;
        let shared = self.hub.of(name);
        let _turn = shared.turn().await;
        for _ in 0..self.ports.limits.conflict_retries_max.get() {
            let mut draft = Draft::new(self.load(name).await?);
            let incarnation = Arc::clone(&draft.record().incarnation);
            let mut rows: Vec<_> =
                streams.iter().map(|stream| parked_row(&incarnation, stream)).collect();
            rows.sort_unstable();
            rows.dedup();
            let values = state.get_many(&rows).await?;
            let mut released_count = 0_u64;
            for (row, value) in rows.into_iter().zip(values) {
                let Some(value) = value else { continue };
                let place = ParkedPlace::parse(&value)?;
                let next = match release {
                    Release::Replay => place.revision,
                    Release::Discard => place.revision.next(),
                };
                draft.write(StateWrite::Delete(row));
                draft.write(write_released(&incarnation, &place.stream, next));
                released_count += 1;
            }
            if released_count == 0 {
                return Ok(0);
            }
            let record = draft.record_mut();
            record.parked_streams_count =
                record.parked_streams_count.saturating_sub(released_count);
            record.released_streams_count =
                record.released_streams_count.saturating_add(released_count);
            if draft.commit(state).await?.is_done() {
                shared.changed();
                return Ok(released_count);
            }
        }
        Err(self.contended(name))
    }
}

/// Of some streams those whose events wait: behind a parked one, or to be read in again.
pub(super) async fn waiting_among(
    state: &dyn StateStore,
    record: &Record,
    streams: &[StreamId],
) -> Result<Vec<StreamId>, StateError> {
    let mut waiting = Vec::new();
    let tables = [(PARKED, record.parked_streams_count), (RELEASED, record.released_streams_count)];
    for (table, count) in tables {
        if count == 0 || streams.is_empty() {
            continue;
        }
        let rows: Vec<_> =
            streams.iter().map(|stream| row(table, &record.incarnation, stream)).collect();
        let values = state.get_many(&rows).await?;
        let there = streams.iter().zip(values).filter(|(_, value)| value.is_some());
        waiting.extend(there.map(|(stream, _)| stream.clone()));
    }
    Ok(waiting)
}
