//! `GET /v1/correlations/{correlation_id}`, and that everything that is recorded has a correlation id.

use annals_core::id::EventId;
use annals_core::stream::StreamId;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Host, NOW, request};

/// A UUID of version 7, whose time is 2024-09-11T20:26:53.594Z.
const KEY: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";

fn event_id(stream: &str, ordinal: u32) -> String {
    let stream = StreamId::parse(stream).unwrap();
    EventId::derive(KEY.parse().unwrap(), &stream, ordinal).to_string()
}

/// All pages of a look, as one.
async fn look(host: &Host, uri: &str) -> (Vec<Value>, u64) {
    let (mut commits, mut looked_at) = (Vec::new(), 0);
    let mut next = Value::Null;
    loop {
        let query = next.as_str().map(|from| format!("?from={from}")).unwrap_or_default();
        let page = host.get(&format!("{uri}{query}")).await;
        assert_eq!(page.status.as_u16(), 200, "{page:?}");
        let page = page.json();
        commits.extend(page["commits"].as_array().unwrap().clone());
        looked_at += page["commits_looked_at"].as_u64().unwrap();
        next = page["next"].clone();
        if next.is_null() {
            return (commits, looked_at);
        }
    }
}

#[tokio::test]
async fn shows_commands_their_events_rejections_and_appends_with_their_causes() {
    // Guards the form of what one request led to: ids that link it, outcomes, no data.
    let host = Host::start().await;
    let correlation = ("x-correlation-id", "trace/1");
    let body = json!({"owner": "ada", "initial_cents": 10});
    let uri = "/v1/aggregates/account/a1/open-account";
    let opened = host.post_with(uri, &[correlation, ("idempotency-key", KEY)], &body).await.json();
    let cause = opened["events"][0]["id"].as_str().unwrap();
    assert_eq!(cause, event_id("account/a1", 0));
    let because = [correlation, ("x-causation-id", cause)];
    let uri = "/v1/aggregates/account/a2/withdraw-funds";
    let refused = host.post_with(uri, &because, &json!({"cents": 1})).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["correlation_id"]),
        (422, &json!("trace/1"))
    );
    let noted = json!({"events": [{"type": "note-taken", "data": 1, "id": KEY}]});
    host.post_with("/v1/streams/note/n1", &because, &noted).await;
    host.open_account("other", 1).await;

    let page = host.get("/v1/correlations/trace%2F1").await.json();
    let expected = json!({
        "correlation_id": "trace/1",
        "since": null,
        "commits": [
            {
                "recorded_at": NOW,
                "command": {
                    "command_id": KEY,
                    "command": "open-account",
                    "stream": "account/a1",
                    "outcome": "accepted",
                },
                "events": [{
                    "id": cause,
                    "stream": "account/a1",
                    "revision": 0,
                    "type": "account-opened",
                    "schema_version": 1,
                }],
            },
            {
                "recorded_at": NOW,
                "causation_id": cause,
                "command": {
                    "command_id": refused.json()["command_id"],
                    "command": "withdraw-funds",
                    "stream": "account/a2",
                    "outcome": "rejected",
                    "rejection": {"code": "not-open", "message": "the account is not open"},
                },
                "events": [],
            },
            {
                "recorded_at": NOW,
                "causation_id": cause,
                "events": [{
                    "id": KEY,
                    "stream": "note/n1",
                    "revision": 0,
                    "type": "note-taken",
                    "schema_version": 1,
                }],
            },
        ],
        // Three of the registry, three of the trace, and another one.
        "commits_looked_at": 7,
        "next": null,
    });
    assert_eq!(page, expected);
}

