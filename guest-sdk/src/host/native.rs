//! The host as native tests see it: a log and one view per thread, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use crate::bindings::annals::plugin::log::Level;
use crate::bindings::annals::plugin::view::RowKey;
use crate::bindings::exports::annals::plugin::projection::Write;

/// Rows of a call to `scan`, few enough that tests reach a second call.
const SCAN_ROWS_MAX: usize = 100;

pub(crate) type Rows = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static ROWS: RefCell<Rows> = const { RefCell::new(BTreeMap::new()) };
    static ASKED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    LINES.with_borrow_mut(|lines| lines.push(format!("{level}: {message}")));
}

/// The lines since the last call of this function, on this thread.
pub(crate) fn take_lines() -> Vec<String> {
    LINES.take()
}

/// Of how many rows each call of `get_many` was since the last call of this function, on this thread.
#[cfg(test)]
pub(crate) fn take_asked() -> Vec<usize> {
    ASKED.take()
}

pub(crate) fn get_many(keys: &[RowKey]) -> Vec<Option<Vec<u8>>> {
    ASKED.with_borrow_mut(|asked| asked.push(keys.len()));
    ROWS.with_borrow(|rows| {
        keys.iter().map(|row| rows.get(&(row.table, row.key.clone())).cloned()).collect()
    })
}

pub(crate) fn scan(table: u32, start: &[u8], end: &[u8], limit: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_before_end = |key: &[u8]| end.is_empty() || key < end;
    let rows_max = usize::try_from(limit).unwrap_or(usize::MAX).min(SCAN_ROWS_MAX);
    let from = Bound::Included((table, start.to_vec()));
    ROWS.with_borrow(|rows| {
        rows.range((from, Bound::Unbounded))
            .take_while(|((other, key), _)| *other == table && is_before_end(key))
            .take(rows_max)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    })
}

/// Exchanges the view of this thread.
pub(crate) fn replace_rows(rows: Rows) -> Rows {
    ROWS.replace(rows)
}

/// Does what the host does with an answer of `project`.
pub(crate) fn commit(writes: Vec<Write>) {
    ROWS.with_borrow_mut(|rows| {
        for write in writes {
            match write {
                Write::Put((row, value)) => {
                    rows.insert((row.table, row.key), value);
                }
                Write::Delete(row) => {
                    rows.remove(&(row.table, row.key));
                }
                Write::Add((row, amount)) => {
                    let value = rows.entry((row.table, row.key)).or_insert_with(|| b"0".to_vec());
                    let sum = crate::view::counter(value)
                        .and_then(|count| count.checked_add(amount))
                        .unwrap_or_else(|| crate::trap_because("counter is out of range"));
                    *value = sum.to_string().into_bytes();
                }
            }
        }
    });
}
