//! `etag` and `if-none-match` of rows, lists and questions.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Host, request};

const VIEW: &str = "/v1/views/account-balances";

/// One read of a view: a row, a list or a question.
#[derive(Debug, Clone)]
struct Read {
    path: &'static str,
    question: Option<Value>,
}

fn reads() -> [Read; 3] {
    [
        Read { path: "balances/a1", question: None },
        Read { path: "balances?prefix=a", question: None },
        Read { path: "queries/richest-accounts", question: Some(json!({"limit": 2})) },
    ]
}

impl Read {
    /// Reads it with further query parameters, and with tags.
    async fn ask(&self, host: &Host, more: &str, tags: &[&str]) -> Answer {
        let mut headers: Vec<_> = tags.iter().map(|tag| ("if-none-match", *tag)).collect();
        let join = if self.path.contains('?') { '&' } else { '?' };
        let uri = format!("{VIEW}/{}{join}{more}", self.path);
        let (method, body) = match &self.question {
            Some(question) => {
                headers.push(("content-type", "application/json"));
                (Method::POST, Body::from(question.to_string()))
            }
            None => (Method::GET, Body::empty()),
        };
        host.send(request(method, &uri, &headers, body)).await
    }
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no tag: {answer:?}")).to_owned()
}

#[tokio::test]
async fn a_view_that_is_as_it_was_is_not_sent_again() {
    // Guards 304: for rows, lists and questions, with the headers that the whole answer has; and the
    // whole answer again as soon as an event came into the view.
    let host = Host::start().await;
    let first = host.open_account("a1", 10).await;
    for read in reads() {
        let place = format!("position={first}");
        let whole = read.ask(&host, &place, &[]).await;
        assert_eq!(whole.status.as_u16(), 200, "{whole:?}");
        assert_eq!(whole.header("cache-control"), Some("no-cache"));
        let tag = tag(&whole);
        assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
        let same = read.ask(&host, "", &["\"other\"", &tag]).await;
        assert_eq!((same.status.as_u16(), same.body.as_slice()), (304, &b""[..]), "{same:?}");
        for header in ["etag", "cache-control", "annals-checkpoint", "annals-partition"] {
            assert_eq!(same.header(header), whole.header(header), "{header}");
        }
        for others in [&["*"][..], &["\"other\""], &["W/\"0\""]] {
            let answer = read.ask(&host, "", others).await;
            assert_eq!((answer.status, &answer.body), (whole.status, &whole.body), "{others:?}");
        }
    }
    let tags: Vec<_> = {
        let mut tags = Vec::new();
        for read in reads() {
            tags.push(tag(&read.ask(&host, "", &[]).await));
        }
        tags
    };
    let next = host.open_account("a2", 30).await;
    for (read, known) in reads().into_iter().zip(tags) {
        let changed = read.ask(&host, &format!("position={next}"), &[&known]).await;
        assert_eq!(changed.status.as_u16(), 200, "{changed:?}");
        assert_ne!(tag(&changed), known);
    }
}

#[tokio::test]
async fn questions_that_differ_have_tags_that_differ() {
    // Guards answers of one address: the parameters are in the body.
    let host = Host::start().await;
    let position = host.open_account("a1", 10).await;
    let ask = |limit: u64| Read {
        path: "queries/richest-accounts",
        question: Some(json!({"limit": limit})),
    };
    let one = ask(1).ask(&host, &format!("position={position}"), &[]).await;
    let none = ask(0).ask(&host, "", &[&tag(&one)]).await;
    assert_eq!((none.status.as_u16(), none.json()), (200, json!([])));
    assert_eq!(ask(1).ask(&host, "", &[&tag(&one)]).await.status.as_u16(), 304);
}

#[tokio::test]
async fn another_version_of_the_projection_has_tags_of_its_own() {
    // Guards swapped views: the same checkpoint of another component says nothing about its rows.
    let host = Host::start().await;
    let position = host.open_account("a1", 10).await;
    let place = format!("position={position}");
    let mut known = Vec::new();
    for read in reads() {
        known.push(tag(&read.ask(&host, &place, &[]).await));
    }
    host.engine.install(None, "account-balances 1.1.0".into(), None).await.unwrap();
    for (read, known) in reads().into_iter().zip(&known) {
        assert_eq!(read.ask(&host, &place, &[known]).await.status.as_u16(), 200, "{read:?}");
    }
}

#[tokio::test]
async fn a_position_that_is_not_reached_is_told_whatever_the_client_knows() {
    // Guards P5 with tags: waiting comes first, and what is not there is no old copy.
    let host = Host::start().await;
    let position = host.open_account("a1", 10).await;
    for read in reads() {
        let known = tag(&read.ask(&host, &format!("position={position}"), &[]).await);
        let ahead = format!("position={}&wait_ms=1", position + 1);
        read.ask(&host, &ahead, &[&known]).await.assert_code(504, "not-reached");
    }
}

#[tokio::test]
async fn a_row_that_is_not_there_has_no_tag() {
    // Guards 404: a client keeps no copy of nothing.
    let host = Host::start().await;
    let position = host.open_account("a1", 10).await;
    let nobody = host.get(&format!("{VIEW}/balances/a9?position={position}")).await;
    nobody.assert_code(404, "unknown-row");
    assert_eq!(nobody.header("etag"), None);
}
