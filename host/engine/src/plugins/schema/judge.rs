//! The keywords of JSON Schema 2020-12, one by one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::bounds::{BOUNDS, is_wider_format};
use super::parts::{
    SILENT, below, has_reference, join, prefix_items, properties, required, resolve, types, values,
};
use super::{DEPTH_MAX, DIFFERENCES_MAX, Difference, STEPS_MAX};

/// Keywords with a rule of their own.
const JUDGED: [&str; 14] = [
    "$ref",
    "type",
    "const",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "anyOf",
    "oneOf",
    "allOf",
    "format",
    "unevaluatedProperties",
];

/// A schema of each side, for the same place in the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) old: &'a Value,
    pub(super) new: &'a Value,
}

/// A comparison under way.
pub(super) struct Judge<'a> {
    roots: Pair<'a>,
    differences: Vec<Difference>,
    /// What is being compared, by where it is in memory: a pair that is met again inside itself holds
    /// if the rest does.
    open: Vec<(usize, usize)>,
    steps_left: usize,
}

static EVERYTHING: Value = Value::Bool(true);

impl<'a> Judge<'a> {
    pub(super) fn new(old: &'a Value, new: &'a Value) -> Self {
        let roots = Pair { old, new };
        Self { roots, differences: Vec::new(), open: Vec::new(), steps_left: STEPS_MAX }
    }

    pub(super) fn into_differences(self) -> Vec<Difference> {
        self.differences
    }

