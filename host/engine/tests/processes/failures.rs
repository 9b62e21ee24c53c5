//! What cannot be handled, and commands that have no outcome.

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_core::port::state_store::StateCapabilities;
use annals_core::stream::StreamId;
use annals_engine::Engine;
use annals_engine::process::status::{InstanceFilter, Parked};
use annals_engine::projection::{Phase, Unpark};
use annals_store_memory::MemoryStateStores;
use annals_store_memory::faulty::FaultyStateStores;
use tokio::time::sleep;

use super::{ids, instance, progress, seen, start_with_adder, until, until_quiet};
use crate::support::faults::StateCommitsUnknown;
use crate::support::guest::{Quirk, adder, adder_with, other};
use crate::support::manager::{
    CANCEL, CIRCLE, CROWD, DEADLY, END, HEAVY, NOBODY, QUIET, TIMER, TOO_HEAVY, TRAP, TWO, UNLUCKY,
    UNRELATED,
};
use crate::support::{World, add, name, run, state};

fn an_instance(id: &str) -> Parked {
    Parked::Instance(Arc::from(id))
}

async fn ask(engine: &Engine, parked: &Parked, asked: Unpark) -> bool {
    engine.ask_process(&name("adder"), parked, asked).await.unwrap()
}

#[test]
fn an_instance_that_cannot_handle_an_event_waits_and_others_go_on() {
    // Guards order within an instance and independence of others, for a refusal and for a trap.
    run(async {
        let world = World::new();
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        for (id, amount) in [("a", 1), ("a", UNLUCKY), ("b", DEADLY), ("a", 2), ("b", 3), ("c", 4)]
        {
            add(&engine, id, amount).await.unwrap();
        }
        until_quiet(&engine).await;
        assert_eq!(ids(&engine, InstanceFilter::Parked).await, ["a", "b"]);
        assert_eq!(progress(&engine).parked_count, 2);
        let parked = instance(&engine, "a").await.unwrap();
        assert_eq!(parked.parked.unwrap().cause, "unheard of");
        // What could not be handled and the next event; perhaps the outcome of what was sent before.
        assert!([2, 3].contains(&parked.waiting.len()), "{:?}", parked.waiting);
        let cause = instance(&engine, "b").await.unwrap().parked.unwrap().cause;
        assert_eq!(cause, "plugin `adder` trapped in `on-event`: told to");
        assert_eq!(seen(&engine, "c").await, ["event 4", "4 accepted"]);
        // Nothing has changed: it is tried, and parked again.
        assert!(ask(&engine, &an_instance("a"), Unpark::Replay).await);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(ids(&engine, InstanceFilter::Parked).await, ["a", "b"]);
        world.probe.mood.turn_good();
        let asked_count = engine.ask_process_all(&name("adder"), Unpark::Replay).await.unwrap();
        assert_eq!(asked_count, 2);
        until(&engine, |progress| progress.parked_count == 0).await;
        until_quiet(&engine).await;
        let a = ["event 1", "event 13", "1 accepted", "event 2", "13 accepted", "2 accepted"];
        let mut seen_by_a = seen(&engine, "a").await;
        // When the first outcome came is a matter of time; everything else is in order.
        seen_by_a.retain(|it| it != "1 accepted");
        let expected: Vec<_> = a.into_iter().filter(|it| *it != "1 accepted").collect();
        assert_eq!(seen_by_a, expected);
        let b = ["event 14", "event 3", "14 accepted", "3 accepted"];
        assert_eq!(seen(&engine, "b").await, b);
        assert_eq!(state(&engine, "sum-a").await, (2, "16".to_owned()));
        assert!(!ask(&engine, &an_instance("a"), Unpark::Replay).await);
    });
}

#[test]
fn a_discarded_message_is_left_out_and_the_rest_goes_on() {
    // Guards the operator's other choice, also over a restart in between.
    run(async {
        let world = World::new();
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        for amount in [UNLUCKY, 2] {
            add(&engine, "a", amount).await.unwrap();
        }
        until_quiet(&engine).await;
        assert!(ask(&engine, &an_instance("a"), Unpark::Discard).await);
        engine.stop().await;
        let engine = world.start().await;
        until(&engine, |progress| progress.parked_count == 0).await;
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 2", "2 accepted"]);
    });
}

