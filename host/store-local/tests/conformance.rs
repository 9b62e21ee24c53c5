//! Runs the contracts of the three stores against files.
#![expect(clippy::unwrap_used, reason = "the support of tests fails by panicking, as they do")]

mod support {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use annals_core::id::IdGenerator;
    use annals_core::port::{BlobStore, EventStore, StateStores};
    use annals_store_local::LocalStore;
    use tempfile::TempDir;
    use uuid::Uuid;

    #[derive(Debug, Default)]
    struct CountedIds(AtomicU64);

    impl IdGenerator for CountedIds {
        fn next_uuid(&self) -> Uuid {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            Uuid::from_u64_pair(number, number.rotate_left(32))
        }
    }

    pub(super) fn open() -> (LocalStore, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path(), &CountedIds::default()).unwrap();
        (store, folder)
    }

    pub(super) async fn open_event_store() -> (Arc<dyn EventStore>, TempDir) {
        let (store, folder) = open();
        (store.events, folder)
    }

    pub(super) async fn open_state_stores() -> (Arc<dyn StateStores>, TempDir) {
        let (store, folder) = open();
        (store.states, folder)
    }

    pub(super) async fn open_blob_store() -> (Arc<dyn BlobStore>, TempDir) {
        let (store, folder) = open();
        (store.blobs, folder)
    }
}

annals_conformance::event_store_conformance! { open: support::open_event_store }
annals_conformance::state_stores_conformance! { open: support::open_state_stores }
annals_conformance::blob_store_conformance! { open: support::open_blob_store }