    fn differ(&mut self, pointer: &str, text: impl Into<String>) -> bool {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(Difference { pointer: pointer.to_owned(), text: text.into() });
        }
        false
    }

    /// Whether `new` takes all that `old` takes; tells why not.
    pub(super) fn compare(&mut self, pair: Pair<'a>, pointer: &str, depth: usize) -> bool {
        if depth > DEPTH_MAX || self.steps_left == 0 {
            return self.differ(pointer, "cannot be judged: the schema is too intricate");
        }
        self.steps_left -= 1;
        let (old, new) = (resolve(pair.old, self.roots.old), resolve(pair.new, self.roots.new));
        let (Some(old), Some(new)) = (old, new) else {
            return self.differ(pointer, "cannot be judged: where it refers to");
        };
        match (old, new) {
            (Value::Bool(false), _) | (_, Value::Bool(true)) => true,
            (_, Value::Bool(false)) => self.differ(pointer, "is not allowed any more"),
            (Value::Object(old), Value::Object(new)) => {
                self.compare_objects((old, new), pointer, depth)
            }
            (Value::Bool(true), Value::Object(new)) => {
                if new.keys().all(|keyword| SILENT.contains(&keyword.as_str())) {
                    return true;
                }
                self.differ(pointer, "was anything, and is not any more")
            }
            _ => self.differ(pointer, "cannot be judged: it is not a schema"),
        }
    }

    fn compare_objects(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
        depth: usize,
    ) -> bool {
        let place = (std::ptr::from_ref(old).addr(), std::ptr::from_ref(new).addr());
        if self.open.contains(&place) {
            return true;
        }
        self.open.push(place);
        let fits = self.compare_keywords((old, new), pointer, depth);
        self.open.pop();
        fits
    }

    fn compare_keywords(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
        depth: usize,
    ) -> bool {
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(alternatives)) = old.get(keyword) {
                return self.compare_alternatives((alternatives, new), pointer, depth);
            }
        }
        if let Some(Value::Array(parts)) = old.get("allOf") {
            // Whatever fits all parts fits each: one that is taken is enough.
            let whole = parts.iter().any(|part| self.fits_object(part, new, pointer, depth));
            return whole || self.differ(pointer, "cannot be judged: it joins several schemas");
        }
        let mut fits = self.types_fit((old, new), pointer);
        fits &= self.values_fit((old, new), pointer);
        fits &= self.format_fits((old, new), pointer);
        fits &= self.bounds_fit((old, new), pointer);
        fits &= self.required_fits((old, new), pointer);
        fits &= self.properties_fit((old, new), pointer, depth);
        fits &= self.items_fit((old, new), pointer, depth);
        fits &= self.new_alternatives_fit((old, new), pointer, depth);
        fits & self.others_are_the_same((old, new), pointer)
    }

    fn fits_object(
        &mut self,
        old: &'a Value,
        new: &'a Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) -> bool {
        let told = std::mem::take(&mut self.differences);
        let resolved = resolve(old, self.roots.old).and_then(Value::as_object);
        let fits = depth < DEPTH_MAX && self.steps_left > 0 && {
            self.steps_left -= 1;
            resolved.is_some_and(|old| self.compare_objects((old, new), pointer, depth + 1))
        };
        self.differences = told;
        fits
    }

    fn compare_alternatives(
        &mut self,
        (alternatives, new): (&'a [Value], &'a Map<String, Value>),
        pointer: &str,
        depth: usize,
    ) -> bool {
        let mut fits = true;
        for (number, alternative) in alternatives.iter().enumerate() {
            if !self.fits_object(alternative, new, pointer, depth) {
                let what = self.name_of(alternative).unwrap_or_else(|| format!("number {number}"));
                fits =
                    self.differ(pointer, format!("does not take the alternative {what} any more"));
            }
        }
        fits
    }

    /// What people call an alternative: its constant, or that of a property.
    fn name_of(&self, alternative: &'a Value) -> Option<String> {
        let schema = resolve(alternative, self.roots.old)?.as_object()?;
        let properties = schema.get("properties").and_then(Value::as_object);
        let of_property =
            properties.and_then(|properties| properties.values().find_map(|it| it.get("const")));
        let named = schema.get("const").or(of_property).or(schema.get("type"))?;
        Some(format!("`{named}`"))
    }

    fn types_fit(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
    ) -> bool {
        let Some(allowed) = types(new) else { return true };
        let Some(had) = types(old) else {
            return self.differ(pointer, format!("was of any type, and is {} now", join(&allowed)));
        };
        let is_allowed = |one: &&str| {
            allowed.contains(one) || (**one == *"integer" && allowed.contains("number"))
        };
        if had.iter().all(is_allowed) {
            return true;
        }
        self.differ(pointer, format!("was {}, and is {} now", join(&had), join(&allowed)))
    }

    fn values_fit(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
    ) -> bool {
        let Some(allowed) = values(new) else { return true };
        let Some(had) = values(old) else {
            return self.differ(pointer, "was not limited to certain values, and is now");
        };
        let gone: Vec<_> = had.iter().filter(|value| !allowed.contains(value)).collect();
        match gone.first() {
            None => true,
            Some(value) => self.differ(pointer, format!("does not take `{value}` any more")),
        }
    }

    fn format_fits(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
    ) -> bool {
        let Some(new) = new.get("format") else { return true };
        let old = old.get("format");
        let texts = (old.and_then(Value::as_str), new.as_str());
        let fits = old == Some(new)
            || matches!(texts, (Some(old), Some(new)) if is_wider_format(old, new));
        if fits {
            return true;
        }
        let had = old.map_or_else(|| "of no format".to_owned(), |old| format!("of format {old}"));
        self.differ(pointer, format!("was {had}, and is of format {new} now"))
    }

    fn bounds_fit(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
    ) -> bool {
        let mut fits = true;
        for bound in BOUNDS.iter().filter(|bound| !bound.is_kept(old, new)) {
            let now = new.get(bound.keyword).map(Value::to_string).unwrap_or_default();
            fits = self.differ(pointer, format!("has the tighter `{}` {now} now", bound.keyword));
        }
        fits
    }

    fn required_fits(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
    ) -> bool {
        let (had, wanted) = (required(old), required(new));
        let mut fits = true;
        for name in wanted.difference(&had) {
            fits = self.differ(&below(pointer, name), "is required now");
        }
        fits
    }

    fn properties_fit(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
        depth: usize,
    ) -> bool {
        let (had, wanted) = (properties(old), properties(new));
        let others = new.get("additionalProperties").unwrap_or(&EVERYTHING);
        let mut fits = true;
        for (name, old) in had.into_iter().flatten() {
            // Rule 3 of the module: what only the new schema names is absent from old data.
            let new = wanted.and_then(|wanted| wanted.get(name)).unwrap_or(others);
            fits &= self.compare(Pair { old, new }, &below(pointer, name), depth + 1);
        }
        let old_others = old.get("additionalProperties").unwrap_or(&EVERYTHING);
        fits & self.compare(Pair { old: old_others, new: others }, &below(pointer, "*"), depth + 1)
    }

    fn items_fit(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
        depth: usize,
    ) -> bool {
        let (had, wanted) = (prefix_items(old), prefix_items(new));
        if had.len() != wanted.len() {
            return self.differ(pointer, "has another number of items of their own shape now");
        }
        let mut fits = true;
        for (number, (old, new)) in had.iter().zip(wanted).enumerate() {
            let pointer = below(pointer, &number.to_string());
            fits &= self.compare(Pair { old, new }, &pointer, depth + 1);
        }
        let of = |schema: &'a Map<String, Value>| schema.get("items").unwrap_or(&EVERYTHING);
        fits & self.compare(Pair { old: of(old), new: of(new) }, &below(pointer, "*"), depth + 1)
    }

    fn new_alternatives_fit(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
        depth: usize,
    ) -> bool {
        let mut fits = true;
        for part in new.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            fits &= self.takes(old, part, pointer, depth);
        }
        if let Some(Value::Array(alternatives)) = new.get("anyOf") {
            let is_taken = alternatives.iter().any(|one| self.takes(old, one, pointer, depth));
            fits &= is_taken || self.differ(pointer, NO_ALTERNATIVE);
        }
        if let Some(Value::Array(alternatives)) = new.get("oneOf") {
            let mut taken = alternatives.iter().enumerate();
            let taken = taken.find(|(_, one)| self.takes(old, one, pointer, depth));
            let is_only_one = taken.is_some_and(|(taken, _)| {
                let others = alternatives.iter().enumerate().filter(|(place, _)| *place != taken);
                others.map(|(_, other)| other).all(|other| self.excludes(old, other, depth))
            });
            fits &= is_only_one || self.differ(pointer, NO_ALTERNATIVE);
        }
        fits
    }

    /// Whether the schema `new` takes all that `old` takes.
    fn takes(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Value,
        pointer: &str,
        depth: usize,
    ) -> bool {
        match resolve(new, self.roots.new) {
            Some(Value::Bool(takes)) => *takes,
            Some(Value::Object(new)) if depth < DEPTH_MAX && self.steps_left > 0 => {
                self.steps_left -= 1;
                let told = std::mem::take(&mut self.differences);
                let fits = self.compare_objects((old, new), pointer, depth + 1);
                self.differences = told;
                fits
            }
            _ => false,
        }
    }

    /// Whether nothing that `old` takes fits `new`: by type, by value, or by a property that both
    /// require.
    fn excludes(&mut self, old: &'a Map<String, Value>, new: &'a Value, depth: usize) -> bool {
        let new = match resolve(new, self.roots.new) {
            Some(Value::Object(new)) if depth < DEPTH_MAX && self.steps_left > 0 => new,
            Some(Value::Bool(takes)) => return !takes,
            _ => return false,
        };
        self.steps_left -= 1;
        let numbers = ["integer", "number"];
        if let (Some(had), Some(wanted)) = (types(old), types(new)) {
            let are_numbers =
                |types: &BTreeSet<&str>| numbers.iter().any(|one| types.contains(one));
            if had.is_disjoint(&wanted) && !(are_numbers(&had) && are_numbers(&wanted)) {
                return true;
            }
        }
        if let (Some(had), Some(wanted)) = (values(old), values(new)) {
            return had.iter().all(|value| !wanted.contains(value));
        }
        // What is no object has no properties to tell it apart by.
        if types(old).is_none_or(|had| had != BTreeSet::from(["object"])) {
            return false;
        }
        let both: Vec<_> = required(old).intersection(&required(new)).copied().collect();
        both.into_iter().any(|name| {
            let of = |schema: &'a Map<String, Value>| properties(schema)?.get(name);
            let (Some(had), Some(wanted)) = (of(old), of(new)) else { return false };
            let had = resolve(had, self.roots.old).and_then(Value::as_object);
            had.is_some_and(|had| self.excludes(had, wanted, depth + 1))
        })
    }

    /// Keywords without a rule must not be there, or be the same and refer to nothing.
    fn others_are_the_same(
        &mut self,
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        pointer: &str,
    ) -> bool {
        let is_other = |keyword: &str| {
            keyword == "unevaluatedProperties"
                || !(SILENT.contains(&keyword)
                    || JUDGED.contains(&keyword)
                    || BOUNDS.iter().any(|bound| bound.keyword == keyword))
        };
        let mut fits = true;
        for (keyword, value) in new.iter().filter(|(keyword, _)| is_other(keyword)) {
            if old.get(keyword) != Some(value) || has_reference(value) {
                fits = self.differ(pointer, format!("cannot be judged: `{keyword}`"));
            }
        }
        fits
    }
}

const NO_ALTERNATIVE: &str = "fits no single alternative any more";
