//! Projections: each event in the view once, whatever happens.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_core::name::QueryName;
use annals_core::port::state_store::{KeyRange, StateSpace};
use annals_engine::plugins::RemoveRequest;
use annals_engine::projection::Phase;
use annals_engine::view::{RowRange, ViewError};
use bytes::Bytes;

use crate::support::guest::tallies;
use crate::support::{ManualClock, World, add, name, reaching, row, run, table};

#[test]
fn catches_up_with_history_and_then_follows() {
    // Guards P2: installed over existing events while commands run, every event counted once.
    run(async {
        let mut world = World::new();
        world.options.batch_events_max = 7;
        let engine = world.start_with_tally().await;
        for amount in 0..50 {
            add(&engine, "a", amount).await.unwrap();
        }
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let mut last = add(&engine, "b", 1).await.unwrap();
        for _ in 1..50 {
            last = add(&engine, "b", 1).await.unwrap();
        }
        assert_eq!(row(&engine, "rows:tally/b", reaching(&last)).await.as_deref(), Some("50"));
        assert_eq!(row(&engine, "rows:tally/a", None).await.as_deref(), Some("1225"));
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("100"));
        let status = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
        assert_eq!((status.checkpoints, status.events_count), (vec![last.position], 100));
    });
}

#[test]
fn waits_for_a_position_or_says_how_far_it_is() {
    // Guards P5: the row once it is there, or the refusal after the wait.
    run(async {
        let mut world = World::new();
        world.options.projection_attempts_max = NonZeroU32::MAX;
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let added = add(&engine, "a", 3).await.unwrap();
        assert_eq!(row(&engine, "rows:tally/a", reaching(&added)).await.as_deref(), Some("3"));
        world.probe.projection_failures.store(u64::MAX, Ordering::Relaxed);
        let added = add(&engine, "a", 4).await.unwrap();
        let rows = table("rows");
        let wait = reaching(&added);
        let error = engine.view_row(&name("tallies"), &rows, b"tally/a", wait).await.unwrap_err();
        let ViewError::NotReached { phase, .. } = error else { panic!("{error:?}") };
        assert!(matches!(phase, Phase::Failing { .. }), "{phase:?}");
    });
}

#[test]
fn who_waits_for_a_view_goes_on_waiting_for_the_version_that_takes_its_place() {
    // Guards `wait_for` of commands: a swap does not end the wait, a removal does.
    run(async {
        let mut world = World::new();
        world.options.projection_attempts_max = NonZeroU32::MAX;
        let engine = world.start_with_tally().await;
        world.probe.projection_failures.store(u64::MAX, Ordering::Relaxed);
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let added = add(&engine, "a", 3).await.unwrap();
        let wait_for = reaching(&added).unwrap();
        let projection = name("tallies");
        let swapping = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.probe.projection_failures.store(0, Ordering::Relaxed);
            engine.install(None, tallies("1.1.0"), None).await.unwrap();
        };
        let (reached, ()) = tokio::join!(engine.view_reached(&projection, wait_for), swapping);
        assert!(reached.unwrap()[0] >= added.position);

        world.probe.projection_failures.store(u64::MAX, Ordering::Relaxed);
        let added = add(&engine, "a", 3).await.unwrap();
        let wait_for = reaching(&added).unwrap();
        let late = engine.view_reached(&projection, wait_for).await.unwrap_err();
        let whole = matches!(&late, ViewError::NotReached { wait, .. } if *wait == wait_for.wait);
        assert!(whole, "{late:?}");
        let removing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let request =
                RemoveRequest { name: projection.clone(), principal: None, deletes_views: false };
            engine.remove(request).await.unwrap();
        };
        let (reached, ()) = tokio::join!(engine.view_reached(&projection, wait_for), removing);
        assert!(matches!(reached, Err(ViewError::UnknownProjection { .. })), "{reached:?}");
    });
}

