//! The state of one space.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use annals_core::error::DriverError;
use annals_core::port::StateStore;
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCommit, StateError, StateSpace, StateWrite,
};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::keys::{self, SpaceKeys};
use super::{CAPABILITIES, SPACE_LOOK_WAIT, commit, read, removal, spaces, unavailable};
use crate::client::DynamoClient;

/// A handle of a space, shared by all who opened it.
pub(super) struct DynamoStateStore {
    client: DynamoClient,
    space: StateSpace,
    keys: SpaceKeys,
    known: Mutex<Known>,
}

/// What the handle knows of its space. Never held across an await.
struct Known {
    is_removed: bool,
    /// When the space was last seen to be there.
    seen_at: Instant,
    /// Tables that are registered.
    tables: HashSet<Arc<str>>,
}

impl DynamoStateStore {
    /// The handle of a space that is there now.
    pub(super) fn new(client: DynamoClient, space: StateSpace, keys: SpaceKeys) -> Self {
        let known =
            Known { is_removed: false, seen_at: Instant::now(), tables: HashSet::default() };
        Self { client, space, keys, known: Mutex::new(known) }
    }

    /// Whether it is the handle of this generation of its space, and not removed.
    pub(super) fn is_of(&self, generation: Uuid) -> bool {
        self.keys.generation == generation && !self.known().is_removed
    }

    /// From now on everything fails.
    pub(super) fn mark_removed(&self) {
        self.known().is_removed = true;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when the space was removed; looks from time to time whether another host did.
    async fn check(&self) -> Result<(), StateError> {
        let is_due = {
            let mut known = self.known();
            if known.is_removed {
                return Err(self.removed());
            }
            let now = Instant::now();
            let is_due = now.duration_since(known.seen_at) >= SPACE_LOOK_WAIT;
            if is_due {
                // Others go on meanwhile, one looks.
                known.seen_at = now;
            }
            is_due
        };
        if !is_due {
            return Ok(());
        }
        let generation = spaces::generation(&self.client, &self.space).await?;
        if generation == Some(self.keys.generation) {
            return Ok(());
        }
        self.mark_removed();
        Err(self.removed())
    }

    fn removed(&self) -> StateError {
        let text = format!("the {} was removed", self.space);
        StateError::Unavailable(DriverError::new(&text))
    }

    /// Registers tables that get rows, so that a removal finds them.
    async fn register_tables(&self, commit: &StateCommit) -> Result<(), StateError> {
        let mut tables: Vec<Arc<str>> = Vec::new();
        for write in &commit.writes {
            let (StateWrite::Put(row, _) | StateWrite::Add(row, _)) = write else { continue };
            let is_known = tables.contains(&row.table) || self.known().tables.contains(&row.table);
            if !is_known {
                tables.push(Arc::clone(&row.table));
            }
        }
        for table in tables {
            let request = self
                .client
                .sdk()
                .put_item()
                .table_name(self.client.state_table())
                .set_item(Some(keys::item(&self.keys.tables(), table.as_bytes())))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let send = move || request.clone().send();
            let sent = self.client.call("register a table of state", send).await;
            let answer = sent.map_err(unavailable)?;
            self.client.meter().write(answer.consumed_capacity.as_slice());
            self.known().tables.insert(table);
        }
        Ok(())
    }
}

impl fmt::Debug for DynamoStateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStateStore")
            .field("space", &self.space)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl StateStore for DynamoStateStore {
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.check().await?;
        let row = RowKey { table: Arc::from(table), key: Bytes::copy_from_slice(key) };
        read::row(&self.client, &self.keys, &row, self.client.backoff()).await
    }

    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        self.check().await?;
        let rows: Vec<&RowKey> = keys.iter().collect();
        let found = read::rows(&self.client, &self.keys, &rows, &self.client.backoff()).await?;
        Ok(keys.iter().map(|row| found.get(row).cloned()).collect())
    }

    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.check().await?;
        read::range(&self.client, &self.keys.rows(table), range, limit).await
    }

    async fn commit(&self, commit: StateCommit) -> Result<(), StateError> {
        commit.check(&CAPABILITIES)?;
        self.check().await?;
        self.register_tables(&commit).await?;
        commit::run(&self.client, &self.keys, &commit).await
    }

    async fn clear(&self, table: &str) -> Result<(), StateError> {
        self.check().await?;
        removal::delete_all(&self.client, &self.keys.rows(table)).await
    }
}
