//! Versions of plugins over HTTP: what changes, the gate, rolling back, history, removing.

use annals_core::id::Digest;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Host, NOW, request};

async fn put(host: &Host, component: &str, query: &str) -> Answer {
    let name = component.split(' ').next().unwrap();
    let headers = [("content-type", "application/wasm")];
    let uri = format!("/v1/plugins/{name}{query}");
    host.send(request(Method::PUT, &uri, &headers, component.to_owned().into())).await
}

async fn roll_back(host: &Host, name: &str, query: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let uri = format!("/v1/plugins/{name}/rollback{query}");
    host.send(request(Method::POST, &uri, &headers, Body::from(body.to_string()))).await
}

async fn delete(host: &Host, uri: &str) -> Answer {
    host.send(request(Method::DELETE, uri, &[], Body::empty())).await
}

fn digest(component: &str) -> String {
    Digest::of(component.as_bytes()).to_string()
}

#[tokio::test]
async fn an_upgrade_says_what_breaks() {
    // Guards the answer of an installation: what came, went and changed, with places in the data;
    // what breaks is no reason to refuse when all that is recorded is readable.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    let upgraded = put(&host, "account 2.0.0", "").await.json();
    assert_eq!(upgraded["outcome"], "upgraded");
    let tighter = json!([{"pointer": "/cents", "text": "has the tighter `minimum` 5 now"}]);
    let changed = |name: &str| {
        json!({
            "message": "command", "name": name, "schema_version": 1, "change": "changed",
            "is_breaking": true, "differences": tighter,
        })
    };
    let removed = |message: &str, name: &str| {
        json!({
            "message": message, "name": name, "schema_version": 1, "change": "removed",
            "is_breaking": true, "differences": [],
        })
    };
    assert_eq!(
        upgraded["changes"],
        json!([
            removed("command", "check-account"),
            changed("deposit-funds"),
            changed("withdraw-funds"),
            removed("event", "funds-withdrawn"),
        ])
    );
}

