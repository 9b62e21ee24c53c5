//! State on DynamoDB: rows of any number of spaces in one table.
//!
//! ```text
//! pk                              sk            attributes
//! spaces#<ns>                     <space>       g: its generation               a space that is there
//! tables#<ns>#<generation>        <table>                                       has, or had, rows
//! removed#<ns>                    <generation>  s: the space                    its rows still go
//! r#<ns>#<generation>#<table>     k<key>        v: the value, c: a commit       a row
//! ```
//! `pk` is text, `sk` binary, `<generation>` 32 hexadecimal digits that are drawn when a space is
//! made: one that is removed and made again never sees the rows it had. `<space>` is `host`,
//! `view/<projection>/<digest>` or `process/<name>`. A row's `sk` begins with the byte `k`, since
//! DynamoDB has no empty keys. A row takes its key and value and about 100 bytes, and 17 more when it
//! has `c`, the id of the commit that wrote it: only where a commit of one row has a condition.
//!
//! # Commits
//! A commit of one row is one conditional request, which costs half of a transaction; of many rows one
//! `TransactWriteItems` with a token, which the service carries out once, however often it is sent.
//! See `single.rs` for what is done when an answer is lost. A counter is read, added to, and written
//! if it is still what was read.
//!
//! # Removal
//! A space is unregistered first, then its rows are deleted, table by table; what an interruption
//! leaves is deleted with the next removal of any space. Handles of this process know at once, those
//! of others within [`SPACE_LOOK_WAIT`]: until then they find no rows, and a row they write in that
//! moment is left where nobody reads it.

mod commit;
mod keys;
mod plan;
mod read;
mod removal;
mod single;
mod spaces;
mod store;
mod transaction;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals_core::error::DriverError;
use annals_core::port::state_store::{StateCapabilities, StateError, StateSpace};
use annals_core::port::{StateStore, StateStores};
use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::client::{DynamoClient, Failed};
use keys::SpaceKeys;
use store::DynamoStateStore;

/// What this driver can do. A transaction holds 100 items and 4 MB, of which keys and the names of
/// attributes take less than 100 KB; two items are kept for later use.
pub const CAPABILITIES: StateCapabilities = StateCapabilities {
    commit_rows_max: 98,
    commit_bytes_max: 7 << 19,
    reads_are_of_one_moment: false,
};

/// How long a handle trusts that nobody else removed its space.
pub const SPACE_LOOK_WAIT: Duration = Duration::from_secs(10);

/// The state stores of one namespace.
pub struct DynamoStateStores {
    client: DynamoClient,
    /// The handles that were given out. Held while a space is registered or unregistered, so that no
    /// opener gets a handle of a space that is being removed.
    opened: Mutex<HashMap<StateSpace, Arc<DynamoStateStore>>>,
}

impl DynamoStateStores {
    /// The stores in the tables of `client`.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] when the table cannot be read.
    pub async fn open(client: DynamoClient) -> Result<Self, StateError> {
        let pending = removal::pending(&client).await?;
        if !pending.is_empty() {
            tracing::info!(
                spaces_count = pending.len(),
                "removals of state were interrupted, the next one completes them"
            );
        }
        Ok(Self { client, opened: Mutex::default() })
    }
}

impl fmt::Debug for DynamoStateStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStateStores").field("client", &self.client).finish_non_exhaustive()
    }
}

#[async_trait]
impl StateStores for DynamoStateStores {
    fn capabilities(&self) -> StateCapabilities {
        CAPABILITIES
    }

    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let mut opened = self.opened.lock().await;
        let generation = spaces::generation_or_new(&self.client, space).await?;
        if let Some(store) = opened.get(space) {
            if store.is_of(generation) {
                return Ok(Arc::<DynamoStateStore>::clone(store));
            }
            store.mark_removed();
        }
        let keys = SpaceKeys::new(&self.client.options().namespace, generation);
        let store = Arc::new(DynamoStateStore::new(self.client.clone(), space.clone(), keys));
        opened.insert(space.clone(), Arc::clone(&store));
        Ok(store)
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        {
            let mut opened = self.opened.lock().await;
            let store = opened.remove(space);
            let removed = spaces::unregister(&self.client, space).await;
            if let Some(store) = store {
                store.mark_removed();
            }
            removed?;
        }
        removal::complete(&self.client).await
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        spaces::list(&self.client).await
    }
}

/// The error of a read: whatever failed, nothing was changed.
fn unavailable<E>(failed: Failed<E>) -> StateError
where
    E: std::error::Error + Send + Sync + 'static,
{
    StateError::Unavailable(failed.into_driver_error())
}

/// The error of an item that is not as this driver writes them.
fn damaged(what: &str) -> StateError {
    StateError::Damaged(DriverError::new(what))
}
