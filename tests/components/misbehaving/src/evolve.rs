//! Misdeeds in `evolve` and `snapshot`, by event.

use std::cell::RefCell;

use annals_sdk::bindings::annals::plugin::types::{Command, Context, History};
use annals_sdk::bindings::exports::annals::plugin::aggregate::{
    self, Decision, GuestEntity, Refusal,
};

use crate::{decide, exhaust, trap};

/// The events.
pub(crate) const EVENTS: &[&str] = &[
    "noted",
    "trap-when-evolved",
    "loop-when-evolved",
    "trap-in-snapshot",
    "loop-in-snapshot",
    "invalid-json-snapshot",
    "large-snapshot",
];

/// One stream: how many events it has, and the last that spoils the snapshot.
#[derive(Debug)]
pub struct Entity {
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    events_count: u64,
    fault: &'static str,
}

impl GuestEntity for Entity {
    fn new(_: String) -> Self {
        Self { state: RefCell::default() }
    }

    fn restore(_: String, snapshot: Vec<u8>) -> Result<aggregate::Entity, String> {
        let text = String::from_utf8(snapshot).map_err(|error| error.to_string())?;
        let count = text.strip_prefix("{\"events_count\":").and_then(|text| text.strip_suffix('}'));
        let events_count = count.and_then(|count| count.parse().ok()).ok_or("not a snapshot")?;
        let state = RefCell::new(State { events_count, fault: "" });
        Ok(aggregate::Entity::new(Self { state }))
    }

    fn evolve(&self, events: History) {
        let mut state = self.state.borrow_mut();
        for event_type in events.event_types {
            let index = usize::try_from(event_type).unwrap_or(usize::MAX);
            state.events_count = state.events_count.saturating_add(1);
            match EVENTS.get(index).copied() {
                Some("noted") => {}
                Some("loop-when-evolved") => exhaust::fuel(),
                Some("trap-when-evolved") | None => trap(),
                Some(fault) => state.fault = fault,
            }
        }
    }

    fn decide(&self, _: Context, command: Command) -> Result<Decision, Refusal> {
        decide::decide(command.command_type)
    }

    fn snapshot(&self) -> Vec<u8> {
        let state = self.state.borrow();
        match state.fault {
            "trap-in-snapshot" => trap(),
            "loop-in-snapshot" => exhaust::fuel(),
            "invalid-json-snapshot" => b"{".to_vec(),
            "large-snapshot" => format!("\"{}\"", "a".repeat(9 << 20)).into_bytes(),
            _ => format!("{{\"events_count\":{}}}", state.events_count).into_bytes(),
        }
    }
}
