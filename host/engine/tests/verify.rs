//! The refold check: what the history says of another version of an aggregate.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::plugin::PluginKind;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::Engine;
use annals_engine::verify::{
    BrokenExample, CommandCounts, Difference, Drift, KINDS_MAX, Progress, Report,
    SAMPLE_STREAMS_MAX, StateCounts, StateExample, Step, Unreadable, Verdict, VerifyError,
    VerifyOptions,
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::guest::{Quirk, other, tallies, tally, tally_with, tally_with_other_events};
use crate::support::{World, add, name, request, run, state};

async fn verify_with(engine: &Engine, candidate: Bytes, options: VerifyOptions) -> Report {
    engine.verify(None, candidate, options).await.unwrap().report().await.unwrap()
}

async fn verify(engine: &Engine, quirk: Quirk) -> Report {
    verify_with(engine, tally_with("2.0.0", quirk), VerifyOptions::default()).await
}

fn stream(id: &str) -> StreamId {
    StreamId::parse(&format!("tally/{id}")).unwrap()
}

fn difference(
    path: &str,
    before: impl Into<Option<Value>>,
    after: impl Into<Option<Value>>,
) -> Difference {
    Difference { path: path.to_owned(), before: before.into(), after: after.into() }
}

async fn append(engine: &Engine, id: &str, event_type: &str, data: &'static str) {
    let event = NewEvent::json(EventType::new(event_type).unwrap(), data);
    let any = ExpectedRevision::Any;
    let commit = Commit::plain(stream(id), any, vec![event], Timestamp::from_ms(0));
    engine.store().append(commit).await.unwrap();
}

/// An engine with every kind of history: accepted and rejected commands, commands without events, with
/// many and with claims, a plain append before, between and after them, a stream that was only refused.
async fn history(world: &World) -> Engine {
    let engine = world.start_with_tally().await;
    append(&engine, "appended", "added", r#"{"amount": 1}"#).await;
    for amount in [5, -1, 20, 3] {
        drop(add(&engine, "a", amount).await);
    }
    append(&engine, "a", "added", r#"{"amount": 1}"#).await;
    for (id, command, amount) in [
        ("a", "look", 0),
        ("a", "add-many", 3),
        ("a", "claim", 7),
        ("refused", "add", -1),
        ("refused", "add", -2),
        ("late", "add", -1),
        ("late", "look", 0),
        ("late", "add", 4),
        ("appended", "add", 2),
    ] {
        engine.execute(request(id, command, &json!({"amount": amount}).to_string())).await.unwrap();
    }
    append(&engine, "late", "added", r#"{"amount": 1}"#).await;
    engine
}

/// What the history of [`history`] has.
const STREAMS: u64 = 4;
const EVENTS: u64 = 12;
const COMMANDS: u64 = 13;

const ALL_AS_RECORDED: CommandCounts = CommandCounts {
    decided_count: COMMANDS,
    undecided_count: 0,
    drifted_count: 0,
    outcome_count: 0,
    events_count: 0,
    claims_count: 0,
    shared_count: 0,
    other_words_count: 0,
};

const ALL_STATES_SAME: StateCounts = StateCounts {
    is_comparable: true,
    compared_count: STREAMS,
    differing_count: 0,
    uncompared_count: 0,
};

#[test]
fn a_version_with_the_same_rules_is_identical() {
    // Guards the verdict without a finding, and that every stream, event and command was looked at
    // once: streams that were appended to or refused first, and those of all partitions.
    run(async {
        for partitions_count in [1, 8] {
            let world = World::of_partitions(partitions_count);
            let engine = history(&world).await;
            engine.install(None, tallies("1.0.0"), None).await.unwrap();
            let report = verify(&engine, Quirk::None).await;
            assert_eq!(report.verdict, Verdict::Identical, "{report:#?}");
            let counts = (report.streams_count, report.events_count, report.commands_count);
            assert_eq!(counts, (STREAMS, EVENTS, COMMANDS));
            assert_eq!((report.commands, report.states), (ALL_AS_RECORDED, ALL_STATES_SAME));
            assert_eq!(
                (report.active.version.as_str(), report.candidate.version.as_str()),
                ("1.0.0", "2.0.0")
            );
            assert!(!report.is_sample && report.drifted.is_empty());
            // Nothing was installed.
            assert_eq!(engine.plugin(&name("tally")).unwrap().description.version, "1.0.0");
        }
    });
}

#[test]
fn a_version_with_other_words_or_another_state_schema_is_compatible() {
    // Guards the verdict between identical and drift: the same outcomes and events, and something
    // that cannot be said to be the same.
    run(async {
        let engine = history(&World::new()).await;
        let report = verify(&engine, Quirk::Words).await;
        assert_eq!(report.verdict, Verdict::Compatible);
        assert_eq!(report.commands, CommandCounts { other_words_count: 4, ..ALL_AS_RECORDED });
        let report = verify(&engine, Quirk::OtherStateSchema).await;
        assert_eq!(report.verdict, Verdict::Compatible);
        assert_eq!(
            (report.commands, report.states),
            (ALL_AS_RECORDED, StateCounts { uncompared_count: STREAMS, ..StateCounts::default() })
        );
    });
}

#[test]
fn another_outcome_is_drift_and_is_told_with_the_difference() {
    // Guards drift in outcome: a new limit refuses what was accepted; where, which command, and what
    // differs. What follows in the stream is decided on the state that was recorded.
    run(async {
        let engine = history(&World::new()).await;
        let report = verify(&engine, Quirk::Limit).await;
        assert_eq!(report.verdict, Verdict::Drift);
        let drifted = CommandCounts { drifted_count: 1, outcome_count: 1, ..ALL_AS_RECORDED };
        assert_eq!((report.commands, report.states), (drifted, ALL_STATES_SAME));
        let of_add = CommandCounts { decided_count: 9, ..drifted };
        assert_eq!(report.drifted, [(CommandName::new("add").unwrap(), of_add)].into());
        let [example] = &report.command_examples[..] else { unreachable!("one example") };
        assert_eq!(example.stream, stream("a"));
        assert_eq!(example.command.as_str(), "add");
        assert_eq!(example.revision, Revision::new(0).into());
        assert_eq!((example.drift, example.is_shared), (Drift::Outcome, false));
        assert_eq!(
            example.differences,
            [
                difference("/code", None, json!("too-large")),
                difference(
                    "/events",
                    json!([{"data": {"amount": 20}, "schema_version": 1, "type": "added"}]),
                    None
                ),
                difference("/message", None, json!("no")),
                difference("/outcome", json!("accepted"), json!("rejected")),
            ]
        );
        let report = verify(&engine, Quirk::Blind).await;
        assert_eq!(report.verdict, Verdict::Drift);
        assert_eq!(
            report.commands,
            CommandCounts { drifted_count: 2, outcome_count: 2, ..ALL_AS_RECORDED },
            "a command that is gone"
        );
        let differences = &report.command_examples[0].differences;
        assert!(differences.contains(&difference(
            "/outcome",
            json!("accepted"),
            json!("unknown-command")
        )));
    });
}

#[test]
fn other_events_are_drift_and_so_are_other_claims() {
    // Guards drift in events, told down to the member that differs, and in claims, which the log does
    // not tell and the active version does.
    run(async {
        let engine = history(&World::new()).await;
        let report = verify(&engine, Quirk::Fee).await;
        assert_eq!(report.verdict, Verdict::Drift);
        let drifted = CommandCounts { drifted_count: 5, events_count: 5, ..ALL_AS_RECORDED };
        assert_eq!(report.commands, drifted);
        assert_eq!(
            report
                .command_examples
                .iter()
                .map(|e| (e.drift, e.differences.clone()))
                .next()
                .unwrap(),
            (Drift::Events, vec![difference("/events/0/data/amount", json!(2), json!(1))])
        );
        let report = verify(&engine, Quirk::Modest).await;
        assert_eq!(report.verdict, Verdict::Drift);
        assert_eq!(
            report.commands,
            CommandCounts { drifted_count: 1, claims_count: 1, ..ALL_AS_RECORDED }
        );
        let claim = json!({"scope": "number", "key": "7", "expires_at": null});
        assert_eq!(report.command_examples[0].differences, [difference("/claims/0", claim, None)]);
    });
}

#[test]
fn another_state_is_drift() {
    // Guards the comparison of states, without which a changed `evolve` shows too late.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        add(&engine, "a", 5).await.unwrap();
        append(&engine, "zero", "added", r#"{"amount": 0}"#).await;
        let report = verify(&engine, Quirk::DoubledState).await;
        assert_eq!(report.verdict, Verdict::Drift);
        assert_eq!(report.commands.drifted_count, 0);
        let states = StateCounts {
            is_comparable: true,
            compared_count: 2,
            differing_count: 1,
            uncompared_count: 0,
        };
        assert_eq!(report.states, states);
        let differences = vec![difference("", json!(5), json!(10))];
        let revision = Revision::FIRST.into();
        assert_eq!(
            report.state_examples,
            [StateExample { stream: stream("a"), revision, differences }]
        );
    });
}

#[test]
fn events_that_cannot_be_read_are_broken_and_counted() {
    // Guards the upgrade that forgets an event: by type and version, of the whole stream and not only
    // the first; streams without such an event go on.
    run(async {
        let engine = history(&World::new()).await;
        let candidate = tally_with_other_events("2.0.0");
        let report = verify_with(&engine, candidate, VerifyOptions::default()).await;
        assert_eq!(report.verdict, Verdict::Broken);
        assert_eq!((report.broken_streams_count, report.active_broken_streams_count), (3, 0));
        assert_eq!(report.unreadable_events_count, EVENTS);
        let event_type = EventType::new("added").unwrap();
        let schema_version = annals_core::event::SchemaVersion(1);
        assert_eq!(
            report.unreadable,
            [Unreadable { event_type, schema_version, events_count: EVENTS }]
        );
        let cause = "stream `tally/appended` holds `added` of schema version 1 at revision 0, which plugin \
                     version 2.0.0 does not read";
        let first = BrokenExample {
            stream: stream("appended"),
            revision: ActualRevision::NO_EVENT,
            cause: cause.to_owned(),
            is_shared: false,
        };
        assert_eq!((report.broken_examples.len(), &report.broken_examples[0]), (3, &first));
        let counts = report.commands;
        assert_eq!(counts.decided_count + counts.undecided_count, COMMANDS);

        // What the active version cannot read either is still broken, and said to be so.
        append(&engine, "strange", "removed", "{}").await;
        let report = verify(&engine, Quirk::None).await;
        assert_eq!((report.verdict, report.active_broken_streams_count), (Verdict::Broken, 1));
        assert_eq!(report.broken_examples.iter().map(|e| e.is_shared).collect::<Vec<_>>(), [true]);
        assert_eq!((report.commands, report.unreadable_events_count), (ALL_AS_RECORDED, 1));

        // More types than are counted one by one are in the sum.
        for number in 0..KINDS_MAX {
            append(&engine, "strange", &format!("removed-{number}"), "{}").await;
        }
        let report = verify(&engine, Quirk::None).await;
        assert_eq!(report.unreadable.len(), KINDS_MAX);
        assert_eq!(report.unreadable_events_count, u64::try_from(KINDS_MAX).unwrap() + 1);
    });
}

#[test]
fn a_trap_on_replay_is_broken_and_a_trap_in_a_decision_is_drift() {
    // Guards containment: a new sandbox, and on with the next stream. A decision that fails does not
    // hide that the rest of its stream cannot be folded, nor does it when it can.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        for (id, amounts) in [("a", vec![1, 13, 2]), ("b", vec![1, 2])] {
            for amount in amounts {
                add(&engine, id, amount).await.unwrap();
            }
        }
        let report = verify(&engine, Quirk::Superstitious).await;
        assert_eq!(report.verdict, Verdict::Broken);
        assert_eq!(
            report.broken_examples,
            [BrokenExample {
                stream: stream("a"),
                revision: Revision::FIRST.into(),
                cause: "the plugin failed: plugin `tally` trapped in `evolve`: told to".to_owned(),
                is_shared: false,
            }]
        );
        let drifted = CommandCounts {
            decided_count: 4,
            drifted_count: 1,
            outcome_count: 1,
            undecided_count: 1,
            ..CommandCounts::default()
        };
        assert_eq!(report.commands, drifted);
        let states = StateCounts {
            is_comparable: true,
            compared_count: 1,
            differing_count: 0,
            uncompared_count: 1,
        };
        assert_eq!(report.states, states);

        let report = verify(&engine, Quirk::Mute).await;
        assert_eq!((report.verdict, report.broken_streams_count), (Verdict::Broken, 2));
        assert!(report.broken_examples[0].cause.contains("trapped in `snapshot`"));
        // The other way round, nothing is lost: the version that is verified folds everything.
        engine.install(None, tally_with("3.0.0", Quirk::Superstitious), None).await.unwrap();
        let report = verify(&engine, Quirk::None).await;
        assert_eq!((report.verdict, report.active_broken_streams_count), (Verdict::Compatible, 1));
        assert_eq!(report.commands, CommandCounts { decided_count: 5, ..CommandCounts::default() });
        assert_eq!(report.states, states);
    });
}

