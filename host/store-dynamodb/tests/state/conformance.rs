//! The contracts of state stores and blob stores.

use std::sync::Arc;

use annals_core::port::BlobStore;
use annals_store_dynamodb::ChunkedBlobStore;

use super::open_state_stores;
use crate::support::emulator::Emulator;

async fn open_blob_store() -> (Arc<dyn BlobStore>, Emulator) {
    let (stores, emulator) = open_state_stores().await;
    let blobs = ChunkedBlobStore::open(&*stores).await.unwrap();
    (Arc::new(blobs), emulator)
}

annals_conformance::state_stores_conformance! { open: open_state_stores }
annals_conformance::blob_store_conformance! { open: open_blob_store }
