//! Building views anew beside those that serve. `rebuilds/restarts.rs` has crashes and several hosts.

mod restarts;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use annals_core::id::Digest;
use annals_core::place::Position;
use annals_core::port::state_store::{RowKey, StateCommit, StateSpace, StateWrite};
use annals_core::time::Timestamp;
use annals_engine::Engine;
use annals_engine::plugins::{
    HistoryEvent, InstallError, InstallOutcome, RemoveRequest, RollBackRequest,
};
use annals_engine::rebuild::{
    Comparison, CutsOver, DifferenceCounts, DifferentRow, PreviousView, RebuildBegin, RebuildPhase,
    RebuildRequest, RebuildStatus,
};
use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::guest::{Quirk, tallies, tallies_with};
use crate::support::{ManualClock, World, add, name, reaching, row, run};

const HOUR_MS: u64 = 3_600_000;

/// A world whose clock the test moves.
fn world() -> (World, Arc<ManualClock>) {
    let (mut world, clock) = (World::new(), Arc::new(ManualClock::default()));
    clock.set(1_000);
    world.ports.clock = Arc::clone(&clock) as _;
    (world, clock)
}

/// An engine with a view of 30 events of three tallies.
async fn start(world: &World) -> Engine {
    let engine = world.start_with_tally().await;
    engine.install(None, tallies("1.0.0"), None).await.unwrap();
    add_to_all(&engine, 10).await;
    engine
}

/// Adds 1 to three tallies, so many times, and waits until the view has it.
async fn add_to_all(engine: &Engine, times: u64) {
    for _ in 0..times {
        for id in ["a", "b", "c"] {
            let added = add(engine, id, 1).await.unwrap();
            row(engine, "counts:events", reaching(&added)).await;
        }
    }
}

async fn rebuild(
    engine: &Engine,
    bytes: Option<Bytes>,
    cuts_over: Option<CutsOver>,
) -> Result<(), InstallError> {
    let principal = Some(Arc::from("ada"));
    let name = name("tallies");
    let request = RebuildRequest { name, bytes, cuts_over, begin: None, principal };
    engine.start_rebuild(request).await
}

async fn candidate(engine: &Engine) -> Option<RebuildStatus> {
    engine.projection_views(&name("tallies")).await.unwrap().rebuild
}

async fn previous(engine: &Engine) -> Option<PreviousView> {
    engine.projection_views(&name("tallies")).await.unwrap().previous
}

async fn build(engine: &Engine) -> u32 {
    engine.projection_views(&name("tallies")).await.unwrap().build
}

