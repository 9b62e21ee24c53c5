//! Parked events, kept beside the rows of the view they are missing from.
//!
//! An event that the plugin cannot handle is parked with its cause, and with it its stream: later
//! events of the stream wait behind it, so that the plugin sees a stream in order or not at all. They
//! are in the log, so nothing of them is kept here but the place from which on they are missing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::id::EventId;
use annals_core::name::EventType;
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::StateStore;
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCondition, StateError, StateWrite,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Where parked events are. Not a table name a plugin can have.
pub(super) const TABLE: &str = "$parked";

/// Longest cause that is kept, in bytes; what is beyond is cut.
const CAUSE_BYTES_MAX: usize = 4 << 10;

/// Most rows of one read.
const PAGE_ROWS: usize = 500;

/// An event that was parked, and its stream that waits behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// The stream.
    pub stream: StreamId,
    /// The partition of the feed it is in.
    pub partition: Partition,
    /// The event's place in the stream.
    pub revision: Revision,
    /// Its place in the partition.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// Why it could not be handled, at last.
    pub cause: String,
    /// How often it was given to the plugin.
    pub attempts: u32,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// What an operator wants done and is not done yet.
    pub asked: Option<Unpark>,
    /// From here on the stream is missing from the view.
    pub(super) next_revision: Revision,
}

/// What can be done about a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unpark {
    /// Give it to the plugin again, and then what waits behind it.
    Replay,
    /// Leave it out for good, and give the plugin what waits behind it.
    Discard,
}

impl ParkedEvent {
    /// `event`, which could not be handled.
    pub(super) fn new(event: &RecordedEvent, cause: String, attempts: u32, at: Timestamp) -> Self {
        Self {
            stream: event.stream.clone(),
            partition: event.partition,
            revision: event.revision,
            position: event.position,
            event_id: event.id,
            event_type: event.event_type.clone(),
            cause: cut(cause),
            attempts,
            parked_at: at,
            asked: None,
            next_revision: event.revision,
        }
    }

    /// The same with the wish of an operator.
    #[must_use]
    pub(crate) fn with(&self, asked: Unpark) -> Self {
        let next_revision = match asked {
            Unpark::Replay => self.next_revision,
            Unpark::Discard if self.next_revision == self.revision => self.revision.next(),
            Unpark::Discard => self.next_revision,
        };
        Self { asked: Some(asked), next_revision, ..self.clone() }
    }

    fn row(&self) -> RowKey {
        let key = Bytes::copy_from_slice(self.stream.as_str().as_bytes());
        RowKey { table: Arc::from(TABLE), key }
    }

    fn to_bytes(&self) -> Bytes {
        // Texts and numbers always have JSON.
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }

    /// The write that keeps it.
    pub(crate) fn put(&self) -> StateWrite {
        StateWrite::Put(self.row(), self.to_bytes())
    }

    /// The write that ends it.
    pub(super) fn delete(&self) -> StateWrite {
        StateWrite::Delete(self.row())
    }

    /// The condition that nobody changed it.
    pub(crate) fn unchanged(&self) -> StateCondition {
        StateCondition { row: self.row(), value: Some(self.to_bytes()) }
    }
}

/// The streams of one view that wait.
#[derive(Debug, Default)]
pub(super) struct Parked(BTreeMap<StreamId, ParkedEvent>);

impl Parked {
    /// All of them, as they are stored.
    pub(super) async fn load(state: &dyn StateStore) -> Result<Self, StateError> {
        let (mut parked, mut range) = (BTreeMap::new(), KeyRange::default());
        loop {
            let rows = state.scan(TABLE, range.clone(), PAGE_ROWS).await?;
            let Some(last) = rows.last() else { return Ok(Self(parked)) };
            range = range.after(&last.key);
            for row in &rows {
                let event = parse(row)?;
                parked.insert(event.stream.clone(), event);
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those of `events` whose streams do not wait.
    pub(super) fn without<'a>(&self, events: &'a [RecordedEvent]) -> Cow<'a, [RecordedEvent]> {
        let waits = |event: &RecordedEvent| self.0.contains_key(&event.stream);
        if self.0.is_empty() || !events.iter().any(waits) {
            return Cow::Borrowed(events);
        }
        events.iter().filter(|event| !waits(event)).cloned().collect()
    }

    /// The first one about which something is to be done.
    pub(super) fn asked(&self) -> Option<&ParkedEvent> {
        self.0.values().find(|event| event.asked.is_some())
    }

    pub(super) fn keep(&mut self, event: ParkedEvent) {
        self.0.insert(event.stream.clone(), event);
    }

    pub(super) fn end(&mut self, stream: &StreamId) {
        self.0.remove(stream);
    }
}

/// One page, in order of stream: at most `limit` after `after` (exclusive), and whether there are more.
pub(crate) async fn page(
    state: &dyn StateStore,
    after: Option<&StreamId>,
    limit: usize,
) -> Result<(Vec<ParkedEvent>, bool), StateError> {
    let range = match after {
        Some(after) => KeyRange::default().after(after.as_str().as_bytes()),
        None => KeyRange::default(),
    };
    let rows = state.scan(TABLE, range, limit.saturating_add(1)).await?;
    let has_more = rows.len() > limit;
    let parked: Result<Vec<_>, _> = rows.iter().take(limit).map(parse).collect();
    Ok((parked?, has_more))
}

/// The parked event of a stream; `None` when it does not wait.
pub(crate) async fn of_stream(
    state: &dyn StateStore,
    stream: &StreamId,
) -> Result<Option<ParkedEvent>, StateError> {
    let key = stream.as_str().as_bytes();
    let value = state.get(TABLE, key).await?;
    let row = value.map(|value| Row { key: Bytes::copy_from_slice(key), value });
    row.as_ref().map(parse).transpose()
}

fn parse(row: &Row) -> Result<ParkedEvent, StateError> {
    serde_json::from_slice(&row.value)
        .map_err(|error| StateError::Damaged(DriverError::with_source("a parked event", error)))
}

/// At most so many bytes of a text, whole characters.
fn cut(mut text: String) -> String {
    let end = (0..=CAUSE_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_cut_between_characters() {
        // Guards the size of a row: a plugin says what it likes.
        assert_eq!(cut("no".to_owned()), "no");
        let long = cut("ü".repeat(CAUSE_BYTES_MAX));
        assert_eq!((long.len(), long.chars().count()), (CAUSE_BYTES_MAX, CAUSE_BYTES_MAX / 2));
        let odd = cut(format!("a{}", "ü".repeat(CAUSE_BYTES_MAX)));
        assert_eq!(odd.len(), CAUSE_BYTES_MAX - 1);
    }
}
