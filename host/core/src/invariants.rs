//! What must always be true, written once: production asserts it in debug builds, tests and the
//! simulation after every step.

use std::collections::HashMap;

use crate::event::RecordedEvent;
use crate::place::Position;

/// Whether consecutive reads of one stream have no hole and no repeat.
#[must_use]
pub fn revisions_are_dense(events: &[RecordedEvent]) -> bool {
    events
        .iter()
        .zip(events.iter().skip(1))
        .all(|(event, next)| event.stream == next.stream && next.revision == event.revision.next())
}

/// Whether the positions of events of one partition strictly increase and all lie after `after`.
#[must_use]
pub fn positions_increase(after: Option<Position>, events: &[RecordedEvent]) -> bool {
    let mut last = after;
    events.iter().all(|event| {
        let increases = last.is_none_or(|last| event.position > last);
        last = Some(event.position);
        increases
    })
}

/// Whether every stream's events in a whole feed are dense from its first event on.
#[must_use]
pub fn feed_agrees_with_streams(events: &[RecordedEvent]) -> bool {
    let mut next: HashMap<&str, u64> = HashMap::new();
    events.iter().all(|event| {
        let expected = next.entry(event.stream.as_str()).or_insert(0);
        let agrees = event.revision.get() == *expected;
        *expected = expected.saturating_add(1);
        agrees
    })
}
