//! Events, origins, commands as attributes.
//!
//! ```text
//! event    t type · v schema version, unless 1 · y content type, unless JSON · d data · m metadata
//!          i id, when a client gave it
//! origin   r correlation id · a causation id · p principal
//! command  i id · n name · d data · y content type · s decided at · e seed · p plugin digest
//!          j rejection: c code · m message · d detail
//! ```

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::{CausationId, CommandId, CorrelationId, Digest, EventId};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;

use super::fields::{Fault, Fields, Item, binary, content, number, shared, text};

/// Puts what is not absent into an item.
pub(super) fn put(item: &mut Item, name: &str, value: Option<AttributeValue>) {
    if let Some(value) = value {
        item.insert(name.to_owned(), value);
    }
}

/// An event as an attribute.
pub(super) fn write_event(event: &NewEvent) -> AttributeValue {
    let mut item = Item::new();
    let version = event.schema_version;
    put(&mut item, "t", Some(text(event.event_type.as_str())));
    put(&mut item, "v", (version != SchemaVersion::FIRST).then(|| number(u64::from(version.0))));
    put(&mut item, "y", content_type(&event.content_type));
    put(&mut item, "d", Some(content(&event.data)));
    put(&mut item, "m", (!event.metadata.is_empty()).then(|| content(&event.metadata)));
    put(&mut item, "i", event.id.map(|id| binary(id.uuid().as_bytes())));
    AttributeValue::M(item)
}

/// An event read back.
pub(super) fn read_event(fields: Fields<'_>) -> Result<NewEvent, Fault> {
    Ok(NewEvent {
        id: fields.optional_uuid("i")?.map(EventId::new),
        event_type: fields.parsed("t")?,
        schema_version: read_version(fields.optional_number("v")?)?,
        content_type: read_content_type(fields)?,
        data: fields.content("d")?,
        metadata: fields.content("m")?,
    })
}

/// A schema version read back.
pub(super) fn read_version(number: Option<u64>) -> Result<SchemaVersion, Fault> {
    let Some(number) = number else { return Ok(SchemaVersion::FIRST) };
    u32::try_from(number).map(SchemaVersion).map_err(|_| Fault::new("v", "is not a schema version"))
}

fn content_type(content_type: &ContentType) -> Option<AttributeValue> {
    match content_type {
        ContentType::Json => None,
        ContentType::Other(name) => Some(text(name)),
    }
}

fn read_content_type(fields: Fields<'_>) -> Result<ContentType, Fault> {
    Ok(fields.optional_text("y")?.map_or(ContentType::Json, ContentType::from))
}

/// An origin as an attribute; `None` when it says nothing.
pub(super) fn write_origin(origin: &Origin) -> Option<AttributeValue> {
    if *origin == Origin::default() {
        return None;
    }
    let mut item = Item::new();
    put(&mut item, "r", origin.correlation_id.as_ref().map(|id| text(id.as_str())));
    put(&mut item, "a", origin.causation_id.map(|id| binary(id.uuid().as_bytes())));
    put(&mut item, "p", origin.principal.as_deref().map(text));
    Some(AttributeValue::M(item))
}

/// The origin `o` of an item.
pub(super) fn read_origin(fields: Fields<'_>) -> Result<Arc<Origin>, Fault> {
    let Some(origin) = fields.optional_map("o")? else { return Ok(Arc::default()) };
    let correlation = origin.optional_text("r")?.map(CorrelationId::new).transpose();
    Ok(Arc::new(Origin {
        correlation_id: correlation.map_err(|_| Fault::new("r", "is not a correlation id"))?,
        causation_id: origin.optional_uuid("a")?.map(CausationId::new),
        principal: origin.optional_text("p")?.map(shared),
    }))
}

/// A command as an attribute. Its stream is the item's.
pub(super) fn write_command(command: &CommandRecord) -> AttributeValue {
    let mut item = Item::new();
    let (high, low) = command.seed;
    let seed = [high.to_be_bytes(), low.to_be_bytes()].concat();
    put(&mut item, "i", Some(binary(command.id.uuid().as_bytes())));
    put(&mut item, "n", Some(text(command.name.as_str())));
    put(&mut item, "d", Some(content(&command.data)));
    put(&mut item, "y", content_type(&command.content_type));
    put(&mut item, "s", Some(number(command.decided_at.ms())));
    put(&mut item, "e", Some(binary(&seed)));
    put(&mut item, "p", Some(binary(command.plugin.as_bytes())));
    if let Outcome::Rejected(rejection) = &command.outcome {
        put(&mut item, "j", Some(write_rejection(rejection)));
    }
    AttributeValue::M(item)
}

fn write_rejection(rejection: &Rejection) -> AttributeValue {
    let mut item = Item::new();
    put(&mut item, "c", Some(text(&rejection.code)));
    put(&mut item, "m", Some(text(&rejection.message)));
    put(&mut item, "d", (!rejection.detail.is_empty()).then(|| content(&rejection.detail)));
    AttributeValue::M(item)
}

/// A command of `stream` read back.
pub(super) fn read_command(fields: Fields<'_>, stream: &StreamId) -> Result<CommandRecord, Fault> {
    let id = fields.optional_uuid("i")?.ok_or_else(|| Fault::new("i", "is missing"))?;
    let seed = fields.optional_binary("e")?.and_then(read_seed);
    let digest = fields.optional_binary("p")?.and_then(|bytes| bytes.try_into().ok());
    let outcome = match fields.optional_map("j")? {
        None => Outcome::Accepted,
        Some(rejection) => Outcome::Rejected(Rejection {
            code: shared(rejection.text("c")?),
            message: shared(rejection.text("m")?),
            detail: rejection.content("d")?,
        }),
    };
    Ok(CommandRecord {
        id: CommandId::new(id),
        name: fields.parsed("n")?,
        stream: stream.clone(),
        content_type: read_content_type(fields)?,
        data: fields.content("d")?,
        decided_at: Timestamp::from_ms(fields.number("s")?),
        seed: seed.ok_or_else(|| Fault::new("e", "has not the 16 bytes of a seed"))?,
        plugin: Digest::from_bytes(digest.ok_or_else(|| Fault::new("p", "is not a digest"))?),
        outcome,
    })
}

fn read_seed(bytes: &[u8]) -> Option<(u64, u64)> {
    let (high, low) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*high), u64::from_be_bytes(low.try_into().ok()?)))
}
