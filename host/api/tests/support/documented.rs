//! Compares answers with the schemas of the committed description of the API.

use std::sync::OnceLock;

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::Answer;

/// The committed description.
pub(crate) const SNAPSHOT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let text = std::fs::read_to_string(SNAPSHOT).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}

/// Asserts that the JSON of an answer has the schema that is documented for it.
#[track_caller]
pub(crate) fn assert_documented(method: &Method, path: &str, answer: &Answer) {
    let content_type = answer.header("content-type").unwrap_or_default();
    let operation = operation(method, path);
    if answer.status == StatusCode::NOT_MODIFIED {
        assert!(answer.body.is_empty(), "{answer:?}");
        assert!(operation.unwrap()["responses"].get("304").is_some(), "{method} {path}");
        return;
    }
    let schema = match operation {
        Some(operation) => {
            let responses = &operation["responses"];
            let status = answer.status.as_str();
            let response = responses.get(status).unwrap_or(&responses["default"]);
            response["content"][content_type]["schema"].clone()
        }
        // Problems of requests that are no call at all.
        None => json!({"$ref": "#/components/schemas/Problem"}),
    };
    assert!(!schema.is_null(), "{method} {path} does not document {content_type}: {answer:?}");
    let lines: Vec<&[u8]> = match content_type {
        "application/x-ndjson" => {
            answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
        }
        // No JSON.
        text if text.starts_with("text/") => return,
        _ => vec![&answer.body],
    };
    let root = json!({"allOf": [schema], "components": document()["components"]});
    let validator = jsonschema::validator_for(&root).unwrap();
    for line in lines {
        let value: Value = serde_json::from_slice(line).unwrap();
        let faults: Vec<_> = validator
            .iter_errors(&value)
            .map(|fault| format!("{} at {}", fault, fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{method} {path}: {faults:?} in {value}");
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let paths: &Map<String, Value> = document()["paths"].as_object().unwrap();
    let candidates = paths.iter().filter(|(template, _)| fits(template, path));
    // The template with most literal segments is the one that is routed to.
    let (_, item) = candidates.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(method.as_str().to_lowercase())
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(expected, actual)| {
            expected == actual || (expected.starts_with('{') && !actual.is_empty())
        })
}
