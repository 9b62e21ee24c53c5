//! What holds for every request: ids, namespaces, methods, media types, JSON.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::support::{Answer, Host, request};

#[tokio::test]
async fn every_response_carries_a_request_id() {
    // Guards finding a request in the log: a valid id is kept, any other is replaced.
    let host = Host::empty_with(|_| ()).await;
    let id_of = async |given: Option<&str>, uri: &str| {
        let mut request = Request::builder().uri(uri);
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let answer = Answer::read(host.respond(request.body(Body::empty()).unwrap()).await).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    let longest = "x".repeat(128);
    for uri in ["/v1/plugins", "/nowhere", "/health/live"] {
        assert_eq!(id_of(Some("trace-1"), uri).await, "trace-1");
        assert_eq!(id_of(Some(&longest), uri).await, longest);
        let too_long = "x".repeat(129);
        for given in [None, Some(""), Some("two words"), Some("\u{fc}"), Some(&too_long)] {
            let id = id_of(given, uri).await;
            assert!(uuid::Uuid::parse_str(&id).is_ok(), "{given:?} gave {id}");
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems_too() {
    // Guards that no answer of the framework's own reaches a client.
    let host = Host::empty_with(|_| ()).await;
    for uri in ["/", "/v1", "/v1/plugins/", "/v2/plugins", "/v1/streams/note"] {
        host.get(uri).await.assert_problem(
            404,
            &json!({
                "code": "unknown-route",
                "detail": "There is nothing at this path. See /openapi.json for what there is.",
            }),
        );
    }
    let answer = host.send(request(Method::DELETE, "/v1/events", &[], Body::empty())).await;
    answer.assert_problem(
        405,
        &json!({
            "code": "method-not-allowed",
            "detail": "DELETE is not allowed at this path. Use a method of the `allow` header.",
        }),
    );
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    let head = host.respond(request(Method::HEAD, "/v1/plugins", &[], Body::empty())).await;
    let head = Answer::read(head).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn only_the_default_namespace_is_served() {
    // Guards that no request meant for another namespace ever lands in this one.
    let host = Host::empty_with(|_| ()).await;
    let get = async |namespace: &str| {
        let headers = [("annals-namespace", namespace)];
        host.send(request(Method::GET, "/v1/plugins", &headers, Body::empty())).await
    };
    assert_eq!(get("default").await.status.as_u16(), 200);
    for namespace in ["test", "", "Default"] {
        get(namespace).await.assert_problem(
            400,
            &json!({
                "code": "unknown-namespace",
                "detail": "There is no such namespace. Send `annals-namespace: default`, or leave \
                    it away.",
            }),
        );
    }
}

#[tokio::test]
async fn bodies_are_of_the_media_type_the_call_takes() {
    // Guards against forms of other web sites, which cannot send these types.
    let host = Host::start().await;
    host.open_account("a1", 0).await;
    let send = async |uri: &str, media: Option<&str>| {
        let media: Vec<_> = media.iter().map(|media| ("content-type", *media)).collect();
        host.send(request(Method::POST, uri, &media, Body::from("{\"cents\": 1}"))).await
    };
    let deposit = "/v1/aggregates/account/a1/deposit-funds";
    for media in ["application/json", "application/JSON; charset=utf-8"] {
        assert_eq!(send(deposit, Some(media)).await.status.as_u16(), 200);
    }
    for media in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        send(deposit, media).await.assert_problem(
            415,
            &json!({
                "code": "unsupported-media-type",
                "detail": "This call does not take such a body. Send `content-type: \
                    application/json`.",
                "allowed": ["application/json"],
            }),
        );
    }
    let batch = send("/v1/commands", Some("application/json")).await;
    batch.assert_code(415, "unsupported-media-type");
}

#[tokio::test]
async fn malformed_json_is_told_with_line_and_column() {
    // Guards the edge: for every call with a JSON body, the same problem.
    let host = Host::start().await;
    let headers = [("content-type", "application/json")];
    for uri in [
        "/v1/aggregates/account/a1/deposit-funds",
        "/v1/streams/note/n1",
        "/v1/views/account-balances/queries/richest-accounts",
    ] {
        let send = async |body: &'static [u8]| {
            host.send(request(Method::POST, uri, &headers, Body::from(body))).await
        };
        send(b"{\"cents\":\n 1,}").await.assert_problem(
            400,
            &json!({
                "code": "malformed-json",
                "detail": "The body is not JSON: key must be a string at line 2 column 4. Send one \
                    JSON value.",
                "line": 2,
                "column": 4,
            }),
        );
        send(b"{}\n{}").await.assert_code(400, "malformed-json");
        send(b"{\"a\":\n \"\xff\"}").await.assert_problem(
            400,
            &json!({
                "code": "malformed-json",
                "detail": "The body is not JSON: not UTF-8 at line 2 column 3. Send one JSON value.",
                "line": 2,
                "column": 3,
            }),
        );
    }
}

#[tokio::test]
async fn names_and_ids_are_checked_at_the_edge() {
    // Guards stores and plugins against names they cannot hold.
    let host = Host::start().await;
    for (uri, code) in [
        ("/v1/aggregates/Account/a1/check-account", "bad-name"),
        ("/v1/aggregates/account/a1/Check", "bad-name"),
        ("/v1/aggregates/account/a%2Fb/check-account", "bad-stream-id"),
        ("/v1/aggregates/account/a%0Ab/check-account", "bad-stream-id"),
        ("/v1/aggregates/account/%FF/check-account", "bad-path"),
        ("/v1/aggregates/account/a1/check-account?dry_run=1", "unknown-query-parameter"),
    ] {
        host.post(uri, &json!({})).await.assert_code(400, code);
    }
    let too_long = format!("/v1/aggregates/account/{}/check-account", "x".repeat(257));
    host.post(&too_long, &json!({})).await.assert_code(400, "bad-stream-id");
}
