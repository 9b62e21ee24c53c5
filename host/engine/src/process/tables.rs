//! Where what a process manager knows is kept: tables, keys, and instances as rows.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `instances` | instance | the instance as JSON, or how many parts it has |
//! | `parts` | instance, 0, number | a part of an instance that does not fit one row |
//! | `due` | time of its next timer, instance | – |
//! | `working` | instance with commands on the way | – |
//! | `parked` | parked instance | – |
//! | `ended` | time of its end, instance | – |
//! | `streams` | stream with an event that cannot be correlated | [`ParkedStream`] |
//! | `asked` | `i` and instance, or `s` and stream | what an operator wants done |
//! | `figures` | name | counters of instances |
//! | `$checkpoint` | partition; `runner`; `beat` | the places in the feed; who works |

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::place::Revision;
use annals_core::port::StateStore;
use annals_core::port::state_store::{KeyRange, RowKey, StateError, StateWrite};
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::instance::{EventPlace, Instance, ParkedInstance};

pub(super) const INSTANCES: &str = "instances";
pub(super) const PARTS: &str = "parts";
pub(super) const DUE: &str = "due";
pub(super) const WORKING: &str = "working";
pub(super) const PARKED: &str = "parked";
pub(super) const ENDED: &str = "ended";
pub(super) const STREAMS: &str = "streams";
pub(super) const ASKED: &str = "asked";
pub(super) const FIGURES: &str = "figures";

/// Largest part of an instance in one row, in bytes: what fits [`ROW_BYTES_MAX`] with room to spare.
///
/// [`ROW_BYTES_MAX`]: annals_core::limits::ROW_BYTES_MAX
const PART_BYTES: usize = 200 << 10;

/// Largest instance with what waits for it, in bytes of JSON: it must fit a commit of every driver.
pub const INSTANCE_BYTES_MAX: usize = 2 << 20;

/// Largest instance that a reaction may lead to, in bytes of JSON: any message fits beside it, so that
/// it can be parked.
pub(super) const REACTED_BYTES_MAX: usize = 5 << 18;

/// A stream one of whose events cannot be correlated: all of it waits from there on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedStream {
    /// Why, and since when.
    pub parked: ParkedInstance,
    /// The event.
    pub event: EventPlace,
    /// From here on the stream waits.
    pub(super) next_revision: Revision,
    /// Who has handled the event there already: part and instance.
    pub(super) done: Vec<(u32, Arc<str>)>,
}

/// The row of an instance that has parts.
#[derive(Debug, Serialize, Deserialize)]
struct Parts {
    parts_count: u16,
}

pub(super) fn row(table: &str, key: impl Into<Bytes>) -> RowKey {
    RowKey { table: Arc::from(table), key: key.into() }
}

