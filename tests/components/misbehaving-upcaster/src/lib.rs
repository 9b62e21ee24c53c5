//! An upcaster that does what a plugin must not do, one misdeed per event.
//!
//! It goes below the SDK, which would not let it: straight to the bindings. What each event becomes
//! and how a host has to answer is in `annals_components::misbehaving_upcaster`.

use std::hint::black_box;

use annals_sdk::bindings::exports::annals::plugin::descriptor::{self, Description, MessageType};
use annals_sdk::bindings::exports::annals::plugin::upcaster::{self, StoredEvent};

/// What is exported.
#[derive(Debug)]
pub struct Misbehaving;

/// The events it takes, each of version 1.
const EVENTS: [&str; 11] = [
    "noted",
    "refused",
    "trapped",
    "looped",
    "hoarded",
    "vanished",
    "undeclared",
    "garbled",
    "misnamed",
    "multiplied",
    "circled",
];

impl descriptor::Guest for Misbehaving {
    fn describe() -> Description {
        let event = |name: &str| MessageType {
            name: name.to_owned(),
            schema_version: 1,
            content_type: String::new(),
            schema: String::new(),
        };
        let produces = br#"[
            {"name": "noted", "schema_version": 2},
            {"name": "circled", "schema_version": 1}
        ]"#;
        Description {
            name: "misbehaving-upcaster".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            commands: Vec::new(),
            events: EVENTS.map(event).to_vec(),
            targets: Vec::new(),
            tables: Vec::new(),
            state_schema: String::new(),
            extensions: vec![("produces".to_owned(), produces.to_vec())],
        }
    }
}

impl upcaster::Guest for Misbehaving {
    fn upcast(events: Vec<StoredEvent>) -> Result<Vec<Vec<StoredEvent>>, String> {
        events.into_iter().map(upcast).collect()
    }
}

fn upcast(event: StoredEvent) -> Result<Vec<StoredEvent>, String> {
    let noted = |data: Vec<u8>| StoredEvent { name: "noted".to_owned(), schema_version: 2, data };
    match event.name.as_str() {
        "refused" => Err("not this one".to_owned()),
        "trapped" => trap(),
        "looped" => loop {
            std::hint::spin_loop();
        },
        "hoarded" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(black_box(Vec::with_capacity(1 << 20)));
            }
        }
        "vanished" => Ok(Vec::new()),
        "undeclared" => Ok(vec![StoredEvent { schema_version: 7, ..noted(event.data) }]),
        "garbled" => Ok(vec![noted(b"{\"open\":".to_vec())]),
        "misnamed" => Ok(vec![StoredEvent { name: invalid_utf8(), ..noted(event.data) }]),
        "multiplied" => Ok(vec![noted(event.data); 101]),
        "circled" => Ok(vec![event]),
        _ => Ok(vec![noted(event.data)]),
    }
}

#[cfg(target_arch = "wasm32")]
const _: () = {
    use annals_sdk::bindings::exports::annals::plugin as exports;

    exports::descriptor::__export_annals_plugin_descriptor_0_1_0_cabi!(
        Misbehaving with_types_in annals_sdk::bindings::exports::annals::plugin::descriptor
    );
    exports::upcaster::__export_annals_plugin_upcaster_0_1_0_cabi!(
        Misbehaving with_types_in annals_sdk::bindings::exports::annals::plugin::upcaster
    );

    #[expect(unsafe_code, reason = "the section that names the world, as the SDK's macros add it")]
    #[unsafe(link_section = "component-type:annals-misbehaving-upcaster")]
    static WORLD: [u8; annals_sdk::__private::UPCASTER_WORLD.len()] =
        *annals_sdk::__private::UPCASTER_WORLD;
};

/// Ends the call.
#[expect(clippy::panic, reason = "that is what it is for")]
fn trap() -> ! {
    panic!("misbehaving on purpose")
}

/// A string that is not UTF-8, which no safe code can make.
#[expect(unsafe_code, reason = "a hostile component is not written in safe Rust")]
fn invalid_utf8() -> String {
    // SAFETY: sound it is not; the string is only ever copied out, byte by byte.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
}
