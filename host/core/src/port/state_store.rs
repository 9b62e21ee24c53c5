//! The port to state that can change: view rows, checkpoints, snapshots, leases.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::DriverError;
use crate::id::Digest;
use crate::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, STATE_COMMIT_WRITES_MAX};
use crate::name::PluginName;

/// Opens state stores by what they are for.
#[async_trait]
pub trait StateStores: Send + Sync + fmt::Debug {
    /// What this driver can do.
    fn capabilities(&self) -> StateCapabilities;

    /// Opens the state store of `space`, making it when there is none. Opening it again while it is
    /// open gives the same store.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] or [`StateError::Damaged`].
    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError>;

    /// Removes the state store of `space` and all it holds; one that is not there is passed over.
    /// A store that is still open answers [`StateError::Unavailable`] from then on.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    async fn remove(&self, space: &StateSpace) -> Result<(), StateError>;

    /// All spaces that have been made and not removed, in order.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    async fn list(&self) -> Result<Vec<StateSpace>, StateError>;
}

/// What a driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCapabilities {
    /// Most rows that the conditions and writes of one commit may name together (inclusive), each
    /// counted once; at least 90.
    pub commit_rows_max: usize,
    /// Most bytes of keys and written values of one commit (inclusive); at least 3 MiB. A row that is
    /// written more than once counts each time.
    pub commit_bytes_max: usize,
    /// Whether [`StateStore::get_many`] and [`StateStore::scan`] read all rows as of one moment. If
    /// not, each row is as of some moment of the read, and a commit that happens meanwhile may be seen
    /// in part.
    pub reads_are_of_one_moment: bool,
}

impl StateCapabilities {
    /// Those of a driver that has no limits but [`limits`](crate::limits).
    pub const UNLIMITED: Self = Self {
        commit_rows_max: STATE_COMMIT_WRITES_MAX,
        commit_bytes_max: usize::MAX,
        reads_are_of_one_moment: true,
    };
}

/// What a state store is for. Each has its own writer, so none waits for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StateSpace {
    /// The host's own: snapshots, schedules, parked events, leases. Commits are durable.
    Host,
    /// Rows and checkpoint of one build of one version of a projection. A crash may lose the last
    /// commits, whole ones, newest first: the checkpoint is among them, so they are projected again.
    View {
        /// The projection.
        projection: PluginName,
        /// Content of the plugin that made the rows.
        digest: Digest,
        /// Which of the views that this content made: 0 is the one that installing it begins, a
        /// rebuild counts on. Builds of the same content have nothing in common.
        build: u32,
    },
    /// Instances, timers, outgoing commands and checkpoint of a process manager. Commits are durable.
    Process {
        /// The process manager.
        name: PluginName,
    },
}

impl fmt::Display for StateSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::View { projection, digest, build: 0 } => {
                write!(f, "view `{projection}` of {}", digest.short())
            }
            Self::View { projection, digest, build } => {
                write!(f, "view `{projection}` of {}, build {build}", digest.short())
            }
            Self::Process { name } => write!(f, "process manager `{name}`"),
        }
    }
}

/// Ordered keys and values in named tables.
///
/// - A table is there when it has a row. Table names are 1 to 64 bytes of ASCII letters, digits, `-`
///   and `$`.
/// - Keys are 0 to [`ROW_KEY_BYTES_MAX`] bytes and ordered byte by byte; values are 0 to
///   [`ROW_BYTES_MAX`] bytes.
/// - A read sees every commit that returned before it was called. It sees each commit whole or not
///   at all, if [`StateCapabilities::reads_are_of_one_moment`]; reading one row always does.
#[async_trait]
pub trait StateStore: Send + Sync + fmt::Debug {
    /// The value of a row; `None` when there is none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] or [`StateError::Damaged`].
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError>;

    /// The values of many rows, in the order of `keys`.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] or [`StateError::Damaged`].
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError>;

    /// At most `limit` rows of `table` (and at most
    /// [`SCAN_ROWS_MAX`](crate::limits::SCAN_ROWS_MAX)) with keys in `range`, in key order.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] or [`StateError::Damaged`].
    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError>;

    /// Commits all writes, in their order, or on any error none.
    ///
    /// Conditions are checked first, against what was there before the commit. Durability is that of
    /// the [`StateSpace`].
    ///
    /// # Errors
    /// - [`StateError::ConditionFailed`]: the first condition that does not hold.
    /// - [`StateError::NotACounter`]: [`StateWrite::Add`] to a value that is not a number.
    /// - [`StateError::CounterOverflow`]: a counter would leave the range of `i64`.
    /// - [`StateError::TooLarge`]: over one of the [`limits`](crate::limits) or of
    ///   [`StateCapabilities`].
    /// - [`StateError::Unavailable`]: nothing was written; trying again later may succeed.
    /// - [`StateError::OutcomeUnknown`]: all of it was written or nothing. Reading tells, and a commit
    ///   that is conditional on something it changes can be tried again: it happens once.
    /// - [`StateError::Damaged`].
    async fn commit(&self, commit: StateCommit) -> Result<(), StateError>;

    /// Removes every row of `table`.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] or [`StateError::Damaged`].
    async fn clear(&self, table: &str) -> Result<(), StateError>;
}

/// Names a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// The table.
    pub table: Arc<str>,
    /// The key.
    pub key: Bytes,
}

