//! Recorded events as JSON.

use annals_core::event::{ContentType, RecordedEvent};
use annals_core::id::{CausationId, CommandId, EventId};
use annals_core::time::Timestamp;
use annals_engine::upcast::UpcastEvent;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::json::RawJson;

/// A recorded event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventJson<'a> {
    /// Unique; the same at every read.
    #[schema(value_type = String, format = "uuid")]
    id: EventId,
    /// The stream it belongs to, as `category/id`.
    stream: &'a str,
    /// Its place in the stream; 0 is the first.
    revision: u64,
    /// The partition of the feed that it is in.
    partition: u32,
    /// Its place in the partition: compare and store it, never compute with it.
    position: u64,
    /// What happened.
    r#type: &'a str,
    /// Shape of the data.
    schema_version: u32,
    /// With `upcast=true`, where upcasters made something else of it: what is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<StoredJson<'a>>,
    /// Media type of the data, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    /// What the event says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<RawJson<'a>>,
    /// What the event says, in base64, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    /// What the client wanted kept beside the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<RawJson<'a>>,
    /// When it was recorded (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    recorded_at: Time,
    /// The command that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    command_id: Option<CommandId>,
    /// The message that directly caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    causation_id: Option<CausationId>,
    /// Shared by everything one outside request led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
}

impl<'a> EventJson<'a> {
    pub(crate) fn new(event: &'a RecordedEvent) -> Self {
        let data = Data::new(&event.content_type, &event.data);
        let has_metadata = !event.metadata.is_empty();
        Self {
            id: event.id,
            stream: event.stream.as_str(),
            revision: event.revision.get(),
            partition: event.partition.0,
            position: event.position.get(),
            r#type: event.event_type.as_str(),
            schema_version: event.schema_version.0,
            stored: None,
            content_type: data.content_type,
            data: data.json,
            data_base64: data.base64,
            metadata: has_metadata.then_some(RawJson(&event.metadata)),
            recorded_at: Time(event.recorded_at),
            command_id: event.command_id,
            causation_id: event.causation_id(),
            correlation_id: event.origin.correlation_id.as_ref().map(|id| id.as_str()),
            principal: event.origin.principal.as_deref(),
        }
    }
}

impl<'a> EventJson<'a> {
    /// An event as upcasters made it.
    pub(crate) fn upcast(upcast: &'a UpcastEvent) -> Self {
        let stored = upcast.stored.as_ref().map(|(event_type, version)| StoredJson {
            r#type: event_type.as_str(),
            schema_version: version.0,
        });
        Self { stored, ..Self::new(&upcast.event) }
    }
}

/// What an event is where it is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stored)]
pub(crate) struct StoredJson<'a> {
    /// What happened.
    r#type: &'a str,
    /// Shape of the stored data.
    schema_version: u32,
}

/// Data in the form its media type allows.
#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(crate) content_type: Option<&'a str>,
    pub(crate) json: Option<RawJson<'a>>,
    pub(crate) base64: Option<String>,
}

impl<'a> Data<'a> {
    pub(crate) fn new(content_type: &'a ContentType, data: &'a [u8]) -> Self {
        match content_type {
            ContentType::Json => {
                Self { content_type: None, json: Some(RawJson(data)), base64: None }
            }
            ContentType::Other(media) => {
                Self { content_type: Some(media), json: None, base64: Some(STANDARD.encode(data)) }
            }
        }
    }
}

/// Several events, written without a list of their JSON forms in between.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Events<'a> {
    /// As they are stored.
    Stored(&'a [RecordedEvent]),
    /// As upcasters made them.
    Upcast(&'a [UpcastEvent]),
}

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stored(events) => serializer.collect_seq(events.iter().map(EventJson::new)),
            Self::Upcast(events) => serializer.collect_seq(events.iter().map(EventJson::upcast)),
        }
    }
}

impl<'a> Events<'a> {
    /// The events of a page, as upcasters made them where that was asked for.
    pub(crate) fn of(stored: &'a [RecordedEvent], upcast: Option<&'a [UpcastEvent]>) -> Self {
        upcast.map_or(Self::Stored(stored), Self::Upcast)
    }

    /// About how many bytes the events have as JSON.
    pub(crate) fn json_bytes(self) -> usize {
        let bytes = |event: &RecordedEvent| event.data.len() + event.metadata.len() + 512;
        match self {
            Self::Stored(events) => events.iter().map(bytes).sum(),
            Self::Upcast(events) => events.iter().map(|upcast| bytes(&upcast.event)).sum(),
        }
    }
}

/// A time as RFC 3339 text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
