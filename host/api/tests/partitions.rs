//! A store of several partitions: every position is told with its partition, and asked for with it.

use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Host, request};

const PARTITIONS_COUNT: u32 = 4;

async fn host() -> Host {
    Host::start_with(|setup| setup.partitions_count = PARTITIONS_COUNT).await
}

/// Opens accounts until each partition has one; returns them with partition and position.
async fn accounts(host: &Host) -> Vec<(String, u32, u64)> {
    let mut accounts: Vec<(String, u32, u64)> = Vec::new();
    for partition in 0..PARTITIONS_COUNT {
        let ids = (0..).map(|number: u32| format!("p{partition}-{number}"));
        let mut own = ids.filter(|id| host.partition_of(&format!("account/{id}")) == partition);
        let id = own.next().unwrap();
        let position = host.open_account(&id, 10).await;
        accounts.push((id, partition, position));
    }
    accounts
}

/// The refusal of a request that names no partition.
fn absent() -> Value {
    json!({
        "code": "bad-query-parameter",
        "detail": "Query parameter `partition` is absent, and the store has several. Give a number \
            from 0 to 3.",
        "parameter": "partition",
        "expected": "a number from 0 to 3",
    })
}

/// The refusal of a partition that the store has not.
fn unknown() -> Value {
    json!({
        "code": "bad-query-parameter",
        "detail": "Query parameter `partition` has a value it cannot have. Give a number from 0 to 3.",
        "parameter": "partition",
        "expected": "a number from 0 to 3",
    })
}

#[tokio::test]
async fn every_position_is_told_with_its_partition() {
    // Guards readers: a position alone says nothing on a store of several partitions.
    let host = host().await;
    for (id, partition, position) in accounts(&host).await {
        let place = (json!(partition), json!(position));
        let of = |value: &Value| (value["partition"].clone(), value["position"].clone());

        let stream = format!("/v1/streams/account/{id}");
        let events = host.get(&stream).await.json();
        assert_eq!(of(&events["events"][0]), place);
        let commands = host.get(&format!("{stream}/commands")).await.json();
        assert_eq!(of(&commands["commands"][0]), place);
        let feed = host.get(&format!("/v1/events?partition={partition}")).await.json();
        assert_eq!((&feed["partition"], of(&feed["events"][0])), (&place.0, place.clone()));

        let body = json!({"cents": 1});
        let uri = format!("/v1/aggregates/account/{id}/deposit-funds");
        let deposited = host.post(&uri, &body).await.json();
        assert_eq!(deposited["partition"], json!(partition));
        let body = json!({"events": [{"type": "note-taken", "data": null}]});
        let note = host.post(&format!("/v1/streams/note/{id}"), &body).await.json();
        assert_eq!(note["partition"], json!(host.partition_of(&format!("note/{id}"))));
    }
}

#[tokio::test]
async fn the_feed_is_read_partition_by_partition() {
    // Guards the feed: each partition has its own events and positions, and none is chosen for a
    // client that names none.
    let host = host().await;
    let mut streams = Vec::new();
    for (_, partition, position) in accounts(&host).await {
        let page = host.get(&format!("/v1/events?partition={partition}&limit=10")).await.json();
        let events = page["events"].as_array().unwrap();
        assert!(events.iter().all(|event| event["partition"] == json!(partition)));
        streams.extend(events.iter().map(|event| event["stream"].clone()));
        assert_eq!(page["read_up_to"], position);
        let after = format!("/v1/events?partition={partition}&after={position}");
        let expected = json!({
            "partition": partition, "events": [], "read_up_to": position, "is_at_head": true
        });
        assert_eq!(host.get(&after).await.json(), expected);
    }
    assert_eq!(streams.len(), 4);
    host.get("/v1/events").await.assert_problem(400, &absent());
    host.get("/v1/events?after=1").await.assert_problem(400, &absent());
    for partition in ["4", "-1", "x", "4294967296"] {
        let uri = format!("/v1/events?partition={partition}");
        host.get(&uri).await.assert_problem(400, &unknown());
    }
}

