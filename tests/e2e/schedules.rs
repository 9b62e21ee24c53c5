//! Scheduled commands on the real binary: a daemon that is stopped and killed, and the clock of the
//! machine.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Daemon, at, folder, run};

const DEADLINE: Duration = Duration::from_secs(60);

async fn schedule(daemon: &Daemon, id: &str, command: &str, cents: u64, timing: Value) -> Value {
    let mut body = json!({
        "id": id,
        "aggregate": "account",
        "target": "a1",
        "command": command,
        "data": {"cents": cents},
    });
    body.as_object_mut().unwrap().extend(timing.as_object().unwrap().clone());
    daemon.post("/v1/schedules", &[], &body.to_string()).await.ok()
}

async fn show(daemon: &Daemon, id: &str) -> Value {
    daemon.get(&format!("/v1/schedules/{id}")).await.ok()
}

/// Waits until a schedule is as said.
async fn until(daemon: &Daemon, id: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let schedule = show(daemon, id).await;
        if is(&schedule) {
            return schedule;
        }
        assert!(begun.elapsed() < DEADLINE, "{schedule:#}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn balance(daemon: &Daemon) -> Value {
    let state = daemon.get("/v1/aggregates/account/a1").await.ok();
    at(&state, "/state/balance_cents").clone()
}

#[test]
fn what_was_due_while_the_daemon_was_down_runs_once_and_its_outcome_is_shown() {
    // Guards C7 on the binary: scheduled, stopped in an orderly way, started again after the time:
    // accepted once, rejected once, cancelled never; the answers survive `kill -9`.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":10}"#).await.ok();
        let soon = json!({"after": "500ms"});
        let made = schedule(&daemon, "deposit", "deposit-funds", 5, soon.clone()).await;
        schedule(&daemon, "withdrawal", "withdraw-funds", 99, soon.clone()).await;
        schedule(&daemon, "cancelled", "deposit-funds", 1_000, soon).await;
        let cancelled = daemon.try_send(Method::DELETE, "/v1/schedules/cancelled", &[], "").await;
        assert_eq!(at(&cancelled.unwrap().ok(), "/status"), "cancelled");
        assert_eq!(daemon.stop(), Some(0));
        // The time passes while nobody is there: at the start it is late.
        sleep(Duration::from_millis(600)).await;
        let mut daemon = Daemon::start(&data);
        let deposit = until(&daemon, "deposit", |it| it["status"] == "done").await;
        assert_eq!(at(&deposit, "/outcomes/0/due_at"), at(&made, "/due_at"));
        let withdrawal = until(&daemon, "withdrawal", |it| it["status"] == "rejected").await;
        let code = at(&withdrawal, "/outcomes/0/rejection/code");
        assert_eq!(code, "insufficient-funds");
        assert_eq!(balance(&daemon).await, 15);
        daemon.kill();
        drop(daemon);
        let daemon = Daemon::start(&data);
        assert_eq!(show(&daemon, "deposit").await, deposit);
        assert_eq!(balance(&daemon).await, 15);
        assert_eq!(at(&show(&daemon, "cancelled").await, "/outcomes"), &json!([]));
    });
}

#[test]
fn a_daemon_that_is_killed_again_and_again_sends_each_command_once() {
    // Guards R19 with `kill -9` at any moment of taking, sending and noting: 40 commands that are due
    // within two seconds, each with one effect and one outcome in the end.
    run(async {
        let (_folder, data) = folder();
        let start = || {
            Daemon::start_with(&data, |command| {
                command.env("ANNALS_SCHEDULES_FIRING_WAIT_MAX", "500ms");
                command.env("ANNALS_SCHEDULES_CHECK_EVERY", "50ms");
            })
        };
        let mut daemon = start();
        daemon.install("account", annals_components::account()).await.ok();
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
        for number in 0..40 {
            let timing = json!({"after": format!("{}ms", 500 + number * 50)});
            schedule(&daemon, &format!("s{number}"), "deposit-funds", 1, timing).await;
        }
        let begun = Instant::now();
        loop {
            daemon.kill();
            drop(daemon);
            daemon = start();
            let page = daemon.get("/v1/schedules?status=done").await.ok();
            if at(&page, "/schedules").as_array().unwrap().len() == 40 {
                break;
            }
            assert!(begun.elapsed() < DEADLINE, "{page:#}");
            sleep(Duration::from_millis(150)).await;
        }
        for number in 0..40 {
            let schedule = show(&daemon, &format!("s{number}")).await;
            assert_eq!(at(&schedule, "/outcomes_count"), 1);
            assert_eq!(at(&schedule, "/outcomes/0/outcome"), "accepted");
        }
        assert_eq!(balance(&daemon).await, 40);
        let events = daemon.get("/v1/streams/account/a1?limit=100").await.ok();
        assert_eq!(at(&events, "/events").as_array().unwrap().len(), 41);
    });
}

#[test]
fn a_recurring_command_goes_on_over_restarts() {
    // Guards cron on the clock of the machine: every second, before and after `kill -9`, each time
    // once.
    run(async {
        let (_folder, data) = folder();
        let mut daemon = Daemon::start_with_account(&data).await;
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
        let cron = json!({"cron": "* * * * * *", "time_zone": "Europe/Berlin"});
        schedule(&daemon, "tick", "deposit-funds", 1, cron).await;
        until(&daemon, "tick", |it| it["outcomes_count"].as_u64() >= Some(2)).await;
        daemon.kill();
        drop(daemon);
        let daemon = Daemon::start(&data);
        until(&daemon, "tick", |it| it["outcomes_count"].as_u64() >= Some(4)).await;
        daemon.try_send(Method::DELETE, "/v1/schedules/tick", &[], "").await.unwrap().ok();
        let ended = until(&daemon, "tick", |it| it["status"] == "cancelled").await;
        assert_eq!(&balance(&daemon).await, at(&ended, "/outcomes_count"));
        let outcomes = at(&ended, "/outcomes").as_array().unwrap();
        let due: std::collections::BTreeSet<_> =
            outcomes.iter().map(|outcome| outcome["due_at"].to_string()).collect();
        assert_eq!(due.len(), outcomes.len(), "no time came twice");
    });
}