/// Waits until the build `expected` serves.
async fn serves(engine: &Engine, expected: u32) {
    let begin = Instant::now();
    while build(engine).await != expected {
        let status = candidate(engine).await;
        assert!(begin.elapsed() < Duration::from_mins(2), "{status:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a rebuild is in a phase.
async fn is_in(engine: &Engine, phase: RebuildPhase) -> RebuildStatus {
    let begin = Instant::now();
    loop {
        let status = candidate(engine).await.unwrap();
        if status.phase == phase {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_mins(2), "{status:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until nothing but the build `expected` of some content is there.
async fn only_view_is(world: &World, content: &Bytes, expected: u32) {
    let only = [StateSpace::Host, view_of(content, expected)];
    let begin = Instant::now();
    loop {
        let spaces = world.ports.states.list().await.unwrap();
        if spaces == only {
            return;
        }
        assert!(begin.elapsed() < Duration::from_mins(2), "{spaces:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn view_of(content: &Bytes, build: u32) -> StateSpace {
    StateSpace::View { projection: name("tallies"), digest: Digest::of(content), build }
}

/// Writes a row of the first view as nobody should.
async fn spoil(world: &World, key: &'static str, value: &'static str) {
    let state = world.ports.states.open(&view_of(&tallies("1.0.0"), 0)).await.unwrap();
    let row = RowKey { table: Arc::from("rows"), key: Bytes::from(key) };
    let writes = vec![StateWrite::Put(row, Bytes::from(value))];
    state.commit(StateCommit { conditions: Vec::new(), writes }).await.unwrap();
}

async fn value(engine: &Engine, id: &str) -> Option<String> {
    row(engine, &format!("rows:tally/{id}"), None).await
}

fn counts(only_old_count: u64, only_new_count: u64, different_count: u64) -> DifferenceCounts {
    DifferenceCounts { only_old_count, only_new_count, different_count }
}

async fn history(engine: &Engine) -> Vec<(HistoryEvent, Option<String>)> {
    let page = engine.plugin_history(&name("tallies"), None, 100).await.unwrap().unwrap();
    let entries = page.entries.into_iter().rev();
    entries.map(|it| (it.event, it.principal.map(|who| who.to_string()))).collect()
}

#[test]
fn an_equal_view_takes_over_and_the_old_one_goes_after_the_window() {
    // Guards P3: the old view serves until the cut-over, the new one has the same rows and follows, and
    // an hour later nothing is left of the old one.
    run(async {
        let (world, clock) = world();
        let engine = start(&world).await;
        rebuild(&engine, None, None).await.unwrap();
        assert_eq!((build(&engine).await, value(&engine, "a").await), (0, Some("10".to_owned())));
        serves(&engine, 1).await;
        assert_eq!(candidate(&engine).await.map(|it| it.build), None);
        let left = previous(&engine).await.unwrap();
        let until = Timestamp::from_ms(1_000 + HOUR_MS);
        assert_eq!(
            (left.digest, left.build, left.until),
            (Digest::of(&tallies("1.0.0")), 0, until)
        );
        let comparison = left.comparison.unwrap();
        assert_eq!(comparison.counts(), counts(0, 0, 0));
        let rows_counts = (comparison.old_rows_count, comparison.new_rows_count);
        assert_eq!((rows_counts, comparison.is_exact), ((4, 4), true));
        add_to_all(&engine, 1).await;
        assert_eq!(value(&engine, "a").await.as_deref(), Some("11"));
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("33"));
        clock.set(999 + HOUR_MS);
        sleep(Duration::from_mins(3)).await;
        assert!(previous(&engine).await.is_some(), "its time is not over");
        clock.set(1_000 + HOUR_MS);
        only_view_is(&world, &tallies("1.0.0"), 1).await;
        assert!(previous(&engine).await.is_none());
        let digest = Digest::of(&tallies("1.0.0"));
        let version = Some("1.0.0".to_owned());
        let differences = Some(counts(0, 0, 0));
        assert_eq!(
            history(&engine).await[1..],
            [
                (
                    HistoryEvent::RebuildStarted { version: "1.0.0".to_owned(), digest, build: 1 },
                    Some("ada".to_owned())
                ),
                (HistoryEvent::CutOver { version, digest, build: 1, differences }, None),
                (HistoryEvent::PreviousDropped { digest, build: 0 }, None),
            ]
        );
        assert_eq!(engine.plugin(&name("tallies")).unwrap().versions.len(), 1);
    });
}

#[test]
fn rows_that_differ_are_told_and_the_old_view_serves_until_somebody_says_so() {
    // Guards P3: a view that is wrong is not silently replaced, the differences are told with examples,
    // and rolling back restores at once what went on all the time.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        spoil(&world, "tally/b", "999").await;
        spoil(&world, "tally/x", "{\"not\":\"there\"}").await;
        rebuild(&engine, None, None).await.unwrap();
        let status = is_in(&engine, RebuildPhase::Differs).await;
        let comparison = status.comparison.unwrap();
        let row = |key: &str, old, new| DifferentRow {
            table: Arc::from("rows"),
            key: format!("tally/{key}"),
            old,
            new,
        };
        let expected = Comparison {
            old_parked_count: 0,
            new_parked_count: 0,
            compared_at: Timestamp::from_ms(1_000),
            old_rows_count: 5,
            new_rows_count: 4,
            only_old: differing(row("x", Some(json!({"not": "there"})), None)),
            only_new: annals_engine::rebuild::Differing::default(),
            different: differing(row("b", Some(json!(999)), Some(json!(10)))),
            is_exact: true,
        };
        assert_eq!(comparison, expected);
        sleep(Duration::from_mins(10)).await;
        assert_eq!((build(&engine).await, value(&engine, "b").await), (0, Some("999".to_owned())));
        engine.cut_over(&name("tallies"), None).await.unwrap();
        assert_eq!((build(&engine).await, value(&engine, "b").await), (1, Some("10".to_owned())));
        add_to_all(&engine, 1).await;
        engine.roll_back_view(&name("tallies"), Some(Arc::from("ada"))).await.unwrap();
        add_to_all(&engine, 1).await;
        assert_eq!((build(&engine).await, value(&engine, "b").await), (0, Some("1001".to_owned())));
        only_view_is(&world, &tallies("1.0.0"), 0).await;
        let none = engine.roll_back_view(&name("tallies"), None).await.unwrap_err();
        assert_eq!(none.to_string(), "there is no view of `tallies` to go back to");
        // Numbers of builds are not given out twice.
        rebuild(&engine, None, Some(CutsOver::WhenCaughtUp)).await.unwrap();
        serves(&engine, 3).await;
        assert_eq!(value(&engine, "b").await.as_deref(), Some("12"));
    });
}

fn differing(row: DifferentRow) -> annals_engine::rebuild::Differing {
    annals_engine::rebuild::Differing { count: 1, examples: vec![row] }
}

#[test]
fn another_version_takes_over_when_it_has_caught_up() {
    // Guards `--with`: differences are expected of another version and told; the version is the active
    // one from then on, and rolling the view back brings the old version back.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        let doubled = tallies_with("2.0.0", Quirk::DoubledState);
        rebuild(&engine, Some(doubled.clone()), None).await.unwrap();
        serves(&engine, 1).await;
        let left = previous(&engine).await.unwrap();
        assert_eq!(left.comparison.unwrap().counts(), counts(0, 0, 3));
        let plugin = engine.plugin(&name("tallies")).unwrap();
        let versions: Vec<_> = plugin.versions.iter().map(|it| it.version.as_str()).collect();
        assert_eq!((plugin.digest, versions), (Digest::of(&doubled), vec!["2.0.0", "1.0.0"]));
        assert_eq!(value(&engine, "a").await.as_deref(), Some("20"));
        engine.roll_back_view(&name("tallies"), None).await.unwrap();
        add_to_all(&engine, 1).await;
        assert_eq!(value(&engine, "a").await.as_deref(), Some("11"));
        only_view_is(&world, &tallies("1.0.0"), 0).await;
        let plugin = engine.plugin(&name("tallies")).unwrap();
        let versions: Vec<_> = plugin.versions.iter().map(|it| it.version.as_str()).collect();
        assert_eq!(versions, ["1.0.0", "2.0.0"]);
        // What was rolled back is a version like others, and begins a view of its own.
        let installed = engine.install(None, doubled, None).await.unwrap().0;
        add_to_all(&engine, 1).await;
        assert_eq!((installed, build(&engine).await), (InstallOutcome::Upgraded, 2));
        assert_eq!(value(&engine, "a").await.as_deref(), Some("24"));
    });
}

#[test]
fn rolling_a_plugin_back_after_a_cut_over_takes_the_view_that_is_there() {
    // Guards the two ways back: `plugin rollback` of a version whose view is still followed serves it.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        let doubled = tallies_with("2.0.0", Quirk::DoubledState);
        rebuild(&engine, Some(doubled), None).await.unwrap();
        serves(&engine, 1).await;
        let request =
            RollBackRequest { name: name("tallies"), digest: None, principal: None, force: None };
        engine.roll_back(request).await.unwrap();
        assert_eq!((build(&engine).await, value(&engine, "a").await), (0, Some("10".to_owned())));
        assert!(previous(&engine).await.is_none());
        add_to_all(&engine, 1).await;
        assert_eq!(value(&engine, "a").await.as_deref(), Some("11"));
    });
}

#[test]
fn a_rebuild_on_request_waits_and_can_be_cancelled() {
    // Guards `--on-request`: nothing happens by itself, cutting over before the comparison is refused,
    // and a cancelled rebuild leaves neither view nor component.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        let (tallies_name, other) = (name("tallies"), tallies("2.0.0"));
        rebuild(&engine, Some(other.clone()), Some(CutsOver::OnRequest)).await.unwrap();
        let early = engine.cut_over(&tallies_name, None).await.unwrap_err();
        assert!(matches!(early, InstallError::RebuildNotReady { .. }), "{early}");
        is_in(&engine, RebuildPhase::Ready).await;
        sleep(Duration::from_mins(10)).await;
        assert_eq!(build(&engine).await, 0);
        let again = rebuild(&engine, None, None).await.unwrap_err();
        assert_eq!(again.to_string(), "a view of `tallies` is built beside the one that serves");
        let install = engine.install(None, tallies("3.0.0"), None).await.unwrap_err();
        assert!(matches!(install, InstallError::RebuildUnderWay { .. }), "{install}");
        assert!(world.ports.blobs.get(Digest::of(&other)).await.unwrap().is_some());
        engine.cancel_rebuild(&tallies_name, None).await.unwrap();
        only_view_is(&world, &tallies("1.0.0"), 0).await;
        assert_eq!(world.ports.blobs.get(Digest::of(&other)).await.unwrap(), None);
        let none = engine.cancel_rebuild(&tallies_name, None).await.unwrap_err();
        assert_eq!(none.to_string(), "no view of `tallies` is built beside the one that serves");
        let unknown = engine.cancel_rebuild(&name("tally"), None).await.unwrap_err();
        assert_eq!(unknown.to_string(), "there is no projection `tally`");
        // On request it takes over, and what was said of it is in the history.
        rebuild(&engine, Some(other), Some(CutsOver::OnRequest)).await.unwrap();
        is_in(&engine, RebuildPhase::Ready).await;
        engine.cut_over(&tallies_name, None).await.unwrap();
        assert_eq!(build(&engine).await, 2);
    });
}