/// A row of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// Keys from `start` (inclusive) to `end` (exclusive; `None`: to the last). An `end` at or before
/// `start` holds no key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// First key, inclusive; empty: from the first.
    pub start: Bytes,
    /// End, exclusive.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// All keys that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        // The end is the prefix with its last byte below 0xff raised; all 0xff: no end.
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                return Self { start: Bytes::copy_from_slice(prefix), end: Some(end.into()) };
            }
        }
        Self { start: Bytes::copy_from_slice(prefix), end: None }
    }

    /// The keys of this range after `key` (exclusive).
    #[must_use]
    pub fn after(self, key: &[u8]) -> Self {
        let mut start = Vec::with_capacity(key.len() + 1);
        start.extend_from_slice(key);
        start.push(0);
        Self { start: start.into(), end: self.end }
    }
}

/// Writes that happen all together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateCommit {
    /// What must hold before.
    pub conditions: Vec<StateCondition>,
    /// What to write.
    pub writes: Vec<StateWrite>,
}

impl StateCommit {
    /// Checks the limits: every driver calls it first in `commit`.
    ///
    /// # Errors
    /// [`StateError::TooLarge`].
    pub fn check(&self, capabilities: &StateCapabilities) -> Result<(), StateError> {
        let entries_count = self.conditions.len() + self.writes.len();
        at_most("writes and conditions of a commit", entries_count, STATE_COMMIT_WRITES_MAX)?;
        if entries_count > capabilities.commit_rows_max {
            at_most("rows of a commit", self.rows().len(), capabilities.commit_rows_max)?;
        }
        at_most("bytes of a commit", self.bytes_count(), capabilities.commit_bytes_max)?;
        let conditions = self.conditions.iter().map(|condition| (&condition.row, None));
        let writes = self.writes.iter().map(|write| match write {
            StateWrite::Put(row, value) => (row, Some(value)),
            StateWrite::Delete(row) | StateWrite::Add(row, _) => (row, None),
        });
        for (row, value) in conditions.chain(writes) {
            at_most("bytes of a row's key", row.key.len(), ROW_KEY_BYTES_MAX)?;
            at_most("bytes of a row", value.map_or(0, Bytes::len), ROW_BYTES_MAX)?;
        }
        Ok(())
    }

    /// The rows that conditions and writes name, each once.
    #[must_use]
    pub fn rows(&self) -> HashSet<&RowKey> {
        let conditions = self.conditions.iter().map(|condition| &condition.row);
        conditions.chain(self.writes.iter().map(StateWrite::row)).collect()
    }

    /// Bytes of the keys and values of all writes.
    #[must_use]
    pub fn bytes_count(&self) -> usize {
        let bytes = self.writes.iter().map(|write| match write {
            StateWrite::Put(row, value) => row.key.len() + value.len(),
            StateWrite::Delete(row) | StateWrite::Add(row, _) => row.key.len(),
        });
        bytes.sum()
    }
}

fn at_most(what: &'static str, size: usize, max: usize) -> Result<(), StateError> {
    if size > max { Err(StateError::TooLarge { what, size, max }) } else { Ok(()) }
}

/// What must be true of a row before a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCondition {
    /// The row.
    pub row: RowKey,
    /// Its value; `None`: the row is not there.
    pub value: Option<Bytes>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateWrite {
    /// Sets a row.
    Put(RowKey, Bytes),
    /// Removes a row; one that is not there is passed over.
    Delete(RowKey),
    /// Adds to a counter: a row whose value is a decimal `i64` as text; absent counts as 0.
    Add(RowKey, i64),
}

impl StateWrite {
    /// The row it changes.
    #[must_use]
    pub const fn row(&self) -> &RowKey {
        match self {
            Self::Put(row, _) | Self::Delete(row) | Self::Add(row, _) => row,
        }
    }
}

/// Why state could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A condition does not hold; nothing was written.
    #[error("a row of table `{table}` is not as expected")]
    ConditionFailed {
        /// The table of the row.
        table: Arc<str>,
        /// The key of the row.
        key: Bytes,
    },
    /// A counter was expected.
    #[error("a row of table `{table}` is not a counter")]
    NotACounter {
        /// The table of the row.
        table: Arc<str>,
    },
    /// A counter would leave the range of `i64`.
    #[error("a counter of table `{table}` would leave the range of 64 bits")]
    CounterOverflow {
        /// The table of the row.
        table: Arc<str>,
    },
    /// Over a limit.
    #[error("{size} {what}, at most {max} are allowed")]
    TooLarge {
        /// What, e.g. `bytes of a row`.
        what: &'static str,
        /// How much it is.
        size: usize,
        /// How much it may be (inclusive).
        max: usize,
    },
    /// Nothing was written; trying again later may succeed.
    #[error("the state store is not available")]
    Unavailable(#[source] DriverError),
    /// The commit may be there or not.
    #[error("the state store did not say whether the commit is there")]
    OutcomeUnknown(#[source] DriverError),
    /// What is stored cannot be read; an operator must look.
    #[error("the state store is damaged")]
    Damaged(#[source] DriverError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_the_next_key_of_its_length() {
        // Guards prefix lists: the edges 0xff and empty have no next key.
        let cases: [(&[u8], Option<&[u8]>); 4] =
            [(b"ab", Some(b"ac")), (b"a\xff", Some(b"b")), (b"\xff\xff", None), (b"", None)];
        for (prefix, end) in cases {
            let end = end.map(Bytes::copy_from_slice);
            assert_eq!(
                KeyRange::prefix(prefix),
                KeyRange { start: Bytes::copy_from_slice(prefix), end }
            );
        }
        assert_eq!(KeyRange::default().after(b"a").start, Bytes::from_static(b"a\0"));
    }
}