#[tokio::test]
async fn the_gate_refuses_and_yields_to_a_reason() {
    // Guards the gate over HTTP: what is not readable, by number, and the parameters of force.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    let json = [("content-type", "application/json")];
    let withdraw = "/v1/aggregates/account/a1/withdraw-funds";
    let withdraw = request(Method::POST, withdraw, &json, Body::from(r#"{"cents":5}"#));
    assert_eq!(host.send(withdraw).await.status.as_u16(), 200);
    put(&host, "account 2.0.0", "").await.assert_problem(
        409,
        &json!({
            "code": "unreadable-history",
            "detail": "Version 2.0.0 of `account` does not read 1 event `funds-withdrawn` of schema \
                version 1 in `account`; let it read these shapes again, or install an upcaster \
                for them. With `force=true` and a `reason` it is activated nevertheless.",
            "version": "2.0.0",
            "unreadable": [{
                "category": "account", "type": "funds-withdrawn", "schema_version": 1,
                "events_count": 1,
            }],
        }),
    );
    let long = format!("?force=true&reason={}", "x".repeat(1_025));
    for bad in ["?force=true", "?force=yes", "?reason=x", "?force=true&reason=+", &long] {
        put(&host, "account 2.0.0", bad).await.assert_code(400, "bad-query-parameter");
    }
    let forced = put(&host, "account 2.0.0", "?force=true&reason=demo%20only").await.json();
    assert_eq!(forced["plugin"]["force_reason"], "demo only");
    assert_eq!(host.get("/v1/aggregates/account/a1").await.status.as_u16(), 500);
    assert_eq!(roll_back(&host, "account", "", &json!({})).await.json()["outcome"], "rolled-back");
    let state = host.get("/v1/aggregates/account/a1").await.json();
    assert_eq!(state["state"]["balance_cents"], 5);
}

#[tokio::test]
async fn rolls_back_to_the_version_before_and_to_a_given_one() {
    // Guards the two ways to roll back, and each way in which there is no such version.
    let host = Host::start().await;
    roll_back(&host, "account", "", &json!({})).await.assert_code(409, "no-version-before");
    put(&host, "account 1.1.0", "").await;
    let back = roll_back(&host, "account", "", &json!({"digest": null})).await.json();
    assert_eq!(
        (&back["outcome"], &back["plugin"]["version"]),
        (&json!("rolled-back"), &json!("1.0.0"))
    );
    let to = json!({"digest": digest("account 1.1.0")});
    let forth = roll_back(&host, "account", "", &to).await.json();
    assert_eq!(forth["plugin"]["digest"], digest("account 1.1.0"));
    assert_eq!(roll_back(&host, "account", "", &to).await.json()["outcome"], "unchanged");
    roll_back(&host, "account", "", &json!({"digest": digest("other")})).await.assert_problem(
        404,
        &json!({
            "code": "version-not-kept",
            "detail": format!(
                "Version {} of `account` is not kept. Use one of `kept`, or install it again.",
                &digest("other")[..12]
            ),
            "kept": [digest("account 1.1.0"), digest("account 1.0.0")],
        }),
    );
    for bad in [json!({"digest": "x"}), json!({"version": "1.0.0"}), json!(1)] {
        roll_back(&host, "account", "", &bad).await.assert_code(400, "malformed-body");
    }
    roll_back(&host, "nobody", "", &json!({})).await.assert_code(404, "unknown-plugin");
}

#[tokio::test]
async fn removes_plugins_and_tells_their_history() {
    // Guards removal over HTTP, and the record of all that happened, page by page.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    put(&host, "account 1.1.0", "?force=true&reason=why%20not").await;
    roll_back(&host, "account", "", &json!({})).await;
    let removed = delete(&host, "/v1/plugins/account").await;
    assert_eq!(
        removed.json(),
        json!({"name": "account", "deleted_views_count": 0, "has_deleted_instances": false})
    );
    delete(&host, "/v1/plugins/account").await.assert_code(404, "unknown-plugin");
    delete(&host, "/v1/plugins/account?delete_view=maybe")
        .await
        .assert_code(400, "bad-query-parameter");
    let command =
        request(Method::POST, "/v1/aggregates/account/a1/check-account", &[], Body::empty());
    host.send(command).await.assert_code(404, "unknown-aggregate");
    assert_eq!(host.get("/v1/streams/account/a1").await.status.as_u16(), 200);
    let entry = |revision: u64, what: &str, version: Option<&str>, reason: Option<&str>| {
        json!({
            "revision": revision, "at": NOW, "principal": null, "what": what, "version": version,
            "digest": version.map(|version| digest(&format!("account {version}"))),
            "force_reason": reason, "deletes_views": false,
        })
    };
    let removed = entry(5, "removed", None, None);
    let back = entry(4, "rolled-back", Some("1.0.0"), None);
    let upgraded = entry(3, "installed", Some("1.1.0"), Some("why not"));
    let installed = entry(0, "installed", Some("1.0.0"), None);
    assert_eq!(
        host.get("/v1/plugins/account/history").await.json(),
        json!({"name": "account", "entries": [removed, back, upgraded, installed], "next": null})
    );
    assert_eq!(
        host.get("/v1/plugins/account/history?limit=2").await.json(),
        json!({"name": "account", "entries": [removed, back], "next": 3})
    );
    assert_eq!(
        host.get("/v1/plugins/account/history?limit=2&from=3").await.json(),
        json!({"name": "account", "entries": [upgraded, installed], "next": null})
    );
    host.get("/v1/plugins/account/history?limit=1001")
        .await
        .assert_code(400, "bad-query-parameter");
    host.get("/v1/plugins/nobody/history").await.assert_code(404, "unknown-plugin");
    let deleted = delete(&host, "/v1/plugins/account-balances?delete_view=true").await;
    assert_eq!(
        deleted.json(),
        json!({"name": "account-balances", "deleted_views_count": 1, "has_deleted_instances": false})
    );
}
