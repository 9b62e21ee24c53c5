//! What one request led to, on the real binary: over HTTP, on every kind of store, and by `annals trace`.

mod transfers;

use serde_json::{Value, json};

use crate::drivers::Place;
use crate::support::{Daemon, annals, at, run};

const CORRELATION: &str = "order/4711";

/// Sends a command to an account, in answer to something.
async fn send(daemon: &Daemon, id: &str, command: &str, data: &str, cause: &str) -> Value {
    let mut headers = vec![("x-correlation-id", CORRELATION)];
    if !cause.is_empty() {
        headers.push(("x-causation-id", cause));
    }
    let path = format!("/v1/aggregates/account/{id}/{command}");
    let answer = daemon.post(&path, &headers, data).await.body;
    assert_eq!(answer["correlation_id"], CORRELATION, "{answer:#}");
    answer
}

fn text(answer: &Value, pointer: &str) -> String {
    at(answer, pointer).as_str().unwrap().to_owned()
}

/// A request that led to a chain over several accounts, with an append and two rejections in it.
async fn lead_to_something(daemon: &Daemon) {
    let open = r#"{"owner":"Ada","initial_cents":10}"#;
    let first = send(daemon, "a1", "open-account", open, "").await;
    let opened = text(&first, "/events/0/id");
    for number in 2..6 {
        let id = format!("a{number}");
        let answer = send(daemon, &id, "open-account", open, &opened).await;
        send(daemon, &id, "withdraw-funds", r#"{"cents":900}"#, &text(&answer, "/events/0/id"))
            .await;
    }
    let refused = send(daemon, "a1", "withdraw-funds", r#"{"cents":900}"#, &opened).await;
    let headers = [
        ("x-correlation-id", CORRELATION),
        ("x-causation-id", at(&refused, "/command_id").as_str().unwrap()),
    ];
    let noted = r#"{"events":[{"type":"refusal-noted","data":1},{"type":"mail-sent","data":2}]}"#;
    daemon.post("/v1/streams/note/n1", &headers, noted).await.ok();
}

/// What a trace prints.
fn trace_with(daemon: &Daemon, arguments: &[&str]) -> Vec<String> {
    let done = annals().arg("trace").args(arguments).args(["--server", daemon.url()]).output();
    let done = done.unwrap();
    let (said, error) = (String::from_utf8(done.stdout).unwrap(), done.stderr);
    assert!(done.status.success() && error.is_empty(), "{}", String::from_utf8_lossy(&error));
    said.lines().map(ToOwned::to_owned).collect()
}

/// What a trace says, without times.
fn trace(daemon: &Daemon, correlation_id: &str) -> Vec<String> {
    let lines = trace_with(daemon, &[correlation_id]);
    lines.iter().map(|line| without_time(line)).collect()
}

fn without_time(line: &str) -> String {
    match line.split_once('+') {
        Some((indent, rest)) => format!("{indent}{}", rest.split_once(" ms ").unwrap().1),
        None => line.split_once("Z ").unwrap().1.to_owned(),
    }
}

fn expected() -> Vec<String> {
    let refused = "rejected (insufficient-funds): the balance is 10";
    let mut lines = vec![
        "open-account → account/a1   accepted".to_owned(),
        "└─ account-opened account/a1@0".to_owned(),
    ];
    for number in 2..6 {
        lines.push(format!("   ├─ open-account → account/a{number}   accepted"));
        lines.push(format!("   │  └─ account-opened account/a{number}@0"));
        lines.push(format!("   │     └─ withdraw-funds → account/a{number}   {refused}"));
    }
    lines.push(format!("   └─ withdraw-funds → account/a1   {refused}"));
    lines.push("      └─ append → note/n1".to_owned());
    lines.push("         ├─ refusal-noted note/n1@0".to_owned());
    lines.push("         └─ mail-sent note/n1@1".to_owned());
    lines
}

#[test]
fn a_trace_is_whole_also_after_kill_9() {
    // Guards the whole way on a disk: ids come in by headers, rejected commands are there, and all of it
    // after a crash.
    run(is_whole(Place::local()));
}

#[test]
fn a_trace_is_whole_over_the_partitions_of_dynamodb() {
    // Guards the whole way on the tables, where the commits of one request are in many partitions.
    run(is_whole(Place::dynamodb_and_redis()));
}

async fn is_whole(place: Place) {
    let mut daemon = place.start_with_account().await;
    for number in 0..20 {
        let open = r#"{"owner":"Eve","initial_cents":1}"#;
        daemon.account(&format!("other{number}"), "open-account", open).await.ok();
    }
    lead_to_something(&daemon).await;
    assert_eq!(trace(&daemon, CORRELATION), expected());
    // A rejected command is answered before it is durable, but not after what came behind it.
    daemon.kill();
    drop(daemon);
    let daemon = place.start();
    assert_eq!(trace(&daemon, CORRELATION), expected());
    let events = daemon.get("/v1/streams/note/n1").await.ok();
    for event in at(&events, "/events").as_array().unwrap() {
        assert_eq!(event["correlation_id"], CORRELATION);
        assert!(event["causation_id"].is_string(), "{event:#}");
    }
}

#[test]
fn a_command_without_a_correlation_id_is_found_by_its_own_id() {
    // Guards the usual case: nobody sent ids, and the look begins at the time in the command's id.
    run(async {
        let place = Place::local();
        let daemon = place.start_with_account().await;
        let open = r#"{"owner":"Ada","initial_cents":10}"#;
        let answer = daemon.account("a1", "open-account", open).await.ok();
        let id = text(&answer, "/correlation_id");
        assert_eq!(answer["command_id"], json!(id));
        let page = daemon.get(&format!("/v1/correlations/{id}")).await.ok();
        assert!(page["since"].is_string(), "{page:#}");
        assert_eq!(page["commits"].as_array().unwrap().len(), 1);
        assert_eq!(page["commits"][0]["command"]["command_id"], json!(id));
        let command = |arguments: &[&str]| {
            let mut command = annals();
            let done = command.arg("trace").args(arguments).args(["--server", daemon.url()]);
            let done = done.output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (done.status.code(), text(done.stdout), text(done.stderr))
        };
        let (code, lines, error) = command(&[&id, "--output", "json"]);
        let commit: Value = serde_json::from_str(lines.trim()).unwrap();
        assert_eq!((code, &commit, error.as_str()), (Some(0), &page["commits"][0], ""));
        let unknown = "01e00000-0000-7000-8000-000000000000";
        let (code, lines, error) = command(&[unknown]);
        assert!(error.contains("hint: the answer to a command and every event have it"), "{error}");
        assert!(error.contains("`--since all`"), "{error}");
        assert_eq!((code, lines.as_str()), (Some(1), ""));
        // The time in the id is in the future: nothing is looked at.
        let begin =
            format!("error: nothing is recorded with the correlation id `{unknown}` since ");
        assert!(
            error.starts_with(&begin) && error.contains("Z (0 commits were looked at)"),
            "{error}"
        );
        let (code, _, error) = command(&[unknown, "--since", "all"]);
        assert!(
            error.contains("since 1970-01-01T00:00:00.000Z (2 commits were looked at)"),
            "{error}"
        );
        assert_eq!(code, Some(1));
        let (code, _, error) = command(&["order-1"]);
        assert!(error.contains("in all 2 commits"), "{error}");
        assert_eq!(code, Some(1));
        let (code, _, error) = command(&["two words"]);
        assert!(error.contains("the correlation id is not valid"), "{error}");
        assert_eq!(code, Some(1));
        let (code, _, error) = command(&["order-1", "--since", "yesterday"]);
        assert!(error.contains("write a day like `2026-11-21`"), "{error}");
        assert_eq!(code, Some(1));
    });
}
