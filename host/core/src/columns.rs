//! Events as columns, the shape in which they cross into a guest: one allocation per column,
//! whatever the number of events.

use std::sync::Arc;

use crate::place::{Partition, Position, Revision};
use crate::time::Timestamp;

/// Data of several events back to back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataColumn {
    // Invariant: as many entries as events, never decreasing, the last one is `bytes.len()`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

/// A column would hold more than `u32::MAX` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events of more than 4 GiB do not fit one batch")]
pub struct ColumnFull;

impl DataColumn {
    /// Adds the data of one event.
    ///
    /// # Errors
    /// [`ColumnFull`] when all data together would exceed `u32::MAX` bytes; nothing is added.
    pub fn push(&mut self, data: &[u8]) -> Result<(), ColumnFull> {
        let end = self.bytes.len().checked_add(data.len()).ok_or(ColumnFull)?;
        self.ends.push(u32::try_from(end).map_err(|_| ColumnFull)?);
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Per event: exclusive end of its data in [`DataColumn::bytes`].
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The data of all events.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes all data has.
    #[must_use]
    pub fn bytes_count(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all events, keeping the memory for the next.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }
}

/// Consecutive events of one stream, for an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Revision of the first event; the others follow without a hole. Where upcasters made several
    /// events of one, all but the first of them begin a history of their own, with its revision.
    pub first_revision: Revision,
    /// Per event: index into the description's events.
    pub event_types: Vec<u32>,
    /// Per event.
    pub recorded_at: Vec<Timestamp>,
    /// Per event.
    pub data: DataColumn,
}

impl History {
    /// No events yet, the first of which will be at `first_revision`.
    #[must_use]
    pub fn starting_at(first_revision: Revision) -> Self {
        Self {
            first_revision,
            event_types: Vec::new(),
            recorded_at: Vec::new(),
            data: DataColumn::default(),
        }
    }

    /// Forgets all events, keeping the memory for the next, the first of which will be at
    /// `first_revision`.
    pub fn restart_at(&mut self, first_revision: Revision) {
        self.first_revision = first_revision;
        self.event_types.clear();
        self.recorded_at.clear();
        self.data.clear();
    }

    /// Adds the next event.
    ///
    /// # Errors
    /// [`ColumnFull`] when the data does not fit; nothing is added.
    pub fn push(&mut self, event_type: u32, at: Timestamp, data: &[u8]) -> Result<(), ColumnFull> {
        self.data.push(data)?;
        self.event_types.push(event_type);
        self.recorded_at.push(at);
        Ok(())
    }

    /// How many events there are.
    #[must_use]
    pub fn events_count(&self) -> usize {
        self.event_types.len()
    }
}

/// Events of many streams of one partition, in order, for a projection or a process manager. What
/// upcasters made of one stored event has its revision and position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventBatch {
    /// Partition all events come from.
    pub partition: Partition,
    /// The distinct streams, as `category/id`.
    pub streams: Vec<Arc<str>>,
    /// Per event: index into `streams`.
    pub stream_indexes: Vec<u32>,
    /// Per event: index into the description's events.
    pub event_types: Vec<u32>,
    /// Per event.
    pub revisions: Vec<Revision>,
    /// Per event.
    pub positions: Vec<Position>,
    /// Per event.
    pub recorded_at: Vec<Timestamp>,
    /// Per event.
    pub data: DataColumn,
}

impl EventBatch {
    /// How many events there are.
    #[must_use]
    pub fn events_count(&self) -> usize {
        self.event_types.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ends_are_exclusive_and_cover_all_bytes() {
        // Guards the layout that guests of every language read.
        let mut column = DataColumn::default();
        for data in [&b"ab"[..], b"", b"c"] {
            column.push(data).unwrap();
        }
        assert_eq!((column.ends(), column.bytes()), (&[2, 2, 3][..], &b"abc"[..]));
        column.clear();
        assert_eq!(column, DataColumn::default());
    }
}
