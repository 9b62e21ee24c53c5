//! Runs the contract of event stores against the emulator, with several partitions.

use std::sync::Arc;

use annals_core::port::EventStore;
use annals_store_dynamodb::DynamoEventStore;

use crate::support::emulator::Emulator;

async fn open_empty() -> (Arc<dyn EventStore>, impl Sized) {
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    crate::support::tables::create(&client, 4).await;
    let store = DynamoEventStore::open(client).await.unwrap();
    (Arc::new(store), emulator)
}

annals_conformance::event_store_conformance! { open: open_empty }
