//! What a comparison of two views says, and where it is kept: beside the rows of the newer one, so
//! that every host can show it, and that it goes with them.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::port::StateStore;
use annals_core::port::state_store::{RowKey, StateCommit, StateError, StateWrite};
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most examples of each sort of difference.
pub const EXAMPLES_MAX: usize = 10;

/// Longest value of an example, in bytes; a longer one is cut. With it, and with keys that are cut as
/// well, a report of 30 rows fits a row, even if each byte becomes an escape of six.
pub const EXAMPLE_BYTES_MAX: usize = 512;

/// Longest key of an example, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// Where the report is. Not a table name a plugin can have.
const TABLE: &str = "$rebuild";
const KEY: &[u8] = b"comparison";

/// How two views of one projection compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// When it was.
    pub compared_at: Timestamp,
    /// How many rows the view that serves had.
    pub old_rows_count: u64,
    /// How many rows the view that was built had.
    pub new_rows_count: u64,
    /// How many streams of the view that serves wait behind an event that could not be handled.
    #[serde(default)]
    pub old_parked_count: usize,
    /// The same of the view that was built.
    #[serde(default)]
    pub new_parked_count: usize,
    /// Rows that only the view that serves has.
    pub only_old: Differing,
    /// Rows that only the view that was built has.
    pub only_new: Differing,
    /// Rows that both have, with other values.
    pub different: Differing,
    /// Whether all that differs was looked at while both views had handled the same events. If not,
    /// rows that changed meanwhile may be counted.
    pub is_exact: bool,
}

/// Rows that differ in one way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Differing {
    /// How many.
    pub count: u64,
    /// The first of them, at most [`EXAMPLES_MAX`].
    pub examples: Vec<DifferentRow>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DifferentRow {
    /// Its table.
    pub table: Arc<str>,
    /// Its key, as text; bytes that are none are replaced.
    pub key: String,
    /// What the view that serves has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What the view that was built has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// The numbers of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DifferenceCounts {
    /// Rows that only the view that served had.
    pub only_old_count: u64,
    /// Rows that only the view that was built had.
    pub only_new_count: u64,
    /// Rows that both had, with other values.
    pub different_count: u64,
}

impl DifferenceCounts {
    /// Whether there is no difference.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.total() == 0
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.only_old_count.saturating_add(self.only_new_count).saturating_add(self.different_count)
    }
}

impl Comparison {
    /// Its numbers.
    #[must_use]
    pub const fn counts(&self) -> DifferenceCounts {
        DifferenceCounts {
            only_old_count: self.only_old.count,
            only_new_count: self.only_new.count,
            different_count: self.different.count,
        }
    }
}

impl DifferentRow {
    /// A row as an example of a difference.
    pub(super) fn new(row: &RowKey, old: Option<&Bytes>, new: Option<&Bytes>) -> Self {
        Self {
            table: Arc::clone(&row.table),
            key: cut(&row.key, KEY_BYTES_MAX),
            old: old.map(|value| shown(value)),
            new: new.map(|value| shown(value)),
        }
    }
}

/// A value for people: JSON as it is, anything else and what is long as the beginning of its text.
fn shown(value: &[u8]) -> Value {
    if value.len() <= EXAMPLE_BYTES_MAX
        && let Ok(value) = serde_json::from_slice(value)
    {
        return value;
    }
    Value::String(cut(value, EXAMPLE_BYTES_MAX))
}

/// The beginning of a text, and a sign when there is more.
fn cut(bytes: &[u8], bytes_max: usize) -> String {
    match bytes.get(..bytes_max) {
        Some(beginning) if bytes.len() > bytes_max => {
            format!("{}…", String::from_utf8_lossy(beginning))
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn row() -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from_static(KEY) }
}

/// Keeps a report beside the rows it is about.
pub(super) async fn keep(state: &dyn StateStore, report: &Comparison) -> Result<(), StateError> {
    let value = serde_json::to_vec(report)
        .map_err(|error| StateError::Unavailable(DriverError::with_source("no JSON", error)))?;
    let writes = vec![StateWrite::Put(row(), value.into())];
    state.commit(StateCommit { conditions: Vec::new(), writes }).await
}

/// The report that is kept, if there is one.
pub(crate) async fn read(state: &dyn StateStore) -> Result<Option<Comparison>, StateError> {
    let Some(value) = state.get(TABLE, KEY).await? else { return Ok(None) };
    let parsed = serde_json::from_slice(&value);
    parsed.map(Some).map_err(|error| {
        StateError::Damaged(DriverError::with_source("how two views compare", error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_shows_the_beginning_of_what_is_long() {
        // Guards the size of a report: a value of the limit is shown whole, a longer one is cut, and
        // what is no JSON is text.
        let longest = format!("\"{}\"", "x".repeat(EXAMPLE_BYTES_MAX - 2));
        assert_eq!(shown(longest.as_bytes()), Value::String("x".repeat(EXAMPLE_BYTES_MAX - 2)));
        let longer = format!("\"{}\"", "x".repeat(EXAMPLE_BYTES_MAX - 1));
        let beginning = format!("\"{}…", "x".repeat(EXAMPLE_BYTES_MAX - 1));
        assert_eq!(shown(longer.as_bytes()), Value::String(beginning));
        assert_eq!(shown(b"{\"a\":1}"), serde_json::json!({"a": 1}));
        assert_eq!(shown(b"a\xff"), Value::String("a\u{fffd}".to_owned()));
    }
}
