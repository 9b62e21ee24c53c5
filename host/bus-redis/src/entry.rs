//! Entries of a stream: the id and the values of the fields, in the order of `publish.lua`.

use annals_core::event::RecordedEvent;
use annals_core::place::Position;

use crate::cloud_event;

/// The first number of an entry's id and the values of its fields.
pub(crate) struct Entry {
    number: String,
    values: [String; 8],
}

impl Entry {
    /// `None` for a position that has no number after it, which no store reaches.
    pub(crate) fn of(event: &RecordedEvent, source: &str, event_bytes_max: usize) -> Option<Self> {
        let number = number_of(event.position)?.to_string();
        let values = [
            event.id.to_string(),
            event.event_type.to_string(),
            event.stream.to_string(),
            event.revision.to_string(),
            event.partition.to_string(),
            event.position.to_string(),
            event.recorded_at.to_string(),
            cloud_event::json_of(event, source, event_bytes_max),
        ];
        Some(Self { number, values })
    }

    /// The arguments it is for the script.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.number.as_str()).chain(self.values.iter().map(String::as_str))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arguments().map(str::len).sum()
    }
}

/// The first number of the id of the entry of a position.
pub(crate) fn number_of(position: Position) -> Option<u64> {
    position.get().checked_add(1)
}

/// The position whose entry has an id with this first number. `None` for 0, which is no entry.
pub(crate) fn position_of(number: u64) -> Option<Position> {
    number.checked_sub(1).map(Position::new)
}
