//! Limits, reached.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::support::{Answer, Host, is_pending, request};

const JSON: (&str, &str) = ("content-type", "application/json");
const DEPOSIT: &str = "/v1/aggregates/account/a1/deposit-funds";

/// A deposit of exactly `bytes` bytes.
fn padded(bytes: usize) -> String {
    let body = json!({"cents": 1}).to_string();
    format!("{body}{}", " ".repeat(bytes - body.len()))
}

/// A body that does not say how long it is.
fn chunked(text: &str) -> Body {
    let chunks: Vec<_> = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    Body::from_stream(stream::iter(chunks).map(Ok::<_, Infallible>))
}

#[tokio::test]
async fn bodies_are_taken_up_to_their_limit() {
    // Guards `body_bytes_max`, announced and not.
    let host = Host::start_with(|setup| setup.api.body_bytes_max = 100).await;
    host.open_account("a1", 0).await;
    for (bytes, status) in [(100, 200), (101, 413)] {
        for body in [Body::from(padded(bytes)), chunked(&padded(bytes))] {
            let answer = host.send(request(Method::POST, DEPOSIT, &[JSON], body)).await;
            assert_eq!(answer.status.as_u16(), status, "{answer:?}");
            if status == 413 {
                answer.assert_problem(
                    413,
                    &json!({
                        "code": "body-too-large",
                        "detail": "The body has more than 100 bytes. Send less at once.",
                        "bytes_max": 100,
                    }),
                );
            }
        }
    }
}

#[tokio::test]
async fn components_have_a_limit_of_their_own() {
    // Guards `component_bytes_max`: larger than other bodies may be, and bounded.
    let component = "misbehaving 1.0.0";
    let host = Host::empty_with(|setup| {
        setup.api.body_bytes_max = 1;
        setup.api.component_bytes_max = component.len();
    })
    .await;
    let put = async |component: &str| {
        let headers = [("content-type", "application/octet-stream")];
        let body = component.to_owned().into();
        host.send(request(Method::PUT, "/v1/plugins/misbehaving", &headers, body)).await
    };
    assert_eq!(put(component).await.status.as_u16(), 200);
    put(&format!("{component}0")).await.assert_code(413, "body-too-large");
}

#[tokio::test]
async fn large_bodies_are_bounded_all_together() {
    // Guards `bodies_bytes_max`: two bodies of 128 KiB fit into 192 KiB one after the other only.
    let host = Host::start_with(|setup| setup.api.bodies_bytes_max = 192 << 10).await;
    host.open_account("a1", 0).await;
    let half = Bytes::from(padded(128 << 10));
    let begun = stream::iter([Ok::<_, Infallible>(half.clone())]).chain(stream::pending());
    let slow = request(Method::POST, DEPOSIT, &[JSON], Body::from_stream(begun));
    let mut slow = Box::pin(host.respond(slow));
    assert!(is_pending(&mut slow));
    let post =
        async || host.send(request(Method::POST, DEPOSIT, &[JSON], Body::from(half.clone()))).await;
    let refused = post().await;
    refused.assert_code(503, "busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(slow);
    assert_eq!(post().await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up() {
    // Guards `body_idle_max`: nobody holds a request open by sending nothing.
    let host = Host::start_with(|setup| setup.api.body_idle_max = Duration::from_millis(1)).await;
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    host.send(request(Method::POST, DEPOSIT, &[JSON], never)).await.assert_problem(
        408,
        &json!({
            "code": "body-too-slow",
            "detail": "Nothing of the body came for 1 ms. Send it without pauses.",
        }),
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    // Guards that half a body is never taken for a whole one.
    let host = Host::start().await;
    let broken =
        stream::iter([Ok(Bytes::from("{\"cents\": 1}")), Err(std::io::Error::other("gone"))]);
    let broken = request(Method::POST, DEPOSIT, &[JSON], Body::from_stream(broken));
    host.send(broken).await.assert_code(400, "incomplete-body");
}

#[tokio::test]
async fn more_requests_than_the_limit_are_refused_until_one_ends() {
    // Guards `requests_in_flight_max`.
    let host = Host::empty_with(|setup| setup.api.requests_in_flight_max = 1).await;
    let waiting = request(Method::GET, "/v1/events?wait_ms=60000", &[], Body::empty());
    let mut waiting = Box::pin(host.respond(waiting));
    assert!(is_pending(&mut waiting));
    let refused = host.get("/v1/plugins").await;
    refused.assert_problem(
        503,
        &json!({
            "code": "busy",
            "detail": "1 requests are being answered already. Try again in a moment.",
        }),
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(waiting);
    assert_eq!(host.get("/v1/plugins").await.status.as_u16(), 200);
}

#[tokio::test]
async fn more_commands_than_the_engine_takes_are_refused() {
    // Guards the engine's `commands_in_flight_max` as clients see it.
    let host = Host::start_with(|setup| setup.engine.commands_in_flight_max = 0).await;
    let answer = host.post(DEPOSIT, &json!({"cents": 1})).await;
    answer.assert_problem(
        503,
        &json!({
            "code": "busy",
            "detail": "0 commands are in flight already. Try again in a moment.",
        }),
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_command_without_outcome_in_time_can_be_asked_again() {
    // Guards `outcome_wait_max`: 504 names the id, and the same id gives the outcome later.
    let host =
        Host::start_with(|setup| setup.api.outcome_wait_max = Duration::from_millis(1)).await;
    let uri = "/v1/aggregates/misbehaving/1/wait";
    let id = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
    let run = async || host.post_with(uri, &[("idempotency-key", id)], &json!({})).await;
    run().await.assert_problem(
        504,
        &json!({
            "code": "deadline",
            "detail": "There was no outcome within 1 ms. Send it again with `command_id` as \
                `idempotency-key`, which is safe and tells.",
            "command_id": id,
        }),
    );
    host.gate.open();
    let answer: Answer = loop {
        let answer = run().await;
        if answer.status.as_u16() == 200 {
            break answer;
        }
    };
    assert_eq!(answer.json()["command_id"], id);
}

#[tokio::test]
async fn a_command_at_the_limit_of_the_store_passes_and_one_over_it_does_not() {
    // Guards `PAYLOAD_BYTES_MAX` through the API.
    let host = Host::start().await;
    let open = async |bytes: usize| {
        let body = json!({"owner": "", "initial_cents": 1}).to_string().len();
        let body = json!({"owner": "x".repeat(bytes - body), "initial_cents": 1});
        host.post("/v1/aggregates/account/a1/open-account", &body).await
    };
    let over = open((256 << 10) + 1).await;
    over.assert_problem(
        413,
        &json!({
            "code": "too-large",
            "detail": "262145 bytes of data of one event or command, at most 262144 are allowed. \
                Send less at once.",
            "size": 262_145,
            "max": 262_144,
        }),
    );
    assert_eq!(open(256 << 10).await.status.as_u16(), 200);
}
