//! The parts of one schema, and what a reference in it means.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::DEPTH_MAX;

/// Keywords that say nothing about which data fits, or are looked at through a reference.
pub(super) const SILENT: [&str; 14] = [
    "$schema",
    "$comment",
    "$defs",
    "$vocabulary",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
];

pub(super) fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

/// A schema without the texts that are for people.
pub(super) fn bare(schema: &Value) -> Value {
    const NAMED: [&str; 5] =
        ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];
    const DATA: [&str; 2] = ["const", "enum"];
    const TEXTS: [&str; 6] =
        ["title", "description", "default", "examples", "$comment", "deprecated"];
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(keyword, _)| !TEXTS.contains(&keyword.as_str()));
            let bared = kept.map(|(keyword, value)| {
                let value = match (keyword.as_str(), value) {
                    (keyword, value) if DATA.contains(&keyword) => value.clone(),
                    (keyword, Value::Object(named)) if NAMED.contains(&keyword) => {
                        named.iter().map(|(name, schema)| (name.clone(), bare(schema))).collect()
                    }
                    (_, value) => bare(value),
                };
                (keyword.clone(), value)
            });
            Value::Object(bared.collect())
        }
        Value::Array(items) => items.iter().map(bare).collect(),
        other => other.clone(),
    }
}

/// The schema that is meant, through references into the same document.
pub(super) fn resolve<'a>(mut schema: &'a Value, root: &'a Value) -> Option<&'a Value> {
    for _ in 0..DEPTH_MAX {
        let Some(to) = reference(schema) else { return Some(schema) };
        let silent = |keyword: &String| keyword == "$ref" || SILENT.contains(&keyword.as_str());
        // A reference beside other keywords joins two schemas, for which there is no rule.
        if schema.as_object().is_none_or(|it| !it.keys().all(silent)) {
            return None;
        }
        schema = root.pointer(to.strip_prefix('#')?)?;
    }
    None
}

/// The types a schema takes; `None`: all.
pub(super) fn types(schema: &Map<String, Value>) -> Option<BTreeSet<&str>> {
    match schema.get("type") {
        Some(Value::String(one)) => Some(BTreeSet::from([one.as_str()])),
        Some(Value::Array(several)) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => values(schema).map(|values| values.into_iter().map(type_of).collect()),
    }
}

pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values a schema is limited to.
pub(super) fn values(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

pub(super) fn required(schema: &Map<String, Value>) -> BTreeSet<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn properties(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

pub(super) fn prefix_items(schema: &Map<String, Value>) -> &[Value] {
    schema.get("prefixItems").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, member)| name == "$ref" || has_reference(member))
        }
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

pub(super) fn join(types: &BTreeSet<&str>) -> String {
    types.iter().copied().collect::<Vec<_>>().join(" or ")
}

pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
