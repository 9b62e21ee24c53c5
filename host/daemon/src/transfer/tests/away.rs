//! Stores that lose replies, are away for a while, or forget ids.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals_core::command::Outcome;
use annals_core::commit::{Accepted, Commit};
use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use annals_store_memory::MemoryEventStore;
use annals_store_memory::faulty::{
    Call, FaultPlan, FaultRates, FaultyEventStore, Random, SeededFaults,
};
use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::hooked::{Hook, Hooked, away};
use super::random::{History, partitioned};
use super::same::{all_commits, assert_same, commits_count};
use super::support::{command, empty_store, exported, import, note};
use crate::transfer::ImportError;

/// A store that remembers the ids of this many commits of a stream.
fn forgetful(partitions_count: u32, commits_count: u64) -> MemoryEventStore {
    let id = StoreId::new(Uuid::from_u128(2));
    let partitions_count = NonZeroU32::new(partitions_count).unwrap();
    MemoryEventStore::forgetful(id, partitions_count, NonZeroU64::new(commits_count).unwrap())
}

/// Loses replies, and perhaps what they are about.
#[derive(Debug)]
struct Losing {
    random: Mutex<Random>,
    lost_per_mille: u64,
    unavailable_per_mille: u64,
    recorded_per_mille: u64,
}

#[async_trait]
impl Hook for Losing {
    async fn append(
        &self,
        store: &MemoryEventStore,
        commit: Commit,
    ) -> Result<Accepted, AppendError> {
        let (is_lost, is_recorded) = {
            let mut random = self.random.lock().unwrap();
            if random.happens(self.unavailable_per_mille) {
                return Err(away());
            }
            (random.happens(self.lost_per_mille), random.happens(self.recorded_per_mille))
        };
        if !is_lost {
            return store.append(commit).await;
        }
        if is_recorded {
            store.append(commit).await?;
        }
        Err(AppendError::OutcomeUnknown(DriverError::new("the reply was lost")))
    }
}

