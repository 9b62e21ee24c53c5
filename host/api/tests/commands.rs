//! `POST /v1/aggregates/{aggregate}/{id}/{command}`.

use annals_core::id::EventId;
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use serde_json::{Value, json};

use crate::support::{Fault, Host, NOW, SECRET};

const KEY: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";

/// The id of the first event of a command with [`KEY`].
fn event_id(stream: &str) -> String {
    EventId::derive(KEY.parse().unwrap(), &StreamId::parse(stream).unwrap(), 0).to_string()
}

/// Whether an outcome is told again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    No,
    Yes,
}

fn opened(repeat: Repeat) -> Value {
    json!({
        "command_id": KEY,
        "correlation_id": KEY,
        "stream": "account/a1",
        "outcome": "accepted",
        "revision": 0,
        "first_revision": 0,
        "last_revision": 0,
        "partition": 0,
        "position": 3,
        "recorded_at": NOW,
        "is_repeat": repeat == Repeat::Yes,
        "events": [{
            "id": event_id("account/a1"),
            "type": "account-opened",
            "schema_version": 1,
            "revision": 0,
            "data": {"owner": "ada", "initial_cents": 10},
        }],
    })
}

#[tokio::test]
async fn runs_a_command_and_answers_a_repeat_with_the_first_outcome() {
    // Guards C1 and C3: a stream without events is decided on, and the same id gives the same
    // outcome, one set of events.
    let host = Host::start().await;
    let (uri, body) =
        ("/v1/aggregates/account/a1/open-account", json!({"owner": "ada", "initial_cents": 10}));
    let headers = [("idempotency-key", KEY)];
    let first = host.post_with(uri, &headers, &body).await;
    assert_eq!((first.status.as_u16(), first.json()), (200, opened(Repeat::No)));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("x-request-id"), Some("request-of-a-test"));
    let repeat = host.post_with(uri, &headers, &body).await;
    assert_eq!((repeat.status.as_u16(), repeat.json()), (200, opened(Repeat::Yes)));

    let other = host.post_with(uri, &headers, &json!({"owner": "bob", "initial_cents": 1})).await;
    other.assert_problem(
        409,
        &json!({
            "code": "command-id-reused",
            "detail": format!("Command id `{KEY}` was used for another command of stream \
                `account/a1`. Give every new command a new `idempotency-key`."),
            "command_id": KEY,
        }),
    );
}

#[tokio::test]
async fn a_command_given_fifty_times_at_once_happens_once() {
    // Guards C3: concurrent repeats.
    let host = Host::start().await;
    let (uri, body) =
        ("/v1/aggregates/account/a1/open-account", json!({"owner": "ada", "initial_cents": 10}));
    let headers = [("idempotency-key", KEY)];
    let sent = (0..50).map(|_| host.post_with(uri, &headers, &body));
    let answers = futures_util::future::join_all(sent).await;
    let fresh = answers.iter().filter(|answer| answer.json() == opened(Repeat::No)).count();
    let repeats = answers.iter().filter(|answer| answer.json() == opened(Repeat::Yes)).count();
    assert_eq!((fresh, repeats), (1, 49));
}

#[tokio::test]
async fn a_rejection_is_a_problem_with_its_code_text_and_detail() {
    // Guards the domain's no: 422, the same at a repeat (C3), and the balance stays.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    let (uri, body) = ("/v1/aggregates/account/a1/withdraw-funds", json!({"cents": 11}));
    for is_repeat in [false, true] {
        let answer = host.post_with(uri, &[("idempotency-key", KEY)], &body).await;
        answer.assert_problem(
            422,
            &json!({
                "code": "rejected",
                "detail": "not enough money",
                "rejection": {
                    "code": "insufficient-funds",
                    "message": "not enough money",
                    "detail": {"balance_cents": 10},
                },
                "command_id": KEY,
                "correlation_id": KEY,
                "stream": "account/a1",
                "revision": 0,
                "is_repeat": is_repeat,
            }),
        );
    }
    let unopened = host.post("/v1/aggregates/account/a2/withdraw-funds", &body).await.json();
    assert_eq!(unopened["revision"], Value::Null);
    assert_eq!(
        unopened["rejection"],
        json!({"code": "not-open", "message": "the account is not open"})
    );
}

