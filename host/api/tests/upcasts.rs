//! `upcast=true`: events as the installed upcasters make them, beside what is stored.

use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Host, request};

/// A host with the upcaster `notes` and the stream `notes/n1`.
async fn host_with(texts: &[&str]) -> Host {
    let host = Host::empty_with(|_| ()).await;
    host.engine.install(None, "notes 1.0.0".into(), None).await.unwrap();
    let note = |text: &&str| json!({"type": "note-taken", "data": {"text": text}});
    let mut events: Vec<_> = texts.iter().map(note).collect();
    events.push(json!({"type": "note-lost", "data": {}}));
    let answer = host.post("/v1/streams/notes/n1", &json!({"events": events})).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    host
}

/// Revision, type, version, data and what is stored, of each event.
fn shown(events: &Value) -> Vec<Value> {
    let fields = ["revision", "type", "schema_version", "data", "stored"];
    let events = events.as_array().unwrap().iter();
    events.map(|event| fields.iter().map(|field| event[*field].clone()).collect()).collect()
}

fn stored() -> Value {
    json!({"type": "note-taken", "schema_version": 1})
}

#[tokio::test]
async fn a_stream_is_shown_as_stored_and_on_request_as_upcast() {
    // Guards both views of one stream: bytes as they are, and shapes at the end of their chain, in
    // either direction and page by page.
    let host = host_with(&["a", "b"]).await;
    let get = async |query: &str| host.get(&format!("/v1/streams/notes/n1{query}")).await.json();
    let page = get("").await;
    let as_stored = [
        json!([0, "note-taken", 1, {"text": "a"}, null]),
        json!([1, "note-taken", 1, {"text": "b"}, null]),
        json!([2, "note-lost", 1, {}, null]),
    ];
    assert_eq!(shown(&page["events"]), as_stored);
    assert_eq!(shown(&get("?upcast=false").await["events"]), as_stored);
    let upcast = get("?upcast=true").await;
    let as_upcast = vec![
        json!([0, "note-written", 2, {"words": ["a"]}, stored()]),
        json!([0, "note-filed", 1, {}, stored()]),
        json!([1, "note-written", 2, {"words": ["b"]}, stored()]),
        json!([1, "note-filed", 1, {}, stored()]),
        json!([2, "note-lost", 1, {}, null]),
    ];
    assert_eq!(shown(&upcast["events"]), as_upcast);
    assert_eq!(upcast["events"][0]["id"], page["events"][0]["id"]);
    assert_eq!(upcast["events"][1]["position"], page["events"][0]["position"]);
    let first = get("?upcast=true&limit=1").await;
    assert_eq!((shown(&first["events"]), &first["next"]), (as_upcast[..2].to_vec(), &json!(1)));
    let backwards = get("?upcast=true&direction=backwards").await;
    let reversed: Vec<_> = as_upcast.into_iter().rev().collect();
    assert_eq!(shown(&backwards["events"]), reversed);
    host.get("/v1/streams/notes/n1?upcast=yes").await.assert_problem(
        400,
        &json!({
            "code": "bad-query-parameter",
            "detail": "Query parameter `upcast` has a value it cannot have. Give `true` or `false`.",
            "parameter": "upcast",
            "expected": "`true` or `false`",
        }),
    );
}

#[tokio::test]
async fn the_feed_is_shown_as_upcast_too() {
    // Guards pages of the feed: filters and limits are about what is stored.
    let host = host_with(&["a", "b"]).await;
    let uri = "/v1/events?category=notes&type=note-taken&upcast=true&limit=1";
    let page = host.get(uri).await.json();
    assert_eq!(
        shown(&page["events"]),
        [
            json!([0, "note-written", 2, {"words": ["a"]}, stored()]),
            json!([0, "note-filed", 1, {}, stored()]),
        ]
    );
    assert_eq!(page["read_up_to"], page["events"][1]["position"]);
}

#[tokio::test]
async fn an_event_stream_has_the_position_at_the_last_of_what_became_of_an_event() {
    // Guards resuming: who breaks off between two events of one is given both again.
    let host = host_with(&["a"]).await;
    let accept = [("accept", "text/event-stream")];
    let uri = "/v1/events?category=notes&upcast=true";
    let response = host.respond(request(Method::GET, uri, &accept, Body::empty())).await;
    let frame = response.into_body().frame().await.unwrap().unwrap();
    let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
    let fields: Vec<_> = text
        .lines()
        .map(|line| match line.split_once(": ") {
            Some(("data", json)) => {
                let data: Value = serde_json::from_str(json).unwrap();
                data["type"].as_str().unwrap_or("place").to_owned()
            }
            _ => line.to_owned(),
        })
        .collect();
    let expected = [
        "note-written",
        "",
        "id: 1",
        "note-filed",
        "",
        "id: 2",
        "note-lost",
        "",
        "id: 2",
        "event: caught-up",
        "place",
        "",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn an_event_that_is_refused_is_told_with_all_that_names_it() {
    // Guards the problem: the page as upcast fails, the page as stored does not.
    let host = host_with(&["a", "burnt"]).await;
    host.get("/v1/streams/notes/n1?upcast=true").await.assert_problem(
        500,
        &json!({
            "code": "upcast-failed",
            "detail": "Upcaster `notes` makes nothing of `note-taken` of schema version 1, from \
                revision 1 of stream `notes/n1`. Install a version of the upcaster that reads it.",
            "upcaster": "notes",
            "event_type": "note-taken",
            "schema_version": 1,
            "stream": "notes/n1",
            "revision": 1,
            "cause": "it refuses the event: it is burnt",
        }),
    );
    assert_eq!(host.get("/v1/streams/notes/n1").await.status.as_u16(), 200);
    assert_eq!(host.get("/v1/streams/notes/n1?upcast=true&limit=1").await.status.as_u16(), 200);
}

#[tokio::test]
async fn an_upcaster_is_listed_with_what_it_makes_and_alone_in_what_it_takes() {
    // Guards the operator's view, and the conflict of two.
    let host = host_with(&[]).await;
    let plugin = host.get("/v1/plugins/notes").await.json();
    let shape = |name: &str, version: u32| {
        json!({
            "name": name,
            "schema_version": version,
            "content_type": "application/json",
            "schema": {},
        })
    };
    assert_eq!(plugin["kind"], "upcaster");
    assert_eq!(plugin["events"], json!([shape("note-taken", 1)]));
    assert_eq!(plugin["produces"], json!([shape("note-written", 2), shape("note-filed", 1)]));
    let wasm = [("content-type", "application/wasm")];
    let other = request(Method::PUT, "/v1/plugins/more-notes", &wasm, "more-notes 1.0.0".into());
    host.send(other).await.assert_problem(
        409,
        &json!({
            "code": "upcaster-conflict",
            "detail": "`note-taken` of schema version 1 is taken by the upcaster `notes`. Leave the \
                event to it, or install this as its version.",
            "upcaster": "notes",
        }),
    );
}
