//! What the comparison of schemas must say, keyword by keyword.

use serde_json::{Value, json};

use super::differences;

/// Asserts that `new` takes what `old` took, or the reasons why not.
#[track_caller]
fn check(old: &Value, new: &Value, expected: &[&str]) {
    let found: Vec<_> =
        differences(&old.to_string(), &new.to_string()).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{old} to {new}");
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

#[test]
fn properties_may_come_if_optional_and_may_not_go() {
    // Guards the most common changes of a command and an event.
    let cents = object(json!({"cents": {"type": "integer"}}), &["cents"]);
    let note = json!({"cents": {"type": "integer"}, "note": {"type": ["string", "null"]}});
    check(&cents, &object(note.clone(), &["cents"]), &[]);
    check(&cents, &object(note.clone(), &["cents", "note"]), &["`/note` is required now"]);
    check(&object(note, &["cents"]), &cents, &["`/note` is not allowed any more"]);
    check(&cents, &object(json!({"cents": {"type": "integer"}}), &[]), &[]);
    let open = json!({"type": "object", "properties": {"cents": {"type": "integer"}}});
    check(&open, &cents, &["`/cents` is required now", "`/*` is not allowed any more"]);
}

#[test]
fn types_values_and_bounds_may_get_wider_only() {
    // Guards each keyword in both directions.
    let pairs = [
        (json!({"type": "integer"}), json!({"type": "number"}), "was number, and is integer now"),
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            "was null or string, and is string now",
        ),
        (json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), "does not take `\"b\"` any more"),
        (json!({"const": "a"}), json!({"enum": ["a", "b"]}), "does not take `\"b\"` any more"),
        (
            json!({"enum": ["a"]}),
            json!({"type": "string"}),
            "was not limited to certain values, and is now",
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!({"type": "integer", "minimum": 0}),
            "has the tighter `minimum` 1 now",
        ),
        (
            json!({"type": "integer", "exclusiveMaximum": 5}),
            json!({"type": "integer", "maximum": 5}),
            "has the tighter `exclusiveMaximum` 5 now",
        ),
        (
            json!({"type": "string", "maxLength": 3}),
            json!({"type": "string"}),
            "has the tighter `maxLength` 3 now",
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!({"type": "integer", "format": "int64"}),
            "was of format \"int64\", and is of format \"int32\" now",
        ),
        (
            json!({"items": {"type": "integer"}}),
            json!({"items": {"type": "number"}}),
            "`/*` was number, and is integer now",
        ),
        (json!({"type": "string"}), json!(true), "was anything, and is not any more"),
        (json!(false), json!({}), "is not allowed any more"),
    ];
    for (narrow, wide, difference) in pairs {
        check(&narrow, &wide, &[]);
        check(&wide, &narrow, &[difference]);
    }
}

#[test]
fn alternatives_may_come_and_may_not_go() {
    // Guards enums with data, as schemas of Rust have them: each alternative has a tag.
    let variant = |tag: &str| object(json!({"kind": {"const": tag}}), &["kind"]);
    let one = json!({"oneOf": [variant("card")]});
    let two = json!({"oneOf": [variant("card"), variant("cash")]});
    check(&one, &two, &[]);
    check(&two, &one, &["does not take the alternative `\"cash\"` any more"]);
    // Without a type, data that is no object fits every alternative.
    let untyped = |tag: &str| json!({"properties": {"kind": {"const": tag}}, "required": ["kind"]});
    check(
        &untyped("card"),
        &json!({"oneOf": [untyped("card"), untyped("cash")]}),
        &["fits no single alternative any more"],
    );
    // Data that fits two alternatives of `oneOf` fits none.
    let overlap = json!({"oneOf": [variant("card"), {"type": "object"}]});
    check(&one, &overlap, &["does not take the alternative `\"card\"` any more"]);
    let any = json!({"anyOf": [variant("card"), {"type": "object"}]});
    check(&one, &any, &[]);
    check(
        &json!({"type": "string"}),
        &json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        &[],
    );
    let nullable = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
    check(&nullable, &json!({"type": ["string", "null"]}), &[]);
    check(&json!({"type": "integer"}), &nullable, &["fits no single alternative any more"]);
}

#[test]
fn references_are_followed_also_round_in_circles() {
    // Guards types that hold themselves, and definitions that change behind an equal reference.
    let tree = |leaf: &str| {
        json!({
            "$ref": "#/$defs/Tree",
            "$defs": {"Tree": object(
                json!({"leaf": {"type": leaf}, "next": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}}),
                &["leaf"],
            )},
        })
    };
    check(&tree("integer"), &tree("number"), &[]);
    let narrower = differences(&tree("number").to_string(), &tree("integer").to_string());
    assert_eq!(narrower[0].to_string(), "`/leaf` was number, and is integer now");
    let elsewhere = json!({"$ref": "https://example.org/schema"});
    check(&json!({}), &elsewhere, &["cannot be judged: where it refers to"]);
}

#[test]
fn what_cannot_be_judged_is_a_difference() {
    // Guards against saying yes to what nobody looked at.
    let pattern = |text: &str| json!({"type": "string", "pattern": text});
    check(&pattern("^a"), &pattern("^a"), &[]);
    check(&pattern("^a"), &pattern("^ab"), &["cannot be judged: `pattern`"]);
    check(&pattern("^a"), &json!({"type": "string"}), &[]);
    check(
        &json!({"type": "string"}),
        &json!({"type": "string", "not": {"const": "a"}}),
        &["cannot be judged: `not`"],
    );
    let unknown: Vec<_> = differences("", "{}").iter().map(ToString::to_string).collect();
    assert_eq!(unknown, ["cannot be compared: one of the schemas is unknown"]);
    assert_eq!(differences("", ""), []);
    check(&json!({"title": "A", "$comment": "b"}), &json!({"description": "C"}), &[]);
}

#[test]
fn intricate_schemas_are_given_up() {
    // Guards the host's time: alternatives in alternatives would take for ever to compare, and
    // nesting has an end.
    let mut wide = json!({"type": "string"});
    for _ in 0..12 {
        let next = json!({"type": "object", "properties": {"a": wide}});
        wide = json!({"anyOf": [next, {"type": "null"}, {"type": "boolean"}]});
    }
    let mut other = wide.clone();
    other["title"] = json!("other");
    other["maxProperties"] = json!(3);
    let start = differences(&wide.to_string(), &other.to_string());
    assert!(start.len() <= super::DIFFERENCES_MAX, "{start:?}");
    let mut deep = json!({"type": "integer"});
    for _ in 0..80 {
        deep = json!({"type": "array", "items": deep});
    }
    let mut deeper = deep.clone();
    deeper["minItems"] = json!(0);
    let told = differences(&deep.to_string(), &deeper.to_string());
    assert!(told[0].text.contains("too intricate"), "{told:?}");
    let many: serde_json::Map<_, _> =
        (0..20).map(|number| (format!("p{number}"), json!({"type": "string"}))).collect();
    let none = json!({"type": "object", "additionalProperties": false});
    let told =
        differences(&json!({"type": "object", "properties": many}).to_string(), &none.to_string());
    assert_eq!(told.len(), super::DIFFERENCES_MAX);
}
