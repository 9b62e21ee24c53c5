//! Several hosts: one works, and another takes over from one that does not get on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_engine::projection::Phase;
use annals_store_memory::faulty::FaultyStateStores;
use tokio::time::sleep;

use super::{progress, seen, start_with_adder, until, until_quiet};
use crate::support::faults::StateCommitsLate;
use crate::support::guest::NativeRuntime;
use crate::support::manager::TIMER;
use crate::support::{ManualClock, World, add, run, state};

#[test]
fn of_two_hosts_one_works_and_the_other_goes_on_when_it_stops() {
    // Guards the fence: two hosts tell an instance everything once between them.
    run(async {
        let world = World::of_partitions(4);
        let first = start_with_adder(&world).await;
        let second = world.start().await;
        for number in 0..20 {
            let engine = if number % 2 == 0 { &first } else { &second };
            add(engine, &format!("i{}", number % 5), 1).await.unwrap();
        }
        until_quiet(&second).await;
        until(&first, |progress| progress.phase == Phase::StandingBy).await;
        second.stop().await;
        for number in 0..5 {
            add(&first, &format!("i{number}"), 1).await.unwrap();
        }
        until(&first, |progress| progress.phase == Phase::CaughtUp).await;
        until_quiet(&first).await;
        for number in 0..5 {
            assert_eq!(seen(&first, &format!("i{number}")).await.len(), 10);
            assert_eq!(state(&first, &format!("sum-i{number}")).await, (4, "5".to_owned()));
        }
    });
}

#[test]
fn a_host_that_does_not_get_on_loses_the_process_manager() {
    // Guards timers and events of a host that hangs: another takes over, and what the first still
    // writes is refused.
    run(async {
        let world = World::of_partitions(2);
        let clock = Arc::new(ManualClock::default());
        clock.set(1_000);
        let plan = Arc::new(StateCommitsLate::default());
        let mut hanging = world
            .clone()
            .with_states(|states| Arc::new(FaultyStateStores::new(states, Arc::clone(&plan) as _)));
        hanging.ports.clock = Arc::clone(&clock) as _;
        let mut other = world.clone();
        other.ports.clock = Arc::clone(&clock) as _;
        other.ports.runtime = Arc::new(NativeRuntime { probe: Arc::clone(&world.probe) });
        // Who starts last takes it.
        let second = start_with_adder(&other).await;
        let first = hanging.start().await;
        add(&first, "t", TIMER).await.unwrap();
        until(&second, |progress| progress.phase == Phase::StandingBy).await;
        until_quiet(&first).await;
        plan.is_late.store(true, Ordering::Relaxed);
        clock.set(61_500);
        add(&first, "a", 1).await.unwrap();
        until(&second, |progress| progress.phase == Phase::CaughtUp).await;
        until_quiet(&second).await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(seen(&second, "a").await, ["event 1", "1 accepted"]);
        assert_eq!(seen(&second, "t").await, ["event 30", "timer later", "1 accepted"]);
        assert_eq!(progress(&first).phase, Phase::StandingBy);
    });
}

#[test]
fn a_host_that_only_tries_a_command_again_and_again_keeps_the_process_manager() {
    // Guards against two hosts that take it from each other: attempts would never add up to giving up.
    run(async {
        let mut world = World::of_partitions(2);
        world.options.processes.send_attempts_max = std::num::NonZeroU32::MAX;
        let second = start_with_adder(&world).await;
        let first = world.start().await;
        add(&first, "a", crate::support::manager::NOBODY).await.unwrap();
        until(&second, |progress| progress.phase == Phase::StandingBy).await;
        until(&first, |progress| progress.sending_count == 1).await;
        for _ in 0..300 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(progress(&second).phase, Phase::StandingBy);
            assert_eq!(progress(&first).phase, Phase::CaughtUp);
        }
    });
}
