//! The state stores, and the blobs in them.

mod blobs;
mod capacity;
mod conformance;
mod failures;
mod items;
mod removal;

use std::sync::Arc;

use annals_core::port::state_store::{
    RowKey, StateCommit, StateCondition, StateError, StateSpace, StateWrite,
};
use annals_core::port::{StateStore, StateStores};
use annals_store_dynamodb::DynamoStateStores;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;

use crate::support::emulator::Emulator;
use crate::tables::{make_tables, sdk};

/// The table of the tests.
const TABLE: &str = "table";

/// Stores without any space, in new tables of a new emulator.
async fn open_state_stores() -> (Arc<dyn StateStores>, Emulator) {
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let stores = DynamoStateStores::open(client).await.unwrap();
    (Arc::new(stores), emulator)
}

/// The space of the host.
async fn host(stores: &dyn StateStores) -> Arc<dyn StateStore> {
    stores.open(&StateSpace::Host).await.unwrap()
}

fn row(key: &'static str) -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from(key) }
}

fn put(key: &'static str, value: &str) -> StateWrite {
    StateWrite::Put(row(key), Bytes::copy_from_slice(value.as_bytes()))
}

fn condition(key: &'static str, value: Option<&str>) -> StateCondition {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    StateCondition { row: row(key), value }
}

async fn commit(
    state: &dyn StateStore,
    conditions: Vec<StateCondition>,
    writes: Vec<StateWrite>,
) -> Result<(), StateError> {
    state.commit(StateCommit { conditions, writes }).await
}

async fn value(state: &dyn StateStore, key: &str) -> Option<String> {
    let value = state.get(TABLE, key.as_bytes()).await.unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// An attribute as people write it: a binary that is not text as so many bytes.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => text.clone(),
        AttributeValue::B(bytes) => match std::str::from_utf8(bytes.as_ref()) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => text.to_owned(),
            _ => format!("{} bytes", bytes.as_ref().len()),
        },
        other => format!("{other:?}"),
    }
}

/// All items of the table of state, each as its attributes by name, in order.
async fn items(emulator: &Emulator) -> Vec<String> {
    let found = sdk(emulator).scan().table_name("annals-test-state").send().await.unwrap();
    let items = found.items.unwrap_or_default();
    let shown = items.iter().map(|item| {
        let mut names: Vec<_> = item.keys().collect();
        names.sort_by_key(|name| (name.as_str() != "pk", name.as_str() != "sk", name.as_str()));
        let parts = names.iter().map(|name| format!("{name}={}", shown(&item[*name])));
        parts.collect::<Vec<_>>().join(" ")
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}
