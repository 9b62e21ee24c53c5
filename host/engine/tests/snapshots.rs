//! Snapshots save time and nothing else, wherever they are kept.

use std::sync::Arc;

use annals_core::port::StateStore;
use annals_core::port::state_store::{RowKey, StateCommit, StateSpace, StateWrite};
use annals_store_memory::faulty::FaultyStateStores;
use bytes::Bytes;

use crate::support::dynamodb::run_on_dynamodb;
use crate::support::faults::StateDown;
use crate::support::guest::{Probe, tally};
use crate::support::{World, add, logs, run, state};

async fn fill(world: &World, count: usize) {
    fill_stream(world, "a", count).await;
}

/// Adds 1 so many times, and forgets what was asked of guests for it.
async fn fill_stream(world: &World, id: &str, count: usize) {
    let engine = world.start_with_tally().await;
    for _ in 0..count {
        add(&engine, id, 1).await.unwrap();
    }
    engine.stop().await;
    Probe::take(&world.probe.evolved_events);
    Probe::take(&world.probe.restored);
}

/// Writes the row of the snapshot of the stream `tally/a`.
async fn put_snapshot(host: &dyn StateStore, value: Vec<u8>) {
    let key = Bytes::from_static(b"tally/a");
    let row = RowKey { table: Arc::from("snapshots"), key };
    let writes = vec![StateWrite::Put(row, value.into())];
    host.commit(StateCommit { conditions: Vec::new(), writes }).await.unwrap();
}

/// Makes a test of each scenario on each set of drivers.
macro_rules! scenarios {
    ($($scenario:ident)+) => {
        mod on_memory {
            $(
                #[test]
                fn $scenario() {
                    super::run(async { super::$scenario(super::World::new()).await });
                }
            )+
        }

        mod on_dynamodb {
            $(
                #[test]
                fn $scenario() {
                    super::run_on_dynamodb(super::$scenario);
                }
            )+
        }
    };
}

scenarios! {
    a_cold_load_starts_at_the_newest_snapshot
    deleting_all_snapshots_changes_nothing_but_time
    a_snapshot_of_another_build_is_passed_over
    a_corrupt_snapshot_is_passed_over
    commands_go_on_while_the_snapshot_store_is_down
}

/// What is said when a snapshot is not used.
const PASSED_OVER: &str = "snapshot passed over";

async fn a_cold_load_starts_at_the_newest_snapshot(world: World) {
    // Guards S1: 250 events, snapshot at 200, 50 events evolved.
    fill(&world, 250).await;
    let engine = world.start().await;
    assert_eq!(state(&engine, "a").await, (249, "250".to_owned()));
    assert_eq!(Probe::take(&world.probe.restored), 1);
    assert_eq!(Probe::take(&world.probe.evolved_events), 50);
    assert_eq!(logs::take(PASSED_OVER), Vec::<String>::new());
    engine.stop().await;
}

async fn deleting_all_snapshots_changes_nothing_but_time(world: World) {
    // Guards S3.
    fill(&world, 250).await;
    let engine = world.start().await;
    engine.delete_snapshots().await.unwrap();
    assert_eq!(state(&engine, "a").await, (249, "250".to_owned()));
    assert_eq!(Probe::take(&world.probe.restored), 0);
    assert_eq!(Probe::take(&world.probe.evolved_events), 250);
    engine.stop().await;
}

async fn a_snapshot_of_another_build_is_passed_over(world: World) {
    // Guards S2: a new version replays, whatever the old one saved, and says so once for all streams.
    fill(&world, 100).await;
    fill_stream(&world, "b", 100).await;
    let engine = world.start().await;
    engine.install(None, tally("1.0.1"), None).await.unwrap();
    logs::take("");
    for id in ["a", "b"] {
        assert_eq!(state(&engine, id).await, (99, "100".to_owned()));
        assert_eq!(Probe::take(&world.probe.evolved_events), 100);
    }
    assert_eq!(Probe::take(&world.probe.restored), 0);
    let expected = format!(
        " WARN {PASSED_OVER}; further ones are not reported stream=tally/a reason=\"it is of another \
         build of the plugin\""
    );
    assert_eq!(logs::take(PASSED_OVER), [expected]);
    add(&engine, "a", 1).await.unwrap();
    assert_eq!(state(&engine, "a").await, (100, "101".to_owned()));
    engine.stop().await;
}

async fn a_corrupt_snapshot_is_passed_over(world: World) {
    // Guards S2: bytes all over the stored row broken in turn.
    break_bytes(&world, 40).await;
}

#[test]
fn each_corrupt_byte_of_a_snapshot_counts() {
    // Guards S2: every byte, where that is quick.
    run(async { break_bytes(&World::new(), 1).await });
}

/// Breaks each `step`th byte of a stored row in turn: the state is right each time, and whoever replays
/// says so once.
async fn break_bytes(world: &World, step: usize) {
    fill(world, 100).await;
    let host = world.ports.states.open(&StateSpace::Host).await.unwrap();
    let stored = host.get("snapshots", b"tally/a").await.unwrap().unwrap();
    for index in (0..stored.len()).step_by(step) {
        let mut broken = stored.to_vec();
        broken[index] ^= 0x10;
        put_snapshot(&*host, broken).await;
        let engine = world.start().await;
        logs::take("");
        assert_eq!(state(&engine, "a").await, (99, "100".to_owned()), "byte {index}");
        assert_eq!(state(&engine, "a").await, (99, "100".to_owned()), "byte {index}");
        assert_eq!(Probe::take(&world.probe.restored), 0, "byte {index}");
        assert_eq!(Probe::take(&world.probe.evolved_events), 100, "byte {index}");
        assert_eq!(logs::take(PASSED_OVER).len(), 1, "byte {index}");
        engine.stop().await;
    }
    let engine = world.start().await;
    add(&engine, "a", 1).await.unwrap();
    assert_eq!(state(&engine, "a").await, (100, "101".to_owned()));
    engine.stop().await;
}

async fn commands_go_on_while_the_snapshot_store_is_down(world: World) {
    // Guards S2: neither loading nor saving is needed for a command. Each engine says so once.
    let down = |states| FaultyStateStores::new(states, Arc::new(StateDown));
    let world = world.with_states(|states| Arc::new(down(states)));
    fill(&world, 250).await;
    assert_eq!(logs::take(PASSED_OVER).len(), 1);
    let engine = world.start().await;
    assert_eq!(state(&engine, "a").await, (249, "250".to_owned()));
    assert_eq!(Probe::take(&world.probe.evolved_events), 250);
    add(&engine, "a", 1).await.unwrap();
    assert_eq!(state(&engine, "a").await, (250, "251".to_owned()));
    assert_eq!(logs::take(PASSED_OVER).len(), 1);
    engine.stop().await;
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
