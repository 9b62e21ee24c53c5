//! Where two JSON values differ: paths, what was there, and what is.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// Most differences told of one pair of values; the first ones.
pub const DIFFERENCES_MAX: usize = 10;

/// Longest value or path that is told as it is, in bytes of its JSON; of a longer one the beginning.
const TOLD_BYTES_MAX: usize = 256;

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where, as a JSON pointer; the empty one is the whole value.
    pub path: String,
    /// What was there; `None` when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there; `None` when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The first places where two values differ, in order of the names of members.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut found, &mut String::new(), Some(before), Some(after));
    found
}

/// Values come from JSON texts, which nest 128 deep at most.
fn compare(
    found: &mut Vec<Difference>,
    path: &mut String,
    before: Option<&Value>,
    after: Option<&Value>,
) {
    if before == after || found.len() >= DIFFERENCES_MAX {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for name in names {
                within(path, &escaped(name), |path| {
                    compare(found, path, before.get(name), after.get(name));
                });
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                within(path, &index.to_string(), |path| {
                    compare(found, path, before.get(index), after.get(index));
                });
            }
        }
        (before, after) => found.push(Difference {
            path: beginning(path).unwrap_or_else(|| path.clone()),
            before: before.map(told),
            after: after.map(told),
        }),
    }
}

/// Does something with a path that goes one step further.
fn within(path: &mut String, step: &str, work: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(step);
    work(path);
    path.truncate(length);
}

/// A name as a step of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A value, or the beginning of its text when it is long.
fn told(value: &Value) -> Value {
    let text = value.to_string();
    beginning(&text).map_or_else(|| value.clone(), Value::String)
}

/// The beginning of a text that is too long to be told; `None` when it is not.
fn beginning(text: &str) -> Option<String> {
    if text.len() <= TOLD_BYTES_MAX {
        return None;
    }
    let end = text.floor_char_boundary(TOLD_BYTES_MAX);
    Some(format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(path: &str, before: Option<Value>, after: Option<Value>) -> Difference {
        Difference { path: path.to_owned(), before, after }
    }

    #[test]
    fn differences_are_told_with_their_paths() {
        // Guards the examples of a verdict: members and elements that changed, came or went.
        let before = json!({"a": 1, "b": {"c/d": [1, 2, {"e": null}]}, "gone": true});
        let after = json!({"a": 1, "b": {"c/d": [1, 3, {}, 4]}, "new": "x"});
        assert_eq!(differences(&before, &before), []);
        assert_eq!(
            differences(&before, &after),
            [
                difference("/b/c~1d/1", Some(json!(2)), Some(json!(3))),
                difference("/b/c~1d/2/e", Some(Value::Null), None),
                difference("/b/c~1d/3", None, Some(json!(4))),
                difference("/gone", Some(json!(true)), None),
                difference("/new", None, Some(json!("x"))),
            ]
        );
        assert_eq!(
            differences(&json!(1), &json!([])),
            [difference("", Some(json!(1)), Some(json!([])))]
        );
    }

    #[test]
    fn differences_have_limits() {
        // Guards the size of a verdict: ten places, and the beginning of what is long.
        let many = |value: u64| Value::from((0..100).map(|_| value).collect::<Vec<_>>());
        assert_eq!(differences(&many(0), &many(1)).len(), DIFFERENCES_MAX);
        let long = json!("ü".repeat(200));
        let told = format!("\"{}… (402 bytes)", "ü".repeat(127));
        assert_eq!(
            differences(&long, &json!("short")),
            [difference("", Some(json!(told)), Some(json!("short")))]
        );
        let path = differences(&json!({}), &json!({"x".repeat(300): 1}));
        assert_eq!(path.first().unwrap().path, format!("/{}… (301 bytes)", "x".repeat(255)));
    }
}