#[test]
fn a_version_that_decides_at_random_shows_as_drift() {
    // Guards determinism: the very version that is active does not reproduce what it decided.
    run(async {
        let world = World::new();
        let engine = world.start().await;
        engine.install(None, tally_with("1.0.0", Quirk::Moody), None).await.unwrap();
        for _ in 0..5 {
            add(&engine, "a", 1).await.unwrap();
        }
        let report =
            verify_with(&engine, tally_with("1.0.0", Quirk::Moody), VerifyOptions::default()).await;
        assert_eq!(report.verdict, Verdict::Drift);
        assert_eq!(report.active, report.candidate);
        assert_eq!((report.commands.drifted_count, report.commands.shared_count), (5, 0));
    });
}

#[test]
fn drift_that_the_active_version_shares_is_told_apart() {
    // Guards a history that an older version decided: the upgrade changes less than it seems.
    run(async {
        let engine = history(&World::new()).await;
        engine.install(None, tally_with("2.0.0", Quirk::Fee), None).await.unwrap();
        let report =
            verify_with(&engine, tally_with("3.0.0", Quirk::Fee), VerifyOptions::default()).await;
        assert_eq!(report.verdict, Verdict::Drift);
        assert_eq!((report.commands.drifted_count, report.commands.shared_count), (5, 5));
        assert!(report.command_examples.iter().all(|example| example.is_shared));
        let report = verify(&engine, Quirk::None).await;
        assert_eq!(report.verdict, Verdict::Identical, "back to what decided the history");
    });
}

