//! Snapshots save time and nothing else.

use std::sync::Arc;

use annals_core::port::state_store::{RowKey, StateCommit, StateSpace, StateWrite};
use annals_store_memory::faulty::FaultyStateStores;
use bytes::Bytes;

use crate::support::faults::StateDown;
use crate::support::guest::{Probe, tally};
use crate::support::{World, add, run, state};

async fn fill(world: &World, count: i64) {
    let engine = world.start_with_tally().await;
    for _ in 0..count {
        add(&engine, "a", 1).await.unwrap();
    }
    engine.stop().await;
    Probe::take(&world.probe.evolved_events);
    Probe::take(&world.probe.restored);
}

#[test]
fn a_cold_load_starts_at_the_newest_snapshot() {
    // Guards S1: 250 events, snapshot at 200, 50 events evolved.
    run(async {
        let world = World::new();
        fill(&world, 250).await;
        let engine = world.start().await;
        assert_eq!(state(&engine, "a").await, (249, "250".to_owned()));
        assert_eq!(Probe::take(&world.probe.restored), 1);
        assert_eq!(Probe::take(&world.probe.evolved_events), 50);
    });
}

#[test]
fn deleting_all_snapshots_changes_nothing_but_time() {
    // Guards S3.
    run(async {
        let world = World::new();
        fill(&world, 250).await;
        let engine = world.start().await;
        engine.delete_snapshots().await.unwrap();
        assert_eq!(state(&engine, "a").await, (249, "250".to_owned()));
        assert_eq!(Probe::take(&world.probe.evolved_events), 250);
    });
}

#[test]
fn a_snapshot_of_another_build_is_passed_over() {
    // Guards S2: a new version replays, whatever the old one saved.
    run(async {
        let world = World::new();
        fill(&world, 100).await;
        let engine = world.start().await;
        engine.install(None, tally("1.0.1"), None).await.unwrap();
        assert_eq!(state(&engine, "a").await, (99, "100".to_owned()));
        assert_eq!(Probe::take(&world.probe.evolved_events), 100);
    });
}

#[test]
fn a_corrupt_snapshot_is_passed_over() {
    // Guards S2: every byte of the stored row broken in turn; the state is right each time.
    run(async {
        let world = World::new();
        fill(&world, 100).await;
        let host = world.ports.states.open(&StateSpace::Host).await.unwrap();
        let stored = host.get("snapshots", b"tally/a").await.unwrap().unwrap();
        for index in 0..stored.len() {
            let mut broken = stored.to_vec();
            broken[index] ^= 0x10;
            let key = Bytes::from_static(b"tally/a");
            let row = RowKey { table: Arc::from("snapshots"), key };
            let writes = vec![StateWrite::Put(row, broken.into())];
            host.commit(StateCommit { conditions: Vec::new(), writes }).await.unwrap();
            let engine = world.start().await;
            assert_eq!(state(&engine, "a").await, (99, "100".to_owned()), "byte {index}");
            engine.stop().await;
        }
    });
}

#[test]
fn commands_go_on_while_the_snapshot_store_is_down() {
    // Guards S2: neither loading nor saving is needed for a command.
    run(async {
        let down = |states| FaultyStateStores::new(states, Arc::new(StateDown));
        let world = World::new().with_states(|states| Arc::new(down(states)));
        fill(&world, 250).await;
        let engine = world.start().await;
        assert_eq!(state(&engine, "a").await, (249, "250".to_owned()));
        assert_eq!(Probe::take(&world.probe.evolved_events), 250);
    });
}

#[test]
fn the_least_recently_used_entities_are_let_go() {
    // Guards the bound on residents: three streams, room for one each time, all states whole.
    run(async {
        let mut world = World::new();
        world.options.residents_max = std::num::NonZeroUsize::MIN;
        world.options.shards_count = std::num::NonZeroUsize::MIN;
        let engine = world.start_with_tally().await;
        for round in 1..=3 {
            for id in ["a", "b", "c"] {
                add(&engine, id, round).await.unwrap();
            }
        }
        for id in ["a", "b", "c"] {
            assert_eq!(state(&engine, id).await, (2, "6".to_owned()));
        }
        assert!(Probe::take(&world.probe.evolved_events) > 9);
    });
}
