//! Projections: each event in the view once, whatever happens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_core::name::{QueryName, TableName};
use annals_core::place::Position;
use annals_core::port::state_store::{KeyRange, StateSpace};
use annals_engine::Engine;
use annals_engine::projection::Phase;
use annals_engine::view::{RowRange, ViewError, WaitFor};
use bytes::Bytes;

use crate::support::guest::tallies;
use crate::support::{World, add, name, run};

fn table(text: &str) -> TableName {
    TableName::new(text).unwrap()
}

fn reaching(position: Option<Position>) -> Option<WaitFor> {
    position.map(|position| WaitFor { position, wait: Duration::from_secs(5) })
}

async fn row(engine: &Engine, key: &str, wait: Option<WaitFor>) -> Option<String> {
    let (table_name, key) = key.split_once(':').unwrap();
    let answer =
        engine.view_row(&name("tallies"), &table(table_name), key.as_bytes(), wait).await.unwrap();
    answer.value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

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
        let mut last = None;
        for _ in 0..50 {
            last = add(&engine, "b", 1).await.unwrap().position;
        }
        assert_eq!(row(&engine, "rows:tally/b", reaching(last)).await.as_deref(), Some("50"));
        assert_eq!(row(&engine, "rows:tally/a", None).await.as_deref(), Some("1225"));
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("100"));
        let status = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
        assert_eq!((status.checkpoint, status.events_count), (last, 100));
    });
}

#[test]
fn waits_for_a_position_or_says_how_far_it_is() {
    // Guards P5: the row once it is there, or the refusal after the wait.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let position = add(&engine, "a", 3).await.unwrap().position;
        assert_eq!(row(&engine, "rows:tally/a", reaching(position)).await.as_deref(), Some("3"));
        world.probe.projection_failures.store(u64::MAX, Ordering::Relaxed);
        let position = add(&engine, "a", 4).await.unwrap().position;
        let rows = table("rows");
        let wait = reaching(position);
        let error = engine.view_row(&name("tallies"), &rows, b"tally/a", wait).await.unwrap_err();
        let ViewError::NotReached { phase, .. } = error else { panic!("{error:?}") };
        assert!(matches!(phase, Phase::Failing { .. }), "{phase:?}");
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
        let position = add(&engine, "a", 3).await.unwrap().position;
        assert_eq!(row(&engine, "rows:tally/a", reaching(position)).await.as_deref(), Some("3"));
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
            let position = add(&engine, "a", 1).await.unwrap().position;
            row(&engine, "counts:events", reaching(position)).await;
            engine.stop().await;
        }
        let engine = world.start().await;
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("3"));
        assert_eq!(row(&engine, "rows:tally/a", None).await.as_deref(), Some("3"));
    });
}

#[test]
fn of_two_runners_of_one_view_only_one_writes() {
    // Guards the fence: two engines project the same view; each event is counted once.
    run(async {
        let world = World::new();
        let one = world.start_with_tally().await;
        one.install(None, tallies("1.0.0"), None).await.unwrap();
        let other = world.start().await;
        let mut position = None;
        for _ in 0..20 {
            position = add(&one, "a", 1).await.unwrap().position;
            tokio::task::yield_now().await;
        }
        let wait = reaching(position);
        let tallies = name("tallies");
        let rows = table("counts");
        let (a, b) = tokio::join!(
            one.view_row(&tallies, &rows, b"events", wait),
            other.view_row(&tallies, &rows, b"events", wait),
        );
        let answers = [a, b].into_iter().filter_map(Result::ok);
        let values: Vec<_> = answers.map(|answer| answer.value.unwrap()).collect();
        assert!(!values.is_empty());
        assert!(values.iter().all(|value| value == "20"), "{values:?}");
    });
}

#[test]
fn lists_rows_page_by_page() {
    // Guards prefix lists: a page boundary neither repeats nor skips.
    run(async {
        let engine = World::new().start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        let mut position = None;
        for id in ["a1", "a2", "a3", "b1"] {
            position = add(&engine, id, 1).await.unwrap().position;
        }
        let (mut after, mut keys) = (None::<Bytes>, Vec::new());
        loop {
            let range = RowRange { prefix: b"tally/a", after: after.as_deref(), limit: 2 };
            let rows = table("rows");
            let wait = reaching(position);
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
        let wait = reaching(add(&engine, "b", 2).await.unwrap().position);
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
        let position = add(&engine, "a", 1).await.unwrap().position;
        row(&engine, "counts:events", reaching(position)).await;
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
