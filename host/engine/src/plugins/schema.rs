//! Whether a JSON Schema takes all data that another one took.
//!
//! Commands are checked with it (the new version must take what callers send) and events (what was
//! recorded must fit the shape that the new version declares for the same schema version). The rules,
//! in the order in which they are tried:
//!
//! 1. What cannot be judged is a difference: a keyword that is not known here and not the same on both
//!    sides, a reference out of the schema, more than [`STEPS_MAX`] steps.
//! 2. Texts for people (`title`, `description`, `default`, `examples`, `$comment`, …) do not count.
//! 3. A property that the old schema does not name is taken to be absent from old data.
//! 4. Of alternatives (`anyOf`, `oneOf`, several types), each of the old must fit one of the new; of
//!    `oneOf` in the new schema, the others must exclude it by type, constant or a required property.
//! 5. Bounds, lengths, required properties, enumerations and types may get wider, not narrower.
//!
//! `judge.rs` has the keywords and `bounds.rs` those with numbers, `parts.rs` what a schema says of itself.

mod bounds;
mod judge;
mod parts;

use std::fmt;

use serde_json::Value;

/// Most steps of one comparison: what a plugin declares may be made to take for ever.
const STEPS_MAX: usize = 20_000;

/// Deepest nesting that is followed, references included.
const DEPTH_MAX: usize = 64;

/// Most differences that are told of one schema.
const DIFFERENCES_MAX: usize = 8;

/// A reason why a schema does not take what another one took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the data, as a JSON pointer in which `*` stands for every item or property.
    pub pointer: String,
    /// What is so there.
    pub text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.text);
        }
        write!(f, "`{}` {}", self.pointer, self.text)
    }
}

/// Why data that fits the schema `old` may not fit `new`, both as text; nothing when all of it does.
pub(super) fn differences(old: &str, new: &str) -> Vec<Difference> {
    if old == new {
        return Vec::new();
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(old), Some(new)) = (parse(old), parse(new)) else {
        let text = "cannot be compared: one of the schemas is unknown".to_owned();
        return vec![Difference { pointer: String::new(), text }];
    };
    if parts::bare(&old) == parts::bare(&new) {
        return Vec::new();
    }
    let mut judge = judge::Judge::new(&old, &new);
    judge.compare(judge::Pair { old: &old, new: &new }, "", 0);
    judge.into_differences()
}

#[cfg(test)]
mod tests;
