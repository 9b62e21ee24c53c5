//! Events of the feed as the columns a projection is given.

use std::collections::HashMap;

use annals_core::columns::EventBatch;
use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use bytes::Bytes;

use crate::catalog::EventIndexes;
use crate::upcast::Stretch;

/// Why a batch cannot be made; the text is for the status of the projection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error(
        "`{event_type}` of schema version {schema_version} at position {position} is not a version \
         the plugin reads"
    )]
    UnknownVersion { event_type: String, schema_version: u32, position: u64, index: usize },
    #[error(transparent)]
    Full(#[from] annals_core::columns::ColumnFull),
}

impl BatchError {
    /// Which of the stored events it is about.
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::UnknownVersion { index, .. } => *index,
            Self::Full(_) => 0,
        }
    }
}

/// A batch, and how many of the stored events it took.
pub(crate) struct Filled {
    pub(crate) batch: EventBatch,
    /// Per event of the batch: which of the stored events it is, or was made of.
    pub(crate) sources: Vec<usize>,
    /// Per event of the batch: which of the events that upcasters made of it, from 0, wanted or not.
    pub(crate) parts: Vec<u32>,
    pub(crate) taken: usize,
}

/// Data of one event under the index its plugin gave it, and its number among its siblings.
type Entry<'a> = (u32, &'a [u8], u32);

/// Fills a batch from the first of the events seen, which are of one partition, up to `events_max`
/// events and about `bytes_max` bytes of data; of at least one stored event, and never of a part of
/// one.
pub(crate) fn fill<'a>(
    seen: &'a Stretch<'a>,
    indexes: &'a EventIndexes,
    events_max: usize,
    bytes_max: usize,
) -> Result<Filled, BatchError> {
    let mut batch = EventBatch::default();
    let mut streams: HashMap<&str, u32> = HashMap::new();
    let (mut sources, mut parts, mut taken) = (Vec::new(), Vec::new(), 0);
    let mut lookup = Lookup { indexes, last: None };
    // Of one event at a time.
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (event, changed) in seen.iter() {
        entries.clear();
        let mut part = 0;
        let mut add = |event_type: &'a EventType, version: SchemaVersion, data: &'a Bytes| {
            let index = lookup.index_of(event_type, version).map_err(|Unknown| {
                BatchError::UnknownVersion {
                    event_type: event_type.to_string(),
                    schema_version: version.0,
                    position: event.position.get(),
                    index: taken,
                }
            })?;
            entries.extend(index.map(|index| (index, &**data, part)));
            part += 1;
            Ok::<_, BatchError>(())
        };
        match changed {
            None => add(&event.event_type, event.schema_version, &event.data)?,
            Some(shapes) => {
                shapes.iter().try_for_each(|s| add(&s.event_type, s.schema_version, &s.data))?;
            }
        }
        let bytes: usize = entries.iter().map(|(_, data, _)| data.len()).sum();
        let is_full = sources.len() + entries.len() > events_max.max(1)
            || batch.data.bytes_count() + bytes > bytes_max;
        if taken > 0 && is_full {
            break;
        }
        batch.partition = event.partition;
        taken += 1;
        if entries.is_empty() {
            continue;
        }
        let stream = *streams.entry(event.stream.as_str()).or_insert_with(|| {
            batch.streams.push(event.stream.to_shared());
            u32::try_from(batch.streams.len() - 1).unwrap_or(u32::MAX)
        });
        for &(index, data, part) in &entries {
            batch.data.push(data)?;
            batch.stream_indexes.push(stream);
            batch.event_types.push(index);
            batch.revisions.push(event.revision);
            batch.positions.push(event.position);
            batch.recorded_at.push(event.recorded_at);
            sources.push(taken - 1);
            parts.push(part);
        }
    }
    debug_assert_eq!(batch.streams.len(), streams.len(), "a stream is named once");
    Ok(Filled { batch, sources, parts, taken })
}

/// The plugin wants the event type, in other versions.
struct Unknown;

/// The plugin's own indexes of shapes. Most events are of the shape of the one before, so that one is
/// looked at first.
struct Lookup<'a> {
    indexes: &'a EventIndexes,
    last: Option<(&'a EventType, SchemaVersion, Option<u32>)>,
}

impl<'a> Lookup<'a> {
    /// The index of a shape; `None` when it is of an event that the plugin does not want, and came because
    /// others want it or upcasters made it beside what is wanted.
    fn index_of(
        &mut self,
        event_type: &'a EventType,
        version: SchemaVersion,
    ) -> Result<Option<u32>, Unknown> {
        if let Some((last_type, last_version, index)) = self.last
            && (last_type, last_version) == (event_type, version)
        {
            return Ok(index);
        }
        let index = match self.indexes.get(event_type, version) {
            Some(index) => Some(index),
            None if self.indexes.wants(event_type) => return Err(Unknown),
            None => None,
        };
        self.last = Some((event_type, version, index));
        Ok(index)
    }
}
