//! A process manager that does what a plugin must not do, one misdeed per event, timer and command.
//!
//! It goes below the SDK, which would not let it: straight to the bindings. What each misdeed is and
//! how a host has to answer is in `annals_components::misbehaving_process`.

use std::hint::black_box;

use annals_sdk::bindings::annals::plugin::types::{Command, Context, EventBatch, RecordedEvent};
use annals_sdk::bindings::exports::annals::plugin::descriptor::{self, Description, MessageType};
use annals_sdk::bindings::exports::annals::plugin::process_manager::{
    self, Outgoing, Reaction, Reply, Timer,
};

/// What is exported.
#[derive(Debug)]
pub struct Misbehaving;

/// The events it takes, each of version 1.
const EVENTS: [&str; 20] = [
    "noted",
    "refused",
    "trapped",
    "looped",
    "hoarded",
    "misnamed",
    "mistyped",
    "garbled",
    "flooded",
    "overwound",
    "mistimed",
    "bloated",
    "mistargeted",
    "correlate-trapped",
    "correlate-looped",
    "correlate-hoarded",
    "correlate-misnamed",
    "correlate-short",
    "correlate-flooded",
    "correlate-blank",
];

impl descriptor::Guest for Misbehaving {
    fn describe() -> Description {
        let message = |name: &str| MessageType {
            name: name.to_owned(),
            schema_version: 1,
            content_type: String::new(),
            schema: String::new(),
        };
        Description {
            name: "misbehaving-process".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            commands: vec![message("note")],
            events: EVENTS.map(message).to_vec(),
            targets: vec!["misbehaving".to_owned()],
            tables: Vec::new(),
            state_schema: String::new(),
            extensions: Vec::new(),
        }
    }
}

impl process_manager::Guest for Misbehaving {
    fn correlate(events: EventBatch) -> Vec<Vec<String>> {
        let streams = events.stream_indexes.iter().map(|index| {
            let stream = usize::try_from(*index).ok().and_then(|index| events.streams.get(index));
            stream.map_or("", String::as_str)
        });
        let names = events.event_types.iter().map(|index| name_of(*index));
        names.zip(streams).filter_map(|(name, stream)| instances(name, stream)).collect()
    }

    fn on_event(
        _: Context,
        _: String,
        state: Option<Vec<u8>>,
        event: RecordedEvent,
    ) -> Result<Reaction, String> {
        react(name_of(event.event_type), state.unwrap_or_else(|| b"{}".to_vec()))
    }

    fn on_timer(_: Context, _: String, state: Vec<u8>, fired: Timer) -> Result<Reaction, String> {
        react(&fired.name, state)
    }

    fn on_reply(
        _: Context,
        _: String,
        state: Vec<u8>,
        sent: Outgoing,
        _: Reply,
    ) -> Result<Reaction, String> {
        react(&sent.target_id, state)
    }
}

fn name_of(event_type: u32) -> &'static str {
    let name = usize::try_from(event_type).ok().and_then(|index| EVENTS.get(index));
    name.copied().unwrap_or_default()
}

/// The instances of an event of `stream`; none at all when it is to be left out.
fn instances(name: &str, stream: &str) -> Option<Vec<String>> {
    match name {
        "correlate-trapped" => trap(),
        "correlate-looped" => spin(),
        "correlate-hoarded" => hoard(),
        "correlate-misnamed" => Some(vec![invalid_utf8()]),
        "correlate-short" => None,
        "correlate-flooded" => Some((0..101).map(|number| format!("i{number}")).collect()),
        "correlate-blank" => Some(vec![String::new()]),
        _ => Some(vec![stream.split_once('/').map_or(stream, |(_, id)| id).to_owned()]),
    }
}

fn react(misdeed: &str, state: Vec<u8>) -> Result<Reaction, String> {
    let calm = Reaction {
        state: Some(state),
        commands: Vec::new(),
        start_timers: Vec::new(),
        cancel_timers: Vec::new(),
    };
    let note = |target_id: &str, command_type, data: &[u8]| Outgoing {
        target_id: target_id.to_owned(),
        command: Command { command_type, data: data.to_vec() },
    };
    let timer = |name: &str| Timer { name: name.to_owned(), due_at: 7, data: b"null".to_vec() };
    match misdeed {
        "refused" => Err("not this one".to_owned()),
        "trapped" => trap(),
        "looped" => spin(),
        "hoarded" => hoard(),
        "misnamed" => Ok(Reaction { commands: vec![note(&invalid_utf8(), 0, b"{}")], ..calm }),
        "mistyped" => Ok(Reaction { commands: vec![note("m1", 1, b"{}")], ..calm }),
        "garbled" => Ok(Reaction { commands: vec![note("m1", 0, b"{\"open\":")], ..calm }),
        "flooded" => Ok(Reaction { commands: vec![note("m1", 0, b"{}"); 101], ..calm }),
        "overwound" => {
            let timers = (0..101).map(|number| timer(&format!("timer-{number}")));
            Ok(Reaction { start_timers: timers.collect(), ..calm })
        }
        "mistimed" => Ok(Reaction { start_timers: vec![timer("Not Kebab")], ..calm }),
        "bloated" => Ok(Reaction { state: Some(vec![b'1'; (256 << 10) + 1]), ..calm }),
        "mistargeted" => Ok(Reaction { commands: vec![note("", 0, b"{}")], ..calm }),
        _ => Ok(Reaction {
            commands: vec![note("m1", 0, b"{}")],
            start_timers: vec![timer("noted")],
            cancel_timers: vec!["other".to_owned()],
            ..calm
        }),
    }
}

#[cfg(target_arch = "wasm32")]
const _: () = {
    use annals_sdk::bindings::exports::annals::plugin as exports;

    exports::descriptor::__export_annals_plugin_descriptor_0_1_0_cabi!(
        Misbehaving with_types_in annals_sdk::bindings::exports::annals::plugin::descriptor
    );
    exports::process_manager::__export_annals_plugin_process_manager_0_1_0_cabi!(
        Misbehaving with_types_in annals_sdk::bindings::exports::annals::plugin::process_manager
    );

    #[expect(unsafe_code, reason = "the section that names the world, as the SDK's macros add it")]
    #[unsafe(link_section = "component-type:annals-misbehaving-process")]
    static WORLD: [u8; annals_sdk::__private::PROCESS_MANAGER_WORLD.len()] =
        *annals_sdk::__private::PROCESS_MANAGER_WORLD;
};

/// Ends the call.
#[expect(clippy::panic, reason = "that is what it is for")]
fn trap() -> ! {
    panic!("misbehaving on purpose")
}

/// Uses up the fuel.
fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Uses up the memory.
fn hoard() -> ! {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(black_box(Vec::with_capacity(1 << 20)));
    }
}

/// A string that is not UTF-8, which no safe code can make.
#[expect(unsafe_code, reason = "a hostile component is not written in safe Rust")]
fn invalid_utf8() -> String {
    // SAFETY: sound it is not; the string is only ever copied out, byte by byte.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
}
