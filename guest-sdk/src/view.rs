//! Rows: what a projection reads and writes.
//!
//! The host shows the rows as they were when the call began. What the call itself wrote is laid
//! over them here, so that an event sees what the events before it did.

mod rows;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::annals::plugin::view::RowKey;
use crate::bindings::exports::annals::plugin::projection::Write;
use crate::{KeyRange, Table, host, trap, trap_because};
use rows::{Rows, Stored, Written};

/// The rows of a projection, to read.
///
/// Its functions panic, which the host reports as a failure of the plugin, when a table is not in
/// [`Projection::TABLES`](crate::Projection::TABLES) or a row does not decode as the table's type:
/// both are mistakes in the plugin's code that no caller can make up for.
#[derive(Debug)]
pub struct View {
    tables: &'static [&'static str],
    /// What this call wrote and read ahead.
    rows: Rows,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<V> {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: V,
}

impl<V> Row<V> {
    /// The key as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

impl View {
    pub(crate) fn new(tables: &'static [&'static str]) -> Self {
        Self { tables, rows: Rows::default() }
    }

    /// The row with a key.
    ///
    /// # Panics
    ///
    /// When the table is not declared or the row is not a `V`, as all functions of a view.
    #[must_use]
    pub fn get<V: DeserializeOwned>(&self, table: Table<V>, key: impl AsRef<[u8]>) -> Option<V> {
        let (index, key) = (self.index(table), key.as_ref());
        match self.rows.find(index, key).and_then(rows::Known::value) {
            Some(value) => value.map(|value| decode(table, &value)),
            None => self.get_many(table, [key]).into_iter().next().flatten(),
        }
    }

