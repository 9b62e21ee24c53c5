//! A note in the store that an import has begun and not ended. A daemon does not serve such a store:
//! what it would accept or show is not what was exported.

use std::sync::Arc;

use annals_core::port::StateStores;
use annals_core::port::state_store::{
    RowKey, StateCommit, StateError, StateSpace, StateStore, StateWrite,
};
use bytes::Bytes;

/// Table of the note, among the host's own.
const TABLE: &str = "import";

/// Key of the note.
const KEY: &[u8] = b"unfinished";

/// The note of one store.
#[derive(Debug)]
pub(crate) struct Mark {
    rows: Arc<dyn StateStore>,
}

impl Mark {
    /// The note of the store that `states` belong to.
    ///
    /// # Errors
    /// As [`StateStores::open`].
    pub(crate) async fn open(states: &dyn StateStores) -> Result<Self, StateError> {
        Ok(Self { rows: states.open(&StateSpace::Host).await? })
    }

    /// The export that is imported: the id of the store it was made of, as it says.
    pub(crate) async fn source(&self) -> Result<Option<String>, StateError> {
        let value = self.rows.get(TABLE, KEY).await?;
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// Notes, durably, that an import has begun.
    pub(crate) async fn begin(&self, source: &str) -> Result<(), StateError> {
        self.write(StateWrite::Put(key(), Bytes::copy_from_slice(source.as_bytes()))).await
    }

    /// Notes that it has ended.
    pub(crate) async fn end(&self) -> Result<(), StateError> {
        self.write(StateWrite::Delete(key())).await
    }

    async fn write(&self, write: StateWrite) -> Result<(), StateError> {
        // An unknown outcome ends the import like any failure: run again, it writes the same once more.
        self.rows.commit(StateCommit { conditions: Vec::new(), writes: vec![write] }).await
    }
}

fn key() -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from_static(KEY) }
}
