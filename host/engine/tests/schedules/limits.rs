//! Limits of schedules, each reached.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annals_engine::schedule::{ScheduleLimits, ScheduleStatus};
use annals_store_memory::faulty::{Call, FaultPlan, FaultyEventStore, FaultyStateStores};
use tokio::time::sleep;

use super::bench::{Bench, HOUR, SECOND, add, after, command, cron, outcomes, schedule_id};
use crate::support::faults::StateCommitsLate;
use crate::support::guest::{Quirk, tally_with};
use crate::support::{World, run};

fn world(change: impl FnOnce(&mut ScheduleLimits)) -> World {
    let mut world = World::new();
    change(&mut world.options.schedules);
    world
}

#[test]
fn there_are_only_so_many_schedules() {
    // Guards `schedules_max`: one more is refused until one has ended; parked ones count, ended ones do
    // not.
    run(async {
        let world = world(|limits| limits.schedules_max = NonZeroUsize::MIN.saturating_add(1));
        let bench = Bench::start_with(world).await;
        bench.schedule(add("one", after("1h"))).await;
        bench.schedule(add("two", after("2h"))).await;
        let refused = bench.engine.schedules().create(add("three", after("1h"))).await.unwrap_err();
        assert_eq!(refused.to_string(), "there are 2 schedules already");
        bench.until_status("one", ScheduleStatus::Done).await;
        bench.schedule(add("three", after("1h"))).await;
    });
}

#[test]
fn what_ended_is_kept_for_a_while() {
    // Guards `ended_kept_for`: visible until then, gone with all its rows after; its id is free.
    run(async {
        let world = world(|limits| limits.ended_kept_for = HOUR);
        let bench = Bench::start_with(world).await;
        for number in 0..50 {
            bench.schedule(add(&format!("s{number}"), after("0s"))).await;
        }
        bench.schedule(add("waits", after("30d"))).await;
        bench.until_status("s49", ScheduleStatus::Done).await;
        sleep(HOUR - 10 * SECOND).await;
        assert_eq!(bench.show("s7").await.status, ScheduleStatus::Done);
        sleep(Duration::from_secs(120)).await;
        let left = bench.engine.schedules().list(None, None, 100).await.unwrap().schedules;
        assert_eq!(left.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["waits"]);
        let counts = bench.engine.schedules().figures().await.counts.unwrap();
        assert_eq!((counts.waiting, counts.ended), (1, 0));
        let first = bench.show("waits").await.causation_id;
        assert_ne!(bench.schedule(add("s7", after("0s"))).await.causation_id, first);
        bench.until_status("s7", ScheduleStatus::Done).await;
        assert_eq!(bench.decided_count(), 51);
    });
}

#[test]
fn only_so_many_ended_ones_are_kept() {
    // Guards `ended_max`: the longest ended go first, before their time.
    run(async {
        let world = world(|limits| limits.ended_max = 2);
        let bench = Bench::start_with(world).await;
        for number in 0..5 {
            bench.schedule(add(&format!("s{number}"), after(&format!("{number}s")))).await;
        }
        sleep(Duration::from_secs(90)).await;
        let left = bench.engine.schedules().list(None, None, 100).await.unwrap().schedules;
        assert_eq!(left.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["s3", "s4"]);
    });
}

/// A plan in which appends take a second, and are counted.
#[derive(Debug, Default)]
struct Appends {
    begun: AtomicU64,
}

