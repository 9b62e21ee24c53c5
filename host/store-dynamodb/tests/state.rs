//! The state stores, and the blobs in them.

mod conformance;

use std::sync::Arc;

use annals_core::port::StateStores;
use annals_store_dynamodb::DynamoStateStores;

use crate::support::emulator::Emulator;
use crate::tables::make_tables;

/// Stores without any space, in new tables of a new emulator.
pub(crate) async fn open_state_stores() -> (Arc<dyn StateStores>, Emulator) {
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let stores = DynamoStateStores::open(client).await.unwrap();
    (Arc::new(stores), emulator)
}
