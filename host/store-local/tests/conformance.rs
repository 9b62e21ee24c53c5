//! Runs the contracts of the three stores against files.
#![expect(clippy::unwrap_used, reason = "the support of tests fails by panicking, as they do")]

mod support {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use annals_core::id::IdGenerator;
    use annals_core::port::{BlobStore, EventStore, StateStores};
    use annals_store_local::{LocalStore, LogOptions, SEGMENT_BYTES_MIN};
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
        open_with(LogOptions::default())
    }

    fn open_with(options: LogOptions) -> (LocalStore, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let ids = CountedIds::default();
        let store = LocalStore::open_with(folder.path(), &ids, options).unwrap();
        (store, folder)
    }

    /// With segments as small as they can be, and hardly any memory for their indexes: most checks
    /// then see sealed segments.
    pub(super) async fn open_small_segments() -> (Arc<dyn EventStore>, TempDir) {
        let options = LogOptions {
            segment_bytes: SEGMENT_BYTES_MIN,
            index_cache_bytes_max: 0,
            filter_bytes_max: 40_000,
        };
        let (store, folder) = open_with(options);
        (store.events, folder)
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

mod small_segments {
    annals_conformance::event_store_conformance! { open: crate::support::open_small_segments }
}
