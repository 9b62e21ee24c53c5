//! The rows of schedules, and their one way to change: on condition that the schedule is as it was read.
//!
//! ```text
//! space host, table `schedules`,       key = id,            value = JSON of `Record`
//! space host, table `schedule-data`,   key = id,            value = the data of the command
//! space host, table `schedule-due`,    key = time and id,   value = the stream of the command:
//!                                      what a host has to look at, and when
//! space host, table `schedule-ended`,  key = time and id:   what has ended, and when
//! space host, table `schedule-counts`, key = what/number:   counters, see `Counted`
//! ```
//! A time in a key is its milliseconds, most significant byte first, so that keys are in order of time.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::port::StateStore;
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCommit, StateCondition, StateError, StateWrite,
};
use annals_core::time::Timestamp;
use bytes::Bytes;

use super::ScheduleId;
use super::error::ScheduleError;
use super::record::{Record, ScheduleStatus, Stage};

pub(super) const RECORDS: &str = "schedules";
const DATA: &str = "schedule-data";
pub(super) const DUE: &str = "schedule-due";
pub(super) const ENDED: &str = "schedule-ended";
const COUNTS: &str = "schedule-counts";

/// How many rows a counter has: on a store of several hosts a single one would be in everybody's way.
const COUNTER_ROWS: u8 = 16;

/// Most ended schedules removed by one commit. Each is three rows, with the counters they are at most
/// 76; every driver takes 90.
pub(super) const COMMIT_REMOVED_MAX: usize = 20;

/// What schedules are counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Waiting or firing.
    Waiting,
    Parked,
    Ended,
}

impl Counted {
    const ALL: [Self; 3] = [Self::Waiting, Self::Parked, Self::Ended];

    const fn of(stage: Stage) -> Self {
        match stage.status() {
            ScheduleStatus::Waiting | ScheduleStatus::Firing => Self::Waiting,
            ScheduleStatus::Parked => Self::Parked,
            ScheduleStatus::Done | ScheduleStatus::Rejected | ScheduleStatus::Cancelled => {
                Self::Ended
            }
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Ended => "ended",
        }
    }

    fn row(self, number: u8) -> RowKey {
        RowKey { table: Arc::from(COUNTS), key: format!("{}/{number}", self.as_str()).into() }
    }

    fn add(self, id: &ScheduleId, amount: i64) -> StateWrite {
        let sum = id.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31) ^ byte);
        StateWrite::Add(self.row(sum % COUNTER_ROWS), amount)
    }
}

/// How many schedules there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleCounts {
    /// How many wait for their time, or are being fired.
    pub waiting: u64,
    /// How many are parked.
    pub parked: u64,
    /// How many have ended and are still kept.
    pub ended: u64,
}

impl ScheduleCounts {
    pub(super) async fn read(state: &dyn StateStore) -> Result<Self, StateError> {
        let rows = |counted: Counted| (0..COUNTER_ROWS).map(move |number| counted.row(number));
        let keys: Vec<_> = Counted::ALL.into_iter().flat_map(rows).collect();
        let values = state.get_many(&keys).await?;
        let mut sums = values.chunks(usize::from(COUNTER_ROWS)).map(|values| {
            let numbers = values.iter().flatten().filter_map(|value| {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok())
            });
            u64::try_from(numbers.fold(0, i64::saturating_add)).unwrap_or(0)
        });
        let mut next = || sums.next().unwrap_or_default();
        Ok(Self { waiting: next(), parked: next(), ended: next() })
    }
}

/// A record as it was read, with what may become of it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: ScheduleId,
    // As it is in the row.
    value: Option<Bytes>,
    // What the other rows say.
    stage: Option<Stage>,
    pub(super) record: Record,
}

impl Stored {
    /// A record that is not there yet.
    pub(super) const fn absent(id: ScheduleId, record: Record) -> Self {
        Self { id, value: None, stage: None, record }
    }

    pub(super) async fn read(
        state: &dyn StateStore,
        id: &ScheduleId,
    ) -> Result<Option<Self>, ScheduleError> {
        let value = state.get(RECORDS, id.as_str().as_bytes()).await?;
        value.map(|value| Self::parse(id.clone(), value)).transpose()
    }

    /// The record of a row.
    pub(super) fn parse(id: ScheduleId, value: Bytes) -> Result<Self, ScheduleError> {
        let record: Record = serde_json::from_slice(&value).map_err(|error| {
            ScheduleError::Damaged { id: id.clone(), fault: format!("not readable ({error})") }
        })?;
        Ok(Self { id, value: Some(value), stage: Some(record.stage), record })
    }

