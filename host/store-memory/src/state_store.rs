//! The state stores: ordered maps, one store per space.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annals_core::error::DriverError;
use annals_core::limits::SCAN_ROWS_MAX;
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCapabilities, StateCommit, StateError, StateSpace, StateWrite,
};
use annals_core::port::{StateStore, StateStores};
use async_trait::async_trait;
use bytes::Bytes;

/// Keeps state in memory. What is committed is durable for as long as the process lives.
#[derive(Debug)]
pub struct MemoryStateStores {
    capabilities: StateCapabilities,
    // Never held across an await.
    spaces: Mutex<BTreeMap<StateSpace, Arc<MemoryStateStore>>>,
}

impl Default for MemoryStateStores {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStateStores {
    /// Stores without any space, and without limits but those of every driver.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capabilities(StateCapabilities::UNLIMITED)
    }

    /// Stores without any space that refuse what a narrower driver would.
    #[must_use]
    pub fn with_capabilities(capabilities: StateCapabilities) -> Self {
        Self { capabilities, spaces: Mutex::default() }
    }

    fn spaces(&self) -> MutexGuard<'_, BTreeMap<StateSpace, Arc<MemoryStateStore>>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStores for MemoryStateStores {
    fn capabilities(&self) -> StateCapabilities {
        self.capabilities
    }

    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let mut spaces = self.spaces();
        let new = || Arc::new(MemoryStateStore::new(self.capabilities));
        let store = spaces.entry(space.clone()).or_insert_with(new);
        Ok(Arc::<MemoryStateStore>::clone(store))
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        let removed = self.spaces().remove(space);
        if let Some(store) = removed {
            *store.tables.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        Ok(self.spaces().keys().cloned().collect())
    }
}

type Table = BTreeMap<Bytes, Bytes>;
type Tables = BTreeMap<Arc<str>, Table>;

/// The state of one space.
#[derive(Debug)]
struct MemoryStateStore {
    capabilities: StateCapabilities,
    // `None` once the space was removed. Invariant: no table is empty. Never held across an await.
    tables: Mutex<Option<Tables>>,
}

impl MemoryStateStore {
    fn new(capabilities: StateCapabilities) -> Self {
        Self { capabilities, tables: Mutex::new(Some(Tables::default())) }
    }

    /// Runs `work` on the tables, alone.
    fn with_tables<T>(
        &self,
        work: impl FnOnce(&mut Tables) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        // Poisoned tables are whole: a commit is made ready before any of it is written.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match tables.as_mut() {
            Some(tables) => work(tables),
            None => Err(StateError::Unavailable(DriverError::new("the space was removed"))),
        }
    }
}

#[async_trait]
impl StateStore for MemoryStateStore {
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.with_tables(|tables| Ok(value(tables, table, key).cloned()))
    }

    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        self.with_tables(|tables| {
            let values = keys.iter().map(|row| value(tables, &row.table, &row.key).cloned());
            Ok(values.collect())
        })
    }

    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.with_tables(|tables| {
            let Some(table) = tables.get(table) else {
                return Ok(Vec::new());
            };
            let from_start =
                table.range::<[u8], _>((Bound::Included(&*range.start), Bound::Unbounded));
            let is_before_end = |key: &Bytes| range.end.as_ref().is_none_or(|end| key < end);
            let rows = from_start
                .take_while(|(key, _)| is_before_end(key))
                .map(|(key, value)| Row { key: key.clone(), value: value.clone() });
            Ok(rows.take(limit.min(SCAN_ROWS_MAX)).collect())
        })
    }

    async fn commit(&self, commit: StateCommit) -> Result<(), StateError> {
        commit.check(&self.capabilities)?;
        self.with_tables(|tables| {
            check_conditions(tables, &commit)?;
            let changed = change(tables, commit.writes)?;
            for (row, value) in changed {
                write(tables, row, value);
            }
            Ok(())
        })
    }

    async fn clear(&self, table: &str) -> Result<(), StateError> {
        self.with_tables(|tables| {
            tables.remove(table);
            Ok(())
        })
    }
}

fn value<'a>(tables: &'a Tables, table: &str, key: &[u8]) -> Option<&'a Bytes> {
    tables.get(table)?.get(key)
}

fn check_conditions(tables: &Tables, commit: &StateCommit) -> Result<(), StateError> {
    for condition in &commit.conditions {
        let row = &condition.row;
        if value(tables, &row.table, &row.key) != condition.value.as_ref() {
            return Err(StateError::ConditionFailed {
                table: Arc::clone(&row.table),
                key: row.key.clone(),
            });
        }
    }
    Ok(())
}

/// What rows become through `writes`, in their order; `None`: removed. Changes nothing itself.
fn change(
    tables: &Tables,
    writes: Vec<StateWrite>,
) -> Result<BTreeMap<RowKey, Option<Bytes>>, StateError> {
    let mut changed: BTreeMap<RowKey, Option<Bytes>> = BTreeMap::new();
    for write in writes {
        let (row, value) = match write {
            StateWrite::Put(row, value) => (row, Some(value)),
            StateWrite::Delete(row) => (row, None),
            StateWrite::Add(row, amount) => {
                let before = changed
                    .get(&row)
                    .map_or_else(|| value(tables, &row.table, &row.key), Option::as_ref);
                let sum = add(&row, before, amount)?;
                (row, Some(sum))
            }
        };
        changed.insert(row, value);
    }
    Ok(changed)
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

fn write(tables: &mut Tables, row: RowKey, value: Option<Bytes>) {
    if let Some(value) = value {
        tables.entry(row.table).or_default().insert(row.key, value);
        return;
    }
    if let Some(table) = tables.get_mut(&row.table) {
        table.remove(&row.key);
        if table.is_empty() {
            tables.remove(&row.table);
        }
    }
}
