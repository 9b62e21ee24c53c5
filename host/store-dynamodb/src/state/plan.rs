//! What a commit comes to: each row once, with what it must be before and what it becomes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use annals_core::port::state_store::{RowKey, StateCommit, StateCondition, StateError, StateWrite};
use bytes::Bytes;

/// What a row must be before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// Whatever it is.
    Any,
    /// This value; `None`: not there.
    Is(Option<Bytes>),
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    /// It stays.
    Same,
    /// It has this value.
    Put(Bytes),
    /// It is not there.
    Gone,
}

/// A row of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowChange {
    pub(super) row: RowKey,
    /// Whether the commit says what it must be. If not, and it must be something all the same, that
    /// is what was read of a counter.
    pub(super) is_condition: bool,
    pub(super) before: Before,
    pub(super) after: After,
}

/// A commit that can be sent.
#[derive(Debug)]
pub(super) struct Plan {
    /// Rows with a condition first, in the order of the conditions.
    pub(super) rows: Vec<RowChange>,
    /// The error of the commit if all rows are as they must be; they all stay then.
    pub(super) fault: Option<StateError>,
}

/// Rows whose value must be known to tell what the commit makes of them.
pub(super) fn unknown_counters(commit: &StateCommit) -> Vec<&RowKey> {
    let mut known: HashSet<&RowKey> =
        commit.conditions.iter().map(|condition| &condition.row).collect();
    let mut unknown = Vec::new();
    for write in &commit.writes {
        let is_new = known.insert(write.row());
        if is_new && matches!(write, StateWrite::Add(..)) {
            unknown.push(write.row());
        }
    }
    unknown
}

impl Plan {
    /// The plan of a commit, if `counters` are the values of its [`unknown_counters`].
    pub(super) fn of(commit: &StateCommit, counters: &HashMap<RowKey, Bytes>) -> Self {
        let mut rows = Rows::default();
        if let Some(refuted) = rows.add_conditions(&commit.conditions) {
            return Self::of_fault(rows, unmet(&refuted.row));
        }
        for row in unknown_counters(commit) {
            let before = Before::Is(counters.get(row).cloned());
            rows.add(RowChange {
                row: row.clone(),
                is_condition: false,
                before,
                after: After::Same,
            });
        }
        for write in &commit.writes {
            if let Err(fault) = rows.write(write) {
                return Self::of_fault(rows, fault);
            }
        }
        Self { rows: rows.list, fault: None }
    }

    /// A commit that fails, if it does not fail for a condition before.
    fn of_fault(rows: Rows, fault: StateError) -> Self {
        let checked = rows.list.into_iter().filter(|row| row.before != Before::Any);
        let rows = checked.map(|row| RowChange { after: After::Same, ..row }).collect();
        Self { rows, fault: Some(fault) }
    }
}

/// The error of a condition that does not hold.
pub(super) fn unmet(row: &RowKey) -> StateError {
    StateError::ConditionFailed { table: Arc::clone(&row.table), key: row.key.clone() }
}

/// Rows, each once.
#[derive(Debug, Default)]
struct Rows {
    list: Vec<RowChange>,
    index_of: HashMap<RowKey, usize>,
}

impl Rows {
    fn add(&mut self, row: RowChange) {
        self.index_of.insert(row.row.clone(), self.list.len());
        self.list.push(row);
    }

    fn find(&mut self, row: &RowKey) -> Option<&mut RowChange> {
        self.list.get_mut(*self.index_of.get(row)?)
    }

    /// Adds rows up to the first condition that refutes an earlier one, which is given back.
    fn add_conditions<'a>(
        &mut self,
        conditions: &'a [StateCondition],
    ) -> Option<&'a StateCondition> {
        for condition in conditions {
            let before = Before::Is(condition.value.clone());
            match self.find(&condition.row) {
                Some(row) if row.before == before => {}
                Some(_) => return Some(condition),
                None => self.add(RowChange {
                    row: condition.row.clone(),
                    is_condition: true,
                    before,
                    after: After::Same,
                }),
            }
        }
        None
    }

    /// Adds a write to what the earlier ones made of its row.
    fn write(&mut self, write: &StateWrite) -> Result<(), StateError> {
        let row = write.row();
        let now = match self.find(row) {
            Some(RowChange { after: After::Put(value), .. }) => Some(value.clone()),
            Some(RowChange { after: After::Same, before: Before::Is(Some(value)), .. }) => {
                Some(value.clone())
            }
            _ => None,
        };
        let after = match write {
            StateWrite::Put(_, value) => After::Put(value.clone()),
            StateWrite::Delete(_) => After::Gone,
            StateWrite::Add(row, amount) => After::Put(add(row, now.as_ref(), *amount)?),
        };
        match self.find(row) {
            Some(found) => found.after = after,
            None => self.add(RowChange {
                row: row.clone(),
                is_condition: false,
                before: Before::Any,
                after,
            }),
        }
        Ok(())
    }
}

/// A counter after an addition, as text.
fn add(row: &RowKey, before: Option<&Bytes>, amount: i64) -> Result<Bytes, StateError> {
    let number = before.map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse().ok());
    let Some(number) = number else {
        return Err(StateError::NotACounter { table: Arc::clone(&row.table) });
    };
    let Some(sum) = i64::checked_add(number, amount) else {
        return Err(StateError::CounterOverflow { table: Arc::clone(&row.table) });
    };
    Ok(Bytes::from(sum.to_string()))
}

#[cfg(test)]
mod tests;
