//! What a plugin is and what passes between it and the host, in the host's own types.
//!
//! These mirror the contract in `wit/`; the runtime maps each supported contract version to them, so
//! the engine is written once. Everything that comes from a guest is unchecked in here: the engine
//! checks each number before it uses it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{ContentType, SchemaVersion};
use crate::name::{CommandName, EventType, PluginName, TableName};
use crate::place::Revision;
use crate::time::Timestamp;

/// What a component is, read off its exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// Decides commands of one category.
    Aggregate,
    /// Turns events into a view.
    Projection,
    /// Turns events into commands.
    ProcessManager,
    /// Turns old shapes of events into new ones.
    Upcaster,
}

impl PluginKind {
    /// The kind as it is written, e.g. `process-manager`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Projection => "projection",
            Self::ProcessManager => "process-manager",
            Self::Upcaster => "upcaster",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a plugin says of itself, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name; for an aggregate also the category of its streams.
    pub name: PluginName,
    /// Its semantic version.
    pub version: String,
    /// A sentence for people.
    pub summary: String,
    /// Aggregate: what it decides. Process manager: what it sends.
    pub commands: Vec<MessageType<CommandName>>,
    /// Aggregate: what it records and evolves from. Others: what they want. The order gives the type
    /// indexes. A name is in here once; of an upcaster, a name with its schema version.
    pub events: Vec<MessageType<EventType>>,
    /// Process manager: `targets[i]` takes `commands[i]`.
    pub targets: Vec<PluginName>,
    /// Projection: its tables. The order gives the table indexes.
    pub tables: Vec<TableName>,
    /// Upcaster: the shapes it makes of its `events`; it makes no others.
    #[serde(default)]
    pub produces: Vec<MessageType<EventType>>,
    /// Projection: whether its view is right as well when it begins after the first event.
    #[serde(default)]
    pub begins_later: bool,
    /// Differs whenever saved state of another build must not be read.
    pub state_schema: String,
}

/// A kind of command or event a plugin knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageType<N> {
    /// Its name.
    pub name: N,
    /// Shape of the data.
    pub schema_version: SchemaVersion,
    /// Media type of the data.
    pub content_type: ContentType,
    /// JSON Schema 2020-12 of the data, as text; empty when unknown.
    pub schema: String,
}

/// All a plugin may know of the world outside its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Id of the message that is handled.
    pub message_id: Uuid,
    /// Shared by everything one outside request led to.
    pub correlation_id: Arc<str>,
    /// The time.
    pub now: Timestamp,
    /// Differs for every message, equal on replay.
    pub seed: (u64, u64),
    /// The namespace.
    pub namespace: Arc<str>,
    /// Who asked.
    pub principal: Option<Arc<str>>,
}

/// What an aggregate decided, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Events to record.
    pub events: Vec<GuestEvent>,
    /// Claims to take.
    pub claims: Vec<GuestClaim>,
    /// Claims to release, as scope and key.
    pub releases: Vec<(String, String)>,
}

/// An event a guest wants recorded, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestEvent {
    /// Index into the description's events.
    pub event_type: u32,
    /// The event's data.
    pub data: Vec<u8>,
}

/// A claim a guest wants, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestClaim {
    /// What kind of name it is.
    pub scope: String,
    /// The name.
    pub key: String,
    /// From this time on (inclusive) others may take it.
    pub expires_at: Option<Timestamp>,
}

/// Why an aggregate did not decide, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The domain says no.
    Rejected {
        /// Stable and kebab-case.
        code: String,
        /// A sentence for the caller.
        message: String,
        /// JSON, when the caller can use more than a sentence.
        detail: Option<Vec<u8>>,
    },
    /// The data does not decode as the declared command type.
    Malformed(String),
}

/// An event as far as its shape goes, for an upcaster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredShape<'a> {
    /// What happened.
    pub event_type: &'a EventType,
    /// Shape of `data`.
    pub schema_version: SchemaVersion,
    /// What the event says.
    pub data: &'a [u8],
}

/// What an upcaster made of an event, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestShape {
    /// The event type.
    pub name: String,
    /// Shape of `data`.
    pub schema_version: u32,
    /// What the event says.
    pub data: Vec<u8>,
}

/// A row of a projection's view, named by a guest, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuestRowKey {
    /// Index into the description's tables.
    pub table: u32,
    /// The key.
    pub key: Vec<u8>,
}

/// A change of a view a guest wants, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestWrite {
    /// Sets a row.
    Put(GuestRowKey, Vec<u8>),
    /// Removes a row; one that is not there is passed over.
    Delete(GuestRowKey),
    /// Adds to a counter row, absent counting as 0.
    Add(GuestRowKey, i64),
}

/// Why a projection did not handle a batch, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectFailure {
    /// Redelivering the event of this index later may succeed.
    Retry(u32, String),
    /// The event of this index can never be handled.
    Park(u32, String),
}

/// An event on its own, as a process manager is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenEvent<'a> {
    /// The stream, as `category/id`.
    pub stream: &'a str,
    /// Index into the description's events.
    pub event_type: u32,
    /// Its place in the stream.
    pub revision: Revision,
    /// When the store recorded it.
    pub recorded_at: Timestamp,
    /// What the event says.
    pub data: &'a [u8],
}

/// A command a process manager sends, unchecked until the engine has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Id part of the stream it is for; the category is the command's target in the description.
    pub target_id: String,
    /// Index into the description's commands.
    pub command_type: u32,
    /// The command's data.
    pub data: Vec<u8>,
}

/// A call to a process manager at a later time, unchecked until the engine has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestTimer {
    /// Unique in its instance.
    pub name: String,
    /// When it fires at the earliest.
    pub due_at: Timestamp,
    /// Handed back when it fires.
    pub data: Vec<u8>,
}

/// What a call of a process manager leads to, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reaction {
    /// The instance's next state; `None` ends the instance.
    pub state: Option<Vec<u8>>,
    /// Commands to send, in order.
    pub commands: Vec<Outgoing>,
    /// Timers to start; each replaces the one of its name.
    pub start_timers: Vec<GuestTimer>,
    /// Timers to end, by name.
    pub cancel_timers: Vec<String>,
}

/// What became of a command that a process manager sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Reply {
    /// It was accepted.
    Accepted,
    /// The target's rules forbade it.
    Rejected {
        /// Stable and kebab-case.
        code: String,
        /// A sentence for people.
        message: String,
    },
    /// The host gave up; the command had no effect and never will.
    Failed {
        /// Why.
        cause: String,
    },
}

/// Why a named question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryRefusal {
    /// The projection has no question of that name.
    Unknown,
    /// The parameters do not fit.
    Malformed(String),
}
