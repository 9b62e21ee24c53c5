//! Subscriptions over HTTP.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Host, NOW, is_pending, request};

const MAIL: &str = "/v1/subscriptions/mail";

async fn put(host: &Host, uri: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    host.send(request(Method::PUT, uri, &headers, body.to_string().into())).await
}

async fn post(host: &Host, call: &str, body: &Value) -> Value {
    let answer = host.post(&format!("{MAIL}/{call}"), body).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    answer.json()
}

async fn append(host: &Host, stream: &str, count: usize) {
    let events = vec![json!({"type": "note-taken", "data": {}}); count];
    let answer = host.post(&format!("/v1/streams/{stream}"), &json!({"events": events})).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

/// A host with the subscription `mail` and some events.
async fn host() -> Host {
    let host = Host::empty_with(|_| ()).await;
    assert_eq!(put(&host, MAIL, &json!({})).await.status.as_u16(), 200);
    append(&host, "note/x", 2).await;
    append(&host, "note/y", 1).await;
    host
}

/// What a member is given, as deliveries.
async fn lease(host: &Host, member: &str, events_max: usize) -> Vec<Value> {
    let leased = post(host, "lease", &json!({"member": member, "events_max": events_max})).await;
    leased["deliveries"].as_array().unwrap().clone()
}

fn ids(deliveries: &[Value]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery["delivery"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_subscription_is_made_shown_and_deleted() {
    // Guards the documents: defaults, everything said, repeats, other settings, names that are free
    // again.
    let host = Host::empty_with(|setup| setup.partitions_count = 2).await;
    let expected = json!({
        "name": "mail",
        "filter": {},
        "start": "beginning",
        "lease_ms": 30_000,
        "attempts_max": 5,
        "in_flight_events_max": 1_000,
        "created_at": NOW,
        "partitions": [
            {"partition": 0, "checkpoint": null, "head": null},
            {"partition": 1, "checkpoint": null, "head": null},
        ],
        "lag_events": 0,
        "in_flight_count": 0,
        "leased_count": 0,
        "parked_count": 0,
        "released_streams_count": 0,
        "delivered_count": 0,
        "redelivered_count": 0,
        "handled_count": 0,
        "members": [],
    });
    let empty = request(Method::PUT, MAIL, &[], Body::empty());
    assert_eq!(host.send(empty).await.json(), expected);
    assert_eq!(host.get(MAIL).await.json(), expected);
    assert_eq!(put(&host, MAIL, &json!({"lease_ms": 30_000})).await.json(), expected);
    put(&host, MAIL, &json!({"lease_ms": 1_000, "start": "now"})).await.assert_problem(
        409,
        &json!({
            "code": "subscription-differs",
            "detail": "Subscription `mail` is there with other settings: start, lease_ms. Give it \
                another name, or delete it first, which forgets how far it is.",
            "fields": ["start", "lease_ms"],
        }),
    );
    append(&host, "note/x", 1).await;
    let partition = host.partition_of("note/x");
    let settings = json!({
        "filter": {"categories": ["note"], "types": ["note-taken"], "stream_prefix": "note/x"},
        "start": [{"partition": partition, "position": 0}],
        "lease_ms": 1_000,
        "attempts_max": 1,
        "in_flight_events_max": 7,
    });
    let all = put(&host, "/v1/subscriptions/all", &settings).await.json();
    for (field, value) in settings.as_object().unwrap() {
        assert_eq!(all[field], *value, "{field}");
    }
    assert_eq!(all["partitions"][partition as usize]["checkpoint"], 0);
    let list = host.get("/v1/subscriptions").await.json();
    let names: Vec<_> =
        list["subscriptions"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["all", "mail"]);
    let delete = || request(Method::DELETE, MAIL, &[], Body::empty());
    assert_eq!(host.send(delete()).await.json(), json!({"name": "mail"}));
    host.send(delete()).await.assert_problem(
        404,
        &json!({
            "code": "unknown-subscription",
            "detail": "There is no subscription `mail`. Use one of `known`, or make it with PUT.",
            "known": ["all"],
        }),
    );
}

#[tokio::test]
async fn members_are_given_events_and_say_what_became_of_them() {
    // Guards the calls of members, with every outcome.
    let host = host().await;
    let held = lease(&host, "a", 1).await;
    let event = host.get("/v1/events?limit=1").await.json()["events"][0].clone();
    let until = "2026-11-20T09:30:30.000Z";
    let id = ids(&held)[0].to_owned();
    let delivery = json!({"delivery": id, "attempt": 1, "leased_until": until, "event": event});
    assert_eq!(held, [delivery]);
    let extend = json!({"member": "a", "deliveries": [id], "lease_ms": 60_000});
    let done = json!({"results": [{"delivery": id, "outcome": "done"}]});
    assert_eq!(post(&host, "extend", &extend).await, done);
    let retry = json!({"member": "a", "deliveries": [id], "after_ms": 0, "cause": "later"});
    assert_eq!(post(&host, "retry", &retry).await, done);
    let again = lease(&host, "b", 9).await;
    assert_eq!(again.len(), 3);
    assert_eq!((&again[0]["attempt"], &again[0]["event"]), (&json!(2), &event));
    let ack = json!({"member": "a", "deliveries": [id, "nonsense"]});
    let expected = json!({"results": [
        {"delivery": id, "outcome": "expired"},
        {"delivery": "nonsense", "outcome": "unknown"},
    ]});
    assert_eq!(post(&host, "ack", &ack).await, expected);
    let ack = json!({"member": "b", "deliveries": ids(&again)});
    let results = post(&host, "ack", &ack).await["results"].clone();
    assert!(results.as_array().unwrap().iter().all(|result| result["outcome"] == "done"));
    let shown = host.get(MAIL).await.json();
    assert_eq!(shown["partitions"], json!([{"partition": 0, "checkpoint": 2, "head": 2}]));
    let members = json!([
        {"member": "a", "leased_count": 0, "leased_at": NOW},
        {"member": "b", "leased_count": 0, "leased_at": NOW},
    ]);
    assert_eq!(shown["members"], members);
}

#[tokio::test]
async fn parked_events_are_listed_replayed_and_discarded() {
    // Guards the documents of parked events, their pages, and that named streams alone are released.
    let host = host().await;
    let held = lease(&host, "a", 9).await;
    let park = json!({"member": "a", "deliveries": [ids(&held)[0], ids(&held)[2]], "cause": "no"});
    post(&host, "park", &park).await;
    let page = host.get(&format!("{MAIL}/parked?limit=2")).await.json();
    let parked = |stream: &str, revision: u64, event: &Value, waits: bool| {
        json!({
            "stream": stream,
            "partition": 0,
            "position": event["event"]["position"],
            "event_id": event["event"]["id"],
            "event_type": "note-taken",
            "revision": revision,
            "cause": if waits { Value::Null } else { json!("no") },
            "attempts": u32::from(!waits),
            "parked_at": if waits { Value::Null } else { json!(NOW) },
            "waiting": waits,
        })
    };
    let expected = [parked("note/x", 0, &held[0], false), parked("note/x", 1, &held[1], true)];
    assert_eq!(page["parked"], json!(expected));
    let next = page["next_page"].as_str().unwrap();
    let page = host.get(&format!("{MAIL}/parked?limit=2&page={next}")).await.json();
    let expected = json!({"parked": [parked("note/y", 0, &held[2], false)], "next_page": null});
    assert_eq!(page, expected);
    host.get(&format!("{MAIL}/parked?page=x")).await.assert_code(400, "bad-query-parameter");
    let one = json!({"streams": ["note/x", "note/z"]});
    assert_eq!(post(&host, "parked/discard", &one).await, json!({"streams_count": 1}));
    assert_eq!(post(&host, "parked/replay", &json!({})).await, json!({"streams_count": 1}));
    let again = lease(&host, "a", 9).await;
    let events: Vec<_> = again.iter().map(|delivery| &delivery["event"]["id"]).collect();
    assert_eq!(events, [&held[1]["event"]["id"], &held[2]["event"]["id"]]);
}

#[tokio::test]
async fn a_lease_waits_and_ends_when_the_host_stops() {
    // Guards long polling, and shutdown: who waits is answered without events.
    let host = host().await;
    let held = lease(&host, "a", 9).await;
    let wait = json!({"member": "b", "wait_ms": 60_000}).to_string();
    let uri = format!("{MAIL}/lease");
    let call = || {
        let headers = [("content-type", "application/json")];
        Box::pin(host.send(request(Method::POST, &uri, &headers, wait.clone().into())))
    };
    let mut waiting = call();
    assert!(is_pending(&mut waiting));
    post(&host, "retry", &json!({"member": "a", "deliveries": ids(&held)})).await;
    assert_eq!(waiting.await.json()["deliveries"].as_array().unwrap().len(), 3);
    let ack = json!({"member": "b", "deliveries": ids(&lease(&host, "b", 9).await)});
    post(&host, "ack", &ack).await;
    let mut waiting = call();
    assert!(is_pending(&mut waiting));
    host.lifecycle.stop();
    assert_eq!(waiting.await.json(), json!({"deliveries": []}));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_field() {
    // Guards messages to people: what, where, what to do; and the limits of requests.
    let host = host().await;
    let cases = [
        ("lease", json!({"member": ""})),
        ("lease", json!({"member": "a b"})),
        ("lease", json!({"member": "a", "events_max": 0})),
        ("lease", json!({"member": "a", "events_max": 1_001})),
        ("lease", json!({"member": "a", "wait_ms": 60_001})),
        ("lease", json!({"member": "a", "lease_ms": 1})),
        ("lease", json!({"events_max": 1})),
        ("lease", json!({"member": "a", "more": 1})),
        ("ack", json!({"member": "a", "deliveries": []})),
        ("ack", json!({"member": "a", "deliveries": vec!["x"; 1_001]})),
        ("retry", json!({"member": "a", "deliveries": ["x"], "after_ms": 86_400_001})),
        ("extend", json!({"member": "a", "deliveries": ["x"], "lease_ms": 1})),
        ("park", json!({"member": "a", "deliveries": ["x"]})),
        ("parked/replay", json!({"streams": vec!["note/x"; 1_001]})),
    ];
    for (call, body) in cases {
        host.post(&format!("{MAIL}/{call}"), &body).await.assert_code(400, "malformed-body");
    }
    host.post(&format!("{MAIL}/lease"), &json!({"member": "a", "events_max": 0}))
        .await
        .assert_problem(
            400,
            &json!({
                "code": "malformed-body",
                "detail": "`events_max` is 0: give a number from 1 to 1000.",
                "field": "events_max",
            }),
        );
    let one = json!({"streams": ["x"]});
    host.post(&format!("{MAIL}/parked/replay"), &one).await.assert_code(400, "bad-stream-id");
    for (body, code) in [
        (json!({"start": "sometime"}), "malformed-body"),
        (json!({"start": [{"partition": 1, "position": 0}]}), "malformed-body"),
        (json!({"start": [{"partition": 0, "position": 3}]}), "malformed-body"),
        (json!({"filter": {"types": ["A"]}}), "bad-name"),
        (json!({"filters": {}}), "malformed-body"),
    ] {
        put(&host, "/v1/subscriptions/other", &body).await.assert_code(400, code);
    }
    put(&host, "/v1/subscriptions/Other", &json!({})).await.assert_code(400, "bad-name");
    host.get("/v1/subscriptions/other").await.assert_code(404, "unknown-subscription");
    let lease = json!({"member": "a"});
    host.post("/v1/subscriptions/other/lease", &lease)
        .await
        .assert_code(404, "unknown-subscription");
}

#[tokio::test]
async fn more_than_may_be_is_refused() {
    // Guards `subscriptions_max` and `parked_streams_max` as clients see them.
    let host = Host::empty_with(|setup| {
        setup.engine.subscriptions.subscriptions_max = std::num::NonZeroUsize::MIN;
        setup.engine.subscriptions.parked_streams_max = 0;
        setup.engine.subscriptions.members_max = 0;
    })
    .await;
    put(&host, MAIL, &json!({})).await;
    let refused = put(&host, "/v1/subscriptions/other", &json!({})).await;
    refused.assert_code(409, "too-many-subscriptions");
    append(&host, "note/x", 1).await;
    let refused = host.post(&format!("{MAIL}/lease"), &json!({"member": "a"})).await;
    refused.assert_code(503, "busy");
    let host = Host::empty_with(|setup| setup.engine.subscriptions.parked_streams_max = 0).await;
    put(&host, MAIL, &json!({})).await;
    append(&host, "note/x", 1).await;
    let held = lease(&host, "a", 1).await;
    let park = json!({"member": "a", "deliveries": ids(&held), "cause": "no"});
    host.post(&format!("{MAIL}/park"), &park).await.assert_problem(
        409,
        &json!({
            "code": "too-many-parked",
            "detail": "0 streams of subscription `mail` have a parked event already. Replay or \
                discard some of them.",
            "parked_streams_max": 0,
        }),
    );
}

#[tokio::test]
async fn figures_of_subscriptions_are_written_for_prometheus() {
    // Guards what alerts rest on: lag, what is in flight, leased and parked, and deliveries.
    let host = host().await;
    let held = lease(&host, "a", 9).await;
    let retry = json!({"member": "a", "deliveries": [ids(&held)[2]]});
    post(&host, "retry", &retry).await;
    lease(&host, "a", 9).await;
    let park = lease(&host, "a", 1).await;
    let park = json!({"member": "a", "deliveries": ids(&park), "cause": "no"});
    post(&host, "park", &park).await;
    let text = String::from_utf8(host.get("/metrics").await.body).unwrap();
    let samples: Vec<_> =
        text.lines().filter(|line| line.starts_with("annals_subscription_")).collect();
    assert_eq!(
        samples,
        [
            "annals_subscription_lag_events{subscription=\"mail\"} 1",
            "annals_subscription_in_flight_events{subscription=\"mail\"} 1",
            "annals_subscription_leased_events{subscription=\"mail\"} 0",
            "annals_subscription_parked_events{subscription=\"mail\"} 1",
            "annals_subscription_delivered_total{subscription=\"mail\"} 7",
            "annals_subscription_redelivered_total{subscription=\"mail\"} 4",
        ]
    );
}