#[tokio::test(start_paused = true)]
async fn lost_replies_lose_and_double_nothing_whatever_ids_are_remembered() {
    // Guards exactly once: a commit that may be there is looked for, also when its stream has
    // forgotten its id, and one without events that would be taken twice.
    for (from, to) in [(1, 4), (3, 1), (4, 16)] {
        for seed in 0..3 {
            let store = History::store(seed, (from, 5), 80).await;
            let (text, said) = exported(&store).await;
            for other in [partitioned(2, to), forgetful(to, 2)] {
                let random = Mutex::new(Random::new(seed));
                let hook = Losing {
                    random,
                    lost_per_mille: 250,
                    unavailable_per_mille: 50,
                    recorded_per_mille: 600,
                };
                let losing = Hooked { store: other, hook };
                let imported = import(&text, &losing).await.unwrap();
                assert_eq!(imported.appended_count, said.commits_count);
                assert_same(&store, &losing.store, imported.times_moved_count).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_are_lost_do_not_move_places() {
    // Guards positions: with as many partitions they stay, also when only the reply was lost.
    for seed in 0..6 {
        let store = History::store(seed, (4, 5), 80).await;
        let (text, said) = exported(&store).await;
        let random = Mutex::new(Random::new(seed));
        let hook = Losing {
            random,
            lost_per_mille: 300,
            unavailable_per_mille: 0,
            recorded_per_mille: 1_000,
        };
        let losing = Hooked { store: forgetful(4, 2), hook };
        assert_eq!(import(&text, &losing).await.unwrap().export, said);
        assert_eq!(all_commits(&losing.store).await, all_commits(&store).await);
    }
}

/// Is away for some appends, from one on.
#[derive(Debug)]
struct Outage {
    appends_count: AtomicU64,
    begin: u64,
    end: u64,
}

impl Outage {
    fn of(range: std::ops::Range<u64>) -> Self {
        Self { appends_count: AtomicU64::new(0), begin: range.start, end: range.end }
    }
}

#[async_trait]
impl Hook for Outage {
    async fn append(
        &self,
        store: &MemoryEventStore,
        commit: Commit,
    ) -> Result<Accepted, AppendError> {
        let count = self.appends_count.fetch_add(1, Ordering::Relaxed);
        let is_away = (self.begin..self.end).contains(&count);
        if is_away { Err(away()) } else { store.append(commit).await }
    }
}

/// The text of a store of one partition with so many notes.
async fn notes(count: u64) -> String {
    let store = empty_store(1);
    for number in 0..count {
        let mut commit = note(b"{}", number);
        commit.streams[0].stream = format!("note/n{}", number % 7).parse().unwrap();
        store.append(commit).await.unwrap();
    }
    exported(&store).await.0
}

#[tokio::test(start_paused = true)]
async fn an_import_waits_for_a_store_that_is_away_for_a_while() {
    // Guards imports of hours: what was in flight is appended again, in order, and positions stay.
    let text = notes(100).await;
    let away = Hooked { store: empty_store(2), hook: Outage::of(30..150) };
    let imported = import(&text, &away).await.unwrap();
    assert_eq!(imported.appended_count, 100);
}

#[tokio::test(start_paused = true)]
async fn an_import_gives_up_on_a_store_that_stays_away_and_goes_on_later() {
    // Guards the end of waiting: eight times, and then somebody is told that it is not their fault.
    let text = notes(100).await;
    let away = Hooked { store: empty_store(2), hook: Outage::of(30..u64::MAX) };
    let start = Instant::now();
    let error = import(&text, &away).await.unwrap_err();
    let is_told =
        matches!(&error, ImportError::Refused { line: 32, source: AppendError::Unavailable(_) });
    assert!(is_told && !error.is_the_users(), "{error}");
    assert!(error.hint().unwrap().contains("run the same command again"));
    assert_eq!(start.elapsed(), Duration::from_millis(22_700));
    assert_eq!(away.hook.appends_count.load(Ordering::Relaxed), 30 + 9 * 70);
    let imported = import(&text, &away.store).await.unwrap();
    assert_eq!(imported.appended_count, 70);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_passed_by_others_is_told_where_places_must_stay() {
    // Guards positions that somebody keeps: with as many partitions, others would be no import.
    let text = notes(20).await;
    let passed = Hooked { store: empty_store(2), hook: Outage::of(5..6) };
    let error = import(&text, &passed).await.unwrap_err();
    assert!(matches!(&error, ImportError::Moved { line: 8 }), "{error}");
    assert!(!error.is_the_users() && error.hint().unwrap().starts_with("import into an empty"));
    // With others it is only behind them, and has the time of the one before it.
    let passed = Hooked { store: partitioned(2, 2), hook: Outage::of(5..6) };
    let imported = import(&text, &passed).await.unwrap();
    assert!(imported.times_moved_count >= 1, "{imported:?}");
}

/// Fails to read, now and then.
#[derive(Debug)]
struct FailingReads(Mutex<Random>);

impl FaultPlan for FailingReads {
    fn fails(&self, call: Call) -> bool {
        let is_read = matches!(call, Call::ReadEvents | Call::ReadFeed);
        is_read && self.0.lock().unwrap().happens(300)
    }
}

#[tokio::test(start_paused = true)]
async fn reads_that_fail_for_a_moment_change_nothing() {
    // Guards long exports from remote stores: the same bytes, and an import that ends well.
    let store = Arc::new(History::store(3, (4, 5), 120).await);
    let (text, _) = exported(&*store).await;
    let plan = Arc::new(FailingReads(Mutex::new(Random::new(3))));
    let failing = FaultyEventStore::new(Arc::clone(&store) as _, Arc::clone(&plan) as _);
    assert!(exported(&failing).await.0 == text, "other bytes");
    let other = Arc::new(partitioned(2, 3));
    let failing = FaultyEventStore::new(Arc::clone(&other) as _, plan);
    let imported = import(&text, &failing).await.unwrap();
    assert_same(&*store, &*other, imported.times_moved_count).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_running_the_import_again_ends_it() {
    // Guards the advice that every such error gives: everything fails now and then, and takes its
    // time, so that commits in flight pass each other.
    for (seed, to) in [(1, 1), (2, 3), (3, 16), (4, 3), (5, 16)] {
        let store = History::store(seed, (4, 5), 120).await;
        let (text, _) = exported(&store).await;
        let other = Arc::new(partitioned(2, to));
        let rates = FaultRates {
            failing_per_mille: 30,
            unknown_per_mille: 30,
            delayed_per_mille: 100,
            delay_ms_max: 20,
            ..FaultRates::default()
        };
        let plan = Arc::new(SeededFaults::new(Random::new(seed), rates));
        let faulty = FaultyEventStore::new(Arc::clone(&other) as _, plan);
        let mut runs_count = 0;
        let imported = loop {
            runs_count += 1;
            assert!(runs_count < 100, "seed {seed}: it does not end");
            match import(&text, &faulty).await {
                Ok(imported) => break imported,
                Err(error) => assert!(!error.is_the_users(), "seed {seed}: {error:?}"),
            }
        };
        assert_same(&store, &*other, imported.times_moved_count).await;
    }
}

#[tokio::test]
async fn an_id_that_was_forgotten_and_came_again_is_told() {
    // Guards the way from a store that forgets ids to one that does not: nobody is left with a
    // message that they cannot understand.
    let store = forgetful(1, 2);
    let mut repeated = note(b"1", 0);
    repeated.command = Some(command(1, "note/n1", Outcome::Accepted));
    for (ms, commit) in [&repeated, &note(b"2", 1), &note(b"3", 2), &repeated].iter().enumerate() {
        let recorded_at = super::support::at(u64::try_from(ms).unwrap());
        store.append(Commit { recorded_at, ..Commit::clone(commit) }).await.unwrap();
    }
    let (text, said) = exported(&store).await;
    let error = import(&text, &partitioned(2, 3)).await.unwrap_err();
    let is_told =
        matches!(&error, ImportError::Refused { source: AppendError::AlreadyDecided { .. }, .. });
    assert!(is_told && error.is_the_users(), "{error}");
    assert!(error.hint().unwrap().contains("had forgotten the id"), "{error}");
    let other = forgetful(3, 2);
    assert_eq!(import(&text, &other).await.unwrap().export, said);
    assert_eq!(commits_count(&other).await, 4);
}
