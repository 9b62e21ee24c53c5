//! Comparing two views of one projection while both go on.
//!
//! ```text
//!   walk      old: a b c d e        page by page, in order of key; rows that differ are noted
//!             new: a b   d e f ──► c, f
//!   look      both runners stand at the same positions ──► what differs still, does
//! ```
//! A row that was written between the two reads of the walk looks different and is not; that is why it
//! is looked at again. The runners stand for one look at a time, each bounded.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use annals_core::name::TableName;
use annals_core::port::StateStore;
use annals_core::port::state_store::{KeyRange, Row, RowKey, StateError};
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::report::{Comparison, DifferenceCounts, DifferentRow, Differing, EXAMPLES_MAX};
use crate::projection::{Held, Phase, Projection};

/// Most rows that are looked at again: some megabytes of keys. When more differ in the walk, the views
/// are of different kinds, and the numbers of the walk are good enough.
const NOTED_MAX: usize = 10_000;

/// Rows of a page of the walk.
const PAGE_ROWS: usize = 500;

/// Rows that are looked at while the runners stand: some milliseconds.
const LOOK_ROWS: usize = 500;

/// How often rows are looked at that cannot be looked at while the runners stand.
const LOOKS_MAX: u32 = 5;

/// Time between two of these looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Two views of one projection.
pub(super) struct Pair {
    /// What serves.
    pub(super) old: Arc<Projection>,
    /// What was built.
    pub(super) new: Arc<Projection>,
    /// Longest that the runners stand for one look.
    pub(super) hold_max: Duration,
}

/// What the walk found.
#[derive(Default)]
struct Walked {
    old_rows_count: u64,
    new_rows_count: u64,
    counts: DifferenceCounts,
    noted: Vec<RowKey>,
}

/// What the looks found.
#[derive(Default)]
struct Found {
    only_old: Differing,
    only_new: Differing,
    different: Differing,
}

impl Pair {
    /// Compares the views.
    pub(super) async fn compare(&self, now: Timestamp) -> Result<Comparison, StateError> {
        let Walked { old_rows_count, new_rows_count, counts, noted } = self.walk().await?;
        let mut found = Found::default();
        let mut can_hold = true;
        for rows in noted.chunks(LOOK_ROWS) {
            if can_hold {
                match self.look_held(rows).await? {
                    Some(looked) => found.add(rows, &looked),
                    None => can_hold = false,
                }
            }
            if !can_hold {
                self.look_again(rows, &mut found).await?;
            }
        }
        let is_all_noted = counts.total() <= to_u64(noted.len());
        if !is_all_noted {
            found.only_old.count = counts.only_old_count;
            found.only_new.count = counts.only_new_count;
            found.different.count = counts.different_count;
        }
        let Found { only_old, only_new, different } = found;
        Ok(Comparison {
            compared_at: now,
            old_rows_count,
            new_rows_count,
            old_parked_count: self.old.progress.borrow().parked_count,
            new_parked_count: self.new.progress.borrow().parked_count,
            only_old,
            only_new,
            different,
            is_exact: can_hold && is_all_noted,
        })
    }

    async fn walk(&self) -> Result<Walked, StateError> {
        let mut walked = Walked::default();
        for table in self.tables() {
            let mut old = Pages::new(&*self.old.state, &table);
            let mut new = Pages::new(&*self.new.state, &table);
            loop {
                old.fill().await?;
                new.fill().await?;
                let order = match (old.rows.front(), new.rows.front()) {
                    (None, None) => break,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(old), Some(new)) => old.key.cmp(&new.key),
                };
                let old = if order.is_le() { old.rows.pop_front() } else { None };
                let new = if order.is_ge() { new.rows.pop_front() } else { None };
                walked.add(&table, old, new);
            }
        }
        Ok(walked)
    }

    /// The tables of either version, each once, in order of name.
    fn tables(&self) -> BTreeSet<TableName> {
        let tables = self.old.description.tables.iter().chain(&self.new.description.tables);
        tables.cloned().collect()
    }

    /// Looks at rows while both runners stand at the same positions; `None`: they did not in time, or
    /// another host works on one of the views.
    async fn look_held(&self, rows: &[RowKey]) -> Result<Option<Vec<Both>>, StateError> {
        let deadline = Instant::now() + self.hold_max;
        let is_elsewhere = |it: &Projection| it.progress.borrow().phase == Phase::StandingBy;
        if is_elsewhere(&self.old) || is_elsewhere(&self.new) {
            return Ok(None);
        }
        // The runners go on when these are dropped, whatever happens.
        let (old, new) = (self.old.hold.stop(), self.new.hold.stop());
        let look = async {
            match stand_together(&old, &new).await {
                Some(()) => self.look(rows).await.map(Some),
                None => Ok(None),
            }
        };
        timeout_at(deadline, look).await.unwrap_or(Ok(None))
    }

    /// Looks at rows several times while the runners go on: what differs each time is counted.
    async fn look_again(&self, rows: &[RowKey], found: &mut Found) -> Result<(), StateError> {
        let mut rows = rows.to_vec();
        for look in 1..=LOOKS_MAX {
            let looked = self.look(&rows).await?;
            if look == LOOKS_MAX {
                found.add(&rows, &looked);
                return Ok(());
            }
            let differ = rows.into_iter().zip(&looked);
            rows = differ.filter(|(_, both)| !both.is_equal()).map(|(row, _)| row).collect();
            if rows.is_empty() {
                return Ok(());
            }
            sleep(LOOK_AGAIN_AFTER).await;
        }
        Ok(())
    }

    async fn look(&self, rows: &[RowKey]) -> Result<Vec<Both>, StateError> {
        let old = self.old.state.get_many(rows).await?;
        let new = self.new.state.get_many(rows).await?;
        Ok(old.into_iter().zip(new).map(|(old, new)| Both { old, new }).collect())
    }
}

