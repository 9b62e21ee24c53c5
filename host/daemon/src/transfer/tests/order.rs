//! The order of commits in an export of several partitions.

use std::sync::Arc;

use annals_core::commit::{Claim, Commit, RecordedCommit, Release, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::place::{ExpectedRevision, Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use annals_store_memory::MemoryEventStore;

use super::hooked::{Hook, Hooked};
use super::random::{History, partitioned};
use super::same::commits_in;
use super::support::{at, event, exported, import, note};
use crate::transfer::ExportError;
use crate::transfer::merge::Merge;
use crate::transfer::queue::Queue;

/// A stream of each of three partitions.
fn of_partition(store: &dyn EventStore, partition: u32) -> StreamId {
    let streams = (0..100).map(|number| format!("note/n{number}").parse().unwrap());
    let capabilities = store.capabilities();
    streams.into_iter().find(|it| capabilities.partition_of(it) == Partition(partition)).unwrap()
}

/// An append to streams of these partitions, with so many events.
fn append(store: &dyn EventStore, parts: &[(u32, usize)], ms: u64) -> Commit {
    let streams = parts.iter().map(|(partition, count)| StreamAppend {
        stream: of_partition(store, *partition),
        expected: ExpectedRevision::Any,
        events: vec![event(b"{}"); *count],
    });
    Commit { streams: streams.collect(), ..note(b"{}", ms) }
}

/// Partition and number of each commit, in the order in which they are exported.
async fn order(store: &dyn EventStore) -> Result<Vec<(u32, u64)>, ExportError> {
    let mut merge = Merge::begin(store).await?;
    let mut order = Vec::new();
    while let Some((partition, recorded)) = merge.next().await? {
        order.push((partition.0, recorded.number));
    }
    Ok(order)
}

#[tokio::test]
async fn commits_wait_for_what_they_were_appended_after() {
    // Guards every edge that positions tell, with times that are all the same and say nothing.
    let store = partitioned(1, 3);
    let named = |partition, is_claim| {
        let (scope, key) = (Arc::<str>::from("s"), Arc::<str>::from("k"));
        let stream = of_partition(&store, partition);
        let mut commit = append(&store, &[(partition, 1)], 0);
        if is_claim {
            commit.claims.push(Claim { scope, key, stream, expires_at: None });
        } else {
            commit.releases.push(Release { scope, key, stream });
        }
        commit
    };
    let commits = [
        (append(&store, &[(2, 1)], 0), (2, 0)),
        // Writes to a partition that has had something, and before what it gets.
        (append(&store, &[(1, 1), (2, 2)], 0), (1, 0)),
        (append(&store, &[(2, 1), (0, 1)], 0), (2, 1)),
        // Only sees a stream of another partition, which is written to afterwards.
        (append(&store, &[(2, 1), (0, 0)], 0), (2, 2)),
        (append(&store, &[(0, 1)], 0), (0, 0)),
        // Sees what was written.
        (append(&store, &[(1, 1), (0, 0)], 0), (1, 1)),
        // A name goes from one to the next, who keeps it.
        (named(2, true), (2, 3)),
        (named(2, false), (2, 4)),
        (named(1, true), (1, 2)),
        (append(&store, &[(0, 1), (1, 1), (2, 1)], 0), (0, 1)),
        (append(&store, &[(0, 1)], 0), (0, 2)),
    ];
    let mut expected = Vec::new();
    for (commit, place) in commits {
        store.append(commit).await.unwrap();
        expected.push(place);
    }
    assert_eq!(order(&store).await.unwrap(), expected);
}

#[tokio::test]
async fn what_has_no_order_is_in_that_of_time_and_then_of_partitions() {
    // Guards whoever reads an export: it is a history, and the same one each time.
    let store = partitioned(1, 3);
    for (partition, ms) in [(2, 5), (0, 7), (1, 5), (0, 9), (1, 6)] {
        store.append(append(&store, &[(partition, 1)], ms)).await.unwrap();
    }
    assert_eq!(order(&store).await.unwrap(), [(1, 0), (2, 0), (1, 1), (0, 0), (0, 1)]);
    for seed in 0..8 {
        let store = History::store(seed, (4, 0), 100).await;
        let text = exported(&store).await.0;
        let lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let times = lines.filter_map(|line| line["time"].as_str().map(str::to_owned));
        assert!(times.is_sorted(), "seed {seed}");
    }
}

/// Changes commits of partition 1.
#[derive(Debug)]
struct Damaged(fn(Vec<RecordedCommit>) -> Vec<RecordedCommit>);

impl Hook for Damaged {
    fn page(&self, partition: Partition, page: Vec<RecordedCommit>) -> Vec<RecordedCommit> {
        if partition == Partition(1) { (self.0)(page) } else { page }
    }
}

fn moved(mut page: Vec<RecordedCommit>, by: i64) -> Vec<RecordedCommit> {
    for recorded in page.iter_mut().filter(|recorded| recorded.number == 2) {
        let position = recorded.first_position.get().checked_add_signed(by);
        recorded.first_position = Position::new(position.unwrap());
    }
    page
}

#[tokio::test]
async fn damage_is_told_with_its_place() {
    // Guards against an export that ends early and says that it is whole.
    type Case = (fn(Vec<RecordedCommit>) -> Vec<RecordedCommit>, &'static str);
    let cases: [Case; 6] = [
        (|page| page, ""),
        (|page| moved(page, 1), "no commit holds the event at position 0 of partition 0"),
        (|page| moved(page, -1), "it is at position 1 of partition 1, and so is another"),
        (
            |page| page.into_iter().filter(|it| it.number != 2).collect(),
            "no commit holds the event at position 0 of partition 0",
        ),
        (
            // It is seen when commits are counted, one by one.
            |mut page| {
                let is_read = page.len() > 1 || page.iter().any(|it| it.number == 3);
                page.retain(|it| !is_read || it.number != 2);
                page
            },
            "the store has given it a number, and does not give it back",
        ),
        (
            |mut page| {
                for recorded in page.iter_mut().filter(|recorded| recorded.number == 2) {
                    let never = ExpectedRevision::Exactly(Revision::new(9));
                    recorded.commit.streams[1].expected = never;
                }
                page
            },
            "has no event at its revision 10",
        ),
    ];
    for (damage, told) in cases {
        let store = partitioned(1, 2);
        for parts in [&[(1, 1)][..], &[(1, 1)], &[(1, 1), (0, 1)], &[(1, 1)], &[(0, 1)]] {
            store.append(append(&store, parts, 0)).await.unwrap();
        }
        let said = order(&Hooked { store, hook: Damaged(damage) }).await;
        match said {
            Ok(order) => assert_eq!((order.len(), told), (5, "")),
            Err(error) => {
                let said = error.to_string();
                assert!(!told.is_empty() && said.ends_with(told), "{said}");
                assert!(error.hint().unwrap().contains("annals store verify"));
            }
        }
    }
}

/// A store of one partition with so many commits of this much data.
async fn heavy(commits_count: u64, data_bytes: usize) -> MemoryEventStore {
    let store = partitioned(1, 1);
    for number in 0..commits_count {
        let data = vec![b'1'; data_bytes];
        let commit = Commit { recorded_at: at(number), ..note(&data, 0) };
        store.append(commit).await.unwrap();
    }
    store
}

#[tokio::test]
async fn as_much_is_read_ahead_as_memory_allows() {
    // Guards memory when there are many partitions: what is over its share is read again, and the
    // next page is not larger than what had room.
    let store = heavy(20, PAYLOAD_BYTES_MAX).await;
    let mut queue = Queue::new(Partition::ZERO, 20, 1_024);
    let mut numbers = Vec::new();
    let bytes_max = 3 * PAYLOAD_BYTES_MAX;
    while queue.is_low(bytes_max) {
        let added = queue.read_on(&store, bytes_max).await.unwrap();
        let is_after_end = numbers.len() == 20;
        assert!(if is_after_end { added == 0 } else { (1..=3).contains(&added) }, "{added}");
        while let Some(recorded) = queue.pop() {
            numbers.push(recorded.number);
        }
    }
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    // One commit has room, whatever its size.
    let mut queue = Queue::new(Partition::ZERO, 20, 1_024);
    assert_eq!(queue.read_on(&store, 1).await.unwrap(), 1);
    assert!(!queue.is_low(1) && queue.pop().is_some() && queue.is_low(1));
}

#[tokio::test]
async fn the_largest_commits_of_many_partitions_come_back() {
    // Guards the limits of both together: commits that fill their partition's share at once.
    let store = partitioned(1, 64);
    for number in 0..8 {
        let events: Vec<NewEvent> = vec![event(&vec![b'1'; PAYLOAD_BYTES_MAX]); 5];
        let stream = format!("note/n{}", number % 3).parse().unwrap();
        let commit = Commit::plain(stream, ExpectedRevision::Any, events, at(number));
        store.append(commit).await.unwrap();
    }
    let (text, said) = exported(&store).await;
    let other = partitioned(2, 64);
    assert_eq!(import(&text, &other).await.unwrap().export, said);
    assert_eq!(commits_in(&other, Partition(7)).await, commits_in(&store, Partition(7)).await);
}
