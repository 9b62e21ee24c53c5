//! Whether two stores hold the same, whatever their partitions.

use annals_core::commit::RecordedCommit;
use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::Direction;
use annals_core::time::Timestamp;

use super::random::{NAMES, streams};
use super::support::at;

/// The commits of a partition.
pub(super) async fn commits_in(
    store: &dyn EventStore,
    partition: Partition,
) -> Vec<RecordedCommit> {
    let mut commits = Vec::new();
    loop {
        let from = u64::try_from(commits.len()).unwrap();
        let page = store.read_commits(partition, from, usize::MAX).await.unwrap();
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}

/// The commits of all partitions.
pub(super) async fn all_commits(store: &dyn EventStore) -> Vec<Vec<RecordedCommit>> {
    let mut all = Vec::new();
    for partition in 0..store.capabilities().partitions_count {
        all.push(commits_in(store, Partition(partition)).await);
    }
    all
}

/// How many commits there are.
pub(super) async fn commits_count(store: &dyn EventStore) -> u64 {
    let all = all_commits(store).await;
    u64::try_from(all.iter().map(Vec::len).sum::<usize>()).unwrap()
}

/// Asserts that streams, commands and names are the same. Times are the same too, but for
/// `times_moved_count` commits that have a later one.
pub(super) async fn assert_same(one: &dyn EventStore, other: &dyn EventStore, times_moved: u64) {
    let end = Revision::FIRST;
    for stream in streams() {
        let read = async |store: &dyn EventStore| {
            let page = store.read_stream(&stream, end, usize::MAX, Direction::Forwards).await;
            page.unwrap().events
        };
        let (events, others) = (read(one).await, read(other).await);
        assert!(times(&others).zip(times(&events)).all(|(other, one)| other >= one));
        if times_moved == 0 {
            assert!(times(&others).eq(times(&events)));
        }
        assert_eq!(without_places(others), without_places(events));
        let commands = async |store: &dyn EventStore| {
            let mut commands = store.read_commands(&stream, 0, usize::MAX).await.unwrap();
            for command in &mut commands {
                if let Some(range) = &mut command.events {
                    (range.first_position, range.last_position) =
                        (Position::new(0), Position::new(0));
                }
                command.recorded_at = at(0);
            }
            commands
        };
        assert_eq!(commands(other).await, commands(one).await);
    }
    for key in NAMES {
        for now in [0, 100, 1_000].map(at) {
            let holder = one.claim_holder("s", key, now).await.unwrap();
            assert_eq!(other.claim_holder("s", key, now).await.unwrap(), holder);
        }
    }
    assert_eq!(commits_count(other).await, commits_count(one).await);
    assert_eq!(moved_count(one, other).await, times_moved);
}

fn times(events: &[RecordedEvent]) -> impl Iterator<Item = Timestamp> {
    events.iter().map(|event| event.recorded_at)
}

fn without_places(mut events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
    for event in &mut events {
        event.partition = Partition::ZERO;
        event.position = Position::new(0);
        event.recorded_at = at(0);
    }
    events
}

/// How many commits have another time.
async fn moved_count(one: &dyn EventStore, other: &dyn EventStore) -> u64 {
    let sorted = async |store: &dyn EventStore| {
        let all = all_commits(store).await.into_iter().flatten();
        // What is left of a commit without its place and time tells it from the others.
        let mut all: Vec<_> = all
            .map(|recorded| {
                let mut commit = recorded.commit;
                let time = std::mem::replace(&mut commit.recorded_at, at(0));
                (format!("{commit:?}"), time)
            })
            .collect();
        all.sort();
        all
    };
    let (one, other) = (sorted(one).await, sorted(other).await);
    let commits =
        |all: &[(String, Timestamp)]| all.iter().map(|(it, _)| it.clone()).collect::<Vec<_>>();
    assert_eq!(commits(&other), commits(&one));
    let pairs = one.iter().zip(&other);
    u64::try_from(pairs.filter(|((_, one), (_, other))| one != other).count()).unwrap()
}
