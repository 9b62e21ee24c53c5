//! Commands that fail: tried again, parked, and never dropped.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals_engine::schedule::{ScheduleFailure, ScheduleStatus};
use annals_store_memory::faulty::{Call, FaultPlan, FaultyEventStore, FaultyStateStores};
use tokio::time::sleep;

use super::bench::{
    Bench, HOUR, SECOND, add, after, command, cron, install, outcomes, tally_again,
};
use crate::support::faults::StateCommitsUnknown;
use crate::support::guest::{Quirk, tally_with};
use crate::support::{World, run, state};

fn world_of_attempts(attempts_max: u32) -> World {
    let mut world = World::new();
    world.options.schedules.attempts_max = NonZeroU32::new(attempts_max).unwrap();
    world
}

#[test]
fn a_command_that_cannot_be_decided_is_tried_again_and_then_parked() {
    // Guards failures: the waits grow from `retry_wait`, `attempts_max` is the end of them, the cause
    // is kept; nothing comes of it until somebody has it tried again, which works once it can.
    run(async {
        let bench = Bench::start_with(world_of_attempts(4)).await;
        bench.schedule(command("look", "look", r#"{"amount":1}"#, after("1m"))).await;
        install(&bench.engine, tally_with("2.0.0", Quirk::Blind)).await;
        for (attempts, begins_ms) in [(1, 60_000), (2, 61_000), (3, 63_000)] {
            let tried = bench.until("look", |it| it.attempts_count == attempts).await;
            assert_eq!(tried.status, ScheduleStatus::Waiting);
            let failed_at = tried.last_failure.unwrap().failed_at;
            let late_ms = failed_at.ms() - super::bench::START_MS - begins_ms;
            assert!(late_ms < 1_000, "attempt {attempts}: {late_ms} ms late");
        }
        let parked = bench.until_status("look", ScheduleStatus::Parked).await;
        let failure = parked.last_failure.clone().unwrap();
        let cause = "aggregate `tally` has no command `look`".into();
        let failed_at = failure.failed_at;
        assert_eq!(failure, ScheduleFailure { failed_at, cause, is_counted: true });
        assert_eq!((parked.attempts_count, parked.outcomes_count), (4, 0));
        let bench = bench.restarted_after(HOUR).await;
        assert_eq!(bench.show("look").await, parked);
        install(&bench.engine, tally_again()).await;
        assert_eq!(bench.retry("look").await.unwrap().status, ScheduleStatus::Waiting);
        let done = bench.until_status("look", ScheduleStatus::Done).await;
        assert_eq!(outcomes(&done), [(60_000, "accepted")]);
        assert_eq!((done.attempts_count, done.last_failure), (0, None));
    });
}

#[test]
fn a_series_stops_when_it_is_parked_and_goes_on_when_it_is_released() {
    // Guards recurring commands that fail, here by a trap, through the quarantine of its stream: parked
    // at one time, tried again under the same id, cancelled in the end.
    run(async {
        let bench = Bench::start_with(world_of_attempts(3)).await;
        bench.schedule(command("trap", "trap", r#"{"amount":1}"#, cron("* * * * *"))).await;
        let parked = bench.until_status("trap", ScheduleStatus::Parked).await;
        assert_eq!(parked.due_at, Some(super::bench::ms(60_000)));
        sleep(HOUR).await;
        assert_eq!(bench.decided_count(), 3);
        bench.retry("trap").await.unwrap();
        let again = bench.until_status("trap", ScheduleStatus::Parked).await;
        assert_eq!(again.due_at, parked.due_at);
        let figures = bench.engine.schedules().figures().await;
        assert_eq!((figures.counts.unwrap().parked, figures.parked_count), (1, 2));
        assert_eq!(bench.cancel("trap").await.unwrap().status, ScheduleStatus::Cancelled);
    });
}

#[test]
fn what_is_not_the_commands_fault_is_not_counted() {
    // Guards outages: a host that is too busy, for hours, does not park anything; the command runs
    // when it can.
    run(async {
        let mut world = world_of_attempts(2);
        let engine = world.start_with_tally().await;
        engine.stop().await;
        let in_flight_max = world.options.commands_in_flight_max;
        world.options.commands_in_flight_max = 0;
        let bench = Bench::start_with(world).await;
        bench.schedule(add("busy", after("1m"))).await;
        sleep(3 * HOUR).await;
        let waits = bench.show("busy").await;
        assert_eq!((waits.status, waits.attempts_count), (ScheduleStatus::Waiting, 0));
        let failure = waits.last_failure.unwrap();
        assert_eq!(
            (&*failure.cause, failure.is_counted),
            ("0 commands are in flight already", false)
        );
        let mut bench = bench.restarted_after(SECOND).await;
        bench.world.options.commands_in_flight_max = in_flight_max;
        let bench = bench.restarted_after(SECOND).await;
        let done = bench.until_status("busy", ScheduleStatus::Done).await;
        assert_eq!(outcomes(&done), [(60_000, "accepted")]);
    });
}

/// A plan in which appends are slow, or commits of state fail, while it is told so.
#[derive(Debug, Default)]
struct Trouble {
    appends_are_slow: AtomicBool,
    state_cannot_be_written: AtomicBool,
}

impl FaultPlan for Trouble {
    fn delay_before(&self, call: Call) -> Duration {
        let is_slow = call == Call::Append && self.appends_are_slow.load(Ordering::Relaxed);
        if is_slow { 5 * SECOND } else { Duration::ZERO }
    }

    fn fails(&self, call: Call) -> bool {
        call == Call::WriteState && self.state_cannot_be_written.load(Ordering::Relaxed)
    }
}

fn world_in_trouble() -> (World, Arc<Trouble>) {
    let trouble = Arc::new(Trouble::default());
    let (events, states) = (Arc::clone(&trouble), Arc::clone(&trouble));
    let world = World::new()
        .with_store(|store| Arc::new(FaultyEventStore::new(store, events)))
        .with_states(|states_below| Arc::new(FaultyStateStores::new(states_below, states)));
    (world, trouble)
}

#[test]
fn an_outcome_that_was_not_noted_is_read_back() {
    // Guards the gap between firing and noting: the command was decided, the note is lost, and the
    // next host sends it again under the same id: one effect, and its outcome in the schedule.
    run(async {
        let (world, trouble) = world_in_trouble();
        let bench = Bench::start_with(world).await;
        trouble.appends_are_slow.store(true, Ordering::Relaxed);
        bench.schedule(add("once", after("1s"))).await;
        bench.until_status("once", ScheduleStatus::Firing).await;
        trouble.state_cannot_be_written.store(true, Ordering::Relaxed);
        let bench = bench.restarted_after(20 * SECOND).await;
        trouble.appends_are_slow.store(false, Ordering::Relaxed);
        sleep(20 * SECOND).await;
        assert_eq!(state(&bench.engine, "a").await, (0, "1".to_owned()));
        assert_eq!(bench.show("once").await.status, ScheduleStatus::Firing);
        trouble.state_cannot_be_written.store(false, Ordering::Relaxed);
        let done = bench.until_status("once", ScheduleStatus::Done).await;
        assert_eq!(outcomes(&done), [(1_000, "accepted")]);
        assert!(done.outcomes[0].recorded_at.ms() < super::bench::START_MS + 10_000);
        assert_eq!(bench.decided_count(), 1);
        assert_eq!(state(&bench.engine, "a").await, (0, "1".to_owned()));
    });
}

#[test]
fn a_command_on_its_way_is_not_cancelled_but_the_next_one_is() {
    // Guards the race of cancelling and firing: what is decided meanwhile is noted; a series ends, and
    // a command that fails meanwhile is not tried again.
    run(async {
        let (world, trouble) = world_in_trouble();
        let bench = Bench::start_with(world).await;
        trouble.appends_are_slow.store(true, Ordering::Relaxed);
        for (id, timing) in [("once", after("60s")), ("series", cron("* * * * *"))] {
            let mut request = add(id, timing);
            request.target = id.to_owned();
            bench.schedule(request).await;
        }
        for id in ["once", "series"] {
            bench.until_status(id, ScheduleStatus::Firing).await;
            let cancelled = bench.cancel(id).await.unwrap();
            assert_eq!((cancelled.status, cancelled.is_cancelling), (ScheduleStatus::Firing, true));
            assert_eq!(bench.cancel(id).await.unwrap(), cancelled);
        }
        let once = bench.until("once", |it| it.status.is_ended()).await;
        let series = bench.until("series", |it| it.status.is_ended()).await;
        let statuses = (once.status, series.status);
        assert_eq!(statuses, (ScheduleStatus::Done, ScheduleStatus::Cancelled));
        for schedule in [&once, &series] {
            assert_eq!(outcomes(schedule), [(60_000, "accepted")]);
        }
        sleep(HOUR).await;
        assert_eq!(bench.decided_count(), 2);
    });
}

#[test]
fn a_host_that_stops_while_it_fires_leaves_nothing_undone() {
    // Guards an orderly stop: what is on its way is noted before the shards end.
    run(async {
        let (world, trouble) = world_in_trouble();
        let bench = Bench::start_with(world).await;
        trouble.appends_are_slow.store(true, Ordering::Relaxed);
        bench.schedule(add("once", after("1s"))).await;
        bench.until_status("once", ScheduleStatus::Firing).await;
        let bench = bench.restarted_after(SECOND).await;
        assert_eq!(bench.show("once").await.status, ScheduleStatus::Done);
        assert_eq!(bench.decided_count(), 1);
    });
}

#[test]
fn a_command_whose_outcome_takes_too_long_is_sent_again_under_its_id() {
    // Guards `firing_wait_max`: the schedule is not held for ever, and the command happens once.
    run(async {
        let (mut world, trouble) = world_in_trouble();
        world.options.schedules.firing_wait_max = 2 * SECOND;
        let bench = Bench::start_with(world).await;
        trouble.appends_are_slow.store(true, Ordering::Relaxed);
        bench.schedule(add("slow", after("1s"))).await;
        let waits = bench.until("slow", |it| it.last_failure.is_some()).await;
        let failure = waits.last_failure.unwrap();
        let text = "nobody knows whether the command was recorded";
        assert_eq!((&*failure.cause, failure.is_counted), (text, false));
        bench.until_status("slow", ScheduleStatus::Done).await;
        assert_eq!(state(&bench.engine, "a").await, (0, "1".to_owned()));
    });
}

#[test]
fn commits_of_unknown_outcome_neither_lose_nor_repeat_a_command() {
    // Guards R15 for schedules: whichever commit of taking and noting is or is not there, each command
    // has one effect, and the counters are right.
    run(async {
        let plan = Arc::new(StateCommitsUnknown::default());
        let states = Arc::clone(&plan);
        let world =
            World::new().with_states(|below| Arc::new(FaultyStateStores::new(below, states)));
        let bench = Bench::start_with(world).await;
        for number in 0..20 {
            bench.schedule(add(&format!("s{number}"), after("1m"))).await;
        }
        sleep(30 * SECOND).await;
        plan.unknown_left.store(30, Ordering::Relaxed);
        for number in 0..20 {
            let id = format!("s{number}");
            let done = bench.until_status(&id, ScheduleStatus::Done).await;
            assert_eq!(done.outcomes_count, 1);
        }
        assert_eq!(plan.unknown_left.load(Ordering::Relaxed), 0);
        assert_eq!(state(&bench.engine, "a").await, (19, "20".to_owned()));
        let counts = bench.engine.schedules().figures().await.counts.unwrap();
        assert_eq!((counts.waiting, counts.parked, counts.ended), (0, 0, 20));
    });
}
