//! `Bus`: news, which may be lost, repeated or late. What a check waits for is therefore told again
//! until it is heard.

use std::sync::Arc;
use std::time::Duration;

use annals_core::event::{ContentType, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::EventId;
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
    bus.publish(&recorded(0, 3)).await.unwrap();
}

/// Guards recovery of a publisher, which goes on before the place it died at.
pub async fn publishing_again_is_harmless(bus: &Arc<dyn Bus>) {
    for _ in 0..3 {
        bus.publish(&recorded(0, 5)).await.unwrap();
        bus.publish(&recorded(2, 5)).await.unwrap();
    }
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

/// Events as a store would give them back.
fn recorded(first: u64, count: u64) -> Vec<RecordedEvent> {
    let event = |number| RecordedEvent {
        id: EventId::new(Uuid::from_u128(u128::from(number))),
        stream: stream("bus"),
        revision: Revision::new(number),
        partition: Partition::ZERO,
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
