//! `POST /v1/commands`.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Answer, Host, NOW, is_pending, request};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

async fn run(host: &Host, lines: impl Into<Body>) -> Answer {
    host.send(request(Method::POST, "/v1/commands", &[NDJSON], lines.into())).await
}

fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn deposit(id: &str, cents: u64) -> String {
    let line = json!({"aggregate": "account", "id": id, "command": "deposit-funds", "data": {"cents": cents}});
    format!("{line}\n")
}

#[tokio::test]
async fn answers_each_line_as_the_command_alone_would_be() {
    // Guards that one bad line does not fail the others, and that results are in order.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    let id = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
    let lines = [
        json!({"aggregate": "account", "id": "a1", "command": "check-account", "command_id": id,
               "correlation_id": "c", "causation_id": id, "if_revision": "any"})
        .to_string(),
        "{".to_owned(),
        "  ".to_owned(),
        json!({"aggregate": "account", "id": "a1", "command": "withdraw-funds", "command_id": id,
               "data": {"cents": 1}})
        .to_string(),
        json!({"aggregate": "account", "id": "a1", "command": "deposit-funds", "if_revision": 7,
               "data": {"cents": 1}})
        .to_string(),
        json!({"aggregate": "account", "id": "a2", "command": "deposit-funds", "command_id":
               "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b11", "data": {"cents": 1}})
        .to_string(),
        json!({"aggregate": "account", "id": "a1", "command": "pay"}).to_string(),
        json!({"aggregate": "account", "id": "a1", "command": "pay", "command_id": "x"})
            .to_string(),
        json!({"aggregate": "account", "id": "a1", "command": "pay", "until": 3}).to_string(),
    ];
    let results = results(&run(&host, lines.join("\r\n")).await);
    let numbers: Vec<_> = results.iter().map(|result| result["line"].clone()).collect();
    assert_eq!(json!(numbers), json!([1, 2, 4, 5, 6, 7, 8, 9]), "the blank line has no result");
    assert_eq!(
        results[0],
        json!({
            "line": 1, "status": 200, "command_id": id, "correlation_id": "c",
            "stream": "account/a1", "outcome": "accepted", "revision": 0, "first_revision": null, "last_revision": null,
            "partition": 0, "position": null, "recorded_at": NOW, "is_repeat": false, "events": [],
        })
    );
    assert_eq!(
        results[4],
        json!({
            "line": 6, "status": 422,
            "problem": {
                "title": "Unprocessable Entity", "status": 422, "code": "rejected",
                "detail": "the account is not open",
                "rejection": {"code": "not-open", "message": "the account is not open"},
                "command_id": "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b11", "stream": "account/a2",
                "correlation_id": "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b11", "revision": null, "is_repeat": false,
            },
        })
    );
    let codes: Vec<_> =
        results.iter().map(|result| json!([result["status"], result["problem"]["code"]])).collect();
    assert_eq!(
        json!(codes),
        json!([
            [200, null],
            [400, "malformed-json"],
            [409, "command-id-reused"],
            [409, "wrong-expected-revision"],
            [422, "rejected"],
            [404, "unknown-command"],
            [400, "bad-idempotency-key"],
            [400, "malformed-body"],
        ])
    );
}

#[tokio::test]
async fn decides_the_commands_of_one_stream_in_the_order_of_their_lines() {
    // Guards order: many in flight, and still revision n is the n-th line of the stream.
    let host = Host::start().await;
    host.open_account("a1", 0).await;
    host.open_account("a2", 0).await;
    let lines: String = (1..=2_000).map(|n| deposit(["a1", "a2"][n % 2], 1)).collect();
    let results = results(&run(&host, lines).await);
    let revisions: Vec<_> = results.iter().map(|result| result["revision"].as_u64()).collect();
    let expected: Vec<_> = (1..=2_000).map(|n: u64| Some(n.div_ceil(2))).collect();
    assert_eq!(revisions, expected);
}

