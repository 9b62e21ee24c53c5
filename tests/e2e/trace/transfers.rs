//! Traces of the bank's transfers, which a process manager leads from account to account, and of what a
//! schedule sends.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use annals_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{trace, trace_with};
use crate::drivers::Place;
use crate::support::{Daemon, at, run};
use crate::transfers;

/// Starts a transfer, and waits for its end.
async fn transfer(daemon: &Daemon, id: &str, to: &str) -> String {
    let data = json!({ "from": "a1", "to": to, "cents": 30 }).to_string();
    let path = format!("/v1/aggregates/money-transfer/{id}/start-transfer");
    daemon.post(&path, &[("x-correlation-id", id)], &data).await.ok();
    transfers::ended(daemon, id).await
}

#[test]
fn the_trace_of_a_transfer_is_the_whole_way_of_the_money() {
    // Guards what people ask for when money is missing, on a disk: each step below the one it is the
    // answer to, those of the process manager with its name, up to the end.
    run(is_the_whole_way(Place::local()));
}

#[test]
fn the_trace_of_a_transfer_is_whole_over_the_partitions_of_dynamodb() {
    // Guards the same on the tables, where each account and each transfer may be in another partition.
    run(is_the_whole_way(Place::dynamodb_and_redis()));
}

async fn is_the_whole_way(place: Place) {
    let daemon = place.start_with_bank().await;
    for id in ["a1", "a2"] {
        let open = r#"{"owner":"Ada","initial_cents":100}"#;
        daemon.account(id, "open-account", open).await.ok();
    }
    assert_eq!(transfer(&daemon, "t1", "a2").await, "completed");
    assert_eq!(transfer(&daemon, "t2", "nobody").await, "failed");
    let led = "(by process-manager/transfer)";
    let completed = [
        "start-transfer → money-transfer/t1   accepted".to_owned(),
        "└─ transfer-started money-transfer/t1@0".to_owned(),
        format!("   └─ debit-for-transfer → account/a1   accepted   {led}"),
        "      ├─ debited-for-transfer account/a1@1".to_owned(),
        format!("      ├─ mark-debited → money-transfer/t1   accepted   {led}"),
        "      │  └─ transfer-debited money-transfer/t1@1".to_owned(),
        format!("      └─ credit-for-transfer → account/a2   accepted   {led}"),
        "         ├─ credited-for-transfer account/a2@1".to_owned(),
        format!("         └─ complete-transfer → money-transfer/t1   accepted   {led}"),
        "            └─ transfer-completed money-transfer/t1@2".to_owned(),
    ];
    assert_eq!(trace(&daemon, "t1"), completed);
    let refused = "rejected (not-open): the account is not open";
    let failed = [
        "start-transfer → money-transfer/t2   accepted".to_owned(),
        "└─ transfer-started money-transfer/t2@0".to_owned(),
        format!("   └─ debit-for-transfer → account/a1   accepted   {led}"),
        "      ├─ debited-for-transfer account/a1@2".to_owned(),
        format!("      ├─ mark-debited → money-transfer/t2   accepted   {led}"),
        "      │  └─ transfer-debited money-transfer/t2@1".to_owned(),
        format!("      └─ credit-for-transfer → account/nobody   {refused}   {led}"),
        format!("         ├─ refund-transfer → account/a1   accepted   {led}"),
        "         │  └─ transfer-refunded account/a1@3".to_owned(),
        format!("         └─ fail-transfer → money-transfer/t2   accepted   {led}"),
        "            └─ transfer-failed money-transfer/t2@2".to_owned(),
    ];
    assert_eq!(trace(&daemon, "t2"), failed);
    times_never_go_back(&trace_with(&daemon, &["t2"]));
    assert_eq!(causes(&trace_with(&daemon, &["t2", "--output", "json"])), causes_of_a_failure());
}

/// The first line has a time, the others count from it; what is below is never earlier.
#[track_caller]
fn times_never_go_back(lines: &[String]) {
    assert!(lines[0].split(' ').next().unwrap().parse::<Timestamp>().is_ok(), "{}", lines[0]);
    let ms = |line: &String| -> u64 {
        let after = line.split_once('+').unwrap().1.split_once(" ms ").unwrap().0;
        after.parse().unwrap()
    };
    // This tree branches in steps that follow each other, so its lines are in order of time.
    assert!(lines[1..].iter().map(ms).is_sorted(), "{lines:#?}");
}

/// Per commit, by name: its command, its outcome, what caused it, and who sent it.
type Caused = (String, String, Option<String>, Option<String>);

/// What lines of JSON say, with names in place of ids. Partitions have no order among each other.
fn causes(lines: &[String]) -> BTreeSet<Caused> {
    let commits: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut names = HashMap::new();
    for commit in &commits {
        let command = at(commit, "/command");
        names.insert(text(command, "/command_id"), text(command, "/command"));
        for event in at(commit, "/events").as_array().unwrap() {
            names.insert(text(event, "/id"), text(event, "/type"));
        }
    }
    let caused = |commit: &Value| {
        let cause = commit["causation_id"].as_str().map(|id| names[id].clone());
        let who = commit["principal"].as_str().map(ToOwned::to_owned);
        let rejected = commit.pointer("/command/rejection/code").and_then(Value::as_str);
        let outcome = rejected.map_or_else(|| text(commit, "/command/outcome"), ToOwned::to_owned);
        (text(commit, "/command/command"), outcome, cause, who)
    };
    commits.iter().map(caused).collect()
}

fn causes_of_a_failure() -> BTreeSet<Caused> {
    let first = ("start-transfer".to_owned(), "accepted".to_owned(), None, None);
    let led = [
        ("debit-for-transfer", "accepted", "transfer-started"),
        ("mark-debited", "accepted", "debit-for-transfer"),
        ("credit-for-transfer", "not-open", "debit-for-transfer"),
        ("refund-transfer", "accepted", "credit-for-transfer"),
        ("fail-transfer", "accepted", "credit-for-transfer"),
    ];
    let who = "process-manager/transfer";
    let led = led.map(|(command, outcome, cause)| {
        (command.to_owned(), outcome.to_owned(), Some(cause.to_owned()), Some(who.to_owned()))
    });
    led.into_iter().chain([first]).collect()
}

fn text(value: &Value, pointer: &str) -> String {
    at(value, pointer).as_str().unwrap().to_owned()
}

#[test]
fn the_trace_of_a_scheduled_command_begins_with_its_schedule() {
    // Guards the root of what nobody sent just then: the schedule is its cause, and no message of the
    // store is missing.
    run(async {
        let place = Place::local();
        let daemon = place.start_with_account().await;
        let open = r#"{"owner":"Ada","initial_cents":100}"#;
        daemon.account("a1", "open-account", open).await.ok();
        let schedule = json!({
            "id": "pocket-money",
            "aggregate": "account",
            "target": "a1",
            "command": "deposit-funds",
            "data": {"cents": 5},
            "after": "0s",
        });
        let headers = [("x-correlation-id", "birthday")];
        daemon.post("/v1/schedules", &headers, &schedule.to_string()).await.ok();
        let deadline = Instant::now() + Duration::from_secs(60);
        while daemon.get("/v1/schedules/pocket-money").await.ok()["status"] != "done" {
            assert!(Instant::now() < deadline, "the schedule is not done");
            sleep(Duration::from_millis(20)).await;
        }
        let expected = [
            "deposit-funds → account/a1   accepted   (by schedule/pocket-money)",
            "└─ funds-deposited account/a1@1",
        ];
        assert_eq!(trace(&daemon, "birthday"), expected);
    });
}
