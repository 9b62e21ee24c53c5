//! `GET /v1/streams/{category}/{id}` and its commands.

use annals_core::id::{Digest, EventId};
use annals_core::stream::StreamId;
use serde_json::{Value, json};

use crate::support::{Host, NOW};

const KEY: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";

async fn host_with_deposits(count: u64) -> Host {
    let host = Host::start().await;
    host.open_account("a1", 0).await;
    for cents in 1..=count {
        host.post("/v1/aggregates/account/a1/deposit-funds", &json!({"cents": cents})).await;
    }
    host
}

fn revisions(page: &Value) -> Vec<u64> {
    page["events"].as_array().unwrap().iter().map(|e| e["revision"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn shows_events_with_everything_that_is_known_of_them() {
    // Guards the form of an event, which feeds and event streams share.
    let host = Host::start().await;
    let uri = "/v1/aggregates/account/a%201%C3%BC/open-account";
    let headers = [("idempotency-key", KEY), ("x-correlation-id", "trace-1")];
    host.post_with(uri, &headers, &json!({"owner": "ada\n", "initial_cents": 10})).await;
    let page = host.get("/v1/streams/account/a%201%C3%BC").await;
    let stream = StreamId::parse("account/a 1ü").unwrap();
    let expected = json!({
        "stream": "account/a 1ü",
        "events": [{
            "id": EventId::derive(KEY.parse().unwrap(), &stream, 0).to_string(),
            "stream": "account/a 1ü",
            "revision": 0,
            "partition": 0,
            "position": 3,
            "type": "account-opened",
            "schema_version": 1,
            "data": {"owner": "ada\n", "initial_cents": 10},
            "recorded_at": NOW,
            "command_id": KEY,
            "causation_id": KEY,
            "correlation_id": "trace-1",
        }],
        "next": null,
    });
    assert_eq!((page.status.as_u16(), page.json()), (200, expected));
}

#[tokio::test]
async fn pages_go_forwards_and_backwards_without_gap_or_repeat() {
    // Guards paging: `next` is where the next page begins.
    let host = host_with_deposits(4).await;
    let get = async |query: &str| host.get(&format!("/v1/streams/account/a1{query}")).await.json();
    let cases: [(&str, &[u64], Value); 6] = [
        ("", &[0, 1, 2, 3, 4], Value::Null),
        ("?limit=2", &[0, 1], json!(2)),
        ("?from=2&limit=2", &[2, 3], json!(4)),
        ("?from=4", &[4], Value::Null),
        ("?direction=backwards&limit=3", &[4, 3, 2], json!(1)),
        ("?direction=backwards&from=1", &[1, 0], Value::Null),
    ];
    for (query, expected, next) in cases {
        let page = get(query).await;
        assert_eq!((revisions(&page).as_slice(), &page["next"]), (expected, &next), "{query}");
    }
    assert_eq!(revisions(&get("?from=9").await), Vec::<u64>::new(), "past the end is empty");
}

#[tokio::test]
async fn bad_parameters_name_what_they_can_be() {
    // Guards strictness: neither a typing error nor a limit over the maximum is passed over.
    let host = host_with_deposits(0).await;
    let bad = |query: &'static str, parameter: &'static str, expected: &'static str| {
        let uri = format!("/v1/streams/account/a1{query}");
        let problem = json!({
            "code": "bad-query-parameter",
            "detail": format!("Query parameter `{parameter}` has a value it cannot have. Give \
                {expected}."),
            "parameter": parameter,
            "expected": expected,
        });
        (uri, problem)
    };
    for (uri, problem) in [
        bad("?limit=0", "limit", "a number from 1 to 4096"),
        bad("?limit=4097", "limit", "a number from 1 to 4096"),
        bad("?limit=-1", "limit", "a number from 1 to 4096"),
        bad("?from=x", "from", "a number from 0"),
        bad("?direction=up", "direction", "`forwards` or `backwards`"),
    ] {
        host.get(&uri).await.assert_problem(400, &problem);
    }
    host.get("/v1/streams/account/a1?form=1").await.assert_problem(
        400,
        &json!({
            "code": "unknown-query-parameter",
            "detail": "There is no query parameter `form` here. Use `from`, `limit`, `direction`, \
                `upcast`.",
            "parameter": "form",
            "known": ["from", "limit", "direction", "upcast"],
        }),
    );
    let twice = host.get("/v1/streams/account/a1?from=1&from=2").await;
    twice.assert_code(400, "bad-query-parameter");
}

#[tokio::test]
async fn absent_streams_and_bad_ids_are_told_apart() {
    // Guards 404 for what is not there and 400 for what cannot be.
    let host = host_with_deposits(0).await;
    host.get("/v1/streams/account/a2").await.assert_code(404, "unknown-stream");
    host.get("/v1/streams/account/a2/commands").await.assert_code(404, "unknown-stream");
    host.get("/v1/streams/Account/a1").await.assert_problem(
        400,
        &json!({
            "code": "bad-name",
            "detail": "`Account` is not a category: use kebab-case, lower-case letters, digits and \
                single hyphens, starting with a letter, at most 64 bytes.",
        }),
    );
    host.get("/v1/streams/account/a%2Fb").await.assert_code(400, "bad-stream-id");
    host.get("/v1/streams/account/%FF").await.assert_code(400, "bad-path");
}

#[tokio::test]
async fn streams_of_the_host_are_readable() {
    // Guards that who installed what when can be looked up.
    let host = host_with_deposits(0).await;
    let page = host.get("/v1/streams/$plugins/registry").await.json();
    assert_eq!(revisions(&page), [0, 1, 2]);
}

#[tokio::test]
async fn recorded_commands_include_rejected_ones() {
    // Guards B1 and the replay gate: rejections are in the log as rejected commands.
    let host = Host::start().await;
    let run = async |command: &str, body: &Value| {
        let uri = format!("/v1/aggregates/account/a1/{command}");
        host.post_with(&uri, &[("x-correlation-id", "trace-1")], body).await
    };
    run("withdraw-funds", &json!({"cents": 3})).await.assert_code(422, "rejected");
    run("open-account", &json!({"owner": "ada", "initial_cents": 10})).await;
    run("check-account", &json!({})).await;
    let page = host.get("/v1/streams/account/a1/commands?limit=2").await.json();
    let mut commands = page["commands"].clone();
    for command in commands.as_array_mut().unwrap() {
        // Made by the host; which one depends on how many ids it needed before.
        assert!(command.as_object_mut().unwrap().remove("command_id").unwrap().is_string());
    }
    let digest = Digest::of(b"account 1.0.0").to_string();
    assert_eq!(
        commands,
        json!([
            {
                "command": "withdraw-funds",
                "data": {"cents": 3},
                "outcome": "rejected",
                "rejection": {"code": "not-open", "message": "the account is not open"},
                "revision": null,
                "first_revision": null,
                "last_revision": null,
                "partition": 0,
                "position": null,
                "recorded_at": NOW,
                "decided_at": NOW,
                "plugin_digest": digest,
                "correlation_id": "trace-1",
            },
            {
                "command": "open-account",
                "data": {"owner": "ada", "initial_cents": 10},
                "outcome": "accepted",
                "revision": 0,
                "first_revision": 0,
                "last_revision": 0,
                "partition": 0,
                "position": 3,
                "recorded_at": NOW,
                "decided_at": NOW,
                "plugin_digest": digest,
                "correlation_id": "trace-1",
            },
        ])
    );
    assert_eq!((&page["stream"], &page["next_skip"]), (&json!("account/a1"), &json!(2)));
    let rest = host.get("/v1/streams/account/a1/commands?skip=2").await.json();
    assert_eq!(rest["commands"][0]["command"], "check-account");
    assert_eq!((rest["commands"].as_array().unwrap().len(), &rest["next_skip"]), (1, &Value::Null));
}