#[tokio::test]
async fn an_event_stream_follows_one_partition() {
    // Guards subscriptions: `id` is a position of the partition that was asked for.
    let host = host().await;
    let accept = [("accept", "text/event-stream")];
    let follow = async |query: &str| {
        let uri = format!("/v1/events{query}");
        host.respond(request(Method::GET, &uri, &accept, Body::empty())).await
    };
    assert_eq!(follow("").await.status().as_u16(), 400);
    assert_eq!(follow("?partition=4").await.status().as_u16(), 400);
    for (id, partition, position) in accounts(&host).await {
        let mut body = follow(&format!("?partition={partition}")).await.into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let (event, caught_up) = text.trim_end().split_once("\n\n").unwrap();
        let (at, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(at, format!("id: {position}"));
        assert_eq!(data["stream"], format!("account/{id}"));
        let expected = format!(
            "id: {position}\nevent: caught-up\ndata: \
             {{\"partition\":{partition},\"position\":{position}}}"
        );
        assert_eq!(caught_up, expected);
    }
}

#[tokio::test]
async fn a_view_is_waited_for_in_the_partition_of_the_position() {
    // Guards reading one's own write: the answer tells the checkpoint of that partition.
    let host = host().await;
    for (id, partition, position) in accounts(&host).await {
        let row = format!("/v1/views/account-balances/balances/{id}");
        let place = format!("position={position}&partition={partition}");
        let found = host.get(&format!("{row}?{place}")).await;
        assert_eq!(found.json()["value"], json!({"balance_cents": 10}));
        let told = (found.header("annals-partition"), found.header("annals-checkpoint"));
        assert_eq!(told, (Some(&*partition.to_string()), Some(&*position.to_string())));

        let ahead = format!("{row}?position={}&partition={partition}&wait_ms=1", position + 1);
        let not_reached = host.get(&ahead).await;
        not_reached.assert_code(504, "not-reached");
        let problem = not_reached.json();
        let told = (&problem["partition"], &problem["checkpoint"]);
        assert_eq!(told, (&json!(partition), &json!(position)));
    }
}

#[tokio::test]
async fn a_view_is_read_without_a_partition_unless_a_position_is_waited_for() {
    // Guards readers that do not wait; who names a partition is told how far the view is in it.
    let host = host().await;
    let (id, partition, position) = accounts(&host).await.swap_remove(3);
    let place = format!("position={position}&partition={partition}");
    let view = "/v1/views/account-balances";
    assert_eq!(host.get(&format!("{view}/balances/{id}?{place}")).await.status.as_u16(), 200);
    let query = format!("{view}/queries/richest-accounts");
    for uri in [format!("{view}/balances/{id}"), format!("{view}/balances")] {
        let plain = host.get(&uri).await;
        let told = (plain.header("annals-partition"), plain.header("annals-checkpoint"));
        assert_eq!((plain.status.as_u16(), told), (200, (None, None)));
        let named = host.get(&format!("{uri}?partition={partition}")).await;
        let told = (named.header("annals-partition"), named.header("annals-checkpoint"));
        assert_eq!(told, (Some("3"), Some(&*position.to_string())));
        let alone = host.get(&format!("{uri}?position={position}")).await;
        alone.assert_problem(400, &absent());
        host.get(&format!("{uri}?partition=4")).await.assert_problem(400, &unknown());
    }
    let limit = json!({"limit": 1});
    assert_eq!(host.post(&query, &limit).await.status.as_u16(), 200);
    let asked = host.post(&format!("{query}?{place}"), &limit).await;
    assert_eq!(asked.header("annals-partition"), Some("3"));
    let alone = host.post(&format!("{query}?position={position}"), &limit).await;
    alone.assert_problem(400, &absent());
}

#[tokio::test]
async fn shows_how_far_projections_are_in_each_partition() {
    // Guards the operator's view: checkpoint and head beside each other.
    let host = host().await;
    let accounts = accounts(&host).await;
    for (id, partition, position) in &accounts {
        let place = format!("position={position}&partition={partition}");
        host.get(&format!("/v1/views/account-balances/balances/{id}?{place}")).await;
    }
    let shown = host.get("/v1/projections/account-balances").await.json();
    let expected = accounts.iter().map(|(_, partition, position)| {
        json!({"partition": partition, "checkpoint": position, "head": position})
    });
    assert_eq!(shown["partitions"], Value::Array(expected.collect()));
    assert_eq!(shown["events_count"], 4);
}

#[tokio::test]
async fn a_command_is_looked_up_only_when_its_id_may_have_been_sent_before() {
    // Guards the cost of commands on stores where a look is a request: one for an id that the client
    // gave, in a header or a line, none for an id that was made for the command.
    let host = host().await;
    host.open_account("a1", 10).await;
    let uri = "/v1/aggregates/account/a1/deposit-funds";
    let body = json!({"cents": 1});
    assert_eq!(host.post(uri, &body).await.status.as_u16(), 200);
    let line =
        json!({"aggregate": "account", "id": "a1", "command": "deposit-funds", "data": body});
    let batch = async |line: &Value| {
        let headers = [("content-type", "application/x-ndjson")];
        let sent = request(Method::POST, "/v1/commands", &headers, line.to_string().into());
        assert_eq!(host.send(sent).await.status.as_u16(), 200);
    };
    batch(&line).await;
    assert_eq!(host.store.command_lookups(), 0);

    let key = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
    let given = host.post_with(uri, &[("idempotency-key", key)], &body).await;
    assert_eq!(
        (given.json()["is_repeat"].clone(), host.store.command_lookups()),
        (json!(false), 1)
    );
    let mut line = line;
    line["command_id"] = json!(key);
    batch(&line).await;
    assert_eq!(host.store.command_lookups(), 2);
}
