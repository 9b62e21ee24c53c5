//! Readers that catch up while writers append and segments roll, on threads and files of the system.

use std::sync::Arc;
use std::thread;

use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{Direction, FeedFilter};
use pollster::block_on;

use super::seed::Seed;
use super::stepped::{TINY, TINY_UNCACHED};
use super::support::{Folder, accept, plain, stream};
use crate::{LocalEventStore, LogOptions};

const WRITERS_COUNT: u64 = 3;
const COMMITS_COUNT: u64 = 250;

/// Two events per commit, each with its number in the stream.
fn write(store: &LocalEventStore, writer: u64) {
    let name = format!("account/w{writer}");
    for number in 0..COMMITS_COUNT {
        let data = [format!("{}", number * 2), format!("{}", number * 2 + 1)];
        let mut commit = plain(&name, &[&data[0], &data[1]]);
        commit.streams[0].events[0].metadata = vec![b' '; 300].into();
        let accepted = accept(store, commit).unwrap();
        if number % 10 == 9 {
            block_on(accepted.durability.wait()).unwrap();
        }
    }
}

/// Reads from a random position to the end, in pages of random sizes: every event once, in order.
fn catch_up(store: &LocalEventStore, mut seed: Seed) {
    let events_count = WRITERS_COUNT * COMMITS_COUNT * 2;
    let mut next = seed.below(40);
    while next < events_count {
        let after = next.checked_sub(1).map(Position::new);
        block_on(store.wait_for_news(Partition::ZERO, after)).unwrap();
        let limit = 1 + seed.index(90);
        let filter = FeedFilter::default();
        let page = block_on(store.read_feed(Partition::ZERO, after, &filter, limit)).unwrap();
        for event in &page.events {
            assert_eq!(event.position, Position::new(next));
            assert_eq!(event.data, event.revision.get().to_string().as_bytes());
            next += 1;
        }
        let read_up_to = page.read_up_to.map_or(0, |position| position.get() + 1);
        assert_eq!(read_up_to, next);
        if seed.percent(20) {
            check_stream(store, &format!("account/w{}", seed.below(WRITERS_COUNT)), &mut seed);
        }
    }
}

fn check_stream(store: &LocalEventStore, name: &str, seed: &mut Seed) {
    let from = Revision::new(seed.below(200));
    let page = block_on(store.read_stream(&stream(name), from, 50, Direction::Forwards)).unwrap();
    for (revision, event) in (from.get()..).zip(&page.events) {
        assert_eq!(event.revision, Revision::new(revision));
        assert_eq!(event.data, revision.to_string().as_bytes());
    }
}

fn run(options: LogOptions, seed: &mut Seed) {
    let folder = Folder::new();
    let store = Arc::new(folder.try_open_with(options).unwrap().0);
    thread::scope(|scope| {
        let store = &store;
        for writer in 0..WRITERS_COUNT {
            scope.spawn(move || write(store, writer));
        }
        for _ in 0..3 {
            let seed = seed.fork();
            scope.spawn(move || catch_up(store, seed));
        }
    });
    let segments = std::fs::read_dir(folder.log()).unwrap();
    assert!(segments.count() > 20);
    drop(store);
    let (_, report) = folder.try_open_with(options).unwrap();
    assert_eq!(report.events_count, WRITERS_COUNT * COMMITS_COUNT * 2);
    assert_eq!((report.indexes_rebuilt_count, report.cut), (0, None));
}

#[test]
fn readers_that_catch_up_while_segments_roll_lose_and_double_nothing() {
    // Guards R10: at the seams between segments, between what is sealed and what is not, and between
    // what is durable and what is not.
    let mut seed = Seed::new(1);
    run(TINY, &mut seed);
    run(TINY_UNCACHED, &mut seed);
}
