//! From any number of partitions to any other.

use annals_core::port::EventStore as _;

use super::random::{History, partitioned};
use super::same::{all_commits, assert_same};
use super::support::{exported, import};

/// Numbers of partitions.
const COUNTS: [u32; 4] = [1, 3, 4, 16];

/// How many histories are tried.
const SEEDS: u64 = 4;

#[tokio::test]
async fn random_histories_go_from_any_number_of_partitions_to_any_other() {
    // Guards migration: whatever a store accepted, in whatever order over how many partitions, another
    // one accepts from its export, and gives back the same.
    for seed in 0..SEEDS {
        for from in COUNTS {
            let store = History::store(seed, (from, seed % 4 * 10), 150).await;
            let (text, said) = exported(&store).await;
            for to in COUNTS {
                let other = partitioned(2, to);
                let imported = import(&text, &other).await;
                let imported = imported.unwrap_or_else(|error| {
                    std::fs::write("/tmp/dbg.ndjson", &text).unwrap();
                    panic!("seed {seed}, from {from} to {to}: {:#?}", error)
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