pub(super) fn text_key(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A key that sorts by time first.
pub(super) fn timed_key(at: Timestamp, instance: &str) -> Bytes {
    [&at.ms().to_be_bytes()[..], instance.as_bytes()].concat().into()
}

/// The time and the instance of a key that sorts by time.
pub(super) fn timed(key: &[u8]) -> Option<(Timestamp, Arc<str>)> {
    let (time, instance) = key.split_at_checked(8)?;
    let time = u64::from_be_bytes(time.try_into().ok()?);
    Some((Timestamp::from_ms(time), Arc::from(std::str::from_utf8(instance).ok()?)))
}

fn part_key(instance: &str, number: u16) -> Bytes {
    [instance.as_bytes(), b"\0", &number.to_be_bytes()].concat().into()
}

/// How many parts so many bytes have.
pub(super) const fn parts_count(bytes_count: usize) -> usize {
    if bytes_count <= PART_BYTES { 0 } else { bytes_count.div_ceil(PART_BYTES) }
}

/// Anything as JSON, as rows hold it.
pub(super) fn json<T: Serialize>(value: &T) -> Bytes {
    // Texts, numbers and lists always have JSON.
    serde_json::to_vec(value).map(Bytes::from).unwrap_or_default()
}

/// An instance as bytes.
pub(super) fn encode(instance: &Instance) -> Bytes {
    json(instance)
}

/// The writes that keep an instance which had `parts_before` parts; and how many it has.
pub(super) fn put(instance: &str, encoded: &Bytes, parts_before: u16) -> (Vec<StateWrite>, u16) {
    let head = row(INSTANCES, text_key(instance));
    let (mut writes, mut parts_count) = (Vec::new(), 0);
    if encoded.len() <= PART_BYTES {
        writes.push(StateWrite::Put(head, encoded.clone()));
    } else {
        for (number, part) in (0_u16..).zip(encoded.chunks(PART_BYTES)) {
            let key = row(PARTS, part_key(instance, number));
            writes.push(StateWrite::Put(key, encoded.slice_ref(part)));
            parts_count = number + 1;
        }
        let parts = serde_json::to_vec(&Parts { parts_count }).unwrap_or_default();
        writes.push(StateWrite::Put(head, parts.into()));
    }
    let surplus = (parts_count..parts_before).map(|it| row(PARTS, part_key(instance, it)));
    writes.extend(surplus.map(StateWrite::Delete));
    (writes, parts_count)
}

/// The writes that forget an instance.
pub(super) fn delete(instance: &str, parts_count: u16) -> Vec<StateWrite> {
    let parts = (0..parts_count).map(|number| row(PARTS, part_key(instance, number)));
    let rows = parts.chain([row(INSTANCES, text_key(instance))]);
    rows.map(StateWrite::Delete).collect()
}

/// Instances, in the order of `ids`, with how many parts each has.
pub(super) async fn get_many(
    state: &dyn StateStore,
    ids: &[Arc<str>],
) -> Result<Vec<Option<(Instance, u16)>>, StateError> {
    let keys: Vec<_> = ids.iter().map(|id| row(INSTANCES, text_key(id))).collect();
    let rows = state.get_many(&keys).await?;
    let mut found = Vec::with_capacity(rows.len());
    for (id, value) in ids.iter().zip(rows) {
        found.push(match value {
            Some(value) => Some(whole(state, id, &value).await?),
            None => None,
        });
    }
    Ok(found)
}

/// The instance whose row this is.
pub(super) async fn whole(
    state: &dyn StateStore,
    id: &str,
    value: &Bytes,
) -> Result<(Instance, u16), StateError> {
    let Ok(Parts { parts_count }) = serde_json::from_slice(value) else {
        return Ok((parse(value)?, 0));
    };
    let keys: Vec<_> = (0..parts_count).map(|number| row(PARTS, part_key(id, number))).collect();
    let parts = state.get_many(&keys).await?;
    let whole: Vec<u8> = parts.iter().flatten().flat_map(|part| part.iter().copied()).collect();
    Ok((parse(&whole)?, parts_count))
}

/// Reads a row of JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, StateError> {
    serde_json::from_slice(value).map_err(|error| {
        StateError::Damaged(DriverError::with_source("what a process manager knows", error))
    })
}

/// Instances whose timers are due at `now`, the longest due first, at most `limit`.
pub(super) async fn due(
    state: &dyn StateStore,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, Arc<str>)>, StateError> {
    // Exclusive: the first key of the next millisecond.
    let end = now.ms().saturating_add(1).to_be_bytes();
    let range = KeyRange { start: Bytes::new(), end: Some(Bytes::copy_from_slice(&end)) };
    let rows = state.scan(DUE, range, limit).await?;
    Ok(rows.iter().filter_map(|row| timed(&row.key)).collect())
}

/// When the next timer of any instance is due.
pub(super) async fn next_due(state: &dyn StateStore) -> Result<Option<Timestamp>, StateError> {
    let rows = state.scan(DUE, KeyRange::default(), 1).await?;
    Ok(rows.first().and_then(|row| timed(&row.key)).map(|(at, _)| at))
}

/// Keys of a table that are names, after `after` (exclusive), at most `limit`.
pub(super) async fn names(
    state: &dyn StateStore,
    table: &str,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Arc<str>>, StateError> {
    let range = match after {
        Some(after) => KeyRange::default().after(after),
        None => KeyRange::default(),
    };
    let rows = state.scan(table, range, limit).await?;
    Ok(rows.iter().filter_map(|row| std::str::from_utf8(&row.key).ok()).map(Arc::from).collect())
}
