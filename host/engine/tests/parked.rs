//! Parked events: an event that cannot be handled holds up its stream and nothing else.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_core::stream::StreamId;
use annals_engine::Engine;
use annals_engine::parked::ParkedPage;
use annals_engine::projection::{Phase, Progress, Unpark};
use tokio::time::{Instant, sleep};

use crate::support::guest::{Poison, Probe, tallies};
use crate::support::{World, add, name, row, run};

const UNLUCKY: i64 = 13;

fn poison(world: &World, kind: Option<Poison>) {
    *world.probe.poison.lock().unwrap() = kind.map(|kind| (UNLUCKY, kind));
}

/// Waits until the projection is so.
async fn until(engine: &Engine, is_so: impl Fn(&Progress) -> bool) -> Progress {
    let deadline = Instant::now() + Duration::from_mins(10);
    loop {
        let progress = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
        if is_so(&progress) {
            return progress;
        }
        assert!(Instant::now() < deadline, "{progress:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn parked(engine: &Engine) -> ParkedPage {
    engine.parked(&name("tallies"), None, 10).await.unwrap()
}

/// Stream, revision, attempts, wish, and how many events wait behind it.
async fn waiting(engine: &Engine) -> Vec<(String, u64, u32, Option<Unpark>, u64)> {
    let page = parked(engine).await;
    let told = page.events.into_iter().map(|waiting| {
        let parked = waiting.parked;
        let (stream, revision) = (parked.stream.as_str().to_owned(), parked.revision.get());
        (stream, revision, parked.attempts, parked.asked, waiting.waiting_count)
    });
    told.collect()
}

async fn unpark(engine: &Engine, stream: Option<&str>, asked: Unpark) -> usize {
    let stream = stream.map(|stream| StreamId::parse(stream).unwrap());
    engine.unpark(&name("tallies"), stream.as_ref().map(std::slice::from_ref), asked).await.unwrap()
}

/// Records unlucky events among others.
async fn record(engine: &Engine) {
    for (stream, amount) in [("a", 1), ("b", 2), ("a", UNLUCKY), ("b", 3), ("a", 4), ("c", 5)] {
        add(engine, stream, amount).await.unwrap();
    }
}

async fn rows(engine: &Engine) -> [Option<String>; 4] {
    let mut rows = [const { None }; 4];
    let keys = ["rows:tally/a", "rows:tally/b", "rows:tally/c", "counts:events"];
    for (found, key) in rows.iter_mut().zip(keys) {
        *found = row(engine, key, None).await;
    }
    rows
}

fn some(rows: [&str; 4]) -> [Option<String>; 4] {
    rows.map(|row| Some(row.to_owned()))
}

/// Each event the projection handled, once.
fn no_event_was_handled_twice(probe: &Probe) {
    let mut positions: Vec<_> = probe.places.lock().unwrap().iter().map(|it| it.1).collect();
    positions.sort_unstable();
    assert!(positions.windows(2).all(|two| two[0] < two[1]), "{positions:?}");
}

#[test]
fn an_event_that_cannot_be_handled_holds_up_its_stream_only() {
    // Guards P4 and R16: parked with its cause after so many attempts, or at once when the plugin says
    // so; other streams go on; after a restart it waits still; a replay after the fix is in order and
    // exactly once, what came meanwhile included.
    for (kind, attempts) in [(Poison::Retry, 5), (Poison::Park, 1), (Poison::Trap, 5)] {
        run(async move {
            let world = World::new();
            poison(&world, Some(kind));
            let engine = world.start_with_tally().await;
            record(&engine).await;
            engine.install(None, tallies("1.0.0"), None).await.unwrap();
            let caught_up = |it: &Progress| it.phase == Phase::CaughtUp;
            let progress = until(&engine, caught_up).await;
            assert_eq!((progress.parked_count, progress.events_count), (1, 4), "{kind:?}");
            assert_eq!(rows(&engine).await, some(["1", "5", "5", "4"]));
            let expected = ("tally/a".to_owned(), 1, attempts, None, 1);
            assert_eq!(waiting(&engine).await, [expected]);
            let cause = parked(&engine).await.events.remove(0).parked.cause;
            assert!(cause.contains("unheard of"), "{cause}");
            engine.stop().await;
            let engine = world.start().await;
            add(&engine, "a", 6).await.unwrap();
            add(&engine, "c", 1).await.unwrap();
            until(&engine, |it| caught_up(it) && it.events_count == 5).await;
            assert_eq!(rows(&engine).await, some(["1", "5", "6", "5"]));
            poison(&world, None);
            assert_eq!(unpark(&engine, Some("tally/b"), Unpark::Replay).await, 0);
            assert_eq!(unpark(&engine, Some("tally/a"), Unpark::Replay).await, 1);
            until(&engine, |it| it.parked_count == 0).await;
            assert_eq!(rows(&engine).await, some(["24", "5", "6", "8"]));
            add(&engine, "a", 1).await.unwrap();
            until(&engine, |it| caught_up(it) && it.events_count == 9).await;
            assert_eq!(rows(&engine).await, some(["25", "5", "6", "9"]));
            no_event_was_handled_twice(&world.probe);
        });
    }
}

#[test]
fn a_replay_that_fails_again_is_parked_again_and_a_discard_leaves_the_event_out() {
    // Guards what operators do: without a fix a replay counts one more attempt; discarding leaves out
    // that event alone; a second unlucky event behind it is parked in its turn.
    run(async {
        let world = World::new();
        poison(&world, Some(Poison::Trap));
        let engine = world.start_with_tally().await;
        record(&engine).await;
        add(&engine, "a", UNLUCKY).await.unwrap();
        add(&engine, "a", 7).await.unwrap();
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        until(&engine, |it| it.parked_count == 1 && it.phase == Phase::CaughtUp).await;
        let of_a =
            |revision, attempts, count| [("tally/a".to_owned(), revision, attempts, None, count)];
        assert_eq!(waiting(&engine).await, of_a(1, 5, 3));
        let refusals = Probe::take(&world.probe.refusals);
        assert!(refusals >= 5, "{refusals}");
        assert_eq!(unpark(&engine, None, Unpark::Replay).await, 1);
        until(&engine, |_| world.probe.refusals.load(Ordering::Relaxed) > 0).await;
        until(&engine, |it| it.phase == Phase::CaughtUp).await;
        while waiting(&engine).await != of_a(1, 6, 3) {
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(unpark(&engine, None, Unpark::Discard).await, 1);
        while waiting(&engine).await != of_a(3, 1, 1) {
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(rows(&engine).await, some(["5", "5", "5", "5"]));
        assert_eq!(unpark(&engine, None, Unpark::Discard).await, 1);
        until(&engine, |it| it.parked_count == 0).await;
        assert_eq!(rows(&engine).await, some(["12", "5", "5", "6"]));
        no_event_was_handled_twice(&world.probe);
    });
}

#[test]
fn an_event_that_ends_the_host_is_parked_in_the_end() {
    // Guards R14: an attempt is counted before it is made, so a crash is one; the events beside it in
    // its batch are handled meanwhile.
    run(async {
        let world = World::new();
        poison(&world, Some(Poison::Crash));
        let engine = world.start_with_tally().await;
        record(&engine).await;
        engine.stop().await;
        let mut crashes_count = 0;
        let engine = loop {
            let before = world.probe.refusals.load(Ordering::Relaxed);
            let engine = world.start_with_tally().await;
            engine.install(None, tallies("1.0.0"), None).await.unwrap();
            let deadline = Instant::now() + Duration::from_secs(5);
            let is_over = || world.probe.refusals.load(Ordering::Relaxed) > before;
            while !is_over() && Instant::now() < deadline {
                sleep(Duration::from_millis(10)).await;
            }
            if !is_over() {
                break engine;
            }
            crashes_count += 1;
            assert!(crashes_count <= 6, "it is never parked");
            engine.stop().await;
        };
        // The first one was in a batch with others, and could be of any of them.
        assert_eq!(crashes_count, 6);
        until(&engine, |it| it.phase == Phase::CaughtUp).await;
        assert_eq!(waiting(&engine).await, [("tally/a".to_owned(), 1, 5, None, 1)]);
        assert_eq!(rows(&engine).await, some(["1", "5", "5", "4"]));
        no_event_was_handled_twice(&world.probe);
    });
}

#[test]
fn only_so_many_streams_are_parked() {
    // Guards `parked_streams_max`: the projection stops with a text that names the limit, loses
    // nothing, and goes on when there is room.
    run(async {
        let mut world = World::new();
        world.options.parked_streams_max = NonZeroUsize::MIN;
        world.options.projection_attempts_max = NonZeroU32::MIN;
        poison(&world, Some(Poison::Park));
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        for (stream, amount) in [("a", UNLUCKY), ("b", UNLUCKY), ("c", 5)] {
            add(&engine, stream, amount).await.unwrap();
        }
        let is_failing = |it: &Progress| matches!(it.phase, Phase::Failing { .. });
        let progress = until(&engine, is_failing).await;
        let Phase::Failing { cause, .. } = progress.phase else { panic!("{progress:?}") };
        assert!(
            cause.contains("1 streams are parked already (projections.parked_streams_max)"),
            "{cause}"
        );
        assert_eq!(waiting(&engine).await, [("tally/a".to_owned(), 0, 1, None, 0)]);
        assert_eq!(unpark(&engine, None, Unpark::Discard).await, 1);
        until(&engine, |it| it.phase == Phase::CaughtUp).await;
        assert_eq!(waiting(&engine).await, [("tally/b".to_owned(), 0, 1, None, 0)]);
        assert_eq!(rows(&engine).await[2].as_deref(), Some("5"));
    });
}