#[test]
fn a_view_over_its_limit_never_takes_over() {
    // Guards R18: what a candidate cannot handle is parked in it, one more than in the old view, which
    // serves and follows; so somebody has to say what is right.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        let greedy = tallies_with("2.0.0", Quirk::Greedy);
        rebuild(&engine, Some(greedy), None).await.unwrap();
        is_in(&engine, RebuildPhase::Failing).await;
        is_in(&engine, RebuildPhase::Differs).await;
        add_to_all(&engine, 1).await;
        sleep(Duration::from_mins(10)).await;
        assert_eq!((build(&engine).await, value(&engine, "a").await), (0, Some("11".to_owned())));
        let status = candidate(&engine).await.unwrap();
        let comparison = status.comparison.unwrap();
        let parked = (comparison.old_parked_count, comparison.new_parked_count);
        assert_eq!((status.phase, parked), (RebuildPhase::Differs, (0, 3)));
    });
}

#[test]
fn removing_the_plugin_ends_what_is_built() {
    // Guards clean-up: the candidate's view goes, and the one that served stays unless it is to go too.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        rebuild(&engine, None, Some(CutsOver::OnRequest)).await.unwrap();
        let remove = |deletes_views| {
            let request = RemoveRequest { name: name("tallies"), deletes_views, principal: None };
            engine.remove(request)
        };
        remove(false).await.unwrap();
        only_view_is(&world, &tallies("1.0.0"), 0).await;
        assert!(engine.projection_views(&name("tallies")).await.is_none());
        assert_eq!(remove(true).await.unwrap().deleted_views_count, 1);
        assert_eq!(world.ports.states.list().await.unwrap(), [StateSpace::Host]);
    });
}

