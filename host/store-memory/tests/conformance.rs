//! Runs the contracts of the stores against memory and against the decorators that here do nothing,
//! and what only memory promises.
#![expect(clippy::unwrap_used, reason = "the support of tests fails by panicking, as they do")]

mod faulty;
mod volatile;

mod support {
    use std::num::{NonZeroU32, NonZeroU64};
    use std::sync::Arc;

    use annals_bus_local::LocalBus;
    use annals_core::id::StoreId;
    use annals_core::port::state_store::StateCapabilities;
    use annals_core::port::{BlobStore, Bus, EventStore, StateStores};
    use annals_store_memory::faulty::{FaultyBus, FaultyEventStore, FaultyStateStores, NoFaults};
    use annals_store_memory::{
        MemoryBlobStore, MemoryEventStore, MemoryStateStores, VolatileEventStore,
    };
    use uuid::Uuid;

    pub(super) const STORE_ID: StoreId = StoreId::new(Uuid::from_u128(1));
    pub(super) const FOUR: NonZeroU32 = NonZeroU32::new(4).unwrap();
    /// Fewer than the histories of the model have.
    pub(super) const COMMITS_REMEMBERED: NonZeroU64 = NonZeroU64::new(8).unwrap();

    pub(super) async fn open_event_store() -> (Arc<dyn EventStore>, ()) {
        (Arc::new(MemoryEventStore::new(STORE_ID)), ())
    }

    pub(super) async fn open_four_partitions() -> (Arc<dyn EventStore>, ()) {
        (Arc::new(MemoryEventStore::with_partitions(STORE_ID, FOUR)), ())
    }

    pub(super) async fn open_forgetful() -> (Arc<dyn EventStore>, ()) {
        (Arc::new(MemoryEventStore::forgetful(STORE_ID, FOUR, COMMITS_REMEMBERED)), ())
    }

    pub(super) async fn open_state_stores() -> (Arc<dyn StateStores>, ()) {
        (Arc::new(MemoryStateStores::new()), ())
    }

    /// The narrowest that the port allows.
    pub(super) async fn open_narrow_state_stores() -> (Arc<dyn StateStores>, ()) {
        let capabilities = StateCapabilities {
            commit_rows_max: 90,
            commit_bytes_max: 3 << 20,
            reads_are_of_one_moment: false,
        };
        (Arc::new(MemoryStateStores::with_capabilities(capabilities)), ())
    }

    pub(super) async fn open_blob_store() -> (Arc<dyn BlobStore>, ()) {
        (Arc::new(MemoryBlobStore::new()), ())
    }

    pub(super) async fn open_faulty_event_store() -> (Arc<dyn EventStore>, ()) {
        let store = Arc::new(MemoryEventStore::new(STORE_ID));
        (Arc::new(FaultyEventStore::new(store, Arc::new(NoFaults))), ())
    }

    pub(super) async fn open_faulty_state_stores() -> (Arc<dyn StateStores>, ()) {
        let stores = Arc::new(MemoryStateStores::new());
        (Arc::new(FaultyStateStores::new(stores, Arc::new(NoFaults))), ())
    }

    pub(super) async fn open_faulty_bus() -> (Arc<dyn Bus>, ()) {
        (Arc::new(FaultyBus::new(Arc::new(LocalBus::new()), Arc::new(NoFaults))), ())
    }

    pub(super) async fn open_volatile_event_store() -> (Arc<dyn EventStore>, ()) {
        (Arc::new(VolatileEventStore::with_partitions(STORE_ID, FOUR, Arc::new(NoFaults))), ())
    }
}

annals_conformance::event_store_conformance! { open: support::open_event_store }
annals_conformance::state_stores_conformance! { open: support::open_state_stores }
annals_conformance::blob_store_conformance! { open: support::open_blob_store }

mod narrow {
    annals_conformance::state_stores_conformance! { open: crate::support::open_narrow_state_stores }
}

mod of_four_partitions {
    annals_conformance::event_store_conformance! { open: crate::support::open_four_partitions }
}

mod forgetful {
    annals_conformance::event_store_conformance! { open: crate::support::open_forgetful }
}

mod without_faults {
    annals_conformance::event_store_conformance! { open: crate::support::open_faulty_event_store }
    annals_conformance::state_stores_conformance! { open: crate::support::open_faulty_state_stores }
    annals_conformance::bus_conformance! { open: crate::support::open_faulty_bus }
}

mod volatile_conformance {
    annals_conformance::event_store_conformance! {
        open: crate::support::open_volatile_event_store
    }
}

#[cfg(test)]
mod memory {
    use std::num::{NonZeroU32, NonZeroU64};

    use annals_core::commit::Commit;
    use annals_core::event::NewEvent;
    use annals_core::id::StoreId;
    use annals_core::name::EventType;
    use annals_core::place::ExpectedRevision;
    use annals_core::port::EventStore as _;
    use annals_core::port::event_store::{Capabilities, CommandIdsRemembered};
    use annals_core::stream::StreamId;
    use annals_core::time::Timestamp;
    use annals_store_memory::MemoryEventStore;
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    #[test]
    fn an_append_is_durable_on_the_first_poll() {
        // Guards the simulation: a step of the engine never waits for the memory store.
        let store_id = StoreId::new(Uuid::from_u128(7));
        let store = MemoryEventStore::new(store_id);
        let stream = StreamId::parse("account/a1").unwrap();
        let event = NewEvent::json(EventType::new("opened").unwrap(), "{}");
        let now = Timestamp::from_ms(1);
        let commit = Commit::plain(stream, ExpectedRevision::NoStream, vec![event], now);
        let accepted = store.append(commit).now_or_never().unwrap().unwrap();
        assert_eq!(accepted.durability.wait().now_or_never(), Some(Ok(())));
    }

    #[test]
    fn says_what_it_can_do() {
        // Guards what the conformance checks are told to expect of this driver.
        let store_id = StoreId::new(Uuid::from_u128(7));
        let (all, last) = (CommandIdsRemembered::All, CommandIdsRemembered::LastCommits(9));
        let (four, nine) = (NonZeroU32::new(4).unwrap(), NonZeroU64::new(9).unwrap());
        let cases = [
            (MemoryEventStore::new(store_id), 1, all),
            (MemoryEventStore::with_partitions(store_id, four), 4, all),
            (MemoryEventStore::forgetful(store_id, four, nine), 4, last),
        ];
        for (store, partitions_count, command_ids_remembered) in cases {
            let capabilities = Capabilities { partitions_count, command_ids_remembered };
            assert_eq!((store.store_id(), store.capabilities()), (store_id, capabilities));
        }
    }
}
