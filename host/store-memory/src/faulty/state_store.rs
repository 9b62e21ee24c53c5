//! State stores that fail on request.

use std::sync::Arc;

use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCapabilities, StateCommit, StateError, StateSpace,
};
use annals_core::port::{StateStore, StateStores};
use async_trait::async_trait;
use bytes::Bytes;

use super::plan::{Call, FaultPlan, StateCommitFault};
use super::{injected, with_faults};

/// Wraps any state stores. Its faults are those the port allows.
#[derive(Debug, Clone)]
pub struct FaultyStateStores {
    stores: Arc<dyn StateStores>,
    plan: Arc<dyn FaultPlan>,
}

impl FaultyStateStores {
    /// `stores` with the faults of `plan`.
    #[must_use]
    pub const fn new(stores: Arc<dyn StateStores>, plan: Arc<dyn FaultPlan>) -> Self {
        Self { stores, plan }
    }

    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        with_faults(&self.plan, Call::Spaces, StateError::Unavailable, work).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StateStores for FaultyStateStores {
    fn capabilities(&self) -> StateCapabilities {
        self.stores.capabilities()
    }

    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let store = self.call(self.stores.open(space)).await?;
        Ok(Arc::new(FaultyStateStore { store, plan: Arc::clone(&self.plan) }))
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        self.call(self.stores.remove(space)).await
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        self.call(self.stores.list()).await
    }
}

#[derive(Debug)]
struct FaultyStateStore {
    store: Arc<dyn StateStore>,
    plan: Arc<dyn FaultPlan>,
}

impl FaultyStateStore {
    async fn call<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        with_faults(&self.plan, call, StateError::Unavailable, work).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StateStore for FaultyStateStore {
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.call(Call::ReadState, self.store.get(table, key)).await
    }

    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        self.call(Call::ReadState, self.store.get_many(keys)).await
    }

    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.call(Call::ReadState, self.store.scan(table, range, limit)).await
    }

    async fn commit(&self, commit: StateCommit) -> Result<(), StateError> {
        let work = async {
            let StateCommitFault::OutcomeUnknown { is_written } = self.plan.state_commit() else {
                return self.store.commit(commit).await;
            };
            if is_written {
                // What the store refuses it has not written, and then that is the answer.
                self.store.commit(commit).await?;
            }
            Err(StateError::OutcomeUnknown(injected()))
        };
        self.call(Call::WriteState, work).await
    }

    async fn clear(&self, table: &str) -> Result<(), StateError> {
        self.call(Call::WriteState, self.store.clear(table)).await
    }
}