#[test]
fn the_previous_version_is_kept_until_the_window_is_over() {
    // Guards `versions_kept`: with one version kept, the one that can be restored is kept beside it, and
    // goes with its view when its time is over.
    run(async {
        let (mut world, clock) = world();
        world.options.versions_kept = NonZeroUsize::MIN;
        let engine = start(&world).await;
        let (first, second) = (tallies("1.0.0"), tallies("2.0.0"));
        rebuild(&engine, Some(second.clone()), None).await.unwrap();
        serves(&engine, 1).await;
        assert!(world.ports.blobs.get(Digest::of(&first)).await.unwrap().is_some());
        clock.set(1_000 + HOUR_MS);
        only_view_is(&world, &second, 1).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.ports.blobs.get(Digest::of(&first)).await.unwrap(), None);
        let plugin = engine.plugin(&name("tallies")).unwrap();
        assert_eq!(plugin.versions.len(), 1);
        add_to_all(&engine, 1).await;
        assert_eq!(value(&engine, "a").await.as_deref(), Some("11"));
    });
}

#[test]
fn a_view_is_compared_exactly_while_events_come() {
    // Guards the comparison of two views that move: what differs only because one is ahead is none.
    run(async {
        let (mut world, _clock) = world();
        world.options.batch_events_max = 3;
        let engine = Arc::new(start(&world).await);
        spoil(&world, "tally/x", "1").await;
        let writer = tokio::task::spawn_local({
            let engine = Arc::clone(&engine);
            async move {
                loop {
                    for id in ["a", "b", "c", "d"] {
                        add(&engine, id, 1).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
        rebuild(&engine, None, None).await.unwrap();
        let status = is_in(&engine, RebuildPhase::Differs).await;
        let comparison = status.comparison.unwrap();
        assert_eq!((comparison.counts(), comparison.is_exact), (counts(1, 0, 0), true));
        writer.abort();
    });
}

#[test]
fn a_view_begins_later_if_its_projection_allows_it() {
    // Guards rebuilds from a place: exactly the events from there on, by position and by time, and a
    // refusal where the view would be wrong, or the place is none.
    run(async {
        let (world, clock) = world();
        let engine = start(&world).await;
        let forgetful = tallies_with("2.0.0", Quirk::Forgetful);
        let request = |begin, bytes: Option<&Bytes>| RebuildRequest {
            name: name("tallies"),
            bytes: bytes.cloned(),
            cuts_over: None,
            begin: Some(begin),
            principal: None,
        };
        let from = |position| RebuildBegin::Position(Position::new(position));
        let refused = engine.start_rebuild(request(from(0), None)).await.unwrap_err();
        assert!(refused.to_string().contains("begins with the first event"), "{refused}");
        let ahead = engine.start_rebuild(request(from(99), Some(&forgetful))).await.unwrap_err();
        assert!(ahead.to_string().starts_with("position 99 is ahead of the store"), "{ahead}");
        clock.set(2_000);
        let added = add(&engine, "a", 1).await.unwrap();
        add_to_all(&engine, 1).await;
        let at = RebuildBegin::Time(Timestamp::from_ms(2_000));
        engine.start_rebuild(request(at, Some(&forgetful))).await.unwrap();
        serves(&engine, 1).await;
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("4"));
        let values = (value(&engine, "a").await, value(&engine, "b").await);
        assert_eq!(values, (Some("2".to_owned()), Some("1".to_owned())));
        let at = RebuildBegin::Position(added.position.unwrap());
        engine.start_rebuild(request(at, None)).await.unwrap();
        serves(&engine, 2).await;
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("4"));
        for (ms, events_count) in [(2_001, None), (0, Some("34"))] {
            let before = build(&engine).await;
            let at = RebuildBegin::Time(Timestamp::from_ms(ms));
            engine.start_rebuild(request(at, None)).await.unwrap();
            serves(&engine, before + 1).await;
            assert_eq!(row(&engine, "counts:events", None).await.as_deref(), events_count);
        }
    });
}

#[test]
fn a_rebuild_with_a_version_that_is_kept_replaces_its_view() {
    // Guards the disk: of a version there is one view, and the older one goes at the cut-over.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        let second = tallies("2.0.0");
        engine.install(None, second.clone(), None).await.unwrap();
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        rebuild(&engine, Some(second.clone()), None).await.unwrap();
        serves(&engine, 1).await;
        add_to_all(&engine, 1).await;
        assert_eq!(value(&engine, "a").await.as_deref(), Some("11"));
        let mut views = vec![StateSpace::Host, view_of(&tallies("1.0.0"), 0), view_of(&second, 1)];
        views.sort();
        assert_eq!(world.ports.states.list().await.unwrap(), views);
    });
}
