//! Building the view of a projection anew, over HTTP.

use std::time::Duration;

use annals_core::id::Digest;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, Host, NOW, request};

const PATH: &str = "/v1/projections/account-balances";

async fn rebuild(host: &Host, query: &str, component: &'static str) -> Answer {
    let headers = [("content-type", "application/wasm")];
    let uri = format!("{PATH}/rebuild{query}");
    host.send(request(Method::POST, &uri, &headers, component.into())).await
}

async fn ask(host: &Host, method: Method, rest: &str) -> Answer {
    host.send(request(method, &format!("{PATH}{rest}"), &[], Body::empty())).await
}

/// Waits until the projection is as it should be.
async fn until(host: &Host, is_so: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let shown = host.get(PATH).await.json();
        if is_so(&shown) {
            return shown;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{shown:#}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn with_accounts() -> Host {
    let host = Host::start().await;
    for id in ["a1", "a2"] {
        let position = host.open_account(id, 10).await;
        let row = format!("/v1/views/account-balances/balances/{id}?position={position}");
        assert_eq!(host.get(&row).await.status.as_u16(), 200);
    }
    host
}

#[tokio::test]
async fn a_rebuild_is_shown_cut_over_and_rolled_back() {
    // Guards what operators and the command line see in each phase, and what is in the history.
    let host = with_accounts().await;
    let begun = rebuild(&host, "?cut_over=on-request", "account-balances 2.0.0").await.json();
    assert_eq!((&begun["version"], &begun["build"]), (&json!("1.0.0"), &json!(0)));
    assert_eq!(begun["rebuild"]["cuts_over"], "on-request");
    let shown = until(&host, |shown| shown["rebuild"]["phase"] == "ready").await;
    let digest = Digest::of(b"account-balances 2.0.0").to_string();
    let none = json!({"count": 0, "examples": []});
    let expected = json!({
        "phase": "ready",
        "version": "2.0.0",
        "digest": digest,
        "build": 1,
        "started_at": NOW,
        "started_by": null,
        "cuts_over": "on-request",
        "partitions": shown["partitions"],
        "events_count": 2,
        "events_per_second": null,
        "comparison": {
            "compared_at": NOW,
            "old_parked_count": 0,
            "new_parked_count": 0,
            "old_rows_count": shown["rebuild"]["comparison"]["new_rows_count"],
            "new_rows_count": shown["rebuild"]["comparison"]["new_rows_count"],
            "only_old": none,
            "only_new": none,
            "different": none,
            "is_exact": true,
        },
    });
    assert_eq!(shown["rebuild"], expected);
    let cut_over = ask(&host, Method::POST, "/rebuild/cut-over").await.json();
    assert_eq!((&cut_over["version"], &cut_over["build"]), (&json!("2.0.0"), &json!(1)));
    let previous = &cut_over["previous"];
    assert_eq!((&previous["version"], &previous["build"]), (&json!("1.0.0"), &json!(0)));
    assert_eq!(previous["comparison"], expected["comparison"]);
    let back = ask(&host, Method::POST, "/rollback").await.json();
    assert_eq!((&back["version"], &back["previous"]), (&json!("1.0.0"), &Value::Null));
    let history = host.get("/v1/plugins/account-balances/history").await.json();
    let entries = history["entries"].as_array().unwrap().iter();
    let told: Vec<_> = entries.map(|it| (it["what"].clone(), it["build"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!("view-rolled-back"), json!(0)),
            (json!("cut-over"), json!(1)),
            (json!("rebuild-started"), json!(1)),
            (json!("installed"), Value::Null),
        ]
    );
    let differences = json!({"only_old_count": 0, "only_new_count": 0, "different_count": 0});
    assert_eq!(history["entries"][1]["differences"], differences);
}

#[tokio::test]
async fn an_equal_view_takes_over_by_itself() {
    // Guards the default: nobody has to say anything when nothing differs.
    let host = with_accounts().await;
    rebuild(&host, "", "").await.json();
    let shown = until(&host, |shown| shown["build"] == 1).await;
    assert_eq!((&shown["version"], &shown["rebuild"]), (&json!("1.0.0"), &Value::Null));
}

#[tokio::test]
async fn what_cannot_be_done_is_told_by_its_code() {
    // Guards the problems of rebuilds: each says what to do next.
    let host = with_accounts().await;
    let bad = rebuild(&host, "?cut_over=now", "").await;
    bad.assert_code(400, "bad-query-parameter");
    for bad in ["?from_time=yesterday", "?from_time=2026-11-20T09:30:00Z&from_position=1"] {
        rebuild(&host, bad, "").await.assert_code(400, "bad-query-parameter");
    }
    for begin in ["?from_time=2026-11-20T09:30:00Z", "?from_position=1"] {
        rebuild(&host, begin, "").await.assert_code(400, "bad-rebuild-begin");
    }
    rebuild(&host, "", "account 1.0.0").await.assert_code(400, "plugin-name-differs");
    for (method, rest, code) in [
        (Method::POST, "/rebuild/cut-over", "no-rebuild"),
        (Method::DELETE, "/rebuild", "no-rebuild"),
        (Method::POST, "/rollback", "no-previous-view"),
    ] {
        ask(&host, method, rest).await.assert_code(409, code);
    }
    let unknown = "/v1/projections/account/rebuild";
    let unknown = host.send(request(Method::POST, unknown, &[], Body::empty())).await;
    unknown.assert_problem(
        404,
        &json!({
            "code": "unknown-projection",
            "detail": "There is no projection `account`. Use one of `known`, or install its plugin.",
            "known": ["account-balances"],
        }),
    );
    rebuild(&host, "?cut_over=on-request", "").await.json();
    rebuild(&host, "", "").await.assert_code(409, "rebuild-under-way");
    let headers = [("content-type", "application/wasm")];
    let uri = "/v1/plugins/account-balances";
    let install = request(Method::PUT, uri, &headers, "account-balances 3.0.0".into());
    host.send(install).await.assert_code(409, "rebuild-under-way");
    let cancelled = ask(&host, Method::DELETE, "/rebuild").await.json();
    assert_eq!((&cancelled["build"], &cancelled["rebuild"]), (&json!(0), &Value::Null));
}
