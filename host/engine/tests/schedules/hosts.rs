//! Several hosts on one store: each command is fired by one of them.

use annals_engine::schedule::ScheduleStatus;
use tokio::time::sleep;

use super::bench::{Bench, HOUR, SECOND, add, after, cron, outcomes};
use crate::support::{run, state};

#[test]
fn of_several_hosts_one_fires() {
    // Guards P8 for schedules: three hosts, many commands that are due at once and a series; each is
    // decided once, and all hosts show the same.
    run(async {
        let bench = Bench::start().await;
        let others = [bench.world.start().await, bench.world.start().await];
        for number in 0..100 {
            bench.schedule(add(&format!("s{number}"), after("1m"))).await;
        }
        let mut series = add("series", cron("*/5 * * * *"));
        series.target = "series".to_owned();
        bench.schedule(series).await;
        sleep(HOUR + 5 * SECOND).await;
        assert_eq!(state(&bench.engine, "a").await, (99, "100".to_owned()));
        for engine in &others {
            assert_eq!(state(engine, "series").await, (11, "12".to_owned()));
            let id = super::bench::schedule_id("s42");
            let shown = engine.schedules().show(&id).await.unwrap();
            assert_eq!(shown, bench.show("s42").await);
            assert_eq!(shown.status, ScheduleStatus::Done);
        }
        // A command that a second host sends as well is accepted there too, as a repeat.
        let mut sent_count = bench.engine.figures().await.commands.accepted_count;
        for engine in &others {
            sent_count += engine.figures().await.commands.accepted_count;
        }
        assert_eq!(sent_count, 112);
    });
}

#[test]
fn a_host_fires_what_another_one_scheduled_and_cannot_any_more() {
    // Guards a host that dies: what it was given is due on the others, at most `check_every` late.
    run(async {
        let bench = Bench::start().await;
        let other = bench.world.start().await;
        bench.schedule(add("left", after("5s"))).await;
        bench.engine.stop().await;
        sleep(7 * SECOND).await;
        let shown = other.schedules().show(&super::bench::schedule_id("left")).await.unwrap();
        assert_eq!(outcomes(&shown), [(5_000, "accepted")]);
        assert!(shown.outcomes[0].recorded_at.ms() <= super::bench::START_MS + 6_000);
    });
}