#[test]
fn an_instance_that_never_began_is_over_when_its_message_is_discarded() {
    // Guards against instances that neither run nor end, and would be kept for ever.
    run(async {
        let mut world = World::new();
        world.options.processes.ended_kept_max = 0;
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", UNLUCKY).await.unwrap();
        until_quiet(&engine).await;
        assert!(ask(&engine, &an_instance("a"), Unpark::Discard).await);
        until(&engine, |progress| progress.parked_count == 0).await;
        let found = instance(&engine, "a").await;
        assert!(found.is_none_or(|it| it.ended_at.is_some()));
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        while instance(&engine, "a").await.is_some() {
            assert!(tokio::time::Instant::now() < deadline);
            sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn an_event_that_cannot_be_correlated_holds_up_its_stream_only() {
    // Guards the batch: the one event is found, the others of the page are handled, each once.
    run(async {
        let world = World::new();
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        for number in 0..40 {
            let amount = if number == 17 { UNRELATED } else { 1 };
            add(&engine, &format!("i{}", number % 8), amount).await.unwrap();
        }
        until_quiet(&engine).await;
        assert_eq!(progress(&engine).parked_streams_count, 1);
        let streams = engine.process_parked_streams(&name("adder"), None, 9).await.unwrap();
        assert_eq!(streams[0].event.stream.as_str(), "tally/i1");
        assert_eq!(streams[0].event.revision.get(), 2);
        assert_eq!(streams[0].parked.cause, "plugin `adder` trapped in `correlate`: told to");
        assert_eq!(seen(&engine, "i1").await.len(), 4);
        assert_eq!(seen(&engine, "i2").await.len(), 10);
        engine.stop().await;
        let engine = world.start().await;
        add(&engine, "i1", 5).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "i1").await.len(), 4);
        let stream = Parked::Stream(StreamId::parse("tally/i1").unwrap());
        world.probe.mood.turn_good();
        assert!(ask(&engine, &stream, Unpark::Replay).await);
        until(&engine, |progress| progress.parked_streams_count == 0).await;
        until_quiet(&engine).await;
        let events: Vec<_> = seen(&engine, "i1").await;
        let events: Vec<_> = events.iter().filter(|it| it.starts_with("event")).collect();
        assert_eq!(events, ["event 1", "event 1", "event 15", "event 1", "event 1", "event 5"]);
        assert_eq!(state(&engine, "sum-i1").await, (5, "24".to_owned()));
    });
}

#[test]
fn a_command_that_its_target_fails_on_is_given_up_after_some_attempts() {
    // Guards the reply `failed`: the instance is told why, and not before it was tried.
    run(async {
        let mut world = World::new();
        world.options.processes.send_attempts_max = NonZeroU32::new(4).unwrap();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", NOBODY).await.unwrap();
        add(&engine, "b", TRAP).await.unwrap();
        until_quiet(&engine).await;
        let expected = ["event 21", "1 failed: there is no aggregate `nobody`"];
        assert_eq!(seen(&engine, "a").await, expected);
        let b = seen(&engine, "b").await;
        assert!(b[1].starts_with("1 failed: "), "{b:?}");
        assert_eq!(world.probe.decided.load(Ordering::Relaxed), 2 + 3);
    });
}

#[test]
fn a_target_that_is_installed_meanwhile_gets_the_command() {
    // Guards starting in any order: who is missing now may be there in a moment.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", NOBODY).await.unwrap();
        until(&engine, |progress| progress.sending_count == 1).await;
        let nobody = other("nobody", annals_core::plugin::PluginKind::Aggregate);
        engine.install(None, nobody, None).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 21", "1 accepted"]);
    });
}

