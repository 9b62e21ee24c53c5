//! Events of the feed as the columns a projection is given.

use std::collections::HashMap;

use annals_core::columns::EventBatch;
use annals_core::event::RecordedEvent;
use annals_core::place::Partition;

use crate::catalog::EventIndexes;

/// Why a batch cannot be made; the text is for the status of the projection.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(
        "`{event_type}` of schema version {schema_version} at position {position} is not a version \
         the plugin reads"
    )]
    UnknownVersion { event_type: String, schema_version: u32, position: u64 },
    #[error(transparent)]
    Full(#[from] annals_core::columns::ColumnFull),
}

/// A batch, and how many of the events it took.
pub(super) struct Filled {
    pub(super) batch: EventBatch,
    pub(super) taken: usize,
}

/// Fills a batch from the first of `events`, which are of one partition, up to `events_max` events
/// and about `bytes_max` bytes of data; at least one event.
pub(super) fn fill(
    events: &[RecordedEvent],
    indexes: &EventIndexes,
    events_max: usize,
    bytes_max: usize,
) -> Result<Filled, BatchError> {
    let partition = events.first().map_or(Partition::ZERO, |event| event.partition);
    let mut batch = EventBatch { partition, ..EventBatch::default() };
    let mut streams: HashMap<&str, u32> = HashMap::new();
    let mut taken = 0;
    for event in events.iter().take(events_max.max(1)) {
        let is_full = batch.data.bytes_count() + event.data.len() > bytes_max;
        if taken > 0 && is_full {
            break;
        }
        let unknown = || BatchError::UnknownVersion {
            event_type: event.event_type.to_string(),
            schema_version: event.schema_version.0,
            position: event.position.get(),
        };
        let index = indexes.get(&event.event_type, event.schema_version).ok_or_else(unknown)?;
        batch.data.push(&event.data)?;
        let next_stream = u32::try_from(batch.streams.len()).unwrap_or(u32::MAX);
        let stream = *streams.entry(event.stream.as_str()).or_insert_with(|| {
            batch.streams.push(event.stream.to_shared());
            next_stream
        });
        batch.stream_indexes.push(stream);
        batch.event_types.push(index);
        batch.revisions.push(event.revision);
        batch.positions.push(event.position);
        batch.recorded_at.push(event.recorded_at);
        taken += 1;
    }
    debug_assert_eq!(batch.streams.len(), streams.len(), "a stream is named once");
    Ok(Filled { batch, taken })
}
