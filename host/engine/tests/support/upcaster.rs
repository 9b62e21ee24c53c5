//! A native upcaster that does what its rules say, misdeeds included.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use annals_core::name::EventType;
use annals_core::plugin::{GuestShape, MessageType, StoredShape};
use annals_core::port::guest::{GuestFailure, UpcasterGuest};
use serde::{Deserialize, Serialize};

use super::guest::{Added, Probe, message};

/// What becomes of one kind of event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    takes: (String, u32),
    produces: Vec<(String, u32)>,
    act: Act,
}

/// What the upcaster does with an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Act {
    /// One event of each shape it produces, with the amount times the factor.
    Times(i64),
    /// As `Times(1)`, but amounts below 0 are refused.
    RefuseNegative,
    /// As `Times(1)`, but amounts below 0 trap.
    TrapOnNegative,
    /// Nothing at all.
    Nothing,
    /// Results for one event less than it was given.
    OneResultLess,
    /// An event that it does not produce.
    Undeclared,
    /// No JSON.
    NoJson,
    /// Data of so many bytes.
    Bytes(usize),
    /// JSON of so many bytes for each shape it produces.
    JsonBytes(usize),
    /// So many events.
    Many(usize),
}

/// A rule: what it takes, what it makes, and how.
pub(crate) fn rule(takes: (&str, u32), produces: &[(&str, u32)], act: Act) -> Rule {
    let owned = |(name, version): (&str, u32)| (name.to_owned(), version);
    Rule { takes: owned(takes), produces: produces.iter().map(|p| owned(*p)).collect(), act }
}

fn messages<'a>(shapes: impl Iterator<Item = &'a (String, u32)>) -> Vec<MessageType<EventType>> {
    shapes.map(|(name, version)| message(EventType::new(name).unwrap(), *version)).collect()
}

pub(super) fn takes(rules: &[Rule]) -> Vec<MessageType<EventType>> {
    messages(rules.iter().map(|rule| &rule.takes))
}

pub(super) fn produces(rules: &[Rule]) -> Vec<MessageType<EventType>> {
    messages(rules.iter().flat_map(|rule| &rule.produces))
}

#[derive(Debug)]
pub(super) struct NativeUpcaster {
    probe: Arc<Probe>,
    rules: Vec<Rule>,
}

impl NativeUpcaster {
    pub(super) fn new(probe: Arc<Probe>, rules: Vec<Rule>) -> Self {
        Self { probe, rules }
    }

    fn act(rule: &Rule, amount: i64) -> Vec<GuestShape> {
        let event = |(name, version): &(String, u32), data: Vec<u8>| GuestShape {
            name: name.clone(),
            schema_version: *version,
            data,
        };
        let json = |amount| serde_json::to_vec(&Added { amount }).unwrap();
        let first = &rule.produces[0];
        match rule.act {
            Act::Times(factor) => {
                rule.produces.iter().map(|made| event(made, json(amount * factor))).collect()
            }
            Act::RefuseNegative | Act::TrapOnNegative | Act::OneResultLess => {
                vec![event(first, json(amount))]
            }
            Act::Nothing => Vec::new(),
            Act::Undeclared => vec![event(&("removed".to_owned(), 1), json(amount))],
            Act::NoJson => vec![event(first, b"{".to_vec())],
            Act::Bytes(bytes) => vec![event(first, vec![b' '; bytes])],
            Act::JsonBytes(bytes) => {
                let text = "x".repeat(bytes - 2);
                let data = serde_json::to_vec(&text).unwrap();
                rule.produces.iter().map(|made| event(made, data.clone())).collect()
            }
            Act::Many(count) => vec![event(first, json(amount)); count],
        }
    }
}

impl UpcasterGuest for NativeUpcaster {
    fn upcast(
        &mut self,
        events: &[StoredShape<'_>],
    ) -> Result<Result<Vec<Vec<GuestShape>>, String>, GuestFailure> {
        let count = u64::try_from(events.len()).unwrap();
        self.probe.upcast_calls.fetch_add(1, Ordering::Relaxed);
        self.probe.upcast_events.fetch_add(count, Ordering::Relaxed);
        let mut all = Vec::new();
        for event in events {
            let shape = (event.event_type.as_str().to_owned(), event.schema_version.0);
            let rule = self.rules.iter().find(|rule| rule.takes == shape).unwrap();
            let Added { amount } = serde_json::from_slice(event.data).unwrap();
            match rule.act {
                Act::RefuseNegative if amount < 0 => {
                    return Ok(Err(format!("{amount} is below 0")));
                }
                Act::TrapOnNegative if amount < 0 => {
                    let (plugin, cause) = ("old-sums".to_owned(), "told to".to_owned());
                    return Err(GuestFailure::Trap { plugin, call: "upcast", cause });
                }
                _ => all.push(Self::act(rule, amount)),
            }
        }
        if self.rules.iter().any(|rule| matches!(rule.act, Act::OneResultLess)) {
            all.pop();
        }
        Ok(Ok(all))
    }
}
