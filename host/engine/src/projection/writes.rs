//! Checks of what a projection wants written, before anything is.

use std::sync::Arc;

use annals_core::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX};
use annals_core::name::TableName;
use annals_core::plugin::{GuestRowKey, GuestWrite};
use annals_core::port::guest::GuestFailure;
use annals_core::port::state_store::{RowKey, StateWrite};
use bytes::Bytes;

/// The tables of a projection by index, shared so that a row key costs no copy.
#[derive(Debug, Clone)]
pub(crate) struct Tables(Arc<[Arc<str>]>);

impl Tables {
    pub(crate) fn new(tables: &[TableName]) -> Self {
        Self(tables.iter().map(|table| Arc::from(table.as_str())).collect())
    }

    /// The name of the table with this index, which comes from a guest.
    pub(crate) fn name(&self, index: u32) -> Option<&Arc<str>> {
        self.0.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Checks and translates the writes of one batch.
pub(crate) fn check(
    plugin: &str,
    tables: &Tables,
    writes: Vec<GuestWrite>,
    writes_max: usize,
) -> Result<Vec<StateWrite>, GuestFailure> {
    if writes.len() > writes_max {
        let limit = format!(
            "{} writes for one batch, at most {writes_max} are allowed (batch_writes_max)",
            writes.len()
        );
        return Err(GuestFailure::Limit { plugin: plugin.to_owned(), call: "project", limit });
    }
    let row = |key: GuestRowKey| row_key(plugin, tables, key);
    let translate = |write| match write {
        GuestWrite::Put(key, value) if value.len() > ROW_BYTES_MAX => {
            let bytes = value.len();
            let table = key.table;
            let limit = format!(
                "a row of {bytes} bytes in table {table}, at most {ROW_BYTES_MAX} are allowed"
            );
            Err(GuestFailure::Limit { plugin: plugin.to_owned(), call: "project", limit })
        }
        GuestWrite::Put(key, value) => Ok(StateWrite::Put(row(key)?, Bytes::from(value))),
        GuestWrite::Delete(key) => Ok(StateWrite::Delete(row(key)?)),
        GuestWrite::Add(key, amount) => Ok(StateWrite::Add(row(key)?, amount)),
    };
    writes.into_iter().map(translate).collect()
}

fn row_key(plugin: &str, tables: &Tables, key: GuestRowKey) -> Result<RowKey, GuestFailure> {
    let GuestRowKey { table, key } = key;
    let Some(name) = tables.name(table) else {
        let cause =
            format!("a write names table {table}, but {} tables are described", tables.count());
        return Err(GuestFailure::Contract { plugin: plugin.to_owned(), call: "project", cause });
    };
    if key.len() > ROW_KEY_BYTES_MAX {
        let bytes = key.len();
        let limit = format!(
            "a row key of {bytes} bytes in table `{name}`, at most {ROW_KEY_BYTES_MAX} are allowed"
        );
        return Err(GuestFailure::Limit { plugin: plugin.to_owned(), call: "project", limit });
    }
    Ok(RowKey { table: Arc::clone(name), key: Bytes::from(key) })
}
