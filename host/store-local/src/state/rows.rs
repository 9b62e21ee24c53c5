//! The statements on rows. Values are kept as text when they are text, so that people can use
//! SQLite's JSON functions on them, and come back byte for byte either way.

use std::sync::Arc;

use annals_core::limits::SCAN_ROWS_MAX;
use annals_core::port::state_store::{KeyRange, Row, RowKey, StateCommit, StateError, StateWrite};
use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, ToSql, params};

const GET: &str = "SELECT value FROM state_rows WHERE tbl = ?1 AND key = ?2";
const PUT: &str = "REPLACE INTO state_rows (tbl, key, value) VALUES (?1, ?2, ?3)";
const DELETE: &str = "DELETE FROM state_rows WHERE tbl = ?1 AND key = ?2";
const CLEAR: &str = "DELETE FROM state_rows WHERE tbl = ?1";
const SCAN: &str = "SELECT key, value FROM state_rows WHERE tbl = ?1 AND key >= ?2
    ORDER BY key LIMIT ?3";
const SCAN_TO: &str = "SELECT key, value FROM state_rows WHERE tbl = ?1 AND key >= ?2 AND key < ?4
    ORDER BY key LIMIT ?3";

/// Why a commit was not made.
#[derive(Debug)]
pub(super) enum Refused {
    /// The caller asked for something that does not hold.
    State(StateError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Bytes as SQLite keeps them.
struct Value<'a>(&'a [u8]);

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match std::str::from_utf8(self.0) {
            Ok(_) => ValueRef::Text(self.0),
            Err(_) => ValueRef::Blob(self.0),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

fn bytes(value: ValueRef<'_>) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(value.as_bytes_or_null()?.unwrap_or_default()))
}

pub(super) fn get(
    connection: &Connection,
    table: &str,
    key: &[u8],
) -> rusqlite::Result<Option<Bytes>> {
    get_with(&mut connection.prepare_cached(GET)?, table, key)
}

fn get_with(
    statement: &mut CachedStatement<'_>,
    table: &str,
    key: &[u8],
) -> rusqlite::Result<Option<Bytes>> {
    statement.query_row(params![table, key], |row| bytes(row.get_ref(0)?)).optional()
}

/// The values of many rows, all as of one moment.
pub(super) fn get_many(
    connection: &Connection,
    keys: &[RowKey],
) -> rusqlite::Result<Vec<Option<Bytes>>> {
    let transaction = connection.unchecked_transaction()?;
    let mut statement = connection.prepare_cached(GET)?;
    let mut values = Vec::with_capacity(keys.len());
    for row in keys {
        values.push(get_with(&mut statement, &row.table, &row.key)?);
    }
    drop(statement);
    transaction.finish()?;
    Ok(values)
}

pub(super) fn scan(
    connection: &Connection,
    table: &str,
    range: &KeyRange,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let limit = i64::try_from(limit.min(SCAN_ROWS_MAX)).unwrap_or(i64::MAX);
    let start = &*range.start;
    let mut found = Vec::new();
    let mut collect = |mut rows: rusqlite::Rows<'_>| -> rusqlite::Result<()> {
        while let Some(row) = rows.next()? {
            found.push(Row { key: bytes(row.get_ref(0)?)?, value: bytes(row.get_ref(1)?)? });
        }
        Ok(())
    };
    match &range.end {
        None => {
            let mut statement = connection.prepare_cached(SCAN)?;
            collect(statement.query(params![table, start, limit])?)?;
        }
        Some(end) => {
            let mut statement = connection.prepare_cached(SCAN_TO)?;
            collect(statement.query(params![table, start, limit, &**end])?)?;
        }
    }
    Ok(found)
}

/// Checks the conditions, then does the writes: those of a row in their order, and the rows in the order
/// of their keys, so that rows side by side in the file are written one after the other.
pub(super) fn apply(connection: &Connection, commit: &StateCommit) -> Result<(), Refused> {
    let mut get = connection.prepare_cached(GET)?;
    for condition in &commit.conditions {
        let row = &condition.row;
        if get_with(&mut get, &row.table, &row.key)? != condition.value {
            return Err(Refused::State(StateError::ConditionFailed {
                table: Arc::clone(&row.table),
                key: row.key.clone(),
            }));
        }
    }
    let mut put = connection.prepare_cached(PUT)?;
    let mut delete = connection.prepare_cached(DELETE)?;
    let mut writes: Vec<&StateWrite> = commit.writes.iter().collect();
    writes.sort_by(|one, other| row_of(one).cmp(&row_of(other)));
    for write in writes {
        match write {
            StateWrite::Put(row, value) => {
                put.execute(params![&*row.table, &*row.key, Value(value)])?;
            }
            StateWrite::Delete(row) => {
                delete.execute(params![&*row.table, &*row.key])?;
            }
            StateWrite::Add(row, amount) => {
                let before = get_with(&mut get, &row.table, &row.key)?;
                let sum = add(row, before.as_deref(), *amount).map_err(Refused::State)?;
                put.execute(params![&*row.table, &*row.key, Value(sum.as_bytes())])?;
            }
        }
    }
    Ok(())
}

/// The table and key of a write.
fn row_of(write: &StateWrite) -> (&str, &[u8]) {
    let (StateWrite::Put(row, _) | StateWrite::Delete(row) | StateWrite::Add(row, _)) = write;
    (&row.table, &row.key)
}

fn add(row: &RowKey, before: Option<&[u8]>, amount: i64) -> Result<String, StateError> {
    let number = match before {
        None => Some(0),
        Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
    };
    let number: i64 =
        number.ok_or_else(|| StateError::NotACounter { table: Arc::clone(&row.table) })?;
    number
        .checked_add(amount)
        .map(|sum| sum.to_string())
        .ok_or_else(|| StateError::CounterOverflow { table: Arc::clone(&row.table) })
}

pub(super) fn clear(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(CLEAR)?.execute([table]).map(drop)
}

/// The tables that have an SQL view of their own.
pub(super) fn sql_views(connection: &Connection) -> rusqlite::Result<Vec<Arc<str>>> {
    connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'view'")?
        .query_map([], |row| row.get::<_, Arc<str>>(0))?
        .collect()
}

/// Makes an SQL view with the rows of a table, so that people can ask `SELECT … FROM "balances"`.
///
/// Names with a capital letter get none: SQLite does not tell them from small ones.
pub(super) fn create_sql_view(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    let is_quotable = !table.is_empty()
        && table
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'$');
    if !is_quotable {
        return Ok(());
    }
    connection.execute_batch(&format!(
        "CREATE VIEW IF NOT EXISTS \"{table}\" AS
         SELECT CAST(key AS TEXT) AS key, value FROM state_rows WHERE tbl = '{table}'"
    ))
}