#[tokio::test]
async fn a_decision_without_events_changes_no_revision() {
    // Guards C6, and that an empty body counts as `{}`.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    for (id, revision) in [("a1", json!(0)), ("a2", Value::Null)] {
        let uri = format!("/v1/aggregates/account/{id}/check-account");
        let request = crate::support::request(
            axum::http::Method::POST,
            &uri,
            &[("idempotency-key", KEY)],
            axum::body::Body::empty(),
        );
        let answer = host.send(request).await;
        let expected = json!({
            "command_id": KEY,
            "correlation_id": KEY,
            "stream": format!("account/{id}"),
            "outcome": "accepted",
            "revision": revision,
            "first_revision": null,
            "last_revision": null,
            "partition": 0,
            "position": null,
            "recorded_at": NOW,
            "is_repeat": false,
            "events": [],
        });
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
    }
}

#[tokio::test]
async fn unknown_aggregates_and_commands_name_the_known_ones() {
    // Guards C2: 404 with the names there are.
    let host = Host::start().await;
    let answer = host.post("/v1/aggregates/invoice/1/pay", &json!({})).await;
    answer.assert_problem(
        404,
        &json!({
            "code": "unknown-aggregate",
            "detail": "There is no aggregate `invoice`. Use one of `known`, or install its plugin.",
            "known": ["account", "misbehaving"],
        }),
    );
    let answer = host.post("/v1/aggregates/account/1/pay", &json!({})).await;
    answer.assert_problem(
        404,
        &json!({
            "code": "unknown-command",
            "detail": "Aggregate `account` has no command `pay`. Use one of `known`.",
            "known": ["open-account", "deposit-funds", "withdraw-funds", "check-account"],
        }),
    );
}

#[tokio::test]
async fn data_that_does_not_fit_is_told_with_its_pointer() {
    // Guards C2: 400 with the JSON pointer and what was expected there.
    let host = Host::start().await;
    let uri = "/v1/aggregates/account/a1/deposit-funds";
    let answer = host.post(uri, &json!({"cents": "ten"})).await;
    answer.assert_problem(
        400,
        &json!({
            "code": "malformed-command",
            "detail": "The data of command `deposit-funds` does not fit: \"ten\" is not of type \
                \"integer\". Correct the value at `pointer`; the empty pointer is the whole data.",
            "pointer": "/cents",
            "expected": "see `/$defs/cents/type` of the command's schema",
        }),
    );
}

#[tokio::test]
async fn a_wrong_expected_revision_tells_the_actual_one() {
    // Guards C4: 409 with expected and actual; and each spelling of `if-revision`.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    let (uri, body) = ("/v1/aggregates/account/a1/deposit-funds", json!({"cents": 1}));
    for (belief, actual) in [("5", json!(0)), ("no-stream", json!(0))] {
        let answer = host.post_with(uri, &[("if-revision", belief)], &body).await;
        answer.assert_problem(
            409,
            &json!({
                "code": "wrong-expected-revision",
                "detail": format!("Stream `account/a1` is at revision 0, expected {belief}. Read \
                    it and decide again, or send `if-revision: any`."),
                "stream": "account/a1",
                "expected": belief,
                "actual": actual,
            }),
        );
    }
    for (belief, revision) in [("any", 1), ("stream-exists", 2), ("2", 3)] {
        let answer = host.post_with(uri, &[("if-revision", belief)], &body).await;
        assert_eq!(answer.json()["revision"], revision, "{belief}");
    }
}

#[tokio::test]
async fn bad_headers_are_named() {
    // Guards the edge: what cannot be parsed is refused, not passed over.
    let host = Host::start().await;
    let uri = "/v1/aggregates/account/a1/check-account";
    for (header, value, code) in [
        ("idempotency-key", "not-a-uuid", "bad-idempotency-key"),
        ("if-revision", "latest", "bad-if-revision"),
        ("if-revision", "-1", "bad-if-revision"),
        ("x-correlation-id", "two words", "bad-correlation-id"),
        ("x-correlation-id", "", "bad-correlation-id"),
        ("x-correlation-id", "\u{fc}", "bad-correlation-id"),
        ("x-causation-id", "trace-1", "bad-causation-id"),
    ] {
        host.post_with(uri, &[(header, value)], &json!({})).await.assert_code(400, code);
    }
}