    /// The rows with these keys, in the order of the keys. Asks the host once, where several
    /// [`get`](Self::get) would ask several times.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    #[must_use]
    pub fn get_many<V: DeserializeOwned>(
        &self,
        table: Table<V>,
        keys: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Vec<Option<V>> {
        let index = self.index(table);
        // `None`: the next of those that the host is asked for.
        let mut known: Vec<Option<Option<V>>> = Vec::new();
        let mut asked: Vec<RowKey> = Vec::new();
        for key in keys {
            let key = key.as_ref();
            let value = self.rows.find(index, key).and_then(rows::Known::value);
            if value.is_none() {
                asked.push(RowKey { table: index, key: key.to_vec() });
            }
            known.push(value.map(|value| value.map(|value| decode(table, &value))));
        }
        let mut answers = asked.iter().zip(stored(&asked));
        let mut next = || -> Option<V> {
            let (row, stored) = answers.next()?;
            let written = self.rows.find(index, &row.key).and_then(|row| row.written.as_ref());
            match written {
                Some(written) => written.over(stored.as_deref()).map(|it| decode(table, &it)),
                None => stored.map(|stored| decode(table, &stored)),
            }
        };
        known.into_iter().map(|known| known.unwrap_or_else(&mut next)).collect()
    }

    /// Rows whose keys are in a range, in key order, at most `limit` of them.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    #[must_use]
    pub fn scan<V: DeserializeOwned>(
        &self,
        table: Table<V>,
        range: &KeyRange,
        limit: u32,
    ) -> Vec<Row<V>> {
        if range.is_empty() {
            return Vec::new();
        }
        let index = self.index(table);
        let written = self.rows.written_in(index, range);
        // A row deleted by this call takes the place of one that is wanted. With as many rows
        // more, whatever lies behind the last stored row is behind `limit` rows that stay.
        let deleted = written.iter().filter(|(_, written)| matches!(written, Written::Deleted));
        let deleted = u32::try_from(deleted.count()).unwrap_or(u32::MAX);
        let mut rows = stored_rows(index, range, limit.saturating_add(deleted));
        for (key, written) in written {
            match written.over(rows.get(&key).map(Vec::as_slice)).map(Cow::into_owned) {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        rows.into_iter()
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(key, value)| Row { key, value: decode(table, &value) })
            .collect()
    }

    fn index<V>(&self, table: Table<V>) -> u32 {
        // Most often it is the same constant: then there is nothing to compare.
        let is_it = |name: &&str| std::ptr::eq(*name, table.name()) || *name == table.name();
        let index = self.tables.iter().position(is_it);
        match index.and_then(|index| u32::try_from(index).ok()) {
            Some(index) => index,
            None => trap_because(&format!("table `{}` is not in `TABLES`", table.name())),
        }
    }
}

/// The rows of a projection, to read and to write. What was written is visible at once to this and
/// the following events; the host commits it together with the checkpoint.
///
/// Reading is [`View`]'s.
#[derive(Debug)]
pub struct Writes {
    view: View,
}

impl Deref for Writes {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl Writes {
    pub(crate) fn new(tables: &'static [&'static str]) -> Self {
        Self { view: View::new(tables) }
    }

    /// Creates or replaces a row.
    ///
    /// # Panics
    ///
    /// When the row cannot be written as JSON.
    pub fn put<V: Serialize>(&mut self, table: Table<V>, key: impl AsRef<[u8]>, row: &V) {
        let value = serde_json::to_vec(row).unwrap_or_else(|error| trap("row", &error));
        self.write(table, key, Written::Put(value));
    }

    /// Removes a row; one that is absent is fine.
    pub fn delete<V>(&mut self, table: Table<V>, key: impl AsRef<[u8]>) {
        self.write(table, key, Written::Deleted);
    }

    /// Adds to a counter, which is a row of one integer; absent counts as 0. Needs no read.
    ///
    /// # Panics
    ///
    /// When the sum does not fit 64 bits.
    pub fn add(&mut self, table: Table<i64>, key: impl AsRef<[u8]>, amount: i64) {
        let index = self.view.index(table);
        let written = &mut self.view.rows.entry(index, key.as_ref()).written;
        let next = match written.take() {
            None => Written::Added(amount),
            Some(Written::Deleted) => Written::Put(sum(b"0", amount)),
            Some(Written::Put(value)) => Written::Put(sum(&value, amount)),
            Some(Written::Added(before)) => match before.checked_add(amount) {
                Some(total) => Written::Added(total),
                None => trap_because("counter is out of range"),
            },
        };
        *written = Some(next);
    }

    fn write<V>(&mut self, table: Table<V>, key: impl AsRef<[u8]>, written: Written) {
        let index = self.view.index(table);
        self.view.rows.entry(index, key.as_ref()).written = Some(written);
    }

    /// Asks the host once for all rows that `name` names.
    pub(crate) fn read_ahead(&mut self, name: impl FnOnce(&mut Reads<'_>)) {
        let before = self.view.rows.count();
        name(&mut Reads { view: &mut self.view });
        for rows in self.view.rows.named_after(before).chunks_mut(READ_AHEAD_ROWS) {
            let keys: Vec<RowKey> = rows.iter().map(rows::Known::row_key).collect();
            for (row, value) in rows.iter_mut().zip(stored(&keys)) {
                row.stored = value.map_or(Stored::Absent, Stored::Value);
            }
        }
    }

    /// The writes for the host, one per row.
    pub(crate) fn finish(self) -> Vec<Write> {
        self.view.rows.into_writes()
    }
}

/// The rows that [`Projection::project`](crate::Projection::project) will read, named ahead of it in
/// [`Projection::reads`](crate::Projection::reads).
#[derive(Debug)]
pub struct Reads<'a> {
    view: &'a mut View,
}

impl Reads<'_> {
    /// Names a row, which need not be there. Naming one again is fine.
    ///
    /// # Panics
    ///
    /// When the table is not declared.
    pub fn row<V>(&mut self, table: Table<V>, key: impl AsRef<[u8]>) {
        let index = self.view.index(table);
        self.view.rows.entry(index, key.as_ref());
    }
}

/// How many rows are read ahead in one call, so that rows of some KiB fit what the host answers.
const READ_AHEAD_ROWS: usize = 1_000;

/// Rows as the host has them, in the order of the keys.
fn stored(keys: &[RowKey]) -> Vec<Option<Vec<u8>>> {
    if keys.is_empty() {
        return Vec::new();
    }
    let stored = host::get_many(keys);
    if stored.len() != keys.len() {
        trap_because("the host answered another number of rows than was asked for");
    }
    stored
}

/// The integer that a counter row is.
pub(crate) fn counter(value: &[u8]) -> Option<i64> {
    serde_json::from_slice(value).ok()
}

fn sum(value: &[u8], amount: i64) -> Vec<u8> {
    let sum = counter(value).and_then(|count| count.checked_add(amount));
    match sum {
        Some(sum) => sum.to_string().into_bytes(),
        None => trap_because("counter is not an integer or is out of range"),
    }
}

fn decode<V: DeserializeOwned>(table: Table<V>, value: &[u8]) -> V {
    serde_json::from_slice(value)
        .unwrap_or_else(|error| trap(&format!("row of table `{}`", table.name()), &error))
}

/// The first `limit` rows of a range as the host has them. The host may give fewer per call than
/// it is asked for; only an empty answer is the end.
fn stored_rows(table: u32, range: &KeyRange, limit: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let end = range.end.as_deref().unwrap_or_default();
    let mut start = range.start.clone();
    let mut remaining = limit;
    let mut rows = BTreeMap::new();
    while remaining > 0 {
        let page = host::scan(table, &start, end, remaining);
        let Some((last_key, _)) = page.last() else {
            break;
        };
        // The key after the last one: no key lies between a key and itself with a zero byte.
        start = last_key.clone();
        start.push(0);
        remaining = remaining.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        rows.extend(page);
    }
    rows
}

#[cfg(test)]
mod tests;
