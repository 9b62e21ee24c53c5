//! From any number of partitions to any other.

use annals_core::commit::{Accepted, Commit, RecordedCommit};
use annals_core::event::NewEvent;
use annals_core::place::{ExpectedRevision, Partition, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use annals_store_memory::MemoryEventStore;
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::hooked::{Hook, Hooked};
use super::random::{History, partitioned};
use super::same::{all_commits, assert_same, commits_count};
use super::support::{at, exported, import, note};

/// Numbers of partitions.
const COUNTS: [u32; 4] = [1, 3, 4, 16];

/// How many histories are tried.
const SEEDS: u64 = 3;

#[tokio::test]
async fn random_histories_go_from_any_number_of_partitions_to_any_other() {
    // Guards migration: whatever a store accepted, in whatever order over how many partitions, another
    // one accepts from its export, and gives back the same.
    for seed in 0..SEEDS {
        for from in COUNTS {
            let store = History::store(seed, (from, seed * 10), 80).await;
            let (text, said) = exported(&store).await;
            for to in COUNTS {
                let other = partitioned(2, to);
                let imported = import(&text, &other).await;
                let imported = imported.unwrap_or_else(|error| {
                    panic!("seed {seed}, from {from} to {to}: {error:#?}");
                });
                assert_eq!(
                    (imported.appended_count, &imported.export),
                    (said.commits_count, &said)
                );
                assert_eq!(imported.store_partitions_count, to);
                assert_same(&store, &other, imported.times_moved_count).await;
                if from == to {
                    assert_eq!(imported.times_moved_count, 0);
                    assert_eq!(all_commits(&other).await, all_commits(&store).await);
                }
                let again = import(&text, &other).await.unwrap();
                assert_eq!(
                    (again.appended_count, again.times_moved_count),
                    (0, imported.times_moved_count)
                );
                assert_eq!(other.capabilities().partitions_count, to);
            }
        }
    }
}

/// Gives something else back than was appended.
#[derive(Debug)]
struct Altered(fn(&mut Vec<RecordedCommit>));

impl Hook for Altered {
    fn page(&self, _: Partition, mut page: Vec<RecordedCommit>) -> Vec<RecordedCommit> {
        (self.0)(&mut page);
        page
    }
}

/// The first event of a page.
fn first_event(page: &mut [RecordedCommit]) -> Option<&mut NewEvent> {
    let mut streams = page.iter_mut().flat_map(|recorded| &mut recorded.commit.streams);
    streams.find_map(|append| append.events.first_mut())
}

#[tokio::test]
async fn what_a_store_gives_back_otherwise_is_found_whatever_its_partitions() {
    // Guards the last look: a commit that is lost, doubled or changed, in whatever part of it.
    type Case = (fn(&mut Vec<RecordedCommit>), &'static str);
    let cases: [Case; 8] = [
        (|_| {}, ""),
        (|page| drop(page.pop()), "commits, and the export has 80"),
        (|page| page.extend(page.first().cloned()), "commits, and the export has 80"),
        (
            |page| {
                page.iter_mut().find_map(|it| it.commit.claims.pop());
            },
            "claims, and the export has",
        ),
        (|page| first_event(page).into_iter().for_each(|it| it.data = "7".into()), "the digest of"),
        (
            |page| first_event(page).into_iter().for_each(|it| it.metadata = "m".into()),
            "the digest of",
        ),
        (
            |page| page.iter_mut().for_each(|it| it.commit.recorded_at = at(9_999)),
            "the digest of its commits is",
        ),
        (
            |page| {
                let streams = page.iter_mut().flat_map(|it| &mut it.commit.streams);
                streams.for_each(|it| it.expected = ExpectedRevision::Exactly(Revision::new(70)));
            },
            "the digest of its commits is",
        ),
    ];
    let mut steps_count = 0;
    let mut store = History::store(1, (3, 0), 0).await;
    while commits_count(&store).await < 80 {
        steps_count += 1;
        store = History::store(1, (3, 0), steps_count).await;
    }
    let (text, _) = exported(&store).await;
    for (alter, told) in cases {
        for to in [1, 4] {
            let altered = Hooked { store: partitioned(2, to), hook: Altered(alter) };
            match import(&text, &altered).await {
                Ok(_) => assert_eq!(told, ""),
                Err(error) => {
                    let said = error.to_string();
                    let start = "what the store gives back is not what was imported: ";
                    assert!(said.starts_with(start) && said.contains(told), "{told}: {said}");
                    assert!(!told.is_empty() && !error.is_the_users());
                }
            }
        }
    }
}

/// Lets appends pass a queue with room for all of them, as a driver with a writer of its own does.
#[derive(Debug)]
struct Queued(Semaphore);

#[async_trait]
impl Hook for Queued {
    async fn append(
        &self,
        store: &MemoryEventStore,
        commit: Commit,
    ) -> Result<Accepted, AppendError> {
        let _turn = self.0.acquire().await.unwrap();
        store.append(commit).await
    }
}

#[tokio::test]
async fn what_is_in_flight_at_once_comes_to_a_queue_in_order() {
    // Guards positions and times: tokio interrupts a task that takes many turns, and what is polled
    // again later must not be behind what follows it.
    let store = partitioned(1, 2);
    for number in 0..2_500 {
        let mut commit = note(b"{}", number);
        commit.streams[0].stream = format!("note/n{number}").parse().unwrap();
        store.append(commit).await.unwrap();
    }
    let (text, _) = exported(&store).await;
    for to in [2, 3] {
        let queued = Hooked { store: partitioned(2, to), hook: Queued(Semaphore::new(2_000)) };
        assert_eq!(import(&text, &queued).await.unwrap().times_moved_count, 0);
    }
}
