//! `POST /v1/plugins/{name}/verify`.

use annals_core::id::Digest;
use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Answer, Fault, Host, request};

const WASM: [(&str, &str); 1] = [("content-type", "application/wasm")];

async fn verify(host: &Host, uri: &str, component: &str) -> Answer {
    let uri = format!("/v1/plugins/{uri}");
    host.send(request(Method::POST, &uri, &WASM, component.to_owned().into())).await
}

/// The lines of an answer, the last one apart.
fn lines(answer: &Answer) -> (Vec<Value>, Value) {
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.text().lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines.collect();
    let last = lines.pop().unwrap();
    (lines, last)
}

async fn with_history() -> Host {
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    host.open_account("a2", 10).await;
    for (id, cents) in [("a1", 50), ("a1", 150), ("a2", 100), ("a3", 1)] {
        host.post(&format!("/v1/aggregates/account/{id}/deposit-funds"), &json!({"cents": cents}))
            .await;
    }
    host
}

#[tokio::test]
async fn tells_how_far_it_is_and_then_the_verdict() {
    // Guards the whole answer: progress at once, and the verdict with counts and examples. Nothing is
    // installed.
    let host = with_history().await;
    let (progress, last) = lines(&verify(&host, "account/verify", "account 2.0.0-capped").await);
    let mut first = progress.first().unwrap()["progress"].clone();
    for count in ["streams_count", "events_count", "commands_count", "done_count", "total_count"] {
        assert!(first.as_object_mut().unwrap().remove(count).unwrap().is_u64(), "{count}");
    }
    assert_eq!(first, json!({"step": "verifying"}));
    let counts = json!({
        "decided_count": 6, "undecided_count": 0, "drifted_count": 1, "outcome_count": 1,
        "events_count": 0, "claims_count": 0, "shared_count": 0, "other_words_count": 0,
    });
    let mut of_deposit = counts.clone();
    of_deposit["command"] = json!("deposit-funds");
    of_deposit["decided_count"] = json!(4);
    let mut verdict = last["verdict"].clone();
    let id = verdict["command_examples"][0]["command_id"].take();
    assert!(id.is_string());
    assert_eq!(
        verdict,
        json!({
            "verdict": "drift",
            "plugin": "account",
            "active": {"version": "1.0.0", "digest": Digest::of(b"account 1.0.0").to_string()},
            "candidate": {
                "version": "2.0.0-capped",
                "digest": Digest::of(b"account 2.0.0-capped").to_string(),
            },
            "is_sample": false,
            "streams_count": 3,
            "events_count": 5,
            "commands_count": 6,
            "commands": counts,
            "drifted": [of_deposit],
            "states": {
                "is_comparable": true, "compared_count": 3, "differing_count": 0, "uncompared_count": 0,
            },
            "broken_streams_count": 0,
            "active_broken_streams_count": 0,
            "unreadable_events_count": 0,
            "unreadable": [],
            "broken_examples": [],
            "command_examples": [{
                "stream": "account/a1",
                "command": "deposit-funds",
                "command_id": null,
                "revision": 1,
                "drift": "outcome",
                "is_shared": false,
                "differences": [
                    {"path": "/code", "after": "too-much"},
                    {"path": "/events", "before": [
                        {"type": "funds-deposited", "schema_version": 1, "data": {"cents": 150}},
                    ]},
                    {"path": "/message", "after": "more than 100 cents"},
                    {"path": "/outcome", "before": "accepted", "after": "rejected"},
                ],
            }],
            "state_examples": [],
        })
    );
    assert_eq!(host.get("/v1/plugins/account").await.json()["version"], "1.0.0");

    let sample = verify(&host, "account/verify?streams_max=1", "account 2.0.0").await;
    let verdict = lines(&sample).1["verdict"].clone();
    assert_eq!(
        json!([verdict["verdict"], verdict["is_sample"], verdict["streams_count"]]),
        json!(["identical", true, 1])
    );
}

#[tokio::test]
async fn what_cannot_be_verified_is_a_problem_before_the_first_line() {
    // Guards each refusal with what to do next.
    let host = with_history().await;
    let cases = [
        ("account/verify", "random bytes", 400, "bad-plugin"),
        ("invoice/verify", "account 1.0.0", 400, "plugin-name-differs"),
        ("account-balances/verify", "account-balances 2.0.0", 400, "unsupported-plugin-kind"),
        ("account/verify?streams_max=0", "account 2.0.0", 400, "bad-query-parameter"),
        ("account/verify?streams_max=100001", "account 2.0.0", 400, "bad-query-parameter"),
        ("account/verify?streams=1", "account 2.0.0", 400, "unknown-query-parameter"),
        ("Account/verify", "account 2.0.0", 400, "bad-name"),
    ];
    for (uri, component, status, code) in cases {
        verify(&host, uri, component).await.assert_code(status, code);
    }
    let json = [("content-type", "application/json")];
    let wrong =
        request(Method::POST, "/v1/plugins/account/verify", &json, Body::from("account 2.0.0"));
    host.send(wrong).await.assert_code(415, "unsupported-media-type");
    let empty = Host::empty_with(|_| ()).await;
    verify(&empty, "account/verify", "account 1.0.0").await.assert_problem(
        404,
        &json!({
            "code": "unknown-aggregate",
            "detail": "There is no active aggregate `account` to compare with. Install it: there is no \
                history of it.",
            "known": [],
        }),
    );
}

#[tokio::test]
async fn what_fails_on_the_way_is_the_last_line() {
    // Guards clients against an answer that just ends: the store goes away, or the host stops.
    let host = with_history().await;
    host.store.break_with(Fault::Unavailable);
    let (_, last) = lines(&verify(&host, "account/verify", "account 2.0.0").await);
    assert_eq!(last["problem"]["code"], "unavailable");
    assert!(!last.to_string().contains("secret"), "{last}");
    host.store.repair();
    let begun =
        request(Method::POST, "/v1/plugins/account/verify", &WASM, Body::from("account 2.0.0"));
    let response = host.respond(begun).await;
    host.lifecycle.stop();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let last = body.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let last: Value = serde_json::from_slice(last).unwrap();
    assert_eq!(last["problem"]["code"], "stopping");
}

#[tokio::test]
async fn a_second_verification_is_refused_until_the_first_is_given_up() {
    // Guards the limit of one at a time over HTTP, and that a client that goes away makes room.
    let host = with_history().await;
    for number in 0..2_000 {
        host.open_account(&format!("b{number}"), 1).await;
    }
    let begin = || {
        let request =
            request(Method::POST, "/v1/plugins/account/verify", &WASM, Body::from("account 2.0.0"));
        host.respond(request)
    };
    let running = begin().await;
    verify(&host, "account/verify", "account 2.0.0").await.assert_problem(
        503,
        &json!({
            "code": "busy",
            "detail": "1 verification is running already. Try again when it has ended.",
        }),
    );
    drop(running);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while begin().await.status().as_u16() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the first one goes on");
        tokio::task::yield_now().await;
    }
}
