//! The description, and misdeeds in giving it.
//!
//! `describe` takes no input, so what it does is in a static that tests change in the component's
//! bytes: see `annals_components::misbehaving_in_describe`.

use annals_sdk::bindings::annals::plugin::log;
use annals_sdk::bindings::exports::annals::plugin::descriptor::{Description, MessageType};

use crate::decide::COMMANDS;
use crate::evolve::EVENTS;
use crate::{exhaust, invalid_utf8, trap};

/// The last 24 bytes are the fault, padded with dots.
static FAULT: [u8; 48] = *b"annals-misbehaving-fault........................";

pub(crate) fn describe() -> Description {
    let mut description = honest();
    match fault().as_str() {
        "" => {}
        "trap" => trap(),
        "loop-forever" => exhaust::fuel(),
        "allocate-forever" => exhaust::memory(),
        "recurse-forever" => description.summary = exhaust::stack().to_string(),
        "log" => log::write(log::Level::Info, "describing"),
        "empty-name" => description.name = String::new(),
        "bad-name" => description.name = "Not/Kebab".to_owned(),
        "invalid-utf8-name" => description.name = invalid_utf8(),
        "bad-version" => description.version = "one".to_owned(),
        "duplicate-event" => description.events.push(message_type("noted")),
        "bad-command-name" => description.commands.push(message_type("Not Kebab")),
        "too-many-events" => {
            let names = (0..1_001).map(|number| format!("noted-{number}"));
            description.events = names.map(|name| message_type(&name)).collect();
        }
        "schema-version-zero" => {
            description.events.iter_mut().for_each(|event| event.schema_version = 0);
        }
        "schema-not-json" => {
            description.events.iter_mut().for_each(|event| event.schema = "{".to_owned());
        }
        "too-large" => description.summary = "a".repeat(2 << 20),
        _ => trap(),
    }
    description
}

/// What the tests wrote over the dots.
fn fault() -> String {
    // Opaque to the optimiser, which would otherwise know that there are only dots.
    let fault = std::hint::black_box(&FAULT);
    let written = fault.iter().skip(24).take_while(|byte| **byte != b'.');
    written.map(|byte| char::from(*byte)).collect()
}

fn honest() -> Description {
    Description {
        name: "misbehaving".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
        commands: COMMANDS.iter().map(|name| message_type(name)).collect(),
        events: EVENTS.iter().map(|name| message_type(name)).collect(),
        targets: Vec::new(),
        tables: Vec::new(),
        state_schema: "1".to_owned(),
        extensions: Vec::new(),
    }
}

fn message_type(name: &str) -> MessageType {
    MessageType {
        name: name.to_owned(),
        schema_version: 1,
        content_type: "application/json".to_owned(),
        schema: r#"{"type":"object"}"#.to_owned(),
    }
}
