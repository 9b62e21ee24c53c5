//! `wait_for` and `wait_ms` of commands.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Host, is_pending, request};

const OPEN: &str = "/v1/aggregates/account";

fn opening() -> Value {
    json!({"owner": "ada", "initial_cents": 10})
}

async fn balance(host: &Host, id: &str) -> Value {
    host.get(&format!("/v1/views/account-balances/balances/{id}")).await.json()["value"].clone()
}

#[tokio::test]
async fn a_command_is_answered_when_the_view_has_it() {
    // Guards reading one's own write: a read without `position` right after the answer sees it.
    let host = Host::start().await;
    for n in 1..=20 {
        let uri = format!("{OPEN}/a{n}/open-account?wait_for=account-balances");
        let answer = host.post(&uri, &opening()).await.json();
        let waited_for = json!({
            "projection": "account-balances", "is_reached": true, "checkpoint": answer["position"],
        });
        assert_eq!(answer["waited_for"], waited_for);
        assert_eq!(balance(&host, &format!("a{n}")).await, json!({"balance_cents": 10}));
    }
    let plain = host.post(&format!("{OPEN}/b/open-account"), &opening()).await.json();
    assert_eq!(plain.get("waited_for"), None);
}

#[tokio::test]
async fn a_command_whose_view_is_late_has_succeeded_and_says_so() {
    // Guards the end of the wait: the outcome is told as ever, with how far the view is.
    let host = Host::start().await;
    let first = host.open_account("a1", 10).await;
    host.get(&format!("/v1/views/account-balances/balances/a1?position={first}")).await;
    let uri = format!("{OPEN}/slow/open-account?wait_for=account-balances&wait_ms=1");
    let answer = host.post(&uri, &opening()).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    let mut answer = answer.json();
    // Whether the runner has noticed the event yet is a matter of time.
    let phase = answer["waited_for"]["phase"].take();
    assert!(["catching-up", "caught-up"].contains(&phase.as_str().unwrap()), "{phase}");
    assert_eq!((&answer["outcome"], &answer["revision"]), (&json!("accepted"), &json!(0)));
    let waited_for = json!({
        "projection": "account-balances", "is_reached": false, "checkpoint": first, "phase": null,
    });
    assert_eq!(answer["waited_for"], waited_for);
    host.gate.open();
    let position = &answer["position"];
    let row = format!("/v1/views/account-balances/balances/slow?position={position}");
    assert_eq!(host.get(&row).await.json()["value"], json!({"balance_cents": 10}));
}

#[tokio::test]
async fn what_has_no_event_is_not_waited_for() {
    // Guards that nobody waits in vain: a decision without events is in every view, a rejection is told
    // as one, while the view is held up.
    let host = Host::start().await;
    let first = host.open_account("a1", 10).await;
    host.get(&format!("/v1/views/account-balances/balances/a1?position={first}")).await;
    host.open_account("slow", 10).await;
    let wait = "wait_for=account-balances&wait_ms=60000";
    let none = host.post(&format!("{OPEN}/slow/check-account?{wait}"), &json!({})).await.json();
    let waited_for =
        json!({"projection": "account-balances", "is_reached": true, "checkpoint": first});
    assert_eq!((&none["position"], &none["waited_for"]), (&Value::Null, &waited_for));
    let again = host.post(&format!("{OPEN}/slow/open-account?{wait}"), &opening()).await;
    again.assert_code(422, "rejected");
    host.gate.open();
}

#[tokio::test]
async fn a_command_with_a_wait_that_cannot_be_is_not_run() {
    // Guards the order: a bad wish is told before anything happens.
    let host = Host::start().await;
    for (query, status, code) in [
        ("wait_for=balances", 404, "unknown-projection"),
        ("wait_for=account", 404, "unknown-projection"),
        ("wait_for=Account", 400, "bad-name"),
        ("wait_ms=5", 400, "bad-query-parameter"),
        ("wait_for=account-balances&wait_ms=60001", 400, "bad-query-parameter"),
        ("wait_for=account-balances&wait_ms=soon", 400, "bad-query-parameter"),
        ("wait_for=account-balances&position=5", 400, "unknown-query-parameter"),
    ] {
        let uri = format!("{OPEN}/a1/open-account?{query}");
        host.post(&uri, &opening()).await.assert_code(status, code);
    }
    host.get("/v1/streams/account/a1").await.assert_code(404, "unknown-stream");
}

#[tokio::test]
async fn a_repeat_waits_like_the_first_time() {
    // Guards safe repeats: the second answer, too, comes when the view is there.
    let host = Host::start().await;
    let key = [("idempotency-key", "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10")];
    let uri = format!("{OPEN}/a1/open-account?wait_for=account-balances");
    let first = host.post_with(&uri, &key, &opening()).await.json();
    let again = host.post_with(&uri, &key, &opening()).await.json();
    assert_eq!(again["is_repeat"], true);
    assert_eq!(again["waited_for"], first["waited_for"]);
    assert_eq!(first["waited_for"]["is_reached"], true);
}

#[tokio::test]
async fn lines_of_a_batch_wait_each_for_themselves() {
    // Guards batches: only the line that asks waits, and a bad wish fails its line alone.
    let host = Host::start().await;
    let line = |id: &str, more: &Value| {
        let mut line = json!({
            "aggregate": "account", "id": id, "command": "open-account", "data": opening(),
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{line}\n")
    };
    let lines = [
        line("a1", &json!({})),
        line("a2", &json!({"wait_for": "account-balances", "wait_ms": 60000})),
        line("a3", &json!({"wait_for": "balances"})),
        line("a4", &json!({"wait_ms": 1})),
        line("a5", &json!({"wait_for": "account-balances", "wait_ms": 60001})),
    ];
    let headers = [("content-type", "application/x-ndjson")];
    let sent = request(Method::POST, "/v1/commands", &headers, Body::from(lines.concat()));
    let results = host.send(sent).await;
    let results: Vec<Value> =
        results.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let waited_for = json!({
        "projection": "account-balances", "is_reached": true, "checkpoint": results[1]["position"],
    });
    assert_eq!((results[0].get("waited_for"), &results[1]["waited_for"]), (None, &waited_for));
    let codes: Vec<_> = results.iter().map(|result| &result["problem"]["code"]).collect();
    let bad = "bad-query-parameter";
    assert_eq!(json!(codes), json!([null, null, "unknown-projection", bad, bad]));
    for id in ["a3", "a4", "a5"] {
        let uri = format!("/v1/streams/account/{id}");
        host.get(&uri).await.assert_code(404, "unknown-stream");
    }
}

#[tokio::test]
async fn a_waiting_command_is_answered_when_the_host_stops() {
    // Guards shutdown: nobody holds it up by waiting, and who waits learns that the command succeeded.
    let host = Host::start().await;
    let uri = format!("{OPEN}/slow/open-account?wait_for=account-balances&wait_ms=60000");
    let body = opening();
    let mut answer = Box::pin(host.post(&uri, &body));
    while host.get("/v1/streams/account/slow").await.status.as_u16() != 200 {
        assert!(is_pending(&mut answer));
        tokio::task::yield_now().await;
    }
    assert!(is_pending(&mut answer));
    host.lifecycle.stop();
    let answer = answer.await;
    let waited_for =
        json!({"projection": "account-balances", "is_reached": false, "checkpoint": null});
    assert_eq!((answer.status.as_u16(), &answer.json()["waited_for"]), (200, &waited_for));
    host.gate.open();
}
