//! What is durable when, and what a crash leaves of a volatile store.

use std::sync::Arc;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{Direction, FeedFilter};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_memory::VolatileEventStore;
use annals_store_memory::faulty::FaultPlan;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::support::{FOUR, STORE_ID};

const MINUTE: Duration = Duration::from_secs(60);

/// A minute from accepted to durable.
#[derive(Debug)]
struct Slow;

impl FaultPlan for Slow {
    fn durable_after(&self) -> Duration {
        MINUTE
    }
}

fn stream() -> StreamId {
    StreamId::parse("account/a1").unwrap()
}

fn commit() -> Commit {
    let event = NewEvent::json(EventType::new("opened").unwrap(), "{}");
    Commit::plain(stream(), ExpectedRevision::Any, vec![event], Timestamp::from_ms(1))
}

async fn revisions(store: &VolatileEventStore) -> Vec<u64> {
    let name = stream();
    let page = store.read_stream(&name, Revision::FIRST, 100, Direction::Forwards).await.unwrap();
    page.events.iter().map(|event| event.revision.get()).collect()
}

#[tokio::test(start_paused = true)]
async fn feed_and_commits_end_at_the_durable_head_and_streams_wait() {
    // Guards the simulation: it can only find a reply that left too early when accepted and durable
    // are told apart.
    let store = VolatileEventStore::new(STORE_ID, Arc::new(Slow));
    let start = Instant::now();
    let first = store.append(commit()).await.unwrap();
    tokio::time::advance(MINUTE / 2).await;
    let second = store.append(commit()).await.unwrap();
    let (zero, filter) = (Partition::ZERO, FeedFilter::default());
    let seen = async || {
        let page = store.read_feed(zero, None, &filter, 10).await.unwrap();
        let commits = store.read_commits(zero, 0, 10).await.unwrap().len();
        let head = store.head(zero).await.unwrap();
        (page.events.len(), page.read_up_to, page.is_at_head, commits, head)
    };
    assert_eq!(seen().await, (0, None, true, 0, None));
    assert_eq!(store.not_durable_count(), 2);
    assert!(store.flush().now_or_never().is_none());

    first.durability.wait().await.unwrap();
    let zeroth = Some(Position::new(0));
    assert_eq!((seen().await, start.elapsed() >= MINUTE), ((1, zeroth, true, 1, zeroth), true));
    assert!(second.durability.wait().now_or_never().is_none());
    assert_eq!(revisions(&store).await, [0, 1]);
    assert_eq!(store.not_durable_count(), 0);
    assert!(start.elapsed() >= MINUTE / 2 * 3);
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_the_durable_commits_and_some_first_others() {
    // Guards the simulation: a crash takes back a tail of the log, never anything durable.
    for (kept, expected) in [(0, 2), (1, 3), (2, 4), (9, 4)] {
        let store = VolatileEventStore::new(STORE_ID, Arc::new(Slow));
        for _ in 0..2 {
            store.append(commit()).await.unwrap().durability.wait().await.unwrap();
        }
        let before = store.read_commits(Partition::ZERO, 0, 10).await.unwrap();
        let lost = store.append(commit()).await.unwrap();
        store.append(commit()).await.unwrap();
        let reopened = store.reopen(kept).await.unwrap();
        assert_eq!(revisions(&reopened).await, (0..expected).collect::<Vec<_>>());
        assert_eq!((reopened.not_durable_count(), reopened.store_id()), (0, STORE_ID));
        let commits = reopened.read_commits(Partition::ZERO, 0, 2).await.unwrap();
        assert_eq!(commits, before);
        // The store before the crash makes nothing durable any more.
        assert!(lost.durability.wait().await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_takes_a_commit_back_from_every_partition() {
    // Guards the simulation: what is lost of a commit over partitions is lost in all of them.
    let store = VolatileEventStore::with_partitions(STORE_ID, FOUR, Arc::new(Slow));
    let streams = ["account/a1", "account/a2"].map(|id| StreamId::parse(id).unwrap());
    let partitions = streams.each_ref().map(|stream| store.capabilities().partition_of(stream));
    assert_ne!(partitions[0], partitions[1]);
    let of_both = || {
        let mut commit = commit();
        commit.streams.push(commit.streams[0].clone());
        for (part, stream) in commit.streams.iter_mut().zip(&streams) {
            part.stream = stream.clone();
        }
        commit
    };
    for number in 0..3 {
        let accepted = store.append(of_both()).await.unwrap();
        if number == 0 {
            accepted.durability.wait().await.unwrap();
        }
    }
    let reopened = store.reopen(1).await.unwrap();
    for (store, expected) in [(&store, 0), (&reopened, 1)] {
        for partition in partitions {
            let page = store.read_feed(partition, None, &FeedFilter::default(), 10).await.unwrap();
            let last = page.events.last().map(|event| event.position);
            assert_eq!((last, page.is_at_head), (Some(Position::new(expected)), true));
            assert_eq!(store.head(partition).await.unwrap(), last);
        }
        let [own, other] = partitions;
        let expected_count = usize::try_from(expected).unwrap() + 1;
        assert_eq!(store.read_commits(own, 0, 10).await.unwrap().len(), expected_count);
        assert_eq!(store.read_commits(other, 0, 10).await.unwrap(), []);
    }
}
