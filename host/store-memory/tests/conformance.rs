//! Runs the contracts of the stores against memory and against the decorators that here do nothing,
//! and what only memory promises.
#![expect(clippy::unwrap_used, reason = "the support of tests fails by panicking, as they do")]

mod faulty;
mod volatile;

mod support {
    use std::sync::Arc;

    use annals_bus_local::LocalBus;
    use annals_core::id::StoreId;
    use annals_core::port::{BlobStore, Bus, EventStore, StateStores};
    use annals_store_memory::faulty::{FaultyBus, FaultyEventStore, FaultyStateStores, NoFaults};
    use annals_store_memory::{
        MemoryBlobStore, MemoryEventStore, MemoryStateStores, VolatileEventStore,
    };
    use uuid::Uuid;

    pub(super) const STORE_ID: StoreId = StoreId::new(Uuid::from_u128(1));

    pub(super) async fn open_event_store() -> (Arc<dyn EventStore>, ()) {
        (Arc::new(MemoryEventStore::new(STORE_ID)), ())
    }

    pub(super) async fn open_state_stores() -> (Arc<dyn StateStores>, ()) {
        (Arc::new(MemoryStateStores::new()), ())
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
        (Arc::new(VolatileEventStore::new(STORE_ID, Arc::new(NoFaults))), ())
    }
}

annals_conformance::event_store_conformance! { open: support::open_event_store }
annals_conformance::state_stores_conformance! { open: support::open_state_stores }
annals_conformance::blob_store_conformance! { open: support::open_blob_store }

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
        let store = MemoryEventStore::new(store_id);
        let capabilities =
            Capabilities { partitions_count: 1, command_ids_remembered: CommandIdsRemembered::All };
        assert_eq!((store.store_id(), store.capabilities()), (store_id, capabilities));
    }
}
