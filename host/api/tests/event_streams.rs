//! `GET /v1/events` with `accept: text/event-stream`.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Answer, Fault, Host, is_pending, request};

const ACCEPT: (&str, &str) = ("accept", "text/event-stream");

async fn append(host: &Host, category: &str, count: usize) {
    let body =
        json!({"events": vec![json!({"type": "note-taken", "data": {"text": "a\nb"}}); count]});
    let answer = host.post(&format!("/v1/streams/{category}/n1"), &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

async fn follow(host: &Host, query: &str, headers: &[(&str, &str)]) -> Response {
    let headers = [headers, &[ACCEPT]].concat();
    let uri = format!("/v1/events{query}");
    host.respond(request(Method::GET, &uri, &headers, Body::empty())).await
}

/// The next piece of an event stream as its messages.
async fn piece(body: &mut Body) -> Vec<Message> {
    let frame = body.frame().await.expect("the event stream has not ended").unwrap();
    let data = frame.into_data().unwrap();
    let text = std::str::from_utf8(&data).unwrap();
    assert!(text.ends_with("\n\n"), "{text}");
    text.trim_end().split("\n\n").map(Message::parse).collect()
}

/// A message, read as a browser reads it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<u64>,
    event: Option<String>,
    data: Option<Value>,
    comment: Option<String>,
}

impl Message {
    fn parse(text: &str) -> Self {
        let mut message = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(": ").unwrap();
            match field {
                "" => message.comment = Some(value.to_owned()),
                "id" => message.id = Some(value.parse().unwrap()),
                "event" => message.event = Some(value.to_owned()),
                "data" => message.data = Some(serde_json::from_str(value).unwrap()),
                other => panic!("unknown field {other}"),
            }
        }
        message
    }

    fn caught_up(position: Option<u64>) -> Self {
        let data = Some(json!({"partition": 0, "position": position}));
        Self { id: position, event: Some("caught-up".to_owned()), data, comment: None }
    }

    fn heartbeat(id: Option<u64>) -> Self {
        Self { id, comment: Some("heartbeat".to_owned()), ..Self::default() }
    }
}

fn ids(messages: &[Message]) -> Vec<u64> {
    messages.iter().filter(|m| m.event.is_none()).filter_map(|message| message.id).collect()
}

#[tokio::test]
async fn catches_up_then_follows() {
    // Guards subscriptions: no gap and no repeat at the seam, and `caught-up` is said once.
    let host = Host::empty_with(|_| ()).await;
    append(&host, "note", 2).await;
    let response = follow(&host, "", &[]).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert_eq!(response.headers()["x-request-id"], "request-of-a-test");
    let mut body = response.into_body();
    let first = piece(&mut body).await;
    let page = host.get("/v1/events").await.json();
    let event = |index: usize| Message {
        id: Some(u64::try_from(index).unwrap()),
        data: Some(page["events"][index].clone()),
        ..Message::default()
    };
    assert_eq!(first, [event(0), event(1), Message::caught_up(Some(1))]);
    for position in 2..5 {
        append(&host, "note", 1).await;
        assert_eq!(ids(&piece(&mut body).await), [position]);
    }
}

#[tokio::test]
async fn resumes_after_the_last_event_id() {
    // Guards reconnecting: the header goes before the query, as browsers keep the query.
    let host = Host::empty_with(|_| ()).await;
    append(&host, "note", 4).await;
    let cases: [(&str, Option<&str>, &[u64]); 4] = [
        ("?after=1", None, &[2, 3]),
        ("?after=0", Some("2"), &[3]),
        ("", Some("3"), &[]),
        ("", Some(""), &[0, 1, 2, 3]),
    ];
    for (query, last_event_id, expected) in cases {
        let headers: Vec<_> = last_event_id.iter().map(|id| ("last-event-id", *id)).collect();
        let mut body = follow(&host, query, &headers).await.into_body();
        let messages = piece(&mut body).await;
        assert_eq!(ids(&messages), expected);
        assert_eq!(messages.last(), Some(&Message::caught_up(Some(3))));
    }
    let refused = follow(&host, "", &[("last-event-id", "x")]).await;
    Answer::read(refused).await.assert_code(400, "bad-last-event-id");
    let refused = follow(&host, "?limit=3", &[]).await;
    Answer::read(refused).await.assert_code(400, "unknown-query-parameter");
}

