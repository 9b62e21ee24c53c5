//! Timers: they fire once, late rather than never, and what is cancelled never does.

use std::sync::Arc;
use std::time::Duration;

use annals_engine::Engine;
use tokio::time::{Instant, sleep};

use super::{instance, seen, start_with_adder, until, until_quiet};
use crate::support::manager::{CANCEL, END, RESTLESS, TIMER};
use crate::support::{ManualClock, World, add, run, state};

fn world() -> (World, Arc<ManualClock>) {
    let mut world = World::new();
    let clock = Arc::new(ManualClock::default());
    world.ports.clock = Arc::clone(&clock) as _;
    clock.set(1_000);
    (world, clock)
}

async fn until_seen(engine: &Engine, id: &str, expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while seen(engine, id).await != expected {
        assert!(Instant::now() < deadline, "{:?}", seen(engine, id).await);
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_timer_fires_once_also_when_the_host_was_down_when_it_was_due() {
    // Guards R19: due while the host is stopped, it fires at the start; a restart later fires nothing.
    run(async {
        let (world, clock) = world();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", TIMER).await.unwrap();
        until_quiet(&engine).await;
        sleep(Duration::from_secs(100)).await;
        assert_eq!(seen(&engine, "a").await, ["event 30"]);
        clock.set(60_999);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(seen(&engine, "a").await, ["event 30"]);
        engine.stop().await;
        clock.set(10_000_000);
        let engine = world.start().await;
        until_seen(&engine, "a", &["event 30", "timer later", "1 accepted"]).await;
        engine.stop().await;
        clock.set(20_000_000);
        let engine = world.start().await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(seen(&engine, "a").await.len(), 3);
        assert_eq!(state(&engine, "sum-a").await, (0, "1".to_owned()));
    });
}

#[test]
fn a_clock_that_is_set_back_and_forth_fires_a_timer_once() {
    // Guards R19: jumps of the clock.
    run(async {
        let (world, clock) = world();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", TIMER).await.unwrap();
        until_quiet(&engine).await;
        for ms in [0, 61_000, 500, 61_000, 1_000_000, 0, 90_000_000] {
            clock.set(ms);
            sleep(Duration::from_secs(5)).await;
        }
        until_seen(&engine, "a", &["event 30", "timer later", "1 accepted"]).await;
    });
}

#[test]
fn a_timer_that_is_cancelled_replaced_or_whose_instance_ended_does_not_fire() {
    // Guards the names of timers, and that nothing is left of an instance that ended.
    run(async {
        let (world, clock) = world();
        let engine = start_with_adder(&world).await;
        for (id, amount) in [("a", TIMER), ("a", CANCEL), ("b", TIMER), ("c", TIMER), ("c", END)] {
            add(&engine, id, amount).await.unwrap();
        }
        until_quiet(&engine).await;
        assert_eq!(instance(&engine, "a").await.unwrap().timers.len(), 0);
        clock.set(50_000);
        add(&engine, "b", TIMER).await.unwrap();
        until_quiet(&engine).await;
        clock.set(70_000);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(seen(&engine, "b").await, ["event 30", "event 30"]);
        clock.set(110_000);
        until_seen(&engine, "b", &["event 30", "event 30", "timer later", "1 accepted"]).await;
        clock.set(10_000_000);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(seen(&engine, "a").await, ["event 30", "event 31"]);
        assert_eq!(instance(&engine, "c").await.unwrap().messages_count, 2);
    });
}

#[test]
fn a_timer_that_starts_itself_at_once_is_found_out() {
    // Guards the host against an instance that never rests: it is parked, with the reason.
    run(async {
        let (mut world, _) = world();
        world.options.processes.causation_depth_max = std::num::NonZeroU16::new(20).unwrap();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", RESTLESS).await.unwrap();
        until(&engine, |progress| progress.parked_count == 1).await;
        let parked = instance(&engine, "a").await.unwrap();
        assert_eq!(parked.messages_count, 20);
        assert_eq!(
            parked.parked.unwrap().cause,
            "20 commands of process managers led to each other without anybody waiting, which looks \
             like a circle (processes.causation_depth_max)"
        );
    });
}
