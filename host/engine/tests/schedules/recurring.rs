//! Recurring commands.

use annals_engine::schedule::{ScheduleStatus, Timing};
use tokio::time::sleep;

use super::bench::{Bench, HOUR, SECOND, add, command, cron, ms, outcomes};
use crate::support::{run, state};

const MINUTE_MS: u64 = 60_000;

#[test]
fn a_recurring_command_runs_at_each_of_its_times() {
    // Guards cron: every minute, from the next one on, each under an id of its own; cancelled: never
    // again.
    run(async {
        let bench = Bench::start().await;
        let made = bench.schedule(add("tick", cron("* * * * *"))).await;
        assert_eq!(made.due_at, Some(ms(MINUTE_MS)));
        let ticked = bench.until("tick", |it| it.outcomes_count == 3).await;
        let due = [1, 2, 3].map(|minute| (minute * MINUTE_MS, "accepted"));
        assert_eq!(outcomes(&ticked), due);
        assert_eq!(ticked.due_at, Some(ms(4 * MINUTE_MS)));
        let ids: std::collections::HashSet<_> =
            ticked.outcomes.iter().map(|outcome| outcome.command_id).collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(bench.cancel("tick").await.unwrap().status, ScheduleStatus::Cancelled);
        sleep(HOUR).await;
        assert_eq!(state(&bench.engine, "a").await, (2, "3".to_owned()));
    });
}

#[test]
fn times_that_were_missed_run_once() {
    // Guards downtime: of the times that went by, the first runs, late, and then the next to come.
    run(async {
        let bench = Bench::start().await;
        bench.schedule(add("tick", cron("*/10 * * * *"))).await;
        let bench = bench.restarted_after(HOUR + 5 * 60 * SECOND).await;
        let late = bench.until("tick", |it| it.outcomes_count == 1).await;
        assert_eq!(outcomes(&late), [(10 * MINUTE_MS, "accepted")]);
        assert_eq!(late.due_at, Some(ms(70 * MINUTE_MS)));
        let next = bench.until("tick", |it| it.outcomes_count == 2).await;
        assert_eq!(outcomes(&next)[1], (70 * MINUTE_MS, "accepted"));
        assert_eq!(bench.decided_count(), 2);
    });
}

#[test]
fn a_command_that_is_rejected_again_and_again_goes_on() {
    // Guards R19: a rejection is an outcome of its time, and visible; the next time comes.
    run(async {
        let bench = Bench::start().await;
        bench.schedule(command("no", "add", r#"{"amount":-1}"#, cron("* * * * *"))).await;
        let rejected = bench.until("no", |it| it.outcomes_count == 25).await;
        let due: Vec<_> = (6..=25).map(|minute| (minute * MINUTE_MS, "negative")).collect();
        assert_eq!(outcomes(&rejected), due, "the newest 20 are kept");
        assert_eq!((rejected.status, rejected.attempts_count), (ScheduleStatus::Waiting, 0));
        let figures = bench.engine.schedules().figures().await;
        assert_eq!((figures.rejected_count, figures.failed_count), (25, 0));
    });
}

#[test]
fn the_day_on_which_clocks_change_has_one_run() {
    // Guards daylight saving on the way through the engine: at 02:30 in Berlin, which is there twice
    // on 2026-10-25 and not at all on 2027-03-28.
    run(async {
        let bench = Bench::start().await;
        let nightly = Timing::cron("30 2 * * *", "Europe/Berlin").unwrap();
        let day_ms = 24 * 60 * MINUTE_MS;
        // From 2027-03-27T09:30Z on.
        bench.clock.set(127 * day_ms);
        bench.schedule(add("nightly", nightly)).await;
        let run = bench.until("nightly", |it| it.outcomes_count == 1);
        let shift = async {
            bench.clock.set(127 * day_ms + day_ms);
        };
        let (_, ran) = tokio::join!(shift, run);
        // 01:00Z is 15.5 hours after 09:30Z.
        assert_eq!(outcomes(&ran), [(127 * day_ms + 930 * MINUTE_MS, "accepted")]);
        assert_eq!(ran.due_at, Some(ms(128 * day_ms + 900 * MINUTE_MS)));
    });
}

#[test]
fn a_clock_that_goes_back_does_not_repeat_a_time() {
    // Guards R19 for series: the times of a series only grow.
    run(async {
        let bench = Bench::start().await;
        bench.schedule(add("tick", cron("* * * * *"))).await;
        bench.until("tick", |it| it.outcomes_count == 5).await;
        bench.clock.set(0);
        let ticked = bench.until("tick", |it| it.outcomes_count == 7).await;
        let due: Vec<_> = (1..=7).map(|minute| (minute * MINUTE_MS, "accepted")).collect();
        assert_eq!(outcomes(&ticked), due);
        assert_eq!(bench.decided_count(), 7);
    });
}
