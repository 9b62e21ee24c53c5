//! Subscriptions and event streams on the real binary: members that die, a daemon that is killed, and
//! a client that does not read.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Daemon, at, folder, run};

const DEADLINE: Duration = Duration::from_secs(60);

async fn append(daemon: &Daemon, stream: &str, data: &[Value]) {
    let events: Vec<_> =
        data.iter().map(|data| json!({"type": "note-taken", "data": data})).collect();
    let body = json!({"events": events}).to_string();
    daemon.post(&format!("/v1/streams/{stream}"), &[], &body).await.ok();
}

/// What a member is given, waiting for it.
async fn lease(daemon: &Daemon, member: &str, wait_ms: u64) -> Vec<Value> {
    let body = json!({"member": member, "events_max": 7, "wait_ms": wait_ms}).to_string();
    let leased = daemon.post("/v1/subscriptions/mail/lease", &[], &body).await.ok();
    at(&leased, "/deliveries").as_array().unwrap().clone()
}

/// Acknowledges deliveries, and notes their events.
async fn ack(
    daemon: &Daemon,
    member: &str,
    held: &[Value],
    handled: &mut BTreeMap<String, Vec<u64>>,
) {
    if held.is_empty() {
        return;
    }
    let ids: Vec<_> = held.iter().map(|delivery| &delivery["delivery"]).collect();
    let body = json!({"member": member, "deliveries": ids}).to_string();
    let settled = daemon.post("/v1/subscriptions/mail/ack", &[], &body).await.ok();
    let results = at(&settled, "/results").as_array().unwrap();
    assert!(results.iter().all(|result| result["outcome"] == "done"), "{settled:#}");
    for delivery in held {
        let stream = delivery["event"]["stream"].as_str().unwrap().to_owned();
        handled.entry(stream).or_default().push(delivery["event"]["revision"].as_u64().unwrap());
    }
}

#[test]
fn members_share_events_while_one_dies_and_the_daemon_is_killed() {
    // Guards P6 and R14 over HTTP: after `kill -9` of the daemon leases, attempts and what is handled
    // are as before; what the dead member had comes again; order per stream is kept.
    run(async {
        let (_folder, data) = folder();
        let mut daemon = Daemon::start(&data);
        let headers = [("content-type", "application/json")];
        let settings = json!({"lease_ms": 2_000}).to_string();
        let made = daemon.try_send(Method::PUT, "/v1/subscriptions/mail", &headers, settings).await;
        made.unwrap().ok();
        for number in 0..60 {
            append(&daemon, &format!("note/n{}", number % 6), &[json!({"number": number})]).await;
        }
        let mut handled = BTreeMap::new();
        let dead = lease(&daemon, "c", 0).await;
        let mut held = [lease(&daemon, "a", 0).await, lease(&daemon, "b", 0).await];
        ack(&daemon, "a", &held[0], &mut handled).await;
        held[0].clear();
        let before = daemon.get("/v1/subscriptions/mail").await.ok();
        daemon.kill();
        drop(daemon);
        let daemon = Daemon::start(&data);
        assert_eq!(daemon.get("/v1/subscriptions/mail").await.ok(), before);
        ack(&daemon, "b", &held[1], &mut handled).await;
        let begun = Instant::now();
        let mut again = Vec::new();
        while handled.values().map(Vec::len).sum::<usize>() < 60 {
            assert!(begun.elapsed() < DEADLINE, "{handled:?}");
            for member in ["a", "b"] {
                let held = lease(&daemon, member, 1_000).await;
                again.extend(
                    held.iter().filter(|it| it["attempt"] != 1).map(|it| it["event"].clone()),
                );
                ack(&daemon, member, &held, &mut handled).await;
            }
        }
        let all = (0..6).map(|number| (format!("note/n{number}"), (0..10).collect()));
        assert_eq!(handled, all.collect());
        let dead: Vec<_> = dead.iter().map(|delivery| delivery["event"].clone()).collect();
        assert_eq!(again, dead, "what the dead member had, and nothing else, came twice");
        let status = daemon.get("/v1/subscriptions/mail").await.ok();
        assert_eq!(
            (at(&status, "/lag_events"), at(&status, "/handled_count")),
            (&json!(0), &json!(60))
        );
    });
}

#[test]
fn an_event_stream_whose_client_never_reads_is_cut_off() {
    // Guards P7: no connection is held for ever. The only event stream there may be is taken by a
    // client that does not read; another one gets in when that one is closed.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with(&data, |command| {
            command.env("ANNALS_API_EVENT_STREAMS_MAX", "1");
            command.env("ANNALS_API_EVENT_STREAM_STALLED_MAX", "500ms");
        });
        // More than the buffers of both sides hold.
        let large = json!({"text": "x".repeat(200 << 10)});
        for _ in 0..12 {
            append(&daemon, "note/n1", &vec![large.clone(); 14]).await;
        }
        let address = daemon.url().strip_prefix("http://").unwrap();
        let mut silent = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET /v1/events HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n"
        );
        silent.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        silent.read_exact(&mut head).unwrap();
        assert_eq!(head, *b"HTTP/1.1 200");
        let begun = Instant::now();
        let is_refused = async || {
            let path = "/v1/events?stream_prefix=none";
            let headers = [("accept", "text/event-stream")];
            let stream = daemon.try_send(Method::GET, path, &headers, "");
            let answer = tokio::time::timeout(Duration::from_millis(200), stream).await;
            // An event stream that is open does not end.
            answer.is_ok_and(|answer| answer.unwrap().status == 503)
        };
        assert!(is_refused().await, "the silent client has the only event stream");
        while is_refused().await {
            assert!(begun.elapsed() < DEADLINE, "the silent client holds its connection");
            tokio::task::yield_now().await;
        }
        drop(silent);
    });
}
