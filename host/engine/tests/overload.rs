//! More than a host can take, and changes while it works.

use annals_core::name::PluginName;
use annals_engine::Engine;
use annals_engine::command::CommandError;
use annals_engine::plugins::InstallOutcome;
use futures_util::future::join_all;

use crate::support::guest::tally;
use crate::support::{World, add, run, state};

#[test]
fn ten_times_the_load_is_shed_and_what_was_taken_is_done() {
    // Guards R20: queues have a bound, what is over it is told to come back, nothing of it stays, and
    // the next load is served.
    run(async {
        let mut world = World::new();
        world.options.commands_in_flight_max = 16;
        let engine = world.start_with_tally().await;
        let streams: Vec<_> = (0..160).map(|number| number.to_string()).collect();
        for round in 1..=3 {
            let outcomes = join_all(streams.iter().map(|id| add(&engine, id, 1))).await;
            let is_busy = |outcome: &Result<_, _>| {
                matches!(outcome, Err(CommandError::Busy { in_flight_max: 16 }))
            };
            let shed_count = outcomes.iter().filter(|outcome| is_busy(outcome)).count();
            let accepted_count = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!((accepted_count, shed_count), (16, 144));
            let figures = engine.figures().await;
            assert_eq!(figures.commands_in_flight, 0);
            assert_eq!(figures.commands.accepted_count, 16 * round);
            assert_eq!(figures.commands.shed_count, 144 * round);
        }
        for id in &streams[..16] {
            assert_eq!(state(&engine, id).await, (2, "3".to_owned()), "{id}");
        }
    });
}

#[test]
fn an_upgrade_in_the_middle_of_commands_refuses_none_and_decides_none_twice() {
    // Guards R17: those in flight finish on the old version, the next ones run on the new.
    run(async {
        let engine = World::new().start_with_tally().await;
        let sent = (0..200).map(|number| add_later(&engine, number));
        let upgrades = async {
            for version in ["1.0.1", "1.0.2", "1.0.3"] {
                let installed = engine.install(None, tally(version), None).await.unwrap();
                assert_eq!(installed.0, InstallOutcome::Upgraded);
            }
        };
        let (outcomes, ()) = tokio::join!(join_all(sent), upgrades);
        assert!(outcomes.iter().all(|is_accepted| *is_accepted));
        for id in ["0", "1", "2", "3"] {
            assert_eq!(state(&engine, id).await, (49, "50".to_owned()));
        }
        let tally: PluginName = "tally".parse().unwrap();
        assert_eq!(engine.plugin(&tally).unwrap().description.version, "1.0.3");
    });
}

/// A command of one of four streams, sent after some turns of the other tasks.
async fn add_later(engine: &Engine, number: u64) -> bool {
    for _ in 0..number {
        tokio::task::yield_now().await;
    }
    add(engine, &(number % 4).to_string(), 1).await.is_ok()
}