#[test]
fn a_sample_looks_at_so_many_streams_and_examples_are_limited() {
    // Guards both limits: streams looked at, the same at each time, and examples told.
    run(async {
        let world = World::of_partitions(4);
        let engine = world.start_with_tally().await;
        for number in 0..50 {
            add(&engine, &format!("a{number}"), 5).await.unwrap();
        }
        let streams_max = NonZeroUsize::new(20);
        let options = VerifyOptions { streams_max, examples_max: 3 };
        let fee = || tally_with("2.0.0", Quirk::Fee);
        let report = verify_with(&engine, fee(), options).await;
        assert_eq!((report.streams_count, report.commands_count, report.is_sample), (20, 20, true));
        assert_eq!((report.commands.drifted_count, report.command_examples.len()), (20, 3));
        assert_eq!(verify_with(&engine, fee(), options).await, report);
        let streams_max = NonZeroUsize::new(SAMPLE_STREAMS_MAX);
        let all = VerifyOptions { streams_max, ..options };
        let report = verify_with(&engine, fee(), all).await;
        assert_eq!((report.streams_count, report.is_sample), (50, false));
    });
}

#[test]
fn only_another_version_of_an_active_aggregate_is_verified() {
    // Guards the refusals before anything is read, and that each leaves room for the next.
    run(async {
        let engine = World::new().start().await;
        let verify = async |asked: Option<&str>, bytes| {
            let asked = asked.map(name);
            engine.verify(asked.as_ref(), bytes, VerifyOptions::default()).await.unwrap_err()
        };
        assert!(matches!(verify(None, Bytes::from_static(b"\0asm")).await, VerifyError::Load(_)));
        let error = verify(None, tally("1.0.0")).await;
        assert_eq!(error.to_string(), "there is no active aggregate `tally` to compare with");
        let error = verify(Some("tallly"), tally("1.0.0")).await;
        assert_eq!(error.to_string(), "the plugin describes itself as `tally`, not as `tallly`");
        let error = verify(None, other("tallies", PluginKind::Projection)).await;
        assert_eq!(
            error.to_string(),
            "`tallies` is a plugin of kind `projection`, and only aggregates are verified"
        );
    });
}

