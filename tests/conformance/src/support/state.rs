//! What checks of state stores share: one space, one table, and short names for what is written.

use std::sync::Arc;

use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCommit, StateCondition, StateError, StateSpace, StateWrite,
};
use annals_core::port::{StateStore, StateStores};
use bytes::Bytes;

/// The stores of a check.
pub(crate) type Stores = Arc<dyn StateStores>;

/// One opened store.
pub(crate) type State = Arc<dyn StateStore>;

/// The table of most rows.
pub(crate) const TABLE: &str = "table";

pub(crate) async fn open(stores: &Stores) -> State {
    stores.open(&StateSpace::Host).await.unwrap()
}

pub(crate) async fn scan_all(state: &State) -> Vec<Row> {
    let rows = state.scan(TABLE, KeyRange::default(), usize::MAX).await;
    rows.unwrap()
}

pub(crate) async fn write(state: &State, writes: Vec<StateWrite>) {
    commit(state, writes).await.unwrap();
}

/// Writes many rows, in as many commits as the driver needs, in their order.
pub(crate) async fn write_many(stores: &Stores, state: &State, writes: Vec<StateWrite>) {
    for some in writes.chunks(stores.capabilities().commit_rows_max) {
        write(state, some.to_vec()).await;
    }
}

pub(crate) async fn commit(state: &State, writes: Vec<StateWrite>) -> Result<(), StateError> {
    commit_if(state, Vec::new(), writes).await
}

pub(crate) async fn commit_if(
    state: &State,
    conditions: Vec<StateCondition>,
    writes: Vec<StateWrite>,
) -> Result<(), StateError> {
    state.commit(StateCommit { conditions, writes }).await
}

pub(crate) fn key(name: &[u8]) -> RowKey {
    key_in(TABLE, name)
}

pub(crate) fn key_in(table: &str, name: &[u8]) -> RowKey {
    RowKey { table: Arc::from(table), key: Bytes::copy_from_slice(name) }
}

pub(crate) fn put(name: &[u8], value: &[u8]) -> StateWrite {
    put_in(TABLE, name, value)
}

pub(crate) fn put_in(table: &str, name: &[u8], value: &[u8]) -> StateWrite {
    StateWrite::Put(key_in(table, name), Bytes::copy_from_slice(value))
}

pub(crate) fn condition(name: &[u8], value: Option<&[u8]>) -> StateCondition {
    StateCondition { row: key(name), value: value.map(Bytes::copy_from_slice) }
}

pub(crate) fn row(name: &[u8], value: &[u8]) -> Row {
    Row { key: Bytes::copy_from_slice(name), value: Bytes::copy_from_slice(value) }
}

pub(crate) fn rows(pairs: &[(&[u8], &[u8])]) -> Vec<Row> {
    pairs.iter().map(|(name, value)| row(name, value)).collect()
}
