//! Keywords that bound a number from one side.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// A keyword that says how small or large something may be.
pub(super) struct Bound {
    pub(super) keyword: &'static str,
    /// Whether data must be at least it, and not at most.
    is_lower: bool,
    /// A keyword that bounds the same side, more tightly by as much as nothing.
    exclusive: Option<&'static str>,
    /// What holds without the keyword.
    default: Option<i64>,
}

const fn bound(keyword: &'static str, is_lower: bool) -> Bound {
    Bound { keyword, is_lower, exclusive: None, default: None }
}

/// All of them.
pub(super) const BOUNDS: [Bound; 10] = [
    Bound { exclusive: Some("exclusiveMinimum"), ..bound("minimum", true) },
    Bound { exclusive: Some("exclusiveMaximum"), ..bound("maximum", false) },
    bound("exclusiveMinimum", true),
    bound("exclusiveMaximum", false),
    Bound { default: Some(0), ..bound("minLength", true) },
    bound("maxLength", false),
    Bound { default: Some(0), ..bound("minItems", true) },
    bound("maxItems", false),
    Bound { default: Some(0), ..bound("minProperties", true) },
    bound("maxProperties", false),
];

impl Bound {
    /// Whether all data within the bound of `old` is within that of `new`.
    pub(super) fn is_kept(&self, old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
        let Some(new) = new.get(self.keyword) else { return true };
        let Value::Number(new) = new else { return false };
        let default = self.default.map(Number::from);
        let of_old = |keyword: &str| match old.get(keyword) {
            Some(Value::Number(number)) => Some(number.clone()),
            _ => None,
        };
        let exclusive = self.exclusive.and_then(of_old);
        let bounds = [of_old(self.keyword), exclusive, default];
        bounds.into_iter().flatten().any(|old| match compare(&old, new) {
            Some(Ordering::Equal) => true,
            Some(Ordering::Greater) => self.is_lower,
            Some(Ordering::Less) => !self.is_lower,
            None => false,
        })
    }
}

fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Whether every number of the format `old` is one of the format `new`.
pub(super) fn is_wider_format(old: &str, new: &str) -> bool {
    let parse = |format: &str| {
        let (is_signed, bits) = match format.strip_prefix("uint") {
            Some(bits) => (false, bits),
            None => (true, format.strip_prefix("int")?),
        };
        bits.parse::<u32>().ok().map(|bits| (is_signed, bits))
    };
    if (old, new) == ("float", "double") {
        return true;
    }
    match (parse(old), parse(new)) {
        (Some((true, _)), Some((false, _))) => false,
        (Some((false, old)), Some((true, new))) => old < new,
        (Some((_, old)), Some((_, new))) => old <= new,
        _ => false,
    }
}