#[tokio::test]
async fn plugin_failures_name_plugin_and_call_and_tell_nothing_internal() {
    // Guards the misbehaving plugins of the scenarios: 500 that names plugin, call and limit, or how
    // the contract was broken; the trap's own words are in the log only.
    let host = Host::start().await;
    let (plugin, call) = ("misbehaving".to_owned(), "decide");
    let failures = [
        GuestFailure::Trap { plugin: plugin.clone(), call, cause: SECRET.to_owned() },
        GuestFailure::Limit { plugin: plugin.clone(), call, limit: "5 of fuel (fuel_max)".into() },
        GuestFailure::Contract { plugin, call, cause: "no such event".to_owned() },
    ];
    let told = [
        ("trap", "trapped", None),
        ("reach-limit", "reached a limit", Some(("limit", "5 of fuel (fuel_max)"))),
        ("break-contract", "broke the contract", Some(("cause", "no such event"))),
    ];
    for ((command, text, further), failure) in told.into_iter().zip(failures) {
        let answer =
            host.post(&format!("/v1/aggregates/misbehaving/1/{command}"), &json!({})).await;
        let mut expected = json!({
            "code": "plugin-failed",
            "detail": format!("Plugin `misbehaving` {text} in `decide`. Tell its author, with the \
                request id and `failure_id`."),
            "failure_id": failure.id(),
            "plugin": "misbehaving",
            "call": "decide",
        });
        if let Some((member, value)) = further {
            expected[member] = json!(value);
        }
        answer.assert_problem(500, &expected);
    }
}

#[tokio::test]
async fn store_failures_tell_what_to_do_and_nothing_internal() {
    // Guards that driver errors stay in the log, and that an unknown outcome names the id to repeat.
    let host = Host::start().await;
    let uri = "/v1/aggregates/account/a1/open-account";
    let body = json!({"owner": "ada", "initial_cents": 10});
    host.store.break_with(Fault::Unavailable);
    let answer = host.post_with(uri, &[("idempotency-key", KEY)], &body).await;
    answer.assert_problem(
        503,
        &json!({
            "code": "unavailable",
            "detail": "A store does not answer; nothing was written. Try again in a moment.",
        }),
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    host.store.break_with(Fault::Lost);
    let answer = host.post_with(uri, &[("idempotency-key", KEY)], &body).await;
    answer.assert_problem(
        500,
        &json!({
            "code": "outcome-unknown",
            "detail": "Nobody knows whether it was recorded. Send it again with `command_id` as \
                `idempotency-key`, which is safe and tells.",
            "command_id": KEY,
        }),
    );
    host.store.repair();
    let answer = host.post_with(uri, &[("idempotency-key", KEY)], &body).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, opened(Repeat::Yes)));
}

#[tokio::test]
async fn a_stream_in_quarantine_is_refused_with_the_time_of_the_next_try() {
    // Guards what a client is told of a stream that fails again and again: why, and when to come back.
    let host = Host::start().await;
    let uri = "/v1/aggregates/misbehaving/1/reach-limit";
    for _ in 0..3 {
        host.post(uri, &json!({})).await.assert_code(500, "plugin-failed");
    }
    let answer = host.post(uri, &json!({})).await;
    let refused = json!({
        "code": "quarantined",
        "detail": "Commands of stream `misbehaving/1` made plugin `misbehaving` fail 3 times in a \
            row; the last time it reached a limit in `decide`: 5 of fuel (fuel_max). It is tried \
            again at 2026-11-20T09:30:01.000Z, or with another version of the plugin.",
        "plugin": "misbehaving",
        "stream": "misbehaving/1",
        "cause": "reached a limit in `decide`: 5 of fuel (fuel_max)",
        "retry_at": "2026-11-20T09:30:01.000Z",
    });
    answer.assert_problem(503, &refused);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let shown = host.get("/v1/plugins/misbehaving").await.json();
    let stream = json!({
        "stream": "misbehaving/1",
        "failures_count": 3,
        "cause": "reached a limit in `decide`: 5 of fuel (fuel_max)",
        "retry_at": "2026-11-20T09:30:01.000Z",
    });
    assert_eq!(shown["quarantine"], json!({"streams_count": 1, "streams": [stream]}));
}
