//! Imports that end in the middle, with some commits in flight that are there and others that are not.

use std::collections::HashMap;
use std::sync::Mutex;

use annals_core::commit::{Accepted, Commit};
use annals_core::place::Partition;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use annals_store_memory::MemoryEventStore;
use annals_store_memory::faulty::Random;
use async_trait::async_trait;

use super::hooked::{Hook, Hooked, away};
use super::random::{History, partitioned};
use super::same::{all_commits, assert_same, commits_count};
use super::support::{empty_store, exported, import, note};
use crate::transfer::ImportError;

/// Takes so many commits in each partition, and then no more.
#[derive(Debug)]
struct Ending {
    left_counts: Mutex<HashMap<Partition, u64>>,
}

#[async_trait]
impl Hook for Ending {
    async fn append(
        &self,
        store: &MemoryEventStore,
        commit: Commit,
    ) -> Result<Accepted, AppendError> {
        let capabilities = store.capabilities();
        let named = commit.streams.iter().map(|append| &append.stream).chain(commit.home());
        let partitions: Vec<_> = named.map(|stream| capabilities.partition_of(stream)).collect();
        let home = commit.home().map(|stream| capabilities.partition_of(stream)).unwrap();
        let is_taken = {
            let mut left_counts = self.left_counts.lock().unwrap();
            let is_taken = partitions.iter().all(|partition| left_counts[partition] > 0);
            // Of several partitions, none takes any more when one does not.
            for partition in partitions.iter().filter(|_| !is_taken) {
                left_counts.insert(*partition, 0);
            }
            if is_taken {
                *left_counts.get_mut(&home).unwrap() -= 1;
            }
            is_taken
        };
        if is_taken { store.append(commit).await } else { Err(away()) }
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_that_ended_at_different_commits_go_on_where_each_ended() {
    // Guards `kill -9` during an import into a remote store: each partition has got another part of
    // what was in flight, and none a commit without those before it.
    for (from, to) in [(1, 4), (4, 4), (3, 16), (16, 16), (16, 3), (4, 1)] {
        for seed in 0..3 {
            let store = History::store(seed, (from, 5), 80).await;
            let (text, said) = exported(&store).await;
            let mut random = Random::new(seed);
            let left_counts =
                (0..to).map(|partition| (Partition(partition), random.below(u64::from(160 / to))));
            let hook = Ending { left_counts: Mutex::new(left_counts.collect()) };
            let ending = Hooked { store: partitioned(2, to), hook };
            let ended = import(&text, &ending).await;
            let other = ending.store;
            let found_count = commits_count(&other).await;
            assert_eq!(ended.is_ok(), found_count == said.commits_count);
            let imported = import(&text, &other).await.unwrap();
            assert_eq!(imported.appended_count, said.commits_count - found_count);
            assert_same(&store, &other, imported.times_moved_count).await;
            if from == to {
                assert_eq!(all_commits(&other).await, all_commits(&store).await);
            }
        }
    }
}

/// Takes some first commits, then some and not others, and then none.
#[derive(Debug)]
struct Failing {
    state: Mutex<Failure>,
}

#[derive(Debug)]
struct Failure {
    random: Random,
    sure_count: u64,
    perhaps_count: u64,
}

#[async_trait]
impl Hook for Failing {
    async fn append(
        &self,
        store: &MemoryEventStore,
        commit: Commit,
    ) -> Result<Accepted, AppendError> {
        let is_taken = {
            let Failure { random, sure_count, perhaps_count } = &mut *self.state.lock().unwrap();
            let is_sure = *sure_count > 0;
            let is_perhaps = !is_sure && *perhaps_count > 0;
            *sure_count -= u64::from(is_sure);
            *perhaps_count -= u64::from(is_perhaps);
            is_sure || (is_perhaps && random.happens(500))
        };
        if is_taken { store.append(commit).await } else { Err(away()) }
    }
}

#[tokio::test(start_paused = true)]
async fn commits_that_passed_others_are_known_again() {
    // Guards the order of streams, and every commit: a store that failed for some of what was in
    // flight has later ones, and gets the others when the import goes on.
    for to in [1, 3, 16] {
        for seed in 0..4 {
            let store = History::store(seed, (4, 5), 120).await;
            let (text, said) = exported(&store).await;
            let mut other = partitioned(2, to);
            // Some, then some more, then all the rest.
            for sure_count in [seed * 22, 10] {
                let random = Random::new(seed);
                let state = Mutex::new(Failure { random, sure_count, perhaps_count: 25 });
                let failing = Hooked { store: other, hook: Failing { state } };
                drop(import(&text, &failing).await);
                other = failing.store;
            }
            let found_count = commits_count(&other).await;
            let imported = import(&text, &other).await.unwrap();
            assert_eq!(imported.appended_count, said.commits_count - found_count);
            assert_same(&store, &other, imported.times_moved_count).await;
        }
    }
}

#[tokio::test]
async fn an_import_of_another_export_is_left_alone_whatever_the_partitions() {
    // Guards data that is there: what no import of this export can have left is refused before
    // anything is written, also where commits are known by their content.
    let text = exported(&History::store(1, (4, 0), 80).await).await.0;
    let others = [History::store(2, (3, 0), 80).await, partitioned(2, 3)];
    others[1].append(note(b"\"other\"", 0)).await.unwrap();
    for other in others {
        let before = all_commits(&other).await;
        let error = import(&text, &other).await.unwrap_err();
        assert!(matches!(&error, ImportError::OtherContent { .. } | ImportError::Ahead { .. }));
        assert!(error.is_the_users() && error.hint().unwrap().starts_with("nothing was written"));
        assert_eq!(all_commits(&other).await, before);
    }
    let whole = partitioned(2, 3);
    import(&text, &whole).await.unwrap();
    whole.append(note(b"{}", 1_000)).await.unwrap();
    let error = import(&text, &whole).await.unwrap_err();
    let is_ahead =
        matches!(&error, ImportError::Ahead { export, store, .. } if *store == export + 1);
    assert!(is_ahead, "{error}");
}

#[tokio::test]
async fn more_left_out_than_was_ever_in_flight_is_something_else() {
    // Guards memory and data: as many commits as an import has in flight may be missing, and one more
    // may not, with as many partitions and with others.
    let store = partitioned(1, 2);
    let mut history = 0;
    for (stream, count) in [("note/n1", 1_025_u64), ("note/n2", 1)] {
        for _ in 0..count {
            let mut commit = note(b"{}", history);
            commit.streams[0].stream = stream.parse().unwrap();
            store.append(commit).await.unwrap();
            history += 1;
        }
    }
    let (text, _) = exported(&store).await;
    let last =
        all_commits(&store).await.into_iter().flatten().max_by_key(|it| it.commit.recorded_at);
    let last = last.unwrap().commit;
    for missing_count in [1_024, 1_025] {
        for partitions_count in [1, 2] {
            let other = partitioned(2, partitions_count);
            for recorded in all_commits(&store).await.iter().flatten() {
                let is_first = recorded.number + missing_count < 1_025;
                if is_first && recorded.commit.streams[0].stream.as_str() == "note/n1" {
                    other.append(recorded.commit.clone()).await.unwrap();
                }
            }
            let is_there = other.append(last.clone()).await.is_ok();
            assert!(is_there);
            let imported = import(&text, &other).await;
            // In one partition the last was recorded before the others, and times do not go back.
            if missing_count == 1_024 {
                let imported = imported.unwrap();
                assert_eq!(imported.appended_count, 1_024);
                let moved_count = if partitions_count == 1 { 1_024 } else { 0 };
                assert_eq!(imported.times_moved_count, moved_count);
            } else {
                let error = imported.unwrap_err();
                let is_gap = matches!(&error, ImportError::Gap { number: 0, .. });
                let is_other = matches!(&error, ImportError::OtherContent { number: 0, .. });
                assert!(if partitions_count == 1 { is_other } else { is_gap }, "{error}");
                assert_eq!(commits_count(&other).await, 1);
            }
        }
    }
    assert_eq!(empty_store(3).capabilities().partitions_count, 1);
}
