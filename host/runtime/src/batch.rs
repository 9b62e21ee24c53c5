//! A batch of events as a guest gets it, lowered from where it is.

use annals_core::columns::EventBatch;
use annals_core::place::{Position, Revision};
use annals_core::time::Timestamp;

use crate::contract::v0_1_0;

/// The columns of a batch that the contract has as plain numbers and texts.
pub(crate) struct Columns<'a> {
    streams: Vec<&'a str>,
    revisions: Vec<u64>,
    positions: Vec<u64>,
    recorded_at: Vec<u64>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(events: &'a EventBatch) -> Self {
        Self {
            streams: events.streams.iter().map(AsRef::as_ref).collect(),
            revisions: events.revisions.iter().copied().map(Revision::get).collect(),
            positions: events.positions.iter().copied().map(Position::get).collect(),
            recorded_at: events.recorded_at.iter().copied().map(Timestamp::ms).collect(),
        }
    }

    pub(crate) fn lowered(&'a self, events: &'a EventBatch) -> v0_1_0::EventBatch<'a> {
        v0_1_0::EventBatch {
            partition: events.partition.0,
            streams: &self.streams,
            stream_indexes: &events.stream_indexes,
            event_types: &events.event_types,
            revisions: &self.revisions,
            positions: &self.positions,
            recorded_at: &self.recorded_at,
            data_ends: events.data.ends(),
            data: events.data.bytes(),
        }
    }
}

/// How many bytes `events` take in the guest: 36 for the columns of an event, its data, and 8 beside
/// each stream's id.
pub(crate) fn batch_bytes(events: &EventBatch) -> usize {
    let columns = events.events_count().saturating_mul(36);
    events
        .streams
        .iter()
        .fold(columns, |bytes, stream| bytes.saturating_add(stream.len()).saturating_add(8))
        .saturating_add(events.data.bytes_count())
}
