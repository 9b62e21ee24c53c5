//! Runs the contract of the bus against the local one, and what only the local one promises.

mod support {
    use std::sync::Arc;

    use annals_bus_local::LocalBus;
    use annals_core::port::Bus;

    pub(super) async fn open() -> (Arc<dyn Bus>, ()) {
        (Arc::new(LocalBus::new()), ())
    }
}

annals_conformance::bus_conformance! { open: support::open }

#[cfg(test)]
mod local {
    use std::sync::Arc;

    use annals_bus_local::{LocalBus, QUEUED_BATCHES_MAX, QUEUED_WAKES_MAX};
    use annals_core::event::{ContentType, Origin, RecordedEvent, SchemaVersion};
    use annals_core::id::EventId;
    use annals_core::name::EventType;
    use annals_core::place::{Partition, Position, Revision};
    use annals_core::port::Bus as _;
    use annals_core::port::bus::Wake;
    use annals_core::stream::StreamId;
    use annals_core::time::Timestamp;
    use bytes::Bytes;
    use futures_util::StreamExt as _;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_listener_within_the_limit_gets_every_wake_in_order() {
        // Guards the queue's size: it holds what its name says.
        let bus = LocalBus::new();
        let listener = bus.wakes();
        let wakes = wakes(0, QUEUED_WAKES_MAX);
        for wake in &wakes {
            bus.wake(wake.partition, wake.head).await.unwrap();
        }
        drop(bus);
        assert_eq!(listener.collect::<Vec<_>>().await, wakes);
    }

    #[tokio::test]
    async fn a_listener_over_the_limit_gets_the_newest_wakes() {
        // Guards memory and freshness: a slow listener loses what is oldest.
        let bus = LocalBus::new();
        let listener = bus.wakes();
        for wake in wakes(0, QUEUED_WAKES_MAX + 9) {
            bus.wake(wake.partition, wake.head).await.unwrap();
        }
        drop(bus);
        let newest = wakes(9, QUEUED_WAKES_MAX);
        assert_eq!(listener.collect::<Vec<_>>().await, newest);
    }

    #[tokio::test]
    async fn every_subscriber_gets_each_batch_as_it_was_published() {
        // Guards live readers: whole batches, in order, once for each; empty ones are no news.
        let bus = LocalBus::new();
        bus.publish(&events(0, 1)).await.unwrap();
        let subscribers = [bus.subscribe(), bus.subscribe()];
        let batches = [events(1, 1), events(2, 3), events(5, 1)];
        for batch in &batches {
            bus.publish(batch).await.unwrap();
            bus.publish(&[]).await.unwrap();
        }
        drop(bus);
        for subscriber in subscribers {
            let heard: Vec<_> = subscriber.map(|batch| batch.to_vec()).collect().await;
            assert_eq!(heard, batches);
        }
    }

    #[tokio::test]
    async fn a_subscriber_over_the_limit_gets_the_newest_batches() {
        // Guards memory: a subscriber that never reads keeps no more than the limit.
        let bus = LocalBus::new();
        let slow = bus.subscribe();
        let batches: Vec<_> = (0..QUEUED_BATCHES_MAX + 9).map(|number| events(number, 1)).collect();
        for batch in &batches {
            bus.publish(batch).await.unwrap();
        }
        drop(bus);
        let heard: Vec<_> = slow.map(|batch| batch.to_vec()).collect().await;
        assert_eq!(heard, batches[9..]);
    }

    fn wakes(first: usize, count: usize) -> Vec<Wake> {
        let wake = |number| Wake {
            partition: Partition::ZERO,
            head: Position::new(u64::try_from(number).unwrap()),
        };
        (first..first + count).map(wake).collect()
    }

    fn events(first: usize, count: usize) -> Vec<RecordedEvent> {
        let numbers = first..first + count;
        let event = |number| RecordedEvent {
            id: EventId::new(Uuid::from_u128(u128::from(number))),
            stream: StreamId::parse("account/a1").unwrap(),
            revision: Revision::new(number),
            partition: Partition::ZERO,
            position: Position::new(number),
            event_type: EventType::new("opened").unwrap(),
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
            data: Bytes::from_static(b"{}"),
            metadata: Bytes::new(),
            recorded_at: Timestamp::from_ms(1),
            command_id: None,
            origin: Arc::new(Origin::default()),
        };
        numbers.map(|number| event(u64::try_from(number).unwrap())).collect()
    }
}
