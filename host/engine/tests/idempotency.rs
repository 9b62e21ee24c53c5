//! The same command id gives the first outcome again.

use annals_core::id::CommandId;
use annals_engine::command::CommandError;
use uuid::Uuid;

use crate::support::guest::Probe;
use crate::support::{World, request, run, said, state, with_id};

fn add(amount: i64) -> annals_engine::command::CommandRequest {
    request("a", "add", &format!(r#"{{"amount":{amount}}}"#))
}

#[test]
fn a_repeat_gives_the_first_outcome_without_deciding() {
    // Guards C3: accepted and rejected, in the same engine and after a restart.
    run(async {
        let world = World::new();
        let mut engine = world.start_with_tally().await;
        let accepted = engine.execute(with_id(add(5), 1)).await.unwrap();
        let rejected = engine.execute(with_id(add(-5), 2)).await.unwrap();
        Probe::take(&world.probe.decided);
        for _ in 0..2 {
            let mut again = engine.execute(with_id(add(5), 1)).await.unwrap();
            assert!(std::mem::replace(&mut again.is_repeat, false));
            assert_eq!(again, accepted);
            let mut again = engine.execute(with_id(add(-5), 2)).await.unwrap();
            assert!(std::mem::replace(&mut again.is_repeat, false));
            assert_eq!(again, rejected);
            engine.stop().await;
            engine = world.start().await;
        }
        assert_eq!(Probe::take(&world.probe.decided), 0);
        assert_eq!(state(&engine, "a").await, (0, "5".to_owned()));
    });
}

#[test]
fn fifty_at_once_record_one_set_of_events() {
    // Guards C3, concurrently: one decides, the others are told.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        let all = (0..50).map(|_| engine.execute(with_id(add(1), 9)));
        let outcomes = futures_util::future::join_all(all).await;
        let first = said(outcomes[0].as_ref().unwrap());
        assert!(outcomes.iter().all(|outcome| said(outcome.as_ref().unwrap()) == first));
        assert_eq!(outcomes.iter().filter(|o| !o.as_ref().unwrap().is_repeat).count(), 1);
        assert_eq!(Probe::take(&world.probe.decided), 1);
        assert_eq!(state(&engine, "a").await, (0, "1".to_owned()));
    });
}

#[test]
fn two_engines_over_one_store_decide_an_id_once() {
    // Guards C3 between hosts: the store refuses what the other host decided meanwhile.
    run(async {
        let world = World::new();
        let (one, other) = (world.start_with_tally().await, world.start().await);
        let (a, b) =
            tokio::join!(one.execute(with_id(add(1), 9)), other.execute(with_id(add(1), 9)));
        assert_eq!(said(&a.unwrap()), said(&b.unwrap()));
        assert_eq!(state(&one, "a").await, (0, "1".to_owned()));
    });
}

#[test]
fn the_same_id_with_another_command_is_an_error() {
    // Guards R8: a reused id must not give a wrong answer. The order of JSON keys does not matter.
    run(async {
        let engine = World::new().start_with_tally().await;
        let first = with_id(request("a", "add", r#"{"amount":1,"note":"x"}"#), 1);
        engine.execute(first).await.unwrap();
        let reordered = with_id(request("a", "add", r#"{"note":"x", "amount":1}"#), 1);
        assert!(engine.execute(reordered).await.unwrap().is_repeat);
        let error = engine.execute(with_id(add(2), 1)).await.unwrap_err();
        let id = CommandId::new(Uuid::from_u128(1));
        assert!(
            matches!(&error, CommandError::CommandIdReused { command_id, .. } if *command_id == id)
        );
    });
}
