//! `/v1/plugins` and `/v1/projections`.

use annals_core::id::Digest;
use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Host, NOW, request};

async fn put(host: &Host, name: &str, component: &str) -> Answer {
    let headers = [("content-type", "application/wasm")];
    let uri = format!("/v1/plugins/{name}");
    host.send(request(Method::PUT, &uri, &headers, component.to_owned().into())).await
}

#[tokio::test]
async fn installs_upgrades_and_lists_plugins() {
    // Guards installing over HTTP: active at once, the same component is no change, another is an
    // upgrade.
    let host = Host::empty_with(|_| ()).await;
    let installed = put(&host, "misbehaving", "misbehaving 1.0.0").await;
    let message = |name: &str| {
        json!({
            "name": name,
            "schema_version": 1,
            "content_type": "application/json",
            "schema": {},
        })
    };
    let plugin = json!({
        "name": "misbehaving",
        "version": "1.0.0",
        "summary": "Fails.",
        "kind": "aggregate",
        "digest": Digest::of(b"misbehaving 1.0.0").to_string(),
        "component_bytes": 17,
        "contract_version": "0.1.0",
        "imports": ["annals:plugin/log@0.1.0"],
        "has_queries": false,
        "installed_at": NOW,
        "installed_by": null,
        "activated_at": NOW,
        "force_reason": null,
        "versions": [{
            "version": "1.0.0",
            "digest": Digest::of(b"misbehaving 1.0.0").to_string(),
            "component_bytes": 17,
            "installed_at": NOW,
            "installed_by": null,
            "activated_at": NOW,
            "is_active": true,
        }],
        "commands": [
            message("trap"), message("reach-limit"), message("break-contract"), message("wait"),
        ],
        "events": [],
        "produces": [],
        "tables": [],
    });
    let outcome = |outcome: &str, plugin: &Value| json!({"outcome": outcome, "plugin": plugin, "changes": [], "unread": []});
    assert_eq!((installed.status.as_u16(), installed.json()), (200, outcome("installed", &plugin)));
    let again = put(&host, "misbehaving", "misbehaving 1.0.0").await;
    assert_eq!(again.json(), outcome("unchanged", &plugin));
    assert_eq!(host.get("/v1/plugins").await.json(), json!({"plugins": [plugin]}));
    let mut details = plugin.clone();
    details["usage"] = json!({
        "memory_bytes": 0, "memory_bytes_high": 0, "entities_count": 0, "handlers": [],
    });
    details["quarantine"] = json!({"streams_count": 0, "streams": []});
    assert_eq!(host.get("/v1/plugins/misbehaving").await.json(), details);

    let upgraded = put(&host, "misbehaving", "misbehaving 1.0.1").await.json();
    assert_eq!(upgraded["outcome"], "upgraded");
    assert_eq!(upgraded["plugin"]["version"], "1.0.1");
}

#[tokio::test]
async fn components_that_are_none_are_refused() {
    // Guards the misbehaving plugins of the scenarios: a clear error, and nothing changed.
    let host = Host::empty_with(|_| ()).await;
    put(&host, "account", "random bytes").await.assert_problem(
        400,
        &json!({
            "code": "bad-plugin",
            "detail": "Not a WebAssembly component: no magic number.",
        }),
    );
    put(&host, "invoice", "account 1.0.0").await.assert_problem(
        400,
        &json!({
            "code": "plugin-name-differs",
            "detail": "The plugin describes itself as `account`, not as `invoice`. Install it as \
                `account`.",
            "described": "account",
        }),
    );
    put(&host, "Account", "account 1.0.0").await.assert_code(400, "bad-name");
    let json = [("content-type", "application/json")];
    let wrong = request(Method::PUT, "/v1/plugins/account", &json, Body::from("account 1.0.0"));
    host.send(wrong).await.assert_code(415, "unsupported-media-type");
    assert_eq!(host.get("/v1/plugins").await.json(), json!({"plugins": []}));
    host.get("/v1/plugins/account").await.assert_problem(
        404,
        &json!({
            "code": "unknown-plugin",
            "detail": "There is no plugin `account`. Use one of `known`, or install it.",
            "known": [],
        }),
    );
}

#[tokio::test]
async fn shows_how_far_projections_are() {
    // Guards the operator's view: checkpoint and head, and only projections are listed.
    let host = Host::start().await;
    let position = host.open_account("a1", 10).await;
    let row = format!("/v1/views/account-balances/balances/a1?position={position}");
    assert_eq!(host.get(&row).await.status.as_u16(), 200);
    let mut one = host.get("/v1/projections/account-balances").await.json();
    // Whether it has looked for further events by now is a matter of time.
    let phase = one.as_object_mut().unwrap().remove("phase").unwrap();
    assert!(phase == "caught-up" || phase == "catching-up", "{phase}");
    assert_eq!(
        one,
        json!({
            "name": "account-balances",
            "version": "1.0.0",
            "digest": Digest::of(b"account-balances 1.0.0").to_string(),
            "build": 0,
            "tables": ["balances", "traces"],
            "partitions": [{"partition": 0, "checkpoint": position, "head": position}],
            "events_count": 1,
            "lag_events": 0,
            "lag_ms": 0,
        "parked_count": 0,
            "rebuild": null,
            "previous": null,
        })
    );
    let all = host.get("/v1/projections").await.json();
    assert_eq!(all["projections"].as_array().unwrap().len(), 1);
    assert_eq!(all["projections"][0]["name"], "account-balances");
    host.get("/v1/projections/account").await.assert_problem(
        404,
        &json!({
            "code": "unknown-projection",
            "detail": "There is no projection `account`. Use one of `known`, or install its plugin.",
            "known": ["account-balances"],
        }),
    );
}
