//! Events as a store would give them back.

use std::sync::Arc;

use annals_core::event::{ContentType, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::EventId;
use annals_core::name::EventType;
use annals_core::place::{Partition, Position, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

/// The event at position `number` of partition 0.
pub(crate) fn event(number: u64) -> RecordedEvent {
    text_event(number, &format!(r#"{{"number":{number}}}"#))
}

/// The same with other data.
pub(crate) fn text_event(number: u64, data: &str) -> RecordedEvent {
    RecordedEvent {
        id: EventId::new(Uuid::from_u128(u128::from(number))),
        stream: StreamId::parse("account/a1").unwrap(),
        revision: Revision::new(number),
        partition: Partition::ZERO,
        position: Position::new(number),
        event_type: EventType::new("counted").unwrap(),
        schema_version: SchemaVersion::FIRST,
        content_type: ContentType::Json,
        data: Bytes::copy_from_slice(data.as_bytes()),
        metadata: Bytes::new(),
        recorded_at: Timestamp::from_ms(1_795_167_000_000),
        command_id: None,
        origin: Arc::new(Origin::default()),
    }
}

/// The events at the positions from `first` on.
pub(crate) fn events(first: u64, count: u64) -> Vec<RecordedEvent> {
    (first..first + count).map(event).collect()
}
