//! Makes an example of what a JSON Schema describes, to try a command with.

use serde_json::{Map, Value, json};

/// How deep an example goes: a schema may contain itself.
const DEPTH_MAX: usize = 8;

/// A value the schema allows, as far as simple schemas go.
pub(super) fn of(schema: &Value) -> Value {
    value(schema, schema, DEPTH_MAX)
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(target) = schema.get("$ref").and_then(|target| resolve(target, root)) {
        return value(target, root, depth);
    }
    if let Some(first) = schema.get("enum").and_then(|choices| choices.get(0)) {
        return first.clone();
    }
    for choices in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(choices).and_then(|choices| choices.get(0)) {
            return value(first, root, depth);
        }
    }
    match kind(schema) {
        "object" => object(schema, root, depth),
        "array" => json!([]),
        "string" => json!("text"),
        "boolean" => json!(true),
        "integer" | "number" => {
            let minimum = schema.get("minimum").and_then(Value::as_i64);
            json!(minimum.unwrap_or(1).max(1))
        }
        _ => Value::Null,
    }
}

/// The type a schema names, or the first of several.
fn kind(schema: &Value) -> &str {
    let kind = schema.get("type").unwrap_or(&Value::Null);
    kind.as_str().or_else(|| kind.get(0)?.as_str()).unwrap_or_default()
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let property = |name: &Value| {
        let name = name.as_str()?;
        let schema = schema.get("properties")?.get(name)?;
        Some((name.to_owned(), value(schema, root, depth)))
    };
    Value::Object(required.into_iter().flatten().filter_map(property).collect::<Map<_, _>>())
}

/// What `#/$defs/Name` points at.
fn resolve<'a>(target: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(target.as_str()?.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_what_is_required() {
        // Guards the command that `plugin install` suggests: it fits the schema.
        let schema = json!({
            "type": "object",
            "properties": {
                "item": { "type": "string" },
                "quantity": { "type": "integer", "minimum": 0 },
                "to": { "$ref": "#/$defs/Place" },
                "note": { "type": ["string", "null"] },
            },
            "required": ["item", "quantity", "to"],
            "$defs": {
                "Place": {
                    "type": "object",
                    "properties": { "is_far": { "type": "boolean" }, "back": { "$ref": "#/$defs/Place" } },
                    "required": ["is_far"],
                },
            },
        });
        let expected = json!({ "item": "text", "quantity": 1, "to": { "is_far": true } });
        assert_eq!(of(&schema), expected);
    }

    #[test]
    fn a_schema_that_contains_itself_has_an_end() {
        // Guards against a schema that is hostile or just recursive.
        let schema =
            json!({ "type": "object", "properties": { "a": { "$ref": "#" } }, "required": ["a"] });
        assert!(of(&schema).is_object());
    }
}
