//! The command pipeline: deciding, refusing, checking what guests say.

use std::num::NonZeroUsize;
use std::sync::Arc;

use annals_core::command::Outcome;
use annals_core::event::Origin;
use annals_core::id::CorrelationId;
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::name::CommandName;
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use annals_engine::PluginOptions;
use annals_engine::command::{CommandError, Verdict};
use annals_engine::state::StateError;

use crate::support::guest::Probe;
use crate::support::{World, add, name, request, run, said, state};

#[test]
fn decides_on_the_empty_state_and_evolves_in_order() {
    // Guards C1 and the plainest path: two commands, two revisions, the sum of both.
    run(async {
        let engine = World::new().start_with_tally().await;
        let first = add(&engine, "a", 2).await.unwrap();
        let second = add(&engine, "a", 3).await.unwrap();
        assert_eq!(said(&first), Ok(vec![r#"added {"amount":2}"#.to_owned()]));
        assert_eq!(first.revision, Revision::new(0).into());
        assert_eq!(second.revision, Revision::new(1).into());
        assert!(second.position > first.position);
        assert_eq!(state(&engine, "a").await, (1, "5".to_owned()));
    });
}

#[test]
fn a_rejection_is_recorded_as_a_command_without_events() {
    // Guards B1's refused withdrawal: in the log as a rejected command, not as an event.
    run(async {
        let engine = World::new().start_with_tally().await;
        add(&engine, "a", 1).await.unwrap();
        let outcome = add(&engine, "a", -1).await.unwrap();
        assert_eq!(&*said(&outcome).unwrap_err().code, "negative");
        assert_eq!(outcome.revision, Revision::new(0).into());
        let stream = StreamId::parse("tally/a").unwrap();
        let commands = engine.store().read_commands(&stream, 0, 10).await.unwrap();
        let [accepted, rejected] = commands.as_slice() else { panic!("{commands:?}") };
        assert_eq!(accepted.record.outcome, Outcome::Accepted);
        assert!(matches!(&rejected.record.outcome, Outcome::Rejected(r) if &*r.code == "negative"));
        assert_eq!(&rejected.record.data[..], br#"{"amount":-1}"#);
        assert_eq!(rejected.events, None);
    });
}

#[test]
fn a_decision_without_events_leaves_the_revision() {
    // Guards C6: accepted, nothing appended but the command record.
    run(async {
        let engine = World::new().start_with_tally().await;
        add(&engine, "a", 1).await.unwrap();
        let outcome = engine.execute(request("a", "look", r#"{"amount":0}"#)).await.unwrap();
        assert_eq!(outcome.verdict, Verdict::Accepted(Vec::new()));
        assert_eq!((outcome.revision, outcome.position), (Revision::new(0).into(), None));
        let stream = StreamId::parse("tally/a").unwrap();
        assert_eq!(engine.store().stream_info(&stream).await.unwrap().commands_count, 2);
    });
}

#[test]
fn unknown_names_are_told_with_the_known_ones() {
    // Guards C2: 404 with the known ones.
    run(async {
        let engine = World::new().start_with_tally().await;
        let mut other = request("a", "add", "{}");
        other.aggregate = name("tallly");
        let error = engine.execute(other).await.unwrap_err();
        assert!(
            matches!(&error, CommandError::UnknownAggregate { known, .. } if *known == [name("tally")])
        );
        let error = engine.execute(request("a", "ad", "{}")).await.unwrap_err();
        let first = CommandName::new("add").unwrap();
        assert!(
            matches!(&error, CommandError::UnknownCommand { known, .. } if known.first() == Some(&first))
        );
    });
}

#[test]
fn data_that_does_not_fit_is_told_with_its_place() {
    // Guards C2: 400 with the JSON pointer. The schema is asked only after the plugin said no.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        let error = engine.execute(request("a", "add", r#"{"amount":"x"}"#)).await.unwrap_err();
        let CommandError::Malformed { pointer, .. } = &error else { panic!("{error:?}") };
        assert_eq!(pointer, "/amount");
        let error = engine.execute(request("a", "add", "{")).await.unwrap_err();
        assert!(matches!(error, CommandError::Malformed { .. }));
        let error = engine.execute(request("a/b", "add", "{}")).await.unwrap_err();
        assert!(matches!(error, CommandError::InvalidId(_)));
        assert_eq!(Probe::take(&world.probe.decided), 1);
        let stream = StreamId::parse("tally/a").unwrap();
        assert_eq!(engine.store().stream_info(&stream).await.unwrap().commands_count, 0);
    });
}

#[test]
fn a_command_at_the_size_limit_passes_and_over_it_is_refused() {
    // Guards the limit on a command's data.
    run(async {
        let engine = World::new().start_with_tally().await;
        let data = |bytes: usize| {
            let empty = r#"{"amount":1,"pad":""}"#;
            empty.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - empty.len())))
        };
        let fits = engine.execute(request("a", "add", &data(PAYLOAD_BYTES_MAX))).await;
        assert!(fits.is_ok(), "{fits:?}");
        let error = engine.execute(request("a", "add", &data(PAYLOAD_BYTES_MAX + 1))).await;
        assert!(matches!(error, Err(CommandError::TooLarge { .. })));
    });
}

#[test]
fn a_wrong_expectation_is_told_with_expected_and_actual() {
    // Guards C4.
    run(async {
        let engine = World::new().start_with_tally().await;
        add(&engine, "a", 1).await.unwrap();
        let mut wrong = request("a", "add", r#"{"amount":1}"#);
        wrong.expected = ExpectedRevision::Exactly(Revision::new(7));
        let error = engine.execute(wrong.clone()).await.unwrap_err();
        let CommandError::WrongExpectedRevision { expected, actual, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(expected, ExpectedRevision::Exactly(Revision::new(7)));
        assert_eq!(actual, ActualRevision::from(Revision::new(0)));
        wrong.expected = ExpectedRevision::Exactly(Revision::new(0));
        assert!(engine.execute(wrong).await.is_ok());
    });
}

#[test]
fn a_trap_fails_its_command_and_loses_nothing() {
    // Guards containment: the sandbox is dropped, the streams are loaded again, the state is whole.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        add(&engine, "a", 1).await.unwrap();
        let error = engine.execute(request("a", "trap", r#"{"amount":1}"#)).await.unwrap_err();
        assert!(matches!(error, CommandError::Plugin(GuestFailure::Trap { call: "decide", .. })));
        add(&engine, "a", 2).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "3".to_owned()));
    });
}

#[test]
fn what_a_guest_says_is_checked_before_it_is_recorded() {
    // Guards the log against a hostile guest: index out of range, broken JSON, too large, too many.
    run(async {
        let engine = World::new().start_with_tally().await;
        for how in 0..4 {
            let data = format!(r#"{{"amount":{how}}}"#);
            // A stream each: one that fails often is refused.
            let id = how.to_string();
            let error = engine.execute(request(&id, "misbehave", &data)).await.unwrap_err();
            let is_limit = matches!(error, CommandError::Plugin(GuestFailure::Limit { .. }));
            let is_contract = matches!(error, CommandError::Plugin(GuestFailure::Contract { .. }));
            assert!(if how < 2 { is_contract } else { is_limit }, "{how}: {error:?}");
        }
        let thousand = engine.execute(request("a", "add-many", r#"{"amount":1000}"#)).await;
        assert_eq!(thousand.unwrap().revision, Revision::new(999).into());
    });
}

#[test]
fn a_plugin_may_decide_more_or_fewer_events_than_others() {
    // Guards limits of single plugins: that of its name holds for a plugin, the general one for others.
    run(async {
        let mut world = World::new();
        let two = PluginOptions { decision_events_max: NonZeroUsize::new(2), ..Default::default() };
        world.options.plugins.insert(name("tally"), two);
        let engine = world.start_with_tally().await;
        let add_many = |count: u32| {
            let data = format!(r#"{{"amount":{count}}}"#);
            let engine = &engine;
            async move { engine.execute(request("a", "add-many", &data)).await }
        };
        assert!(add_many(2).await.is_ok());
        let CommandError::Plugin(failure) = add_many(3).await.unwrap_err() else { panic!() };
        assert_eq!(
            failure.summary(),
            "reached a limit in `decide`: 3 events in one decision, at most 2 are allowed \
             (decision_events_max)"
        );
    });
}

#[test]
fn a_claim_is_held_by_one_stream() {
    // Guards C8's core: the second stream is told who holds the name, and records nothing.
    run(async {
        let engine = World::new().start_with_tally().await;
        let claim = |id| engine.execute(request(id, "claim", r#"{"amount":7}"#));
        claim("a").await.unwrap();
        claim("a").await.unwrap();
        let error = claim("b").await.unwrap_err();
        let holder = StreamId::parse("tally/a").unwrap();
        assert!(matches!(&error, CommandError::ClaimHeld { holder: h, .. } if *h == holder));
        assert!(matches!(
            engine.state(&name("tally"), "b").await,
            Err(StateError::NoStream { .. })
        ));
    });
}

#[test]
fn a_state_at_a_revision_is_the_fold_of_its_events() {
    // Guards C9, and that asking past the end is told.
    run(async {
        let engine = World::new().start_with_tally().await;
        for amount in 1..=4 {
            add(&engine, "a", amount).await.unwrap();
        }
        for (revision, sum) in [(0, "1"), (2, "6"), (3, "10")] {
            let at = Revision::new(revision);
            let state = engine.state_at(&name("tally"), "a", at).await.unwrap();
            assert_eq!((state.revision, &state.data[..]), (at.into(), sum.as_bytes()));
        }
        let ahead = engine.state_at(&name("tally"), "a", Revision::new(4)).await;
        assert!(matches!(ahead, Err(StateError::RevisionAhead { .. })), "{ahead:?}");
        let nobody = engine.state_at(&name("tally"), "b", Revision::new(0)).await;
        assert!(matches!(nobody, Err(StateError::NoStream { .. })), "{nobody:?}");
    });
}

#[test]
fn events_carry_who_and_what_led_to_them() {
    // Guards correlation and causation ids: given ones are kept, missing ones are made.
    run(async {
        let engine = World::new().start_with_tally().await;
        let mut given = request("a", "add", r#"{"amount":1}"#);
        given.origin = Origin {
            correlation_id: Some(CorrelationId::new("request-7").unwrap()),
            causation_id: None,
            principal: Some(Arc::from("ada")),
        };
        let first = engine.execute(given).await.unwrap();
        let second = add(&engine, "a", 2).await.unwrap();
        let stream = StreamId::parse("tally/a").unwrap();
        let page = engine
            .store()
            .read_stream(&stream, Revision::FIRST, 10, Default::default())
            .await
            .unwrap();
        let correlations: Vec<_> =
            page.events.iter().map(|e| e.origin.correlation_id.clone().unwrap()).collect();
        let made = CorrelationId::from(second.command_id);
        assert_eq!(correlations, [CorrelationId::new("request-7").unwrap(), made]);
        assert_eq!(page.events[0].command_id, Some(first.command_id));
        assert_eq!(page.events[0].origin.principal.as_deref(), Some("ada"));
        assert_eq!(
            page.events[0].causation_id().map(|id| id.uuid()),
            Some(first.command_id.uuid())
        );
    });
}

#[test]
fn more_commands_than_allowed_are_refused_as_busy_and_nothing_is_lost() {
    // Guards the bound on commands in flight.
    run(async {
        let mut world = World::new();
        world.options.commands_in_flight_max = 2;
        let engine = world.start_with_tally().await;
        let together = [add(&engine, "a", 1), add(&engine, "a", 1), add(&engine, "a", 1)];
        let outcomes = futures_util::future::join_all(together).await;
        let busy =
            outcomes.iter().filter(|o| matches!(o, Err(CommandError::Busy { in_flight_max: 2 })));
        assert_eq!(busy.count(), 1);
        assert_eq!(state(&engine, "a").await, (1, "2".to_owned()));
    });
}

#[test]
fn a_stopped_engine_refuses_and_has_finished_what_it_took() {
    // Guards shutdown: what was accepted is recorded, what comes later is told.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        let (outcome, ()) = tokio::join!(add(&engine, "a", 1), async {
            tokio::task::yield_now().await;
            engine.stop().await;
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(matches!(add(&engine, "a", 1).await, Err(CommandError::Stopping)));
        let again = world.start().await;
        assert_eq!(state(&again, "a").await, (0, "1".to_owned()));
    });
}
