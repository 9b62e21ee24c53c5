//! The script that adds entries, and how events are cut into calls of it.

use std::num::NonZeroU64;

use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use redis::Cmd;

use crate::entry::{Entry, number_of};

/// Most entries that one call adds. Redis does nothing else meanwhile; this many take it a
/// millisecond or two.
pub const BATCH_ENTRIES_MAX: usize = 256;

/// A call ends with the entry with which it reaches this many bytes.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

const SCRIPT: &str = include_str!("publish.lua");

/// What Redis answers, by the script, when the stream ends before what was believed.
pub(crate) const LOST: &str = "ANNALSLOST";

/// What a caller of the script believes of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belief {
    /// Nothing.
    Unknown,
    /// It ends with this position, or one after it; `None`: it has never had an entry.
    EndsAt(Option<Position>),
}

/// Entries that are added by one call.
pub(crate) struct Batch {
    entries: Vec<Entry>,
    /// Position of the last one.
    pub(crate) last: Position,
}

impl Batch {
    /// Cuts the next batch off `events`, of which there is at least one: events of one partition, up
    /// to the limits. `None` when an event cannot be an entry.
    pub(crate) fn cut<'a>(
        events: &'a [RecordedEvent],
        source: &str,
        event_bytes_max: usize,
    ) -> Option<(Self, &'a [RecordedEvent])> {
        let first = events.first()?;
        let mut batch = Self { entries: Vec::new(), last: first.position };
        let mut bytes = 0;
        for event in events {
            let is_full = batch.entries.len() == BATCH_ENTRIES_MAX || bytes >= BATCH_BYTES_MAX;
            if is_full || event.partition != first.partition {
                break;
            }
            let entry = Entry::of(event, source, event_bytes_max)?;
            bytes += entry.bytes();
            batch.last = event.position;
            batch.entries.push(entry);
        }
        let rest = events.get(batch.entries.len()..).unwrap_or_default();
        Some((batch, rest))
    }

    /// The call of the script.
    pub(crate) fn command(&self, key: &str, belief: Belief, entries_max: NonZeroU64) -> Cmd {
        let believed = match belief {
            Belief::Unknown => String::new(),
            Belief::EndsAt(None) => "0".to_owned(),
            Belief::EndsAt(Some(last)) => number_of(last).unwrap_or(u64::MAX).to_string(),
        };
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(key).arg(believed).arg(entries_max.get());
        for entry in &self.entries {
            for argument in entry.arguments() {
                command.arg(argument);
            }
        }
        command
    }
}

/// The key of the stream of a partition.
pub(crate) fn key_of(namespace: &str, partition: Partition) -> String {
    format!("annals:{{{namespace}:{partition}}}")
}