impl FaultPlan for Appends {
    fn delay_before(&self, call: Call) -> Duration {
        if call != Call::Append {
            return Duration::ZERO;
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        SECOND
    }
}

#[test]
fn only_so_many_commands_are_in_flight() {
    // Guards `in_flight_max`: of ten that are due, two are sent at a time.
    run(async {
        let plan = Arc::new(Appends::default());
        let appends = Arc::clone(&plan);
        let world = world(|limits| limits.in_flight_max = NonZeroUsize::MIN.saturating_add(1))
            .with_store(|store| Arc::new(FaultyEventStore::new(store, appends)));
        let bench = Bench::start_with(world).await;
        for number in 0..10 {
            let mut request = add(&format!("s{number}"), after("1m"));
            request.target = format!("t{number}");
            bench.schedule(request).await;
        }
        plan.begun.store(0, Ordering::Relaxed);
        sleep(Duration::from_millis(60_500)).await;
        for batch in 1..=5 {
            assert_eq!(plan.begun.load(Ordering::Relaxed), 2 * batch);
            sleep(SECOND).await;
        }
        assert_eq!(bench.show("s9").await.status, ScheduleStatus::Done);
    });
}

#[test]
fn outcomes_and_their_messages_are_bounded() {
    // Guards `outcomes_max` and `message_bytes_max`: the newest outcomes, and the beginning of what
    // was said.
    run(async {
        let world = world(|limits| {
            limits.outcomes_max = 2;
            limits.message_bytes_max = 3;
        });
        let bench = Bench::start_with(world).await;
        super::bench::install(&bench.engine, tally_with("2.0.0", Quirk::Words)).await;
        bench.schedule(command("no", "add", r#"{"amount":-1}"#, cron("* * * * *"))).await;
        let said = bench.until("no", |it| it.outcomes_count == 4).await;
        assert_eq!(outcomes(&said), [(180_000, "neg"), (240_000, "neg")]);
        assert_eq!(&*said.outcomes[0].rejection.as_ref().unwrap().message, "nev");
    });
}

#[test]
fn the_longest_wait_is_kept() {
    // Guards `retry_wait` and `retry_wait_max`: the waits double up to the longest.
    run(async {
        let mut world = world(|limits| {
            limits.retry_wait = 2 * SECOND;
            limits.retry_wait_max = 5 * SECOND;
        });
        world.options.commands_in_flight_max = 0;
        let bench = Bench::start_with(world).await;
        bench.schedule(add("busy", after("0s"))).await;
        let mut waits = Vec::new();
        let mut failed_at = None;
        for _ in 0..5 {
            let tried = bench
                .until("busy", |it| {
                    it.last_failure.as_ref().is_some_and(|now| Some(now.failed_at) != failed_at)
                })
                .await;
            failed_at = Some(tried.last_failure.unwrap().failed_at);
            waits.push(tried.next_try_at.unwrap().ms_since(failed_at.unwrap()));
        }
        assert_eq!(waits, [2_000, 4_000, 5_000, 5_000, 5_000]);
    });
}

#[test]
fn pages_are_bounded_and_lead_to_each_other() {
    // Guards lists: in order of id, of one status if said; `list_rows_max` rows are looked at for one
    // page, which may then be empty and yet not the last.
    run(async {
        let world = world(|limits| limits.list_rows_max = 256);
        let bench = Bench::start_with(world).await;
        for number in 0..300 {
            bench.schedule(add(&format!("s{number:03}"), after("1h"))).await;
        }
        bench.cancel("s299").await.unwrap();
        let schedules = bench.engine.schedules();
        let (mut ids, mut last, mut pages_count) = (Vec::new(), None, 0);
        loop {
            let page = schedules.list(None, last.as_ref(), 70).await.unwrap();
            ids.extend(page.schedules.into_iter().map(|it| it.id.to_string()));
            pages_count += 1;
            last = page.after;
            if last.is_none() {
                break;
            }
        }
        assert_eq!(ids, (0..300).map(|number| format!("s{number:03}")).collect::<Vec<_>>());
        assert_eq!(pages_count, 5);
        let cancelled = Some(ScheduleStatus::Cancelled);
        let page = schedules.list(cancelled, None, 70).await.unwrap();
        assert_eq!((page.schedules.len(), page.after.clone()), (0, Some(schedule_id("s255"))));
        let page = schedules.list(cancelled, page.after.as_ref(), 70).await.unwrap();
        assert_eq!((page.schedules[0].id.as_str(), page.after), ("s299", None));
    });
}

#[test]
fn who_is_always_too_late_is_told_so() {
    // Guards `conflict_retries_max`: the change did not happen, and can be repeated.
    run(async {
        let plan = Arc::new(StateCommitsLate::default());
        let states = Arc::clone(&plan);
        let world = world(|limits| limits.conflict_retries_max = NonZeroU32::MIN)
            .with_states(|below| Arc::new(FaultyStateStores::new(below, states)));
        let bench = Bench::start_with(world).await;
        bench.schedule(add("one", after("10s"))).await;
        plan.is_late.store(true, Ordering::Relaxed);
        // Reads at once and writes after half a minute, when it was fired.
        let late = bench.cancel("one");
        let on_time = async {
            tokio::task::yield_now().await;
            plan.is_late.store(false, Ordering::Relaxed);
        };
        let (refused, ()) = tokio::join!(late, on_time);
        let text = "schedule `one` was changed by others 1 times meanwhile";
        assert_eq!(refused.unwrap_err().to_string(), text);
        assert_eq!(bench.show("one").await.status, ScheduleStatus::Done);
    });
}
