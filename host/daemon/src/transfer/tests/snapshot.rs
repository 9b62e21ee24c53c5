//! Exports of stores that are written to meanwhile.

use annals_core::port::EventStore as _;
use annals_store_memory::MemoryEventStore;
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::hooked::{Hook, Hooked};
use super::random::{History, partitioned};
use super::same::all_commits;
use super::support::{exported, import};

/// Appends some commits before every read, up to a number.
#[derive(Debug)]
struct Busy {
    history: Mutex<(History, u64)>,
}

#[async_trait]
impl Hook for Busy {
    async fn before_read(&self, store: &MemoryEventStore) {
        let (history, left_count) = &mut *self.history.lock().await;
        for _ in 0..(*left_count).min(3) {
            history.append_to(store).await;
            *left_count -= 1;
        }
    }
}

#[tokio::test]
async fn an_export_with_writers_holds_what_was_there_and_nothing_without_what_it_depends_on() {
    // Guards the snapshot: heads and numbers of commits are read one after the other, and commits over
    // several partitions come in between. Nothing of before is left out, nothing is torn.
    for partitions_count in [1, 3, 4, 16] {
        for seed in 0..4 {
            let store = partitioned(1, partitions_count);
            let mut history = History::new(seed, 5);
            for _ in 0..60 {
                history.append_to(&store).await;
            }
            let before = all_commits(&store).await;
            let busy = Busy { history: Mutex::new((history, 250)) };
            let (text, said) = exported(&Hooked { store, hook: busy }).await;
            // Positions are compared by the import: into as many partitions.
            let same = partitioned(2, partitions_count);
            let imported = import(&text, &same).await.unwrap();
            assert_eq!(imported.export, said);
            for (found, before) in all_commits(&same).await.iter().zip(&before) {
                assert!(found.starts_with(before), "seed {seed}, {partitions_count} partitions");
            }
            import(&text, &partitioned(3, 2)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_export_ends_though_writers_go_on() {
    // Guards against an export that runs after its writers: what came after the beginning is left out,
    // but for what came while it looked how much there is.
    let store = partitioned(1, 4);
    let mut history = History::new(1, 0);
    for _ in 0..20 {
        history.append_to(&store).await;
    }
    let busy = Busy { history: Mutex::new((history, u64::MAX)) };
    let busy = Hooked { store, hook: busy };
    let (_, said) = exported(&busy).await;
    let all: usize = all_commits(&busy.store).await.iter().map(Vec::len).sum();
    assert!((20..400).contains(&said.commits_count), "{}", said.commits_count);
    assert!(u64::try_from(all).unwrap() > said.commits_count);
    assert_eq!(busy.capabilities().partitions_count, 4);
}
