//! Keywords that bound a number from one side.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// A keyword that says how small or large something may be.
pub(super) struct Bound {
    pub(super) keyword: &'static str,
    side: Side,
    /// A keyword that bounds the same side, more tightly by as much as nothing.
    exclusive: Option<&'static str>,
    /// What holds without the keyword.
    default: Option<i64>,
}

/// Whether data must be at least or at most the number.
#[derive(PartialEq, Eq)]
enum Side {
    Least,
    Most,
}

const fn least(keyword: &'static str) -> Bound {
    Bound { keyword, side: Side::Least, exclusive: None, default: None }
}

const fn most(keyword: &'static str) -> Bound {
    Bound { keyword, side: Side::Most, exclusive: None, default: None }
}

/// All of them.
pub(super) const BOUNDS: [Bound; 10] = [
    Bound { exclusive: Some("exclusiveMinimum"), ..least("minimum") },
    Bound { exclusive: Some("exclusiveMaximum"), ..most("maximum") },
    least("exclusiveMinimum"),
    most("exclusiveMaximum"),
    Bound { default: Some(0), ..least("minLength") },
    most("maxLength"),
    Bound { default: Some(0), ..least("minItems") },
    most("maxItems"),
    Bound { default: Some(0), ..least("minProperties") },
    most("maxProperties"),
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
            Some(Ordering::Greater) => self.side == Side::Least,
            Some(Ordering::Less) => self.side == Side::Most,
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
