//! Events before and after the store gave them a place.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{CausationId, CommandId, CorrelationId, EventId};
use crate::name::EventType;
use crate::place::{Partition, Position, Revision};
use crate::stream::StreamId;
use crate::time::Timestamp;

/// Shape of an event's or a command's data: 1, 2, 3 …; only ever counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaVersion(pub u32);

impl SchemaVersion {
    /// The first shape.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The media type of data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ContentType {
    /// `application/json`, the default.
    #[default]
    Json,
    /// Any other media type, as text.
    Other(Arc<str>),
}

impl ContentType {
    /// The media type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json => "application/json",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for ContentType {
    fn from(text: &str) -> Self {
        if text.is_empty() || text == "application/json" {
            Self::Json
        } else {
            Self::Other(Arc::from(text))
        }
    }
}

impl From<String> for ContentType {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<ContentType> for String {
    fn from(content_type: ContentType) -> Self {
        content_type.as_str().to_owned()
    }
}

/// An event someone wants recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The id the client of a plain append gives. `None`: derived from the command id and the ordinal,
    /// or made by the store when there is no command.
    pub id: Option<EventId>,
    /// What happened.
    pub event_type: EventType,
    /// Shape of `data`.
    pub schema_version: SchemaVersion,
    /// Media type of `data`.
    pub content_type: ContentType,
    /// What the event says; at most [`PAYLOAD_BYTES_MAX`](crate::limits::PAYLOAD_BYTES_MAX) bytes.
    pub data: Bytes,
    /// What the client wants kept beside the data; empty, or a JSON object of at most
    /// [`METADATA_BYTES_MAX`](crate::limits::METADATA_BYTES_MAX) bytes.
    pub metadata: Bytes,
}

impl NewEvent {
    /// A JSON event of schema version 1, without id and metadata.
    #[must_use]
    pub fn json(event_type: EventType, data: impl Into<Bytes>) -> Self {
        Self {
            id: None,
            event_type,
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
            data: data.into(),
            metadata: Bytes::new(),
        }
    }
}

/// Who and what led to a commit; the same for all its events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Shared by everything one outside request led to.
    pub correlation_id: Option<CorrelationId>,
    /// The message that directly caused the commit's command, or the append.
    pub causation_id: Option<CausationId>,
    /// Who asked, as the host authenticated it.
    pub principal: Option<Arc<str>>,
}

/// An event the store has given a place. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Unique; the same at every read.
    pub id: EventId,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// The partition of the feed it is in.
    pub partition: Partition,
    /// Its place in the partition.
    pub position: Position,
    /// What happened.
    pub event_type: EventType,
    /// Shape of `data`.
    pub schema_version: SchemaVersion,
    /// Media type of `data`.
    pub content_type: ContentType,
    /// What the event says, byte for byte as it was appended.
    pub data: Bytes,
    /// What the client wanted kept beside it, byte for byte as it was appended.
    pub metadata: Bytes,
    /// When the store accepted it. Never goes back along a partition.
    pub recorded_at: Timestamp,
    /// The command that led to it; `None` after a plain append.
    pub command_id: Option<CommandId>,
    /// Who and what led to it.
    pub origin: Arc<Origin>,
}

impl RecordedEvent {
    /// The id of the message that directly caused this event: its command, or what the client of a
    /// plain append said.
    #[must_use]
    pub fn causation_id(&self) -> Option<CausationId> {
        self.command_id.map(|id| CausationId::new(id.uuid())).or(self.origin.causation_id)
    }
}
