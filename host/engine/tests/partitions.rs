//! Projections over a feed of many partitions, and on stores that take little at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use annals_core::place::Partition;
use annals_core::port::event_store::FeedFilter;
use annals_core::port::state_store::StateCapabilities;
use annals_engine::Engine;
use annals_engine::command::CommandOutcome;
use annals_engine::projection::{Phase, Progress};
use annals_store_memory::MemoryStateStores;
use annals_store_memory::faulty::FaultyStateStores;

use crate::support::faults::StateCommitsUnknown;
use crate::support::guest::tallies;
use crate::support::{World, add, name, reaching, row, run};

/// Adds 0, 1, 2 … to as many tallies in turn, and returns the last outcome of each partition.
async fn add_many(engine: &Engine, count: i64, tallies_count: i64) -> Vec<CommandOutcome> {
    let mut last = BTreeMap::new();
    for amount in 0..count {
        let outcome = add(engine, &format!("t{}", amount % tallies_count), amount).await.unwrap();
        last.insert(outcome.partition, outcome);
    }
    last.into_values().collect()
}

/// Waits for all of `outcomes`, and checks that the view is the fold of all events.
async fn check_totals(engine: &Engine, outcomes: &[CommandOutcome]) {
    for outcome in outcomes {
        row(engine, "counts:events", reaching(outcome)).await;
    }
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut events_count = 0;
    for partition in (0..engine.store().capabilities().partitions_count).map(Partition) {
        let filter = FeedFilter::default();
        let page = engine.store().read_feed(partition, None, &filter, usize::MAX).await.unwrap();
        for event in page.events {
            let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            *sums.entry(event.stream.to_string()).or_default() += data["amount"].as_i64().unwrap();
            events_count += 1;
        }
    }
    assert_eq!(row(engine, "counts:events", None).await, Some(events_count.to_string()));
    for (stream, sum) in sums {
        assert_eq!(row(engine, &format!("rows:{stream}"), None).await, Some(sum.to_string()));
    }
}

fn progress(engine: &Engine) -> Progress {
    engine.plugin(&name("tallies")).unwrap().progress.unwrap()
}

#[test]
fn a_view_is_the_fold_of_the_events_of_all_partitions() {
    // Guards rows that events of several partitions share: each event counts once, over a restart,
    // and the guest is told which partition a batch is of.
    run(async {
        let mut world = World::of_partitions(4);
        world.options.batch_events_max = 7;
        let engine = world.start_with_tally().await;
        add_many(&engine, 100, 9).await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let last = add_many(&engine, 50, 9).await;
        check_totals(&engine, &last).await;
        let checkpoints = last.iter().map(|outcome| outcome.position).collect();
        let expected =
            Progress { checkpoints, events_count: 150, parked_count: 0, phase: Phase::CaughtUp };
        assert_eq!(progress(&engine), expected);
        engine.stop().await;

        let engine = world.start().await;
        let last = add_many(&engine, 50, 9).await;
        check_totals(&engine, &last).await;
        assert_eq!(progress(&engine).events_count, 200);
        for partition in 0..4 {
            let (store, filter) = (engine.store(), FeedFilter::default());
            let feed = store.read_feed(Partition(partition), None, &filter, usize::MAX).await;
            let batches = world.probe.batches.lock().unwrap();
            let of_partition = batches.iter().filter(|(its, _)| *its == partition);
            let events_count: usize = of_partition.map(|(_, count)| count).sum();
            assert_eq!(events_count, feed.unwrap().events.len());
        }
    });
}

#[test]
fn partitions_take_turns_while_a_view_catches_up() {
    // Guards fairness: a partition with much to read does not hold up the others.
    run(async {
        let mut world = World::of_partitions(4);
        world.options.batch_events_max = 5;
        let engine = world.start_with_tally().await;
        let last = add_many(&engine, 160, 16).await;
        assert_eq!(last.len(), 4);
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        check_totals(&engine, &last).await;
        let batches = world.probe.batches.lock().unwrap();
        let in_turn: Vec<u32> = batches.iter().take(8).map(|(partition, _)| *partition).collect();
        assert_eq!(in_turn, [0, 1, 2, 3, 0, 1, 2, 3]);
        assert!(batches.iter().all(|(_, events_count)| *events_count <= 5));
    });
}

#[test]
fn news_of_every_partition_is_heard() {
    // Guards waiting on many partitions at once: each event is seen, whichever partition it is in.
    run(async {
        let world = World::of_partitions(4);
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        for number in 0..20 {
            let added = add(&engine, &format!("t{number}"), number).await.unwrap();
            let before = tokio::time::Instant::now();
            let key = format!("rows:tally/t{number}");
            assert_eq!(row(&engine, &key, reaching(&added)).await, Some(number.to_string()));
            assert!(before.elapsed().is_zero());
        }
    });
}

#[test]
fn a_commit_of_unknown_outcome_is_neither_lost_nor_done_twice() {
    // Guards P1 against lost replies: half of them are of commits that are there.
    run(async {
        let plan = Arc::new(StateCommitsUnknown::default());
        let faults = Arc::<StateCommitsUnknown>::clone(&plan);
        let mut world = World::of_partitions(4)
            .with_states(|states| Arc::new(FaultyStateStores::new(states, faults)));
        world.options.batch_events_max = 3;
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let first = add(&engine, "t0", 1).await.unwrap();
        row(&engine, "counts:events", reaching(&first)).await;
        plan.unknown_left.store(40, Ordering::Relaxed);
        let last = add_many(&engine, 100, 9).await;
        check_totals(&engine, &last).await;
        assert_eq!(plan.unknown_left.load(Ordering::Relaxed), 0);
        assert_eq!(progress(&engine).phase, Phase::CaughtUp);
    });
}

fn narrow() -> World {
    let capabilities = StateCapabilities {
        commit_rows_max: 90,
        commit_bytes_max: 3 << 20,
        reads_are_of_one_moment: false,
    };
    World::of_partitions(4)
        .with_states(|_| Arc::new(MemoryStateStores::with_capabilities(capabilities)))
}

#[test]
fn a_batch_that_is_too_large_for_the_view_is_made_smaller() {
    // Guards stores that take few rows at once: a row per event, and more events than that.
    run(async {
        let world = narrow();
        let engine = world.start_with_tally().await;
        let last = add_many(&engine, 1_000, 1_000).await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        check_totals(&engine, &last).await;
        let batches = world.probe.batches.lock().unwrap();
        let largest = batches.iter().map(|(_, events_count)| *events_count).max();
        assert!(largest <= Some(90), "{largest:?}");
        // Each refused batch costs a call of the plugin.
        assert!(batches.len() < 30, "{batches:?}");
    });
}

#[test]
fn an_event_that_is_too_large_for_the_view_alone_is_a_failure_that_says_so() {
    // Guards operators: which event it is and which limit, and that nothing is skipped.
    run(async {
        let world = narrow();
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        world.probe.more_rows.store(90, Ordering::Relaxed);
        let last = add_many(&engine, 10, 1).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let Progress { events_count, phase, .. } = progress(&engine);
        let Phase::Failing { cause, .. } = phase else { panic!("{phase:?}") };
        let expected = "the writes for the event at position 0 alone are too many for the view: \
                        95 rows of a commit, at most 90 are allowed";
        assert_eq!((events_count, &*cause), (0, expected));
        world.probe.more_rows.store(0, Ordering::Relaxed);
        check_totals(&engine, &last).await;
    });
}
