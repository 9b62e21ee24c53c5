//! `POST /v1/streams/{category}/{id}`.

use annals_core::id::EventId;
use annals_core::stream::StreamId;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Fault, Host, NOW, request};

const URI: &str = "/v1/streams/note/n1";

fn events(count: usize) -> Value {
    json!({"events": vec![json!({"type": "note-taken", "data": {"text": "hi"}}); count]})
}

#[tokio::test]
async fn appends_events_that_no_plugin_knows() {
    // Guards plain appends: all fields come back as they were given.
    let host = Host::empty_with(|_| ()).await;
    let id = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
    let body = json!({"events": [
        {"type": "note-taken", "data": [1, "ü"], "schema_version": 3, "id": id,
         "metadata": {"by": "me"}},
    ]});
    let cause = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b00";
    let headers =
        [("if-revision", "no-stream"), ("x-correlation-id", "trace-1"), ("x-causation-id", cause)];
    let answer = host.post_with(URI, &headers, &body).await;
    let appended = json!({
        "stream": "note/n1",
        "correlation_id": "trace-1",
        "revision": 0,
        "first_revision": 0,
        "last_revision": 0,
        "partition": 0,
        "position": 0,
        "recorded_at": NOW,
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (200, appended.clone()));
    let again = host.post_with(URI, &headers, &body).await;
    assert_eq!(again.json(), appended, "the same ids: a repeat, whatever is expected");
    assert_eq!(
        host.get(URI).await.json()["events"],
        json!([{
            "id": id,
            "stream": "note/n1",
            "revision": 0,
            "partition": 0,
            "position": 0,
            "type": "note-taken",
            "schema_version": 3,
            "data": [1, "ü"],
            "metadata": {"by": "me"},
            "recorded_at": NOW,
            "causation_id": cause,
            "correlation_id": "trace-1",
        }])
    );
}

#[tokio::test]
async fn an_idempotency_key_gives_the_events_their_ids() {
    // Guards repeats after a lost reply for clients that make no ids.
    let host = Host::empty_with(|_| ()).await;
    let key = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
    for _ in 0..2 {
        let answer = host.post_with(URI, &[("idempotency-key", key)], &events(2)).await;
        assert_eq!(answer.json()["revision"], 1);
    }
    let stream = StreamId::parse("note/n1").unwrap();
    let ids: Vec<_> =
        (0..2).map(|n| EventId::derive(key.parse().unwrap(), &stream, n).to_string()).collect();
    let recorded = host.get(URI).await.json();
    let recorded: Vec<_> =
        recorded["events"].as_array().unwrap().iter().map(|e| &e["id"]).collect();
    assert_eq!(json!(recorded), json!(ids));
    let reused = host.post_with(URI, &[("idempotency-key", key)], &events(1)).await;
    reused.assert_problem(
        409,
        &json!({
            "code": "event-ids-reused",
            "detail": format!("Event id `{}` is recorded in stream `note/n1` as part of another \
                append. Repeat an append with all its events, or give new ids.", ids[0]),
            "event_id": ids[0],
        }),
    );
}

#[tokio::test]
async fn a_wrong_belief_writes_nothing() {
    // Guards optimistic concurrency without a plugin.
    let host = Host::empty_with(|_| ()).await;
    let answer = host.post_with(URI, &[("if-revision", "0")], &events(1)).await;
    answer.assert_problem(
        409,
        &json!({
            "code": "wrong-expected-revision",
            "detail": "Stream `note/n1` is at no event, expected 0. Read it and decide again, or \
                send `if-revision: any`.",
            "stream": "note/n1",
            "expected": "0",
            "actual": null,
        }),
    );
    host.get(URI).await.assert_code(404, "unknown-stream");
}

#[tokio::test]
async fn streams_of_the_host_are_not_writable() {
    // Guards the plugin registry.
    let host = Host::empty_with(|_| ()).await;
    let answer = host.post("/v1/streams/$plugins/registry", &events(1)).await;
    answer.assert_problem(
        403,
        &json!({
            "code": "system-category",
            "detail": "Categories that start with `$` are written by the host alone. Choose another \
                name.",
        }),
    );
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_refused_whole() {
    // Guards the shape of an append: nothing is recorded of any of these.
    let host = Host::empty_with(|_| ()).await;
    let event = json!({"type": "note-taken", "data": 1});
    let with = |name: &str, value: Value| {
        let mut event = event.clone();
        event[name] = value;
        json!({"events": [event]})
    };
    let id = json!("0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10");
    let mut half = with("id", id.clone());
    half["events"].as_array_mut().unwrap().push(event.clone());
    for (body, status, code) in [
        (json!({}), 400, "malformed-body"),
        (json!([]), 400, "malformed-body"),
        (json!({"events": []}), 400, "malformed-append"),
        (json!({"events": [{"type": "note-taken"}]}), 400, "malformed-body"),
        (with("time", json!(1)), 400, "malformed-body"),
        (with("id", json!("x")), 400, "malformed-body"),
        (with("metadata", json!([])), 400, "malformed-body"),
        (with("type", json!("Note Taken")), 400, "bad-name"),
        (half, 400, "malformed-append"),
        (events(1_001), 413, "too-large"),
        (with("data", json!("x".repeat(256 << 10))), 413, "too-large"),
        (with("metadata", json!({"a": "x".repeat(16 << 10)})), 413, "too-large"),
    ] {
        host.post(URI, &body).await.assert_code(status, code);
    }
    let not_text = b"{\"events\":[{\"type\":\"note-taken\",\"data\":\"\xff\"}]}".as_slice();
    let headers = [("content-type", "application/json")];
    let not_text = request(Method::POST, URI, &headers, Body::from(not_text));
    host.send(not_text).await.assert_code(400, "malformed-json");
    let (key, body) = ([("idempotency-key", id.as_str().unwrap())], with("id", id.clone()));
    host.post_with(URI, &key, &body).await.assert_code(400, "malformed-append");
    host.get(URI).await.assert_code(404, "unknown-stream");
    assert_eq!(host.post(URI, &events(1_000)).await.json()["revision"], 999, "at the limit");
}

#[tokio::test]
async fn a_lost_append_says_that_nobody_knows() {
    // Guards promise 4: a failure of unknown outcome is told as such.
    let host = Host::empty_with(|_| ()).await;
    host.store.break_with(Fault::Lost);
    host.post(URI, &events(1)).await.assert_code(500, "outcome-unknown");
    host.store.break_with(Fault::Unavailable);
    let answer = host.post(URI, &events(1)).await;
    answer.assert_code(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
}
