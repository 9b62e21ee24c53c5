//! Tables that were deleted and made again under an open store: it must not go on as if they were its.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::id::CommandId;
use annals_core::place::{Partition, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{AppendError, Direction, FeedFilter, ReadError};
use annals_store_dynamodb::tables::delete;
use annals_store_dynamodb::{DynamoEventStore, DynamoOptions};
use tokio::time::{advance, pause, resume, timeout};
use uuid::Uuid;

use super::support::{NOW, counted, stream, stream_data};
use crate::support::emulator::Emulator;
use crate::support::faults::{Fault, Plan, Seen, http_with};

/// How often a store looks whose the tables are.
const LOOK_WAIT: Duration = Duration::from_secs(5);

/// Longest wait for what must happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lets the wait between two looks pass. Time stands still for no request, as none is under way.
async fn let_the_wait_pass() {
    pause();
    advance(LOOK_WAIT).await;
    resume();
}

/// Whether a read is refused because the tables are not this store's any more, and not because they
/// are away.
fn is_refused<T>(read: &Result<T, ReadError>) -> bool {
    let Err(error @ ReadError::Unavailable(_)) = read else { return false };
    ErrorChain(error).to_string().contains("the tables no longer hold the store that was opened")
}

/// Waits until the store has noticed.
async fn until_it_refuses(store: &DynamoEventStore) {
    let refused = async {
        while !is_refused(&store.stream_info(&stream("a")).await) {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, refused).await.unwrap();
}

async fn assert_refuses_everything(store: &DynamoEventStore) {
    fn assert_is_refused<T: Debug>(read: Result<T, ReadError>) {
        assert!(is_refused(&read), "{read:?}");
    }
    let (partition, id) = (Partition(0), stream("a"));
    let appended = store.append(counted("a", 1)).await;
    assert!(matches!(appended, Err(AppendError::Unavailable(_))), "{appended:?}");
    assert_is_refused(store.read_stream(&id, Revision::FIRST, 1, Direction::Forwards).await);
    assert_is_refused(store.read_feed(partition, None, &FeedFilter::default(), 1).await);
    assert_is_refused(store.head(partition).await);
    assert_is_refused(store.wait_for_news(partition, None).await);
    assert_is_refused(store.find_command(&id, CommandId::new(Uuid::from_u128(1))).await);
    assert_is_refused(store.read_commands(&id, 0, 1).await);
    assert_is_refused(store.read_commits(partition, 0, 1).await);
    assert_is_refused(store.claim_holder("scope", "key", NOW).await);
    assert_is_refused(store.stream_info(&id).await);
    assert_is_refused(store.event_type_counts().await);
}

#[tokio::test]
async fn tables_that_were_made_again_are_neither_read_nor_written() {
    // Guards a daemon that nobody stopped: events of the new store would begin at 0 under what it
    // remembers of the old one.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    crate::support::tables::create(&client, 2).await;
    let store = DynamoEventStore::open(client.clone()).await.unwrap();
    store.append(counted("a", 0)).await.unwrap();
    delete(&client, &mut |_| {}).await.unwrap();
    crate::support::tables::create(&client, 2).await;
    let_the_wait_pass().await;
    until_it_refuses(&store).await;
    assert_refuses_everything(&store).await;

    // Whoever opens now has the new store, which the old one left alone.
    let new = DynamoEventStore::open(client).await.unwrap();
    assert_ne!(new.store_id(), store.store_id());
    assert_eq!(stream_data(&new, "a").await, Vec::<String>::new());
    new.append(counted("a", 0)).await.unwrap();
    assert_refuses_everything(&store).await;
}

#[tokio::test]
async fn tables_that_are_gone_are_not_waited_for() {
    // Guards the time between deleting and making again: what comes then is another store.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    crate::support::tables::create(&client, 2).await;
    let store = DynamoEventStore::open(client.clone()).await.unwrap();
    delete(&client, &mut |_| {}).await.unwrap();
    let_the_wait_pass().await;
    until_it_refuses(&store).await;
    assert_refuses_everything(&store).await;
}

#[tokio::test]
async fn a_look_that_fails_says_nothing_about_whose_the_tables_are() {
    // Guards against a stop for nothing: the store goes on when the service has a bad moment, and when
    // the look finds what it should.
    let emulator = Emulator::start().await;
    crate::support::tables::create(&emulator.client().await, 2).await;
    let (looks, is_bad) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, bad) = (Arc::clone(&looks), Arc::clone(&is_bad));
    // Nothing else asks for one item here.
    let plan: Plan = Arc::new(move |seen: &Seen| {
        if seen.operation != "GetItem" {
            return Fault::None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        if bad.load(Ordering::Relaxed) { Fault::Dropped } else { Fault::None }
    });
    let options = DynamoOptions {
        http_client: Some(http_with(plan)),
        operation_wait_max: Duration::ZERO,
        ..emulator.options()
    };
    let store = DynamoEventStore::open(emulator.client_with(options).await).await.unwrap();
    // Opening looks once, and the guard begins with a look.
    for (looks_count, is_bad_now) in [(2, false), (3, true), (4, false), (5, true)] {
        is_bad.store(is_bad_now, Ordering::Relaxed);
        let looked = async {
            while looks.load(Ordering::Relaxed) < looks_count {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, looked).await.unwrap();
        store.append(counted("a", looks_count)).await.unwrap();
        let_the_wait_pass().await;
    }
    assert_eq!(stream_data(&store, "a").await.len(), 4);
}
