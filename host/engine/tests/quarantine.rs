//! Streams whose commands make their plugin fail.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::command::{CommandError, CommandOutcome};
use annals_engine::figures::CommandFigures;
use annals_engine::{Engine, QuarantinedStream, QuarantinedStreams};

use crate::support::guest::{Probe, tally};
use crate::support::{ManualClock, World, add, name, request, run, state, with_id};

/// A host whose clock is set, with the tally.
async fn start() -> (World, Arc<ManualClock>, Engine) {
    let clock = Arc::new(ManualClock::default());
    clock.set(10_000);
    let mut world = World::new();
    world.ports.clock = Arc::clone(&clock) as _;
    let engine = world.start_with_tally().await;
    (world, clock, engine)
}

async fn trap(engine: &Engine, id: &str) -> Result<CommandOutcome, CommandError> {
    engine.execute(request(id, "trap", r#"{"amount":1}"#)).await
}

fn told_to() -> Arc<GuestFailure> {
    let (plugin, cause) = ("tally".to_owned(), "told to".to_owned());
    Arc::new(GuestFailure::Trap { plugin, call: "decide", cause })
}

fn refused(failures_count: u32, wait_ms: u64) -> QuarantinedStream {
    QuarantinedStream {
        stream: StreamId::parse("tally/a").unwrap(),
        failures_count,
        last_failure: told_to(),
        until: Timestamp::from_ms(10_000 + wait_ms),
        wait: Duration::from_millis(wait_ms),
    }
}

#[track_caller]
fn quarantined(answer: Result<CommandOutcome, CommandError>) -> QuarantinedStream {
    match answer {
        Err(CommandError::Quarantined(refused)) => *refused,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_stream_that_fails_again_and_again_is_refused_for_a_growing_time() {
    // Guards the quarantine: three failures in a row, a second, then two; a command that is decided
    // ends it; the others are served.
    run(async {
        let (world, clock, engine) = start().await;
        for _ in 0..3 {
            let failed = trap(&engine, "a").await;
            assert!(matches!(failed, Err(CommandError::Plugin(_))), "{failed:?}");
        }
        Probe::take(&world.probe.decided);
        assert_eq!(quarantined(add(&engine, "a", 1).await), refused(3, 1_000));
        assert_eq!(Probe::take(&world.probe.decided), 0, "refused without asking the plugin");
        add(&engine, "b", 1).await.unwrap();
        let status = engine.plugin(&name("tally")).unwrap();
        let expected = QuarantinedStreams { count: 1, streams: vec![refused(3, 1_000)] };
        assert_eq!(status.quarantined, expected);

        clock.set(11_000);
        assert!(matches!(trap(&engine, "a").await, Err(CommandError::Plugin(_))), "one is tried");
        let wait = |refused: QuarantinedStream| (refused.failures_count, refused.wait.as_millis());
        assert_eq!(wait(quarantined(add(&engine, "a", 1).await)), (4, 2_000));
        clock.set(13_000);
        add(&engine, "a", 1).await.unwrap();
        assert!(matches!(trap(&engine, "a").await, Err(CommandError::Plugin(_))));
        add(&engine, "a", 1).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "2".to_owned()));
        let expected = CommandFigures {
            accepted_count: 3,
            shed_count: 2,
            failed_count: 5,
            ..Default::default()
        };
        assert_eq!(engine.figures().await.commands, expected);
    });
}

#[test]
fn a_stream_that_failed_does_not_take_the_residents_of_others_with_it() {
    // Guards against one stream that makes all others load again at each of its commands: after its
    // first failure it runs in a sandbox apart.
    run(async {
        let mut world = World::new();
        world.options.shards_count = std::num::NonZeroUsize::MIN;
        world.options.quarantine_after_failures = NonZeroU32::MAX;
        let engine = world.start_with_tally().await;
        for _ in 0..3 {
            add(&engine, "good", 1).await.unwrap();
        }
        assert!(trap(&engine, "bad").await.is_err());
        // The whole plugin is kept apart for a moment, until it has decided fast again.
        for _ in 0..3 {
            add(&engine, "good", 1).await.unwrap();
        }
        Probe::take(&world.probe.evolved_events);
        for _ in 0..5 {
            assert!(trap(&engine, "bad").await.is_err());
            add(&engine, "good", 1).await.unwrap();
        }
        assert_eq!(Probe::take(&world.probe.evolved_events), 5, "nothing was loaded again");
        // Trusted again after ten commands that were decided, it is among the others.
        for _ in 0..10 {
            add(&engine, "bad", 1).await.unwrap();
        }
        Probe::take(&world.probe.evolved_events);
        add(&engine, "bad", 1).await.unwrap();
        add(&engine, "good", 1).await.unwrap();
        assert_eq!(Probe::take(&world.probe.evolved_events), 10 + 1 + 1);
        assert_eq!(state(&engine, "bad").await, (10, "11".to_owned()));
        assert_eq!(state(&engine, "good").await, (11, "12".to_owned()));
    });
}

#[test]
fn commands_of_a_suspect_stream_keep_their_order() {
    // Guards the hand-over to the shard apart: what was sent first is decided first.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        let sent = [
            add(&engine, "a", 1),
            add(&engine, "a", 2),
            add(&engine, "a", 3),
            add(&engine, "a", 4),
        ];
        let (failed, outcomes) =
            tokio::join!(trap(&engine, "a"), futures_util::future::join_all(sent));
        assert!(failed.is_err());
        let revisions: Vec<_> =
            outcomes.into_iter().map(|it| it.unwrap().revision.0.unwrap().get()).collect();
        assert_eq!(revisions, [0, 1, 2, 3]);
        engine.stop().await;
    });
}

#[test]
fn another_version_of_the_plugin_is_tried_at_once_and_repeats_are_answered_meanwhile() {
    // Guards both ways out of quarantine that need no waiting.
    run(async {
        let (_world, _clock, engine) = start().await;
        let decided = || with_id(request("a", "add", r#"{"amount":5}"#), 7);
        let first = engine.execute(decided()).await.unwrap();
        for _ in 0..3 {
            assert!(trap(&engine, "a").await.is_err());
        }
        assert_eq!(quarantined(add(&engine, "a", 1).await).failures_count, 3);
        let again = engine.execute(decided()).await.unwrap();
        assert_eq!(again, CommandOutcome { is_repeat: true, ..first });
        engine.install(None, tally("1.0.1"), None).await.unwrap();
        add(&engine, "a", 1).await.unwrap();
        let status = engine.plugin(&name("tally")).unwrap();
        assert_eq!(status.quarantined, QuarantinedStreams::default());
    });
}
