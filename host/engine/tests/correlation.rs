//! Looking for a correlation id through the commits of a store.

use std::sync::Arc;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::{NewEvent, Origin};
use annals_core::id::{CorrelationId, StoreId};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::EventStore as _;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::correlation::{Look, LookPlace, look};
use annals_store_memory::MemoryEventStore;
use annals_store_memory::faulty::{Call, FaultPlan, FaultyEventStore};
use uuid::Uuid;

/// Every read takes 400 ms.
#[derive(Debug)]
struct Slow;

impl FaultPlan for Slow {
    fn delay_before(&self, call: Call) -> Duration {
        let is_read = call == Call::ReadEvents;
        if is_read { Duration::from_millis(400) } else { Duration::ZERO }
    }
}

/// Records so many commits, each tenth with the correlation id.
async fn fill(store: &MemoryEventStore, id: &CorrelationId, count: usize) {
    let stream = StreamId::parse("note/n1").unwrap();
    for number in 0..count {
        let event = NewEvent::json("noted".parse().unwrap(), "{}");
        let now = Timestamp::from_ms(1);
        let mut commit = Commit::plain(stream.clone(), ExpectedRevision::Any, vec![event], now);
        let correlation_id = (number % 10 == 0).then(|| id.clone());
        commit.origin = Arc::new(Origin { correlation_id, ..Origin::default() });
        store.append(commit).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_ends_after_its_time_and_the_look_where_the_partition_ended_when_it_began() {
    // Guards long looks: each page answers in time and says where to go on, and writers who are faster
    // than the look do not keep it from its end.
    let memory = Arc::new(MemoryEventStore::new(StoreId::new(Uuid::nil())));
    let store = FaultyEventStore::new(Arc::clone(&memory) as _, Arc::new(Slow));
    let id = CorrelationId::new("it").unwrap();
    fill(&memory, &id, 10_000).await;
    let mut looking = Look { id: id.clone(), since: None, from: None };
    // One read to know the end, and two pages of 4 096 commits each.
    let page = look(&store, &looking).await.unwrap();
    let next = LookPlace { partition: Partition::ZERO, number: 8_192, end: 10_000 };
    assert_eq!((page.commits.len(), page.looked_at_count, page.next), (820, 8_192, Some(next)));
    fill(&memory, &id, 10_000).await;
    looking.from = page.next;
    let page = look(&store, &looking).await.unwrap();
    assert_eq!((page.commits.len(), page.looked_at_count, page.next), (180, 1_808, None));
    assert!(page.commits.iter().all(|(_, commit)| (8_192..10_000).contains(&commit.number)));
}
