//! State stores in which process managers keep nothing while plugins are loaded.
//!
//! Loading runs on other threads, of which the seed knows nothing. A process manager that worked
//! meanwhile would send more or fewer commands before the other host takes it over.

use std::sync::Arc;

use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCapabilities, StateCommit, StateError, StateSpace, StateStore,
    StateStores,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::world::ManualClock;

/// State stores whose commits for process managers wait while the clock is held.
#[derive(Debug)]
pub(crate) struct HeldStates {
    pub(crate) stores: Arc<dyn StateStores>,
    pub(crate) clock: Arc<ManualClock>,
}

#[async_trait]
impl StateStores for HeldStates {
    fn capabilities(&self) -> StateCapabilities {
        self.stores.capabilities()
    }

    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let state = self.stores.open(space).await?;
        if !matches!(space, StateSpace::Process { .. }) {
            return Ok(state);
        }
        Ok(Arc::new(Held { state, clock: Arc::clone(&self.clock) }))
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        self.stores.remove(space).await
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        self.stores.list().await
    }
}

#[derive(Debug)]
struct Held {
    state: Arc<dyn StateStore>,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl StateStore for Held {
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.state.get(table, key).await
    }

    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        self.state.get_many(keys).await
    }

    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.state.scan(table, range, limit).await
    }

    async fn commit(&self, commit: StateCommit) -> Result<(), StateError> {
        self.clock.released().await;
        self.state.commit(commit).await
    }

    async fn clear(&self, table: &str) -> Result<(), StateError> {
        self.state.clear(table).await
    }
}