/// Lets two runners that were stopped go on to the same positions; `None`: one of them is gone.
async fn stand_together(old: &Held<'_>, new: &Held<'_>) -> Option<()> {
    let (old_places, new_places) = (old.places().await?, new.places().await?);
    let places = old_places.into_iter().zip(new_places);
    let places: Vec<_> = places.map(|(old, new)| old.max(new)).collect();
    old.go_to(&places);
    new.go_to(&places);
    old.places().await?;
    new.places().await.map(drop)
}

/// A row of both views.
struct Both {
    old: Option<Bytes>,
    new: Option<Bytes>,
}

impl Both {
    fn is_equal(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => is_same(old, new),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Found {
    fn add(&mut self, rows: &[RowKey], looked: &[Both]) {
        for (row, both) in rows.iter().zip(looked) {
            if both.is_equal() {
                continue;
            }
            let differing = match (&both.old, &both.new) {
                (Some(_), None) => &mut self.only_old,
                (None, _) => &mut self.only_new,
                (Some(_), Some(_)) => &mut self.different,
            };
            differing.count = differing.count.saturating_add(1);
            if differing.examples.len() < EXAMPLES_MAX {
                let example = DifferentRow::new(row, both.old.as_ref(), both.new.as_ref());
                differing.examples.push(example);
            }
        }
    }
}

impl Walked {
    fn add(&mut self, table: &TableName, old: Option<Row>, new: Option<Row>) {
        let count = |count: &mut u64| *count = count.saturating_add(1);
        if old.is_some() {
            count(&mut self.old_rows_count);
        }
        if new.is_some() {
            count(&mut self.new_rows_count);
        }
        let key = match (old, new) {
            (Some(old), Some(new)) if is_same(&old.value, &new.value) => return,
            (Some(old), Some(_)) => {
                count(&mut self.counts.different_count);
                old.key
            }
            (Some(old), None) => {
                count(&mut self.counts.only_old_count);
                old.key
            }
            (None, Some(new)) => {
                count(&mut self.counts.only_new_count);
                new.key
            }
            (None, None) => return,
        };
        if self.noted.len() < NOTED_MAX {
            self.noted.push(RowKey { table: Arc::from(table.as_str()), key });
        }
    }
}

/// Whether two values are the same bytes, or the same JSON: members have no order, and a counter is a
/// number.
fn is_same(old: &[u8], new: &[u8]) -> bool {
    if old == new {
        return true;
    }
    let parse = |value: &[u8]| serde_json::from_slice::<Value>(value).ok();
    parse(old).is_some_and(|old| parse(new).is_some_and(|new| old == new))
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A table, page by page.
struct Pages<'a> {
    state: &'a dyn StateStore,
    table: &'a TableName,
    rows: VecDeque<Row>,
    range: KeyRange,
    is_over: bool,
}

impl<'a> Pages<'a> {
    fn new(state: &'a dyn StateStore, table: &'a TableName) -> Self {
        let (rows, range) = (VecDeque::new(), KeyRange::default());
        Self { state, table, rows, range, is_over: false }
    }

    /// Reads on when there is no row left.
    async fn fill(&mut self) -> Result<(), StateError> {
        if !self.rows.is_empty() || self.is_over {
            return Ok(());
        }
        // Drivers in memory answer at once: others of the thread go first.
        tokio::task::yield_now().await;
        let rows = self.state.scan(self.table.as_str(), self.range.clone(), PAGE_ROWS).await?;
        self.is_over = rows.len() < PAGE_ROWS;
        if let Some(last) = rows.last() {
            self.range = KeyRange::default().after(&last.key);
        }
        self.rows = rows.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_what_they_say() {
        // Guards against differences that are none: members have no order. What is no JSON is bytes.
        let same = [("{\"a\":1,\"b\":[2]}", "{ \"b\": [2], \"a\": 1 }"), ("7", " 7"), ("x", "x")];
        let different =
            [("{\"a\":1}", "{\"a\":2}"), ("[1,2]", "[2,1]"), ("x", "x "), ("7", "\"7\"")];
        for (old, new) in same {
            assert!(is_same(old.as_bytes(), new.as_bytes()), "{old} {new}");
        }
        for (old, new) in different {
            assert!(!is_same(old.as_bytes(), new.as_bytes()), "{old} {new}");
        }
    }

    #[test]
    fn more_differences_than_are_looked_at_again_are_counted() {
        // Guards memory, and the limit: the last row that is noted, and the first that is not.
        let table = TableName::new("rows").unwrap();
        let mut walked = Walked::default();
        for number in 0..=NOTED_MAX {
            let (key, value) = (Bytes::from(number.to_string()), Bytes::from_static(b"1"));
            walked.add(&table, Some(Row { key, value }), None);
        }
        assert_eq!(walked.noted.len(), NOTED_MAX);
        assert_eq!(walked.counts.only_old_count, to_u64(NOTED_MAX) + 1);
    }
}