#[tokio::test]
async fn results_come_while_lines_are_still_being_sent() {
    // Guards streaming: a client may send a line, see its result, and send the next. A line that
    // comes in pieces is put together.
    let host = Host::start().await;
    host.open_account("a1", 0).await;
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<String>();
    let pieces = stream::unfold(receiver, |mut receiver| async {
        Some((Ok::<_, Infallible>(Bytes::from(receiver.recv().await?)), receiver))
    });
    let request = request(Method::POST, "/v1/commands", &[NDJSON], Body::from_stream(pieces));
    let mut body = host.respond(request).await.into_body();
    for revision in 1..=3 {
        let line = deposit("a1", 1);
        let (begin, end) = line.split_at(20);
        sender.send(begin.to_owned()).unwrap();
        sender.send(end.to_owned()).unwrap();
        let result = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        assert_eq!((&result["line"], &result["revision"]), (&json!(revision), &json!(revision)));
    }
    drop(sender);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn runs_no_further_ahead_than_its_limit() {
    // Guards `batch_in_flight_max`: with the first command held back, the body is not read further.
    let host = Host::start_with(|setup| setup.api.batch_in_flight_max = 4).await;
    let wait = json!({"aggregate": "misbehaving", "id": "1", "command": "wait"}).to_string();
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&taken);
    let pieces = stream::repeat(format!("{wait}\n")).take(100).map(move |line| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from(line))
    });
    let request = request(Method::POST, "/v1/commands", &[NDJSON], Body::from_stream(pieces));
    let mut body = host.respond(request).await.into_body();
    assert!(is_pending(&mut Box::pin(body.frame())));
    assert_eq!(taken.load(std::sync::atomic::Ordering::SeqCst), 4);
    host.gate.open();
    let results = body.collect().await.unwrap().to_bytes();
    assert_eq!(results.iter().filter(|byte| **byte == b'\n').count(), 100);
}

#[tokio::test]
async fn a_line_over_the_limit_is_refused_and_the_next_ones_run() {
    // Guards `line_bytes_max`, at the limit and over it, in one piece and in many.
    let at_limit = deposit("a1", 1);
    let bytes_max = at_limit.len() - 1;
    let host = Host::start_with(|setup| setup.api.line_bytes_max = bytes_max).await;
    host.open_account("a1", 0).await;
    let over_limit = deposit("a1", 10);
    let lines = [over_limit.clone(), at_limit.clone(), over_limit.trim_end().to_owned()].concat();
    let pieces = lines.clone().into_bytes().into_iter().map(|byte| Ok::<_, Infallible>(vec![byte]));
    for body in [Body::from(lines.clone()), Body::from_stream(stream::iter(pieces))] {
        let results = results(&run(&host, body).await);
        let too_large = json!({
            "title": "Payload Too Large", "status": 413, "code": "line-too-large",
            "detail": format!("The line has more than {bytes_max} bytes. Send less in one line."),
            "bytes_max": bytes_max,
        });
        assert_eq!(results.len(), 3);
        assert_eq!(results[0], json!({"line": 1, "status": 413, "problem": too_large}));
        assert_eq!(results[1]["status"], 200);
        assert_eq!(results[2], json!({"line": 3, "status": 413, "problem": too_large}));
    }
}

#[tokio::test]
async fn a_batch_over_its_limit_ends_with_a_problem() {
    // Guards `batch_bytes_max`: what came before has its results.
    let line = deposit("a1", 1);
    let bytes_max = u64::try_from(line.len()).unwrap() * 2;
    let host = Host::start_with(|setup| setup.api.batch_bytes_max = bytes_max).await;
    host.open_account("a1", 0).await;
    let pieces = stream::iter(vec![line; 3]).map(Ok::<_, Infallible>);
    let results = results(&run(&host, Body::from_stream(pieces)).await);
    let statuses: Vec<_> = results.iter().map(|result| result["status"].clone()).collect();
    assert_eq!(json!(statuses), json!([200, 200, 413]));
    assert_eq!(results[2]["problem"]["code"], "body-too-large");
}

#[tokio::test]
async fn more_batches_than_the_limit_are_refused_until_one_ends() {
    // Guards `batches_in_flight_max`.
    let host = Host::start_with(|setup| setup.api.batches_in_flight_max = 1).await;
    let open = request(
        Method::POST,
        "/v1/commands",
        &[NDJSON],
        Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
    );
    let open = host.respond(open).await;
    let refused = run(&host, "").await;
    refused.assert_code(503, "busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(open);
    assert_eq!(results(&run(&host, "").await), Vec::<Value>::new());
}
