//! `GET /v1/events`, page by page.

use serde_json::{Value, json};

use crate::support::{Fault, Host, is_pending};

async fn append(host: &Host, stream: &str, event_type: &str) {
    let body = json!({"events": [{"type": event_type, "data": null}]});
    let answer = host.post(&format!("/v1/streams/{stream}"), &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

/// Six events at the positions 0 to 5.
async fn host_with_events() -> Host {
    let host = Host::empty_with(|_| ()).await;
    for (stream, event_type) in [
        ("note/n1", "note-taken"),
        ("note/n2", "note-taken"),
        ("task/t1", "task-added"),
        ("note/n1", "note-removed"),
        ("task/t2", "task-added"),
        ("task/t1", "task-done"),
    ] {
        append(&host, stream, event_type).await;
    }
    host
}

fn positions(page: &Value) -> Vec<u64> {
    page["events"].as_array().unwrap().iter().map(|e| e["position"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_and_filters_the_feed() {
    // Guards the feed: `after` is exclusive, filters hold together, `read_up_to` goes on.
    let host = host_with_events().await;
    let cases: [(&str, &[u64], Value, bool); 9] = [
        ("", &[0, 1, 2, 3, 4, 5], json!(5), true),
        ("?limit=2", &[0, 1], json!(1), false),
        ("?after=1&limit=2", &[2, 3], json!(3), false),
        ("?after=5", &[], json!(5), true),
        ("?category=task", &[2, 4, 5], json!(5), true),
        ("?category=task,note&type=task-done,note-removed", &[3, 5], json!(5), true),
        ("?stream_prefix=note/n", &[0, 1, 3], json!(5), true),
        ("?stream_prefix=task%2Ft1&type=task-added", &[2], json!(5), true),
        ("?category=%24plugins", &[], json!(5), true),
    ];
    for (query, expected, read_up_to, is_at_head) in cases {
        let page = host.get(&format!("/v1/events{query}")).await.json();
        assert_eq!(positions(&page), expected, "{query}");
        assert_eq!(page["read_up_to"], read_up_to, "{query}");
        assert_eq!(page["is_at_head"], is_at_head, "{query}");
    }
}

#[tokio::test]
async fn the_feed_leaves_out_the_streams_of_the_host_unless_asked() {
    // Guards applications against events of the host.
    let host = Host::start().await;
    assert_eq!(positions(&host.get("/v1/events").await.json()), Vec::<u64>::new());
    let page = host.get("/v1/events?category=$plugins").await.json();
    assert_eq!(positions(&page), [0, 1, 2]);
}

#[tokio::test]
async fn waits_for_an_event_that_fits() {
    // Guards long polls: what does not fit does not end the wait, what fits does.
    let host = Host::empty_with(|_| ()).await;
    let mut waiting = Box::pin(host.get("/v1/events?type=task-done&wait_ms=60000"));
    assert!(is_pending(&mut waiting));
    append(&host, "task/t1", "task-added").await;
    assert!(is_pending(&mut waiting));
    append(&host, "task/t1", "task-done").await;
    assert_eq!(positions(&waiting.await.json()), [1]);

    let nothing = host.get("/v1/events?after=1&wait_ms=1").await.json();
    assert_eq!(nothing, json!({"partition": 0, "events": [], "read_up_to": 1, "is_at_head": true}));
}

#[tokio::test]
async fn a_wait_ends_when_the_host_stops() {
    // Guards shutdown: no request holds it up.
    let host = Host::empty_with(|_| ()).await;
    let mut waiting = Box::pin(host.get("/v1/events?wait_ms=60000"));
    assert!(is_pending(&mut waiting));
    host.lifecycle.stop();
    let page = waiting.await.json();
    assert_eq!(page, json!({"partition": 0, "events": [], "read_up_to": null, "is_at_head": true}));
}

#[tokio::test]
async fn bad_filters_and_waits_are_refused() {
    // Guards strictness: a filter that can never match is a mistake.
    let host = Host::empty_with(|_| ()).await;
    for (query, code) in [
        ("category=Note", "bad-name"),
        ("type=", "bad-name"),
        ("type=note-taken,", "bad-name"),
        ("after=-1", "bad-query-parameter"),
        ("wait_ms=60001", "bad-query-parameter"),
        ("stream_prefix=%FF", "bad-query-parameter"),
        ("stream=note", "unknown-query-parameter"),
    ] {
        host.get(&format!("/v1/events?{query}")).await.assert_code(400, code);
    }
    host.store.break_with(Fault::Unavailable);
    host.get("/v1/events").await.assert_code(503, "unavailable");
}

#[tokio::test]
async fn a_position_that_no_event_has_is_refused() {
    // Guards restored stores: a client that waited there would miss the events up to it, silently.
    let host = Host::start().await;
    let head = host.open_account("a1", 10).await;
    let uri = format!("/v1/events?after={head}");
    assert_eq!(host.get(&uri).await.status.as_u16(), 200);
    let ahead = head + 1;
    host.get(&format!("/v1/events?after={ahead}")).await.assert_problem(
        409,
        &json!({
            "code": "position-ahead",
            "detail": format!("Position {ahead} of partition 0 is ahead of the store, whose newest \
                event is at {head}. It may be another store, or one restored from a backup: forget \
                what was made of events that are gone, and begin again from a position that is there."),
            "partition": 0,
            "position": ahead,
            "head": head,
        }),
    );
}