#[test]
fn a_process_manager_that_triggers_itself_is_found_out() {
    // Guards R17: commands that lead to each other without end stop, with the reason, and others go on.
    run(async {
        let mut world = World::new();
        world.options.processes.causation_depth_max = NonZeroU16::new(30).unwrap();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", CIRCLE).await.unwrap();
        until(&engine, |progress| progress.parked_count == 1).await;
        add(&engine, "b", 1).await.unwrap();
        until_quiet(&engine).await;
        let (revision, _) = state(&engine, "a").await;
        assert_eq!(revision, 30);
        let cause = instance(&engine, "a").await.unwrap().parked.unwrap().cause;
        assert!(cause.contains("looks like a circle"), "{cause}");
        // An operator may let it go on: it is counted from there.
        assert!(ask(&engine, &an_instance("a"), Unpark::Replay).await);
        let deadline = tokio::time::Instant::now() + Duration::from_mins(5);
        while state(&engine, "a").await.0 < 60 {
            assert!(tokio::time::Instant::now() < deadline);
            sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn too_much_that_waits_behind_a_message_stops_the_process_manager_with_the_reason() {
    // Guards the size of an instance: nothing is dropped, and an operator can let it go on.
    run(async {
        let mut world = World::new();
        world.options.processes.messages_waiting_max = NonZeroUsize::new(5).unwrap();
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", UNLUCKY).await.unwrap();
        for _ in 0..9 {
            add(&engine, "a", QUIET).await.unwrap();
        }
        add(&engine, "b", 1).await.unwrap();
        let failing = until(&engine, |it| matches!(it.phase, Phase::Failing { .. })).await;
        let Phase::Failing { cause, is_of_events, .. } = failing.phase else { panic!() };
        assert_eq!(
            (cause.as_str(), is_of_events),
            (
                "5 messages wait behind one that instance `a` cannot handle \
                 (processes.messages_waiting_max): replay or discard it",
                true
            )
        );
        assert!(ask(&engine, &an_instance("a"), Unpark::Discard).await);
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await.len(), 9);
        assert_eq!(seen(&engine, "b").await, ["event 1", "1 accepted"]);
    });
}

#[test]
fn an_event_that_concerns_more_instances_than_fit_a_commit_reaches_each_once() {
    // Guards small commits, as of DynamoDB: part of an event is committed before the rest.
    run(async {
        let mut world = World::new();
        let capabilities = StateCapabilities {
            commit_rows_max: 90,
            commit_bytes_max: 3 << 20,
            reads_are_of_one_moment: false,
        };
        world.ports.states = Arc::new(MemoryStateStores::with_capabilities(capabilities));
        let plan = Arc::new(StateCommitsUnknown::default());
        let world = world
            .with_states(|states| Arc::new(FaultyStateStores::new(states, Arc::clone(&plan) as _)));
        let engine = start_with_adder(&world).await;
        plan.unknown_left.store(8, Ordering::Relaxed);
        for id in ["a", "b"] {
            add(&engine, id, CROWD).await.unwrap();
        }
        until_quiet(&engine).await;
        assert_eq!(progress(&engine).running_count, 200);
        for number in 0..100 {
            let seen = seen(&engine, &format!("a-{number:02}")).await;
            assert_eq!(seen, ["event 50", "50 accepted"], "{number}");
        }
        assert_eq!(state(&engine, "sum-b-99").await, (0, "50".to_owned()));
    });
}

#[test]
fn a_version_that_does_not_know_a_command_of_the_one_before_parks_its_outcome() {
    // Guards upgrades in the middle: the outcome waits for a version that understands it.
    run(async {
        let mut world = World::new();
        world.options.processes.send_attempts_max = NonZeroU32::new(8).unwrap();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", NOBODY).await.unwrap();
        until(&engine, |progress| progress.sending_count == 1).await;
        engine.install(None, adder_with("2.0.0", Quirk::Blind), None).await.unwrap();
        until(&engine, |progress| progress.parked_count == 1).await;
        assert_eq!(
            instance(&engine, "a").await.unwrap().parked.unwrap().cause,
            "it sent `add` to `nobody`, and version 2.0.0 does not describe that command"
        );
        engine.install(None, adder("3.0.0"), None).await.unwrap();
        assert!(ask(&engine, &an_instance("a"), Unpark::Replay).await);
        until(&engine, |progress| progress.parked_count == 0).await;
        let seen = seen(&engine, "a").await;
        assert_eq!(seen, ["event 21", "1 failed: there is no aggregate `nobody`"]);
    });
}

#[test]
fn an_instance_that_gets_on_with_nothing_is_reported_as_stuck() {
    // Guards the report: one that waits for nothing, and not one that waits for a timer.
    run(async {
        let mut world = World::new();
        let clock = Arc::new(crate::support::ManualClock::default());
        world.ports.clock = Arc::clone(&clock) as _;
        clock.set(1_000);
        world.options.processes.stuck_after = Duration::from_secs(30);
        let engine = start_with_adder(&world).await;
        add(&engine, "a", QUIET).await.unwrap();
        add(&engine, "b", crate::support::manager::TIMER).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(ids(&engine, InstanceFilter::Stuck).await, Vec::<String>::new());
        clock.set(31_000);
        until(&engine, |progress| progress.stuck_count == 1).await;
        assert_eq!(ids(&engine, InstanceFilter::Stuck).await, ["a"]);
        add(&engine, "a", QUIET).await.unwrap();
        until(&engine, |progress| progress.stuck_count == 0).await;
    });
}

fn small_commits() -> MemoryStateStores {
    MemoryStateStores::with_capabilities(StateCapabilities {
        commit_rows_max: 90,
        commit_bytes_max: 3 << 20,
        reads_are_of_one_moment: false,
    })
}

#[test]
fn the_next_command_waits_for_an_outcome_that_cannot_be_handled() {
    // Guards the order of commands: what an outcome would have changed is not sent meanwhile.
    run(async {
        let world = World::new();
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", TWO).await.unwrap();
        until(&engine, |progress| progress.parked_count == 1).await;
        engine.stop().await;
        let engine = world.start().await;
        sleep(Duration::from_secs(60)).await;
        let parked = instance(&engine, "a").await.unwrap();
        assert_eq!((parked.pending.len(), parked.waiting.len()), (1, 1));
        assert!(engine.state(&name("tally"), "sum-a").await.is_err());
        world.probe.mood.turn_good();
        assert!(ask(&engine, &an_instance("a"), Unpark::Replay).await);
        until(&engine, |progress| progress.parked_count == 0).await;
        until_quiet(&engine).await;
        let expected = ["event 24", "-1 rejected negative", "2 accepted"];
        assert_eq!(seen(&engine, "a").await, expected);
    });
}

#[test]
fn a_timer_does_not_fire_while_its_instance_is_parked() {
    // Guards a cancellation that waits: it comes before the timer, which then never fires.
    run(async {
        let mut world = World::new();
        let clock = Arc::new(crate::support::ManualClock::default());
        world.ports.clock = Arc::clone(&clock) as _;
        clock.set(1_000);
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        for (id, amount) in [("a", TIMER), ("a", UNLUCKY), ("a", CANCEL), ("b", TIMER)] {
            add(&engine, id, amount).await.unwrap();
        }
        add(&engine, "b", UNLUCKY).await.unwrap();
        until(&engine, |progress| progress.parked_count == 2).await;
        clock.set(1_000_000);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(seen(&engine, "b").await, ["event 30"]);
        world.probe.mood.turn_good();
        assert_eq!(engine.ask_process_all(&name("adder"), Unpark::Replay).await.unwrap(), 2);
        until(&engine, |progress| progress.parked_count == 0).await;
        sleep(Duration::from_secs(10)).await;
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 30", "event 13", "event 31", "13 accepted"]);
        assert!(seen(&engine, "b").await.contains(&"timer later".to_owned()));
    });
}

#[test]
fn an_instance_that_would_be_too_large_is_parked_and_can_be_helped() {
    // Guards the size of an instance, and that what is too large does not stop the others for ever.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        for (id, amount) in [("a", HEAVY), ("a", TOO_HEAVY), ("a", QUIET), ("b", 1)] {
            add(&engine, id, amount).await.unwrap();
        }
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "b").await, ["event 1", "1 accepted"]);
        let parked = instance(&engine, "a").await.unwrap();
        let cause = parked.parked.unwrap().cause;
        assert!(cause.contains("at most 1310720 are allowed"), "{cause}");
        // Again too large: it stays parked, and the manager goes on.
        assert!(ask(&engine, &an_instance("a"), Unpark::Replay).await);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(progress(&engine).parked_count, 1);
        assert!(ask(&engine, &an_instance("a"), Unpark::Discard).await);
        until(&engine, |progress| progress.parked_count == 0).await;
        assert_eq!(seen(&engine, "a").await, ["event 60", "event 10"]);
    });
}