#[test]
fn a_failing_batch_is_tried_again_until_it_succeeds() {
    // Guards that nothing is skipped: three failures, then the view is right.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        world.probe.projection_failures.store(3, Ordering::Relaxed);
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let added = add(&engine, "a", 3).await.unwrap();
        assert_eq!(row(&engine, "rows:tally/a", reaching(&added)).await.as_deref(), Some("3"));
        assert_eq!(world.probe.projection_failures.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn goes_on_after_a_restart_where_it_was() {
    // Guards P1: writes and checkpoint are one commit, so nothing is counted twice.
    run(async {
        let world = World::new();
        for _ in 0..3 {
            let engine = world.start_with_tally().await;
            engine.install(None, tallies("1.0.0"), None).await.unwrap();
            let added = add(&engine, "a", 1).await.unwrap();
            row(&engine, "counts:events", reaching(&added)).await;
            engine.stop().await;
        }
        let engine = world.start().await;
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("3"));
        assert_eq!(row(&engine, "rows:tally/a", None).await.as_deref(), Some("3"));
    });
}

#[test]
fn lists_rows_page_by_page() {
    // Guards prefix lists: a page boundary neither repeats nor skips.
    run(async {
        let engine = World::new().start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        for id in ["a1", "a2", "a3"] {
            add(&engine, id, 1).await.unwrap();
        }
        let added = add(&engine, "b1", 1).await.unwrap();
        let (mut after, mut keys) = (None::<Bytes>, Vec::new());
        loop {
            let range = RowRange { prefix: b"tally/a", after: after.as_deref(), limit: 2 };
            let rows = table("rows");
            let wait = reaching(&added);
            let page = engine.view_rows(&name("tallies"), &rows, range, wait).await.unwrap().value;
            keys.extend(page.rows.into_iter().map(|row| row.key));
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(keys, ["tally/a1", "tally/a2", "tally/a3"]);
    });
}

#[test]
fn answers_named_questions() {
    // Guards queries: the answer, bad parameters, an unknown question, table and projection.
    run(async {
        let engine = World::new().start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        add(&engine, "a", 1).await.unwrap();
        let wait = reaching(&add(&engine, "b", 2).await.unwrap());
        let ask = |query: &str, parameters: &'static str| {
            let (query, projection) = (QueryName::new(query).unwrap(), name("tallies"));
            let engine = &engine;
            async move { engine.view_query(&projection, &query, Bytes::from(parameters), wait).await }
        };
        assert_eq!(ask("sums", r#"{"limit":9}"#).await.unwrap().value, "[1,2]");
        assert!(matches!(ask("sums", "{}").await, Err(ViewError::MalformedQuery { .. })));
        assert!(matches!(ask("sums", "{").await, Err(ViewError::MalformedQuery { .. })));
        assert!(matches!(ask("means", "{}").await, Err(ViewError::UnknownQuery { .. })));
        let nowhere = engine.view_row(&name("tallies"), &table("nowhere"), b"a", None).await;
        assert!(matches!(nowhere, Err(ViewError::UnknownTable { .. })));
        let nobody = engine.view_row(&name("nobody"), &table("rows"), b"a", None).await;
        assert!(matches!(nobody, Err(ViewError::UnknownProjection { .. })));
    });
}

#[test]
fn a_checkpoint_of_another_store_is_refused() {
    // Guards a restored or mixed-up data folder: the view is not believed, and nothing is written.
    run(async {
        let (world, stranger) = (World::new(), World::new());
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let added = add(&engine, "a", 1).await.unwrap();
        row(&engine, "counts:events", reaching(&added)).await;
        engine.stop().await;
        // The same views over an empty store: their checkpoint is ahead of it.
        let mut mixed = stranger.clone();
        mixed.ports.states = Arc::clone(&world.ports.states);
        let engine = mixed.start().await;
        let error = engine.install(None, tallies("1.0.0"), None).await.unwrap_err();
        assert!(error.to_string().contains("ahead of the store"), "{error}");
        let spaces = world.ports.states.list().await.unwrap();
        let view = spaces.iter().find(|s| matches!(s, StateSpace::View { .. })).unwrap();
        let view = world.ports.states.open(view).await.unwrap();
        assert_eq!(view.scan("rows", KeyRange::default(), 9).await.unwrap().len(), 1);
    });
}

#[test]
fn a_projection_that_waits_for_more_events_commits_less_often() {
    // Guards `batch_wait`: events that come within it are one batch; without it each is one; a view is
    // late by no more than that.
    for (wait_ms, batches_count) in [(0, 5), (200, 1)] {
        run(async move {
            let mut world = World::new();
            world.options.batch_wait = Duration::from_millis(wait_ms);
            let engine = world.start_with_tally().await;
            engine.install(None, tallies("1.0.0"), None).await.unwrap();
            let mut last = None;
            for _ in 0..5 {
                last = Some(add(&engine, "a", 1).await.unwrap());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let start = tokio::time::Instant::now();
            let reached = reaching(&last.unwrap());
            assert_eq!(row(&engine, "rows:tally/a", reached).await.as_deref(), Some("5"));
            assert!(start.elapsed() <= Duration::from_millis(wait_ms), "{:?}", start.elapsed());
            assert_eq!(world.probe.batches.lock().unwrap().len(), batches_count);
        });
    }
}

#[test]
fn a_view_that_is_behind_says_by_how_many_events_and_how_long() {
    // Guards the lag that operators watch: events after the checkpoint, and the age of the oldest.
    run(async {
        let clock = Arc::new(ManualClock::default());
        let mut world = World::new();
        world.ports.clock = Arc::clone(&clock) as _;
        world.options.projection_attempts_max = NonZeroU32::MAX;
        clock.set(10_000);
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let lag = async || {
            let progress = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
            let lag = engine.lag(&progress).await.unwrap();
            (lag.events_count, lag.age_ms)
        };
        let added = add(&engine, "a", 1).await.unwrap();
        row(&engine, "rows:tally/a", reaching(&added)).await;
        clock.set(50_000);
        assert_eq!(lag().await, (0, 0));
        world.probe.projection_failures.store(u64::MAX, Ordering::Relaxed);
        add(&engine, "a", 2).await.unwrap();
        clock.set(50_700);
        add(&engine, "b", 3).await.unwrap();
        clock.set(51_000);
        assert_eq!(lag().await, (2, 1_000));
    });
}
