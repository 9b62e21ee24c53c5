//! Runs the contracts of the three stores against memory, and what only memory promises.

mod support {
    use std::sync::Arc;

    use annals_core::id::StoreId;
    use annals_core::port::{BlobStore, EventStore, StateStores};
    use annals_store_memory::{MemoryBlobStore, MemoryEventStore, MemoryStateStores};
    use uuid::Uuid;

    pub(super) async fn open_event_store() -> (Arc<dyn EventStore>, ()) {
        let store_id = StoreId::new(Uuid::from_u128(1));
        (Arc::new(MemoryEventStore::new(store_id)), ())
    }

    pub(super) async fn open_state_stores() -> (Arc<dyn StateStores>, ()) {
        (Arc::new(MemoryStateStores::new()), ())
    }

    pub(super) async fn open_blob_store() -> (Arc<dyn BlobStore>, ()) {
        (Arc::new(MemoryBlobStore::new()), ())
    }
}

annals_conformance::event_store_conformance! { open: support::open_event_store }
annals_conformance::state_stores_conformance! { open: support::open_state_stores }
annals_conformance::blob_store_conformance! { open: support::open_blob_store }

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