#[test]
fn one_verification_runs_at_a_time_while_commands_are_decided() {
    // Guards serving: commands are accepted meanwhile, and what they add after the start does not keep
    // it from ending. The second one is refused as busy, until the first has ended or was given up.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        for number in 0..600 {
            add(&engine, &format!("a{number}"), 5).await.unwrap();
        }
        let begin =
            || engine.verify(None, tally_with("2.0.0", Quirk::None), VerifyOptions::default());
        let mut running = begin().await.unwrap();
        let error = begin().await.unwrap_err();
        assert!(matches!(error, VerifyError::Busy { in_flight_max: 1 }), "{error}");
        let mut added = 0;
        let report = loop {
            let id = format!("b{added}");
            tokio::select! {
                biased;
                report = running.report() => break report.unwrap(),
                done = add(&engine, &id, 1) => added += u64::from(done.is_ok()),
            }
        };
        assert!(added > 100, "{added}");
        assert_eq!((report.verdict, report.streams_count), (Verdict::Identical, 600));
        assert_eq!(
            running.progress(),
            Progress {
                step: Step::Verifying,
                streams_count: 600,
                events_count: 600,
                commands_count: 600,
                // With the installation of the tally.
                done_count: 601,
                total_count: 601,
            }
        );
        assert_eq!(state(&engine, "a0").await, (0, "5".to_owned()));

        let given_up = begin().await.unwrap();
        tokio::task::yield_now().await;
        drop(given_up);
        let decided = world.probe.decided.load(Ordering::Relaxed);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(world.probe.decided.load(Ordering::Relaxed) <= decided + 4, "it goes on");
        let mut ended_by_stop = begin().await.unwrap();
        engine.stop().await;
        assert!(matches!(ended_by_stop.report().await, Err(VerifyError::Stopping)));
        assert!(matches!(begin().await, Err(VerifyError::Stopping)));
    });
}