#[test]
fn large_instances_that_end_together_fit_small_commits() {
    // Guards the rows of a commit: an instance that shrinks deletes more than it writes.
    run(async {
        let mut world = World::new();
        world.ports.states = Arc::new(small_commits());
        world.options.processes.ended_kept_max = 2;
        let engine = start_with_adder(&world).await;
        for number in 0..12 {
            add(&engine, &format!("i{number:02}"), HEAVY).await.unwrap();
        }
        until_quiet(&engine).await;
        for number in 0..12 {
            add(&engine, &format!("i{number:02}"), END).await.unwrap();
        }
        until_quiet(&engine).await;
        let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
        while ids(&engine, InstanceFilter::All).await != ["i10", "i11"] {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", progress(&engine));
            sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Appends events of `amounts` to a tally, each with so many bytes beside.
async fn append(engine: &Engine, id: &str, amounts: &[i64], pad_bytes: usize) {
    let stream = StreamId::parse(&format!("tally/{id}")).unwrap();
    for amount in amounts {
        let data = format!(r#"{{"amount":{amount},"pad":"{}"}}"#, " ".repeat(pad_bytes));
        let event = annals_core::event::NewEvent::json(
            annals_core::name::EventType::new("added").unwrap(),
            data.into_bytes(),
        );
        let commit = annals_core::commit::Commit::plain(
            stream.clone(),
            annals_core::place::ExpectedRevision::Any,
            vec![event],
            annals_core::time::Timestamp::default(),
        );
        engine.store().append(commit).await.unwrap().durability.wait().await.unwrap();
    }
}

#[test]
fn a_stream_that_waited_is_read_to_its_end_whatever_its_size() {
    // Guards replays of more than one read gives: large events, and many of no interest to anybody.
    run(async {
        let mut world = World::new();
        world.ports.states = Arc::new(small_commits());
        world.probe.mood.turn_bad();
        let engine = start_with_adder(&world).await;
        append(&engine, "a", &[UNRELATED], 0).await;
        append(&engine, "a", &[QUIET; 60], 200 << 10).await;
        append(&engine, "sum-x", &[UNRELATED], 0).await;
        append(&engine, "sum-x", &[1; 900], 0).await;
        until_quiet(&engine).await;
        assert_eq!(progress(&engine).parked_streams_count, 2);
        world.probe.mood.turn_good();
        assert_eq!(engine.ask_process_all(&name("adder"), Unpark::Replay).await.unwrap(), 2);
        until(&engine, |progress| progress.parked_streams_count == 0).await;
        until_quiet(&engine).await;
        assert_eq!(instance(&engine, "a").await.unwrap().messages_count, 61 + 1);
    });
}

#[test]
fn discarding_an_event_of_a_stream_leaves_out_that_one_whatever_happens_meanwhile() {
    // Guards an operator's decision: it is carried out once, also when commits fail on the way.
    run(async {
        let plan = Arc::new(StateCommitsUnknown::default());
        let mut world = World::new();
        world.ports.states = Arc::new(small_commits());
        let world = world
            .with_states(|states| Arc::new(FaultyStateStores::new(states, Arc::clone(&plan) as _)));
        for unknown_count in 1..8 {
            world.probe.mood.turn_bad();
            let engine = start_with_adder(&world).await;
            let id = format!("s{unknown_count}");
            append(&engine, &id, &[UNRELATED, CROWD, QUIET, CROWD], 0).await;
            until(&engine, |progress| progress.parked_streams_count == 1).await;
            until_quiet(&engine).await;
            world.probe.mood.turn_good();
            plan.unknown_left.store(unknown_count, Ordering::Relaxed);
            let stream = Parked::Stream(StreamId::parse(&format!("tally/{id}")).unwrap());
            while let Err(_unknown) =
                engine.ask_process(&name("adder"), &stream, Unpark::Discard).await
            {
                sleep(Duration::from_millis(10)).await;
            }
            until(&engine, |progress| progress.parked_streams_count == 0).await;
            until_quiet(&engine).await;
            assert_eq!(seen(&engine, &id).await, ["event 10"], "{unknown_count}");
            for number in 0..100 {
                let events = seen(&engine, &format!("{id}-{number:02}")).await;
                let count = events.iter().filter(|it| *it == "event 50").count();
                assert_eq!(count, 2, "{unknown_count}, {number}: {events:?}");
            }
            engine.stop().await;
        }
    });
}

#[test]
fn a_command_that_took_effect_is_never_said_to_have_failed() {
    // Guards the word `failed`: who is gone now may have decided before.
    run(async {
        let plan = Arc::new(crate::support::faults::StateCommitsLate::default());
        let mut world = World::new()
            .with_states(|states| Arc::new(FaultyStateStores::new(states, Arc::clone(&plan) as _)));
        world.options.processes.send_attempts_max = NonZeroU32::new(2).unwrap();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", 1).await.unwrap();
        // The command is committed by now, and its outcome is about to be: then the host ends.
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        while engine.state(&name("tally"), "sum-a").await.is_err() {
            assert!(tokio::time::Instant::now() < deadline);
            plan.is_late.store(progress(&engine).sending_count == 1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        drop(engine);
        plan.is_late.store(false, Ordering::Relaxed);
        let engine = world.start().await;
        let removal = annals_engine::plugins::RemoveRequest {
            name: name("tally"),
            principal: None,
            deletes_views: false,
        };
        engine.remove(removal).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 1", "1 accepted"]);
    });
}
