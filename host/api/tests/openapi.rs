//! `/openapi.json`.

use serde_json::{Value, json};

use crate::support::{Host, SNAPSHOT};

#[tokio::test]
async fn the_committed_description_is_the_one_that_is_served() {
    // Guards clients against changes nobody decided. Run the test with UPDATE_SNAPSHOTS=1 to write
    // the file anew, and read the difference before committing it.
    let host = Host::empty_with(|_| ()).await;
    let served = host.respond(crate::support::request(
        axum::http::Method::GET,
        "/openapi.json",
        &[],
        axum::body::Body::empty(),
    ));
    let served = crate::support::Answer::read(served.await).await.json();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&served).unwrap();
        std::fs::write(SNAPSHOT, format!("{text}\n")).unwrap();
    }
    let committed = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
    assert!(
        committed == served,
        "docs/reference/openapi.json is not what is served: run this test with UPDATE_SNAPSHOTS=1 \
         and review the difference"
    );
    assert_eq!(served["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_call_has_its_own_name_and_documents_its_problems() {
    // Guards generators of clients: names of operations differ, and each call tells that it can fail.
    let host = Host::empty_with(|_| ()).await;
    let document = host.get("/openapi.json").await.json();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            let has_problems = operation["responses"].get("default").is_some();
            let needs_none = path.starts_with("/health/") || path == "/openapi.json";
            assert!(has_problems || needs_none, "{method} {path}");
        }
    }
    assert_eq!(names.len(), 57);
}

#[tokio::test]
async fn commands_and_events_of_active_plugins_are_in_it() {
    // Guards discovery: each command has a path of its own with its schema, and references inside
    // of a plugin's schema still lead where they led.
    let host = Host::start().await;
    let document = host.get("/openapi.json").await.json();
    let path = &document["paths"]["/v1/aggregates/account/{id}/deposit-funds"]["post"];
    assert_eq!(path["operationId"], "account.deposit-funds");
    assert_eq!(
        path["requestBody"],
        json!({"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/account.deposit-funds"},
        }}})
    );
    let parameters: Vec<_> =
        path["parameters"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(
        json!(parameters),
        json!([
            "id",
            "idempotency-key",
            "wait_for",
            "wait_ms",
            "if-revision",
            "x-correlation-id",
            "x-causation-id"
        ])
    );
    let expected = json!({
        "type": "object",
        "properties": {
            "cents": {"$ref": "#/components/schemas/account.deposit-funds/$defs/cents"},
        },
        "required": ["cents"],
        "additionalProperties": false,
        "$defs": {"cents": {"type": "integer", "minimum": 1}},
    });
    assert_eq!(document["components"]["schemas"]["account.deposit-funds"], expected);
    let event = &document["components"]["schemas"]["account.funds-deposited.v1"];
    assert_eq!(event["required"], json!(["cents"]));
    let root = json!({
        "$ref": "#/components/schemas/account.deposit-funds",
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&root).unwrap();
    assert!(validator.is_valid(&json!({"cents": 1})));
    assert!(!validator.is_valid(&json!({"cents": 0})), "the moved reference holds");
}