#[tokio::test]
async fn a_slow_client_gets_everything_and_costs_one_page() {
    // Guards P7: the store is read only as fast as the client takes, whatever is appended meanwhile.
    let host = Host::empty_with(|setup| setup.api.event_stream_page_events_max = 10).await;
    append(&host, "note", 500).await;
    let mut body = follow(&host, "", &[]).await.into_body();
    let mut received = ids(&piece(&mut body).await);
    append(&host, "note", 500).await;
    assert_eq!((received.len(), host.store.feed_reads()), (10, 1), "one piece is one page");
    let mut pieces = 1;
    while received.len() < 1_000 {
        received.extend(ids(&piece(&mut body).await));
        pieces += 1;
        assert_eq!(host.store.feed_reads(), pieces, "no page is read ahead");
    }
    assert_eq!(received, (0..1_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn says_that_it_lives_and_how_far_it_is() {
    // Guards heartbeats; when the filter holds everything back, one carries the position, so that a
    // client that comes back does not begin before it.
    let host = Host::empty_with(|setup| setup.api.heartbeat = Duration::from_millis(1)).await;
    let mut body = follow(&host, "?category=note", &[]).await.into_body();
    assert_eq!(piece(&mut body).await, [Message::caught_up(None)]);
    assert_eq!(piece(&mut body).await, [Message::heartbeat(None)]);
    append(&host, "task", 3).await;
    let with_position = loop {
        let message = piece(&mut body).await.pop().unwrap();
        if message != Message::heartbeat(None) {
            break message;
        }
    };
    assert_eq!(with_position, Message::heartbeat(Some(2)));
    assert_eq!(piece(&mut body).await, [Message::heartbeat(None)]);
}

#[tokio::test]
async fn ends_when_the_host_stops() {
    // Guards shutdown: an event stream ends between messages, and the store is not asked again.
    let host = Host::empty_with(|_| ()).await;
    append(&host, "note", 1).await;
    let mut waiting = follow(&host, "", &[]).await.into_body();
    let untouched = follow(&host, "", &[]).await.into_body();
    assert_eq!(ids(&piece(&mut waiting).await), [0]);
    let mut end = Box::pin(waiting.frame());
    assert!(is_pending(&mut end));
    host.lifecycle.stop();
    assert!(end.await.is_none());
    assert_eq!(untouched.collect().await.unwrap().to_bytes().len(), 0);
}

#[tokio::test]
async fn a_broken_store_ends_it_with_a_problem() {
    // Guards that a client knows why, and comes back; the driver's words stay in the log.
    let host = Host::empty_with(|_| ()).await;
    host.store.break_with(Fault::Unavailable);
    let mut body = follow(&host, "", &[]).await.into_body();
    let problem = json!({
        "title": "Service Unavailable",
        "status": 503,
        "code": "unavailable",
        "detail": "A store does not answer; nothing was written. Try again in a moment.",
        "request_id": "request-of-a-test",
    });
    let expected =
        Message { event: Some("problem".to_owned()), data: Some(problem), ..Message::default() };
    assert_eq!(piece(&mut body).await, [expected]);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn more_event_streams_than_the_limit_are_refused_until_one_ends() {
    // Guards `event_streams_max`.
    let host = Host::empty_with(|setup| setup.api.event_streams_max = 1).await;
    let open = follow(&host, "", &[]).await;
    assert_eq!(open.status().as_u16(), 200);
    let refused = Answer::read(follow(&host, "", &[]).await).await;
    refused.assert_code(503, "busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(open);
    assert_eq!(follow(&host, "", &[]).await.status().as_u16(), 200);
}

/// A message that says the client fell behind.
fn fell_behind(data: Value) -> Message {
    let id = data["position"].as_u64();
    let event = Some("fell-behind".to_owned());
    Message { id, event, data: Some(data), comment: None }
}

#[tokio::test]
async fn a_client_that_falls_behind_after_having_caught_up_is_told_and_given_everything() {
    // Guards P7 and `event_stream_behind_events_max`: at the limit nothing is said; over it once, with
    // where it is, and `caught-up` is said again when that is so.
    let host = Host::empty_with(|setup| {
        setup.api.event_stream_page_events_max = 1;
        setup.api.event_stream_behind_events_max = 3;
    })
    .await;
    let mut body = follow(&host, "", &[]).await.into_body();
    assert_eq!(piece(&mut body).await, [Message::caught_up(None)]);
    append(&host, "note", 4).await;
    for position in 0..3 {
        let messages = piece(&mut body).await;
        assert_eq!((ids(&messages), messages.len()), (vec![position], 1), "3 behind is no news");
    }
    append(&host, "note", 4).await;
    let mut told = piece(&mut body).await;
    let behind = json!({"partition": 0, "position": 3, "reason": "behind", "head": 7});
    assert_eq!((ids(&told), told.pop()), (vec![3], Some(fell_behind(behind))));
    for position in 4..7 {
        let messages = piece(&mut body).await;
        assert_eq!((ids(&messages), messages.len()), (vec![position], 1), "it is said once");
    }
    let last = piece(&mut body).await;
    assert_eq!((ids(&last), last.last()), (vec![7], Some(&Message::caught_up(Some(7)))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_took_nothing_for_too_long_is_told_where_to_resume_and_the_stream_ends() {
    // Guards `event_stream_stalled_max`: who takes in time goes on, who does not ends, and coming back
    // with the `id` loses nothing.
    let host = Host::empty_with(|setup| {
        setup.api.event_stream_page_events_max = 2;
        setup.api.event_stream_stalled_max = Duration::from_secs(10);
    })
    .await;
    append(&host, "note", 6).await;
    let mut body = follow(&host, "", &[]).await.into_body();
    let mut received = ids(&piece(&mut body).await);
    tokio::time::advance(Duration::from_secs(10)).await;
    received.extend(ids(&piece(&mut body).await));
    tokio::time::advance(Duration::from_millis(10_001)).await;
    let expected = fell_behind(json!({"partition": 0, "position": 3, "reason": "stalled"}));
    assert_eq!(piece(&mut body).await, [expected]);
    assert!(body.frame().await.is_none());
    let mut body = follow(&host, "", &[("last-event-id", "3")]).await.into_body();
    received.extend(ids(&piece(&mut body).await));
    assert_eq!(received, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_between_catching_up_and_following_while_writers_run() {
    // Guards R10: streams that begin at random positions while events are appended have every event
    // after their beginning once, in order.
    let host = Host::empty_with(|setup| setup.api.event_stream_page_events_max = 7).await;
    append(&host, "note", 200).await;
    let followers = (0..20_u64).map(|number| {
        let host = &host;
        async move {
            // A small multiplicative generator: the same places each time.
            let after = (number.wrapping_mul(2_862_933_555_777_941_757) >> 32) % 200;
            let mut body = follow(host, &format!("?after={after}"), &[]).await.into_body();
            let mut received = Vec::new();
            while received.last() != Some(&599) {
                received.extend(ids(&piece(&mut body).await));
            }
            assert_eq!(received, (after + 1..600).collect::<Vec<_>>());
        }
    });
    let writers = async {
        for count in [1, 9, 30, 60] {
            for _ in 0..4 {
                append(&host, "note", count).await;
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(futures_util::future::join_all(followers), writers);
}

#[tokio::test]
async fn ten_thousand_idle_event_streams_wait_and_read_nothing() {
    // Guards R10: idle streams hold no page and only wait for news; one event costs each of them one
    // read, and all get it.
    let host = Host::empty_with(|_| ()).await;
    let mut bodies = Vec::new();
    for _ in 0..10_000 {
        let mut body = follow(&host, "", &[]).await.into_body();
        assert_eq!(piece(&mut body).await, [Message::caught_up(None)]);
        bodies.push(body);
    }
    let reads_before = host.store.feed_reads();
    let mut waiting: Vec<_> = bodies.iter_mut().map(|body| Box::pin(piece(body))).collect();
    assert!(waiting.iter_mut().all(is_pending), "idle streams wait");
    assert_eq!(host.store.feed_reads(), reads_before, "and read nothing");
    append(&host, "note", 1).await;
    for messages in futures_util::future::join_all(waiting).await {
        assert_eq!(ids(&messages), [0]);
    }
    assert_eq!(host.store.feed_reads() - reads_before, 10_000);
}
