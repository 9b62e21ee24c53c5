//! `Bus`: news, which may be lost, repeated or late. What a check waits for is therefore told again
//! until it is heard.

use std::sync::Arc;
use std::time::Duration;

use annals_core::event::{ContentType, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::EventId;
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::name::EventType;
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::Bus;
use annals_core::port::bus::Wake;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use uuid::Uuid;

use crate::support::{NOW, stream};

/// How long a wake may take before it is told again.
const TELL_AGAIN_MS: u64 = 50;

/// How many wakes are more than any listener's queue holds.
const WAKES_FLOOD_COUNT: u64 = 10_000;

/// Guards hosts without consumers: nobody has to listen.
pub async fn telling_nobody_succeeds(bus: &Arc<dyn Bus>) {
    bus.wake(Partition::ZERO, Position::new(1)).await.unwrap();
    bus.publish(&[]).await.unwrap();
    bus.publish(&recorded(Partition::ZERO, 0, 3)).await.unwrap();
}

/// Guards recovery of a publisher, which goes on before the place it died at.
pub async fn publishing_again_is_harmless(bus: &Arc<dyn Bus>) {
    for _ in 0..3 {
        bus.publish(&recorded(Partition::ZERO, 0, 5)).await.unwrap();
        bus.publish(&recorded(Partition::ZERO, 2, 5)).await.unwrap();
    }
}

/// Guards the start of a publisher: where nothing is, it begins at the beginning.
pub async fn before_the_first_event_nothing_is_published(bus: &Arc<dyn Bus>) {
    bus.publish(&[]).await.unwrap();
    bus.wake(Partition::ZERO, Position::new(7)).await.unwrap();
    for partition in [0, 1, u32::MAX] {
        assert_eq!(bus.last_published(Partition(partition)).await.unwrap(), None);
    }
}

/// Guards a publisher that goes on after what is there: each partition has a place of its own, and
/// positions may be left out.
pub async fn the_last_published_is_the_last_of_its_partition(bus: &Arc<dyn Bus>) {
    for (partition, first, count) in [(0, 0, 3), (7, 5, 1), (0, 3, 1), (7, 90, 4), (1, 0, 1)] {
        bus.publish(&recorded(Partition(partition), first, count)).await.unwrap();
        let last = Position::new(first + count - 1);
        assert_last_published(bus, Partition(partition), last).await;
    }
    assert_last_published(bus, Partition(0), Position::new(3)).await;
    assert_last_published(bus, Partition(7), Position::new(93)).await;
    assert_eq!(bus.last_published(Partition(2)).await.unwrap(), None);
}

/// Guards two publishers, of which one is behind: what it publishes again moves nothing back.
pub async fn publishing_again_does_not_move_the_last_published_back(bus: &Arc<dyn Bus>) {
    bus.publish(&recorded(Partition::ZERO, 0, 9)).await.unwrap();
    for (first, count) in [(0, 1), (3, 4), (0, 9)] {
        bus.publish(&recorded(Partition::ZERO, first, count)).await.unwrap();
        assert_last_published(bus, Partition::ZERO, Position::new(8)).await;
    }
    bus.publish(&recorded(Partition::ZERO, 5, 6)).await.unwrap();
    assert_last_published(bus, Partition::ZERO, Position::new(10)).await;
}

/// Guards large stores: many events at once, small and large ones, are all published.
pub async fn publishes_many_events_at_once(bus: &Arc<dyn Bus>) {
    let mut events = recorded(Partition(1), 0, 2_000);
    for event in events.iter_mut().step_by(200) {
        event.data = Bytes::from(format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - 2)));
    }
    bus.publish(&events).await.unwrap();
    assert_last_published(bus, Partition(1), Position::new(1_999)).await;
}

/// Guards readers that wait: each listener hears of news, partition and head as they were told.
pub async fn every_listener_hears_of_news(bus: &Arc<dyn Bus>) {
    let mut listeners = vec![bus.wakes(), bus.wakes(), bus.wakes()];
    for (number, partition) in [(0, 0), (7, 0), (7, 3), (u64::MAX, u32::MAX)] {
        let wake = Wake { partition: Partition(partition), head: Position::new(number) };
        for listener in &mut listeners {
            tell_until_heard(bus, wake, listener).await;
        }
    }
}

/// Guards who comes late: the wakes from now on, and none is needed from before.
pub async fn a_late_listener_hears_of_later_news(bus: &Arc<dyn Bus>) {
    let wake = |number| Wake { partition: Partition::ZERO, head: Position::new(number) };
    let mut early = bus.wakes();
    tell_until_heard(bus, wake(1), &mut early).await;
    let mut late = bus.wakes();
    tell_until_heard(bus, wake(2), &mut late).await;
    tell_until_heard(bus, wake(3), &mut early).await;
}

/// Guards writers: a listener that never listens holds up nobody, and when it does it hears of the
/// newest.
pub async fn a_slow_listener_holds_up_nobody_and_hears_of_the_newest(bus: &Arc<dyn Bus>) {
    let mut slow = bus.wakes();
    for number in 0..WAKES_FLOOD_COUNT {
        bus.wake(Partition::ZERO, Position::new(number)).await.unwrap();
    }
    let newest = Wake { partition: Partition::ZERO, head: Position::new(WAKES_FLOOD_COUNT) };
    let heard_count = tell_until_heard(bus, newest, &mut slow).await;
    assert!(heard_count < WAKES_FLOOD_COUNT, "the listener's queue has no limit");
}

/// Guards against leaks: a listener that went away is not waited for.
pub async fn a_listener_that_went_away_is_forgotten(bus: &Arc<dyn Bus>) {
    for number in 0..1_000 {
        drop(bus.wakes());
        bus.wake(Partition::ZERO, Position::new(number)).await.unwrap();
    }
}

/// Tells again and again until the listener hears of it; returns how much else it heard before.
async fn tell_until_heard(
    bus: &Arc<dyn Bus>,
    wake: Wake,
    listener: &mut BoxStream<'static, Wake>,
) -> u64 {
    let mut heard_count = 0;
    loop {
        bus.wake(wake.partition, wake.head).await.unwrap();
        let patience = Duration::from_millis(TELL_AGAIN_MS);
        while let Ok(heard) = tokio::time::timeout(patience, listener.next()).await {
            if heard.unwrap() == wake {
                return heard_count;
            }
            heard_count += 1;
        }
    }
}

/// Asserts what a bus that was handed events up to `last` says: that, if it keeps copies.
async fn assert_last_published(bus: &Arc<dyn Bus>, partition: Partition, last: Position) {
    let expected = bus.capabilities().keeps_copies.then_some(last);
    assert_eq!(bus.last_published(partition).await.unwrap(), expected);
}

/// Events as a store would give them back.
fn recorded(partition: Partition, first: u64, count: u64) -> Vec<RecordedEvent> {
    let event = |number| RecordedEvent {
        id: EventId::new(Uuid::from_u128(u128::from(number))),
        stream: stream("bus"),
        revision: Revision::new(number),
        partition,
        position: Position::new(number),
        event_type: EventType::new("counted").unwrap(),
        schema_version: SchemaVersion::FIRST,
        content_type: ContentType::Json,
        data: Bytes::from_static(b"{}"),
        metadata: Bytes::new(),
        recorded_at: NOW,
        command_id: None,
        origin: Arc::new(Origin::default()),
    };
    (first..first + count).map(event).collect()
}
