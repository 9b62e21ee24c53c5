//! What operations cost, in capacity units, as the emulator counts them by AWS' rules.

use std::sync::Arc;

use annals_core::id::CorrelationId;
use annals_core::place::{Partition, Position};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::FeedFilter;
use annals_core::time::Timestamp;
use annals_store_dynamodb::{DynamoClient, DynamoEventStore, Units};

use super::support::{command_of, counted, stream};
use crate::support::emulator::Emulator;

/// Data of an event as the benchmarks use it, in bytes.
const SMALL: usize = 220;

async fn open(partitions: u32) -> (Emulator, DynamoClient, Arc<DynamoEventStore>) {
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    crate::support::tables::create(&client, partitions).await;
    let store = DynamoEventStore::open(client.clone()).await.unwrap();
    (emulator, client, Arc::new(store))
}

async fn cost<T>(client: &DynamoClient, work: impl Future<Output = T>) -> Units {
    let before = client.units();
    work.await;
    client.units() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_small_command_costs_four_write_units() {
    // Guards the price of a command: two items of at most 1 KiB, twice because of the transaction.
    let (_emulator, client, store) = open(1).await;
    store.append(command_of("warm", 1, SMALL)).await.unwrap();
    let mut commit = command_of("lone", 2, SMALL);
    commit.id_is_new = true;
    let units = cost(&client, async { store.append(commit).await.unwrap() }).await;
    // The stream was never seen: one look at where it ends, which finds nothing.
    assert_eq!(units, Units { reads: 1.0, writes: 4.0, requests_count: 2 });
    let mut commit = command_of("lone", 3, SMALL);
    commit.id_is_new = true;
    let units = cost(&client, async { store.append(commit).await.unwrap() }).await;
    assert_eq!(units, Units { reads: 0.0, writes: 4.0, requests_count: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn grouped_small_commands_cost_less_than_two_and_a_half_write_units_each() {
    // Guards grouping: the feed item is paid once for the commits of many streams.
    let (_emulator, client, store) = open(1).await;
    let units = cost(&client, append_grouped(&store, 500, 100)).await;
    let each = units.writes / 500.0;
    println!("{each:.3} write units per command in groups, {units:?}");
    assert!(each < 2.5, "{each} write units per command");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_costs_a_look_at_its_stream() {
    // Guards idempotent clients: recognising a repeat writes nothing.
    let (_emulator, client, store) = open(1).await;
    store.append(command_of("again", 1, SMALL)).await.unwrap();
    let again = store.append(command_of("again", 1, SMALL));
    let units = cost(&client, async { again.await.unwrap_err() }).await;
    assert!(units.writes == 0.0 && units.reads <= 1.0, "{units:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_reads_small_lone_commits_from_the_feed_alone() {
    // Guards readers at the head: one Query, and no item of a stream.
    let (_emulator, client, store) = open(1).await;
    for number in 0..10 {
        store.append(counted("live", number)).await.unwrap();
    }
    let filter = FeedFilter::default();
    let read = store.read_feed(Partition::ZERO, None, &filter, 100).await.unwrap();
    assert_eq!(read.read_up_to, Some(Position::new(9)));
    store.append(command_of("live", 1, SMALL)).await.unwrap();
    let units = cost(&client, async {
        let after = read.read_up_to;
        let page = store.read_feed(Partition::ZERO, after, &filter, 100).await.unwrap();
        assert_eq!(page.events.len(), 1);
    });
    assert_eq!(units.await, Units { reads: 1.0, writes: 0.0, requests_count: 1 });
    let units = cost(&client, async { store.stream_info(&stream("live")).await.unwrap() }).await;
    assert_eq!(units, Units { reads: 1.0, writes: 0.0, requests_count: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_grouped_events_costs_about_one_read_unit_each() {
    // Guards the price of a projection: events that were written in groups are in their streams.
    let (_emulator, client, store) = open(1).await;
    append_grouped(&store, 500, 100).await;
    let filter = FeedFilter::default();
    let mut events_count = 0;
    let units = cost(&client, async {
        let mut after = None;
        loop {
            let page = store.read_feed(Partition::ZERO, after, &filter, 1_000).await.unwrap();
            events_count += page.events.len();
            after = page.read_up_to;
            if page.is_at_head {
                break;
            }
        }
    });
    let units = units.await;
    println!("{:.3} read units per grouped event, {units:?}", units.reads / 500.0);
    assert_eq!(events_count, 500);
    assert!(units.reads / 500.0 < 1.1, "{units:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_for_a_correlation_id_costs_a_read_unit_per_grouped_commit_and_less_per_lone_one() {
    // Guards the price of a trace, and that `since` saves what it says.
    let (_emulator, client, store) = open(1).await;
    append_grouped(&store, 500, 100).await;
    let grouped = cost(&client, look_through(&store, 0, 500)).await;
    println!("{:.3} read units per grouped commit, {grouped:?}", grouped.reads / 500.0);
    assert!(grouped.reads / 500.0 < 1.2, "{grouped:?}");
    for number in 0..100 {
        store.append(counted("lone", number)).await.unwrap();
    }
    // The feed itself says that these are of others: no item of a stream is read.
    let lone = cost(&client, look_through(&store, 500, 600)).await;
    println!("{:.3} read units per lone commit, {lone:?}", lone.reads / 100.0);
    assert!(lone.reads / 100.0 < 0.5, "{lone:?}");
    let units = cost(&client, async {
        let for_ever = Timestamp::from_ms(u64::MAX);
        let end = store.first_commit_since(Partition::ZERO, for_ever).await.unwrap();
        assert_eq!(end, 600);
    });
    assert_eq!(units.await, Units { reads: 1.0, writes: 0.0, requests_count: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_look_reads_the_heads_of_about_a_thousand_commits() {
    // Guards whoever waits for a page against one that reads through all of a store.
    let (_emulator, _, store) = open(1).await;
    append_grouped(&store, 1_300, 100).await;
    let id = CorrelationId::new("nobody-has-this-one").unwrap();
    let mut pages = Vec::new();
    let mut next = 0;
    loop {
        let page = store.read_correlated(Partition::ZERO, &id, next).await.unwrap();
        pages.push(page.next - next);
        next = page.next;
        if page.is_at_head {
            break;
        }
    }
    assert!(pages.len() > 1 && next == 1_300, "{pages:?}");
    // It ends with a group of commits, of which one has at most 99.
    assert!(pages[0] >= 1_000 && pages[0] < 1_100, "{pages:?}");
}

/// Looks for a correlation id that nobody has.
async fn look_through(store: &DynamoEventStore, from: u64, to: u64) {
    let id = CorrelationId::new("nobody-has-this-one").unwrap();
    let mut next = from;
    loop {
        let page = store.read_correlated(Partition::ZERO, &id, next).await.unwrap();
        assert_eq!(page.commits, []);
        next = page.next;
        if page.is_at_head {
            break;
        }
    }
    assert_eq!(next, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_stream_costs_a_read_unit_per_four_kilobytes() {
    // Guards the price of loading an entity: consecutive items share units.
    let (_emulator, client, store) = open(1).await;
    for number in 0..100 {
        store.append(command_of("cold", number, SMALL)).await.unwrap();
    }
    let units = cost(&client, async {
        let from = annals_core::place::Revision::FIRST;
        let direction = annals_core::port::event_store::Direction::Forwards;
        let page = store.read_stream(&stream("cold"), from, 1_000, direction).await.unwrap();
        assert_eq!(page.events.len(), 100);
    });
    let units = units.await;
    println!("{} read units for a stream of 100 small events", units.reads);
    assert!(units.reads <= 25.0, "{units:?}");
}

async fn append_grouped(store: &Arc<DynamoEventStore>, commands: u128, streams: u128) {
    let appends = (0..commands).map(|number| {
        let store = Arc::clone(store);
        let mut commit = command_of(&format!("s{}", number % streams), number, SMALL);
        commit.id_is_new = true;
        async move { store.append(commit).await.unwrap() }
    });
    futures_util::future::join_all(appends).await;
}
