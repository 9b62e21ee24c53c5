//! The upcaster `notes`: what was once one event is two, and a text that must not be is refused.

use annals_core::event::SchemaVersion;
use annals_core::plugin::{Description, GuestShape, MessageType, StoredShape};
use annals_core::port::guest::{GuestFailure, UpcasterGuest};
use serde_json::{Value, json};

use super::runtime::{bare, message};

pub(super) fn description() -> Description {
    let any = json!({});
    let written = MessageType { schema_version: SchemaVersion(2), ..message("note-written", &any) };
    Description {
        events: vec![message("note-taken", &any)],
        produces: vec![written, message("note-filed", &any)],
        ..bare("notes", "Notes as they are today.")
    }
}

#[derive(Debug)]
pub(super) struct NotesGuest;

impl UpcasterGuest for NotesGuest {
    fn upcast(
        &mut self,
        events: &[StoredShape<'_>],
    ) -> Result<Result<Vec<Vec<GuestShape>>, String>, GuestFailure> {
        Ok(events.iter().map(one).collect())
    }
}

fn one(event: &StoredShape<'_>) -> Result<Vec<GuestShape>, String> {
    let data: Value = serde_json::from_slice(event.data).unwrap();
    if data["text"] == "burnt" {
        return Err("it is burnt".to_owned());
    }
    let shape = |name: &str, schema_version, data: Value| GuestShape {
        name: name.to_owned(),
        schema_version,
        data: data.to_string().into_bytes(),
    };
    Ok(vec![
        shape("note-written", 2, json!({"words": [data["text"]]})),
        shape("note-filed", 1, json!({})),
    ])
}