    /// Writes what became of the record, if nobody changed it meanwhile: then it is given back as it
    /// is now. With `data`, that of the command is written too.
    pub(super) async fn replace(
        mut self,
        state: &dyn StateStore,
        data: Option<Bytes>,
    ) -> Result<Option<Self>, StateError> {
        self.record.changes_count = self.record.changes_count.saturating_add(1);
        let value: Bytes = serde_json::to_vec(&self.record)
            .map_err(|error| {
                StateError::Damaged(DriverError::with_source("a schedule has no JSON", error))
            })?
            .into();
        let mut writes = vec![StateWrite::Put(row(RECORDS, &self.id), value.clone())];
        writes.extend(data.map(|data| StateWrite::Put(row(DATA, &self.id), data)));
        self.index(Some(self.record.stage), &mut writes);
        if !commit(state, vec![self.unchanged()], writes).await? {
            return Ok(None);
        }
        let Self { id, record, .. } = self;
        Ok(Some(Self { id, value: Some(value), stage: Some(record.stage), record }))
    }

    fn unchanged(&self) -> StateCondition {
        StateCondition { row: row(RECORDS, &self.id), value: self.value.clone() }
    }

    /// The writes that make the other rows say what `after` does.
    fn index(&self, after: Option<Stage>, writes: &mut Vec<StateWrite>) {
        let before = self.stage;
        for (table, time_of) in [
            (DUE, Stage::look_at as fn(Stage) -> Option<Timestamp>),
            (ENDED, Stage::ended_at as fn(Stage) -> Option<Timestamp>),
        ] {
            let (was, is) = (before.and_then(time_of), after.and_then(time_of));
            if was == is {
                continue;
            }
            writes.extend(was.map(|time| StateWrite::Delete(timed(table, time, &self.id))));
            let stream = Bytes::from(self.record.stream());
            let put = |time| StateWrite::Put(timed(table, time, &self.id), stream);
            writes.extend(is.map(put));
        }
        let (was, is) = (before.map(Counted::of), after.map(Counted::of));
        if was != is {
            writes.extend(was.map(|counted| counted.add(&self.id, -1)));
            writes.extend(is.map(|counted| counted.add(&self.id, 1)));
        }
    }
}

/// Removes schedules with all their rows, if none was changed meanwhile.
pub(super) async fn remove(state: &dyn StateStore, all: &[Stored]) -> Result<bool, StateError> {
    let mut writes = Vec::new();
    for stored in all {
        writes.push(StateWrite::Delete(row(RECORDS, &stored.id)));
        writes.push(StateWrite::Delete(row(DATA, &stored.id)));
        stored.index(None, &mut writes);
    }
    commit(state, all.iter().map(Stored::unchanged).collect(), writes).await
}

async fn commit(
    state: &dyn StateStore,
    conditions: Vec<StateCondition>,
    writes: Vec<StateWrite>,
) -> Result<bool, StateError> {
    match state.commit(StateCommit { conditions, writes }).await {
        Ok(()) => Ok(true),
        Err(StateError::ConditionFailed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The data of a schedule's command.
pub(super) async fn data(
    state: &dyn StateStore,
    id: &ScheduleId,
) -> Result<Option<Bytes>, StateError> {
    state.get(DATA, id.as_str().as_bytes()).await
}

fn row(table: &str, id: &ScheduleId) -> RowKey {
    RowKey { table: Arc::from(table), key: Bytes::copy_from_slice(id.as_str().as_bytes()) }
}

fn timed(table: &str, time: Timestamp, id: &ScheduleId) -> RowKey {
    let key = [&time.ms().to_be_bytes(), id.as_str().as_bytes()].concat();
    RowKey { table: Arc::from(table), key: key.into() }
}

/// A schedule in a table that is in order of time.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) time: Timestamp,
    pub(super) id: ScheduleId,
    /// The stream of its command, as text.
    pub(super) stream: Bytes,
}

impl Entry {
    fn of(row: Row) -> Option<Self> {
        let (time, id) = row.key.split_first_chunk::<8>()?;
        let id = ScheduleId::new(std::str::from_utf8(id).ok()?).ok()?;
        let time = Timestamp::from_ms(u64::from_be_bytes(*time));
        Some(Self { time, id, stream: row.value })
    }
}

/// Some entries of a table in order of time, from the first or after a key, with the key of the last
/// one when there may be more.
pub(super) async fn in_order_of_time(
    state: &dyn StateStore,
    table: &str,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<Bytes>), StateError> {
    let range = KeyRange::default();
    let range = match after {
        Some(key) => range.after(key),
        None => range,
    };
    let rows = state.scan(table, range, limit).await?;
    let last = rows.last().filter(|_| rows.len() >= limit).map(|row| row.key.clone());
    let damaged = || StateError::Damaged(DriverError::new("a time of a schedule is not readable"));
    let entries = rows.into_iter().map(|row| Entry::of(row).ok_or_else(damaged));
    Ok((entries.collect::<Result<_, _>>()?, last))
}