#[tokio::test]
async fn everything_that_is_recorded_has_a_correlation_id() {
    // Guards traces of those who send none: a command's id, or that of the first event of an append,
    // the same when it is repeated; otherwise one is made.
    let host = Host::start().await;
    let body = json!({"owner": "ada", "initial_cents": 10});
    let uri = "/v1/aggregates/account/a1/open-account";
    let opened = host.post_with(uri, &[("idempotency-key", KEY)], &body).await.json();
    assert_eq!(opened["correlation_id"], KEY);
    let made = host.post("/v1/aggregates/account/a1/check-account", &json!({})).await.json();
    assert_eq!(made["correlation_id"], made["command_id"]);

    let id = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b11";
    let with_id = json!({"events": [{"type": "noted", "data": 1, "id": id}]});
    for _ in 0..2 {
        let appended = host.post("/v1/streams/note/n1", &with_id).await.json();
        assert_eq!(appended["correlation_id"], id);
    }
    let without = json!({"events": [{"type": "noted", "data": 1}, {"type": "noted", "data": 2}]});
    for _ in 0..2 {
        let headers = [("idempotency-key", KEY)];
        let appended = host.post_with("/v1/streams/note/n2", &headers, &without).await.json();
        assert_eq!(appended["correlation_id"], KEY);
    }
    let appended = host.post("/v1/streams/note/n3", &without).await.json();
    assert!(appended["correlation_id"].is_string(), "{appended}");

    let line = json!({"aggregate": "account", "id": "a1", "command": "check-account",
                      "correlation_id": "batch-1", "causation_id": id});
    let headers = [("content-type", "application/x-ndjson")];
    let body = Body::from(line.to_string());
    let batch = host.send(request(Method::POST, "/v1/commands", &headers, body)).await;
    let result: Value = serde_json::from_str(batch.text().trim()).unwrap();
    assert_eq!(result["correlation_id"], "batch-1");
    let (commits, _) = look(&host, "/v1/correlations/batch-1").await;
    assert_eq!((commits.len(), &commits[0]["causation_id"]), (1, &json!(id)));

    let feed = host.get("/v1/events").await.json();
    for event in feed["events"].as_array().unwrap() {
        assert!(event["correlation_id"].is_string(), "{event}");
    }
    for (stream, correlation) in [
        ("note/n1", json!(id)),
        ("note/n2", json!(KEY)),
        ("note/n3", appended["correlation_id"].clone()),
    ] {
        let events = host.get(&format!("/v1/streams/{stream}")).await.json();
        for event in events["events"].as_array().unwrap() {
            assert_eq!(event["correlation_id"], correlation, "{stream}");
        }
    }
}

#[tokio::test]
async fn a_look_finds_what_is_in_many_partitions_and_in_many_pages() {
    // Guards paging: each page is bounded and says where to go on, nothing is missing or twice.
    let host = Host::start_with(|setup| setup.partitions_count = 4).await;
    let events: Vec<_> =
        (0..1_000).map(|number| json!({"type": "noted", "data": number})).collect();
    let body = json!({ "events": events });
    for number in 0..12 {
        for correlation in ["wanted", "other"] {
            let uri = format!("/v1/streams/note/n{number}");
            host.post_with(&uri, &[("x-correlation-id", correlation)], &body).await;
        }
    }
    let first = host.get("/v1/correlations/wanted").await.json();
    assert!(first["commits"].as_array().unwrap().len() <= 5, "a page has about 4 096 entries");
    assert!(first["next"].is_string(), "{}", first["next"]);
    let (commits, looked_at) = look(&host, "/v1/correlations/wanted").await;
    let mut streams: Vec<_> =
        commits.iter().map(|it| it["events"][999]["stream"].as_str().unwrap().to_owned()).collect();
    streams.sort_unstable();
    let mut expected: Vec<_> = (0..12).map(|number| format!("note/n{number}")).collect();
    expected.sort_unstable();
    assert_eq!((streams, looked_at), (expected, 24 + 3));
}

#[tokio::test]
async fn a_look_begins_where_its_time_says_and_tells_what_was_passed_over() {
    // Guards `since`: of a UUID of version 7 it is an hour before its time, of others the beginning,
    // and what the client says counts.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    let ask = async |query: &str| host.get(&format!("/v1/correlations/{query}")).await.json();
    let page = ask(KEY).await;
    assert_eq!(page["since"], "2024-09-11T19:26:53.594Z");
    assert_eq!((&page["commits"], &page["next"]), (&json!([]), &Value::Null));
    assert_eq!(page["commits_looked_at"], 4, "all is later");
    let page = ask("trace-1").await;
    assert_eq!((&page["since"], &page["commits_looked_at"]), (&Value::Null, &json!(4)));
    let page = ask("trace-1?since=2026-11-20T09:30:00.001Z").await;
    assert_eq!(page["since"], "2026-11-20T09:30:00.001Z");
    assert_eq!(page["commits_looked_at"], 0, "everything was recorded a moment earlier");
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_refused() {
    // Guards the edge: ids, times and places that are none.
    let host = Host::start().await;
    for id in ["two%20words", "%ff", &"x".repeat(129)] {
        let answer = host.get(&format!("/v1/correlations/{id}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{answer:?}");
    }
    host.get("/v1/correlations/two%20words").await.assert_code(400, "bad-correlation-id");
    for query in
        ["since=today", "since=2026-11-20", "from=1", "from=0-0", "from=1-0-0", "from=00-0-0"]
    {
        let answer = host.get(&format!("/v1/correlations/trace-1?{query}")).await;
        answer.assert_code(400, "bad-query-parameter");
    }
    host.get("/v1/correlations/trace-1?limit=1").await.assert_code(400, "unknown-query-parameter");
}
