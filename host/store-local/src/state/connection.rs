//! Opening a state file: made whole or not at all, and never that of another store.

use std::path::Path;
use std::time::Duration;

use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::port::state_store::StateError;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::files::{create_folder, remove, sync_folder, unavailable};
use crate::files::with_suffix;

/// The version of the tables in a state file.
const FORMAT_VERSION: &str = "1";

/// How long a commit waits for somebody who looks into the file with a tool of their own.
const BUSY_MS: u64 = 5_000;

/// Bytes of SQLite's own page cache per connection, in KiB; the system's page cache holds the rest.
const CACHE_KIB: i64 = 4 << 10;

/// How many pages of 4 KiB SQLite's own log has before they are copied into the file, for files whose commits
/// may be lost in a crash. A view that catches up writes the same pages again and again, and only the last
/// of each is copied: with 16 MiB, a fourth as often as usual.
const LOG_PAGES_SOON: i64 = 4_000;

/// How many prepared statements a connection keeps; there are fewer.
const STATEMENTS_KEPT: usize = 32;

/// `value` has no type, so SQLite keeps text as text and bytes as bytes. The names have a `_`, which
/// tables of plugins cannot have.
const TABLES: &str = "
    CREATE TABLE state_rows (
        tbl TEXT NOT NULL, key BLOB NOT NULL, value NOT NULL, PRIMARY KEY (tbl, key)
    ) WITHOUT ROWID;
    CREATE TABLE state_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// When commits survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// When they return.
    Now,
    /// Soon after; a crash loses the last ones, newest first.
    Soon,
}

/// Opens the connection that writes, making the file when there is none.
pub(super) fn open_writer(
    path: &Path,
    store: StoreId,
    durability: Durability,
) -> Result<Connection, StateError> {
    let is_there = path.try_exists().map_err(|error| unavailable("look for", path, error))?;
    if !is_there {
        create(path, store)?;
    }
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let synchronous = match durability {
        Durability::Now => "FULL",
        Durability::Soon => "NORMAL",
    };
    let check = || -> rusqlite::Result<_> {
        connection.pragma_update(None, "synchronous", synchronous)?;
        if durability == Durability::Soon {
            connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_SOON)?;
        }
        let meta = "SELECT value FROM state_meta WHERE name = ?1";
        let value = |name: &str| {
            connection.query_row(meta, [name], |row| row.get::<_, String>(0)).optional()
        };
        Ok((value("format")?, value("store")?))
    };
    let (format, found) = check().map_err(|error| failed("check", path, error))?;
    if format.as_deref() != Some(FORMAT_VERSION) {
        return Err(damaged(&format!(
            "`{}` has format version {}, which this Annals does not know",
            path.display(),
            format.as_deref().unwrap_or("none"),
        )));
    }
    let found = found.unwrap_or_default();
    if found != store.to_string() {
        return Err(damaged(&format!(
            "`{}` belongs to store `{found}`, but the log here is store `{store}`: was a backup \
             restored over another store? move the file away to have it made again",
            path.display(),
        )));
    }
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StateError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, StateError> {
    let open = || -> rusqlite::Result<Connection> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(connection)
    };
    open().map_err(|error| failed("open", path, error))
}

/// Makes the file under another name and gives it its name when it is whole.
fn create(path: &Path, store: StoreId) -> Result<(), StateError> {
    let unfinished = with_suffix(path, ".new");
    let Some(folder) = path.parent() else {
        return Err(damaged("a state file needs a folder"));
    };
    create_folder(folder)?;
    remove(&unfinished)?;
    // What SQLite kept beside an earlier file of that name does not belong to the new one.
    remove(path)?;
    let create = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(&unfinished)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        let insert = "INSERT INTO state_meta (name, value) VALUES (?1, ?2)";
        transaction.execute(insert, ["format", FORMAT_VERSION])?;
        transaction.execute(insert, ["store", &store.to_string()])?;
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)
    };
    create().map_err(|error| failed("create", path, error))?;
    std::fs::rename(&unfinished, path).map_err(|error| unavailable("create", path, error))?;
    sync_folder(folder)
}

fn damaged(message: &str) -> StateError {
    StateError::Damaged(DriverError::new(message))
}

/// What a failure of SQLite means to the caller.
pub(super) fn failed(action: &str, path: &Path, error: rusqlite::Error) -> StateError {
    let message = format!("failed to {action} `{}`", path.display());
    let is_damage = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || is_missing_table(&error);
    let error = DriverError::with_source(&message, error);
    if is_damage { StateError::Damaged(error) } else { StateError::Unavailable(error) }
}

/// A file without our tables was never made by us, or lost them.
fn is_missing_table(error: &rusqlite::Error) -> bool {
    error.to_string().contains("no such table")
}
