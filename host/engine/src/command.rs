//! What goes into the command pipeline, and what comes out of it.

use std::sync::Arc;

use annals_core::command::Rejection;
use annals_core::error::DriverError;
use annals_core::event::{Origin, SchemaVersion};
use annals_core::id::{CommandId, CorrelationId, EventId};
use annals_core::name::{CommandName, EventType, PluginName};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use annals_core::port::event_store::SizeLimit;
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;

use crate::shard::QuarantinedStream;
use crate::upcast::UpcastError;

/// A command someone sends.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    /// The aggregate that decides.
    pub aggregate: PluginName,
    /// The id part of the stream.
    pub id: String,
    /// What is wished for.
    pub command: CommandName,
    /// The command's data as JSON.
    pub data: Bytes,
    /// The id by which a repeat is recognised; `None`: made by the host.
    pub command_id: Option<CommandId>,
    /// Whether the caller has just made `command_id`, so that nobody can have sent it before: then
    /// nobody looks for a first outcome. Of no matter without an id.
    pub id_is_new: bool,
    /// What the sender believes about the stream.
    pub expected: ExpectedRevision,
    /// Who and what led to it. Without correlation id, the command id becomes it.
    pub origin: Origin,
}

/// A decided command: what the caller is told, now and at every repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// The command's id.
    pub command_id: CommandId,
    /// Shared by everything that the request led to which the command came with: the client's, or made of
    /// the command's id.
    pub correlation_id: Option<CorrelationId>,
    /// The stream it was decided on.
    pub stream: StreamId,
    /// Where the stream ended after it.
    pub revision: ActualRevision,
    /// The partition of the stream.
    pub partition: Partition,
    /// The position of its last event in the partition; `None` when it has none.
    pub position: Option<Position>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What the aggregate said.
    pub verdict: Verdict,
    /// Whether this was decided before, and nothing happened now.
    pub is_repeat: bool,
}

/// What the aggregate said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The command was accepted, with these events, none or more.
    Accepted(Vec<OutcomeEvent>),
    /// The domain said no.
    Rejected(Rejection),
}

/// An event a command led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Shape of its data.
    pub schema_version: SchemaVersion,
    /// Its place in the stream.
    pub revision: Revision,
    /// What it says.
    pub data: Bytes,
}

/// Why a command has no outcome.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No active plugin of that name is an aggregate.
    #[error("there is no aggregate `{aggregate}`")]
    UnknownAggregate {
        /// The name asked for.
        aggregate: PluginName,
        /// The names there are.
        known: Vec<PluginName>,
    },
    /// The aggregate has no such command.
    #[error("aggregate `{aggregate}` has no command `{command}`")]
    UnknownCommand {
        /// The aggregate.
        aggregate: PluginName,
        /// The command asked for.
        command: CommandName,
        /// The commands it has.
        known: Vec<CommandName>,
    },
    /// The id is not one a stream can have.
    #[error("the id is not valid")]
    InvalidId(#[source] annals_core::stream::InvalidStreamId),
    /// The data does not fit the command.
    #[error("the data of command `{command}` does not fit: {message}")]
    Malformed {
        /// The command.
        command: CommandName,
        /// What is wrong, in a sentence.
        message: String,
        /// Where, as a JSON pointer; empty for the whole.
        pointer: String,
        /// What was expected there, as far as the schema says.
        expected: Option<String>,
    },
    /// The stream is elsewhere.
    #[error("stream `{stream}` is at {actual}, expected {expected}")]
    WrongExpectedRevision {
        /// The stream.
        stream: StreamId,
        /// What was believed.
        expected: ExpectedRevision,
        /// What is true.
        actual: ActualRevision,
    },
    /// Other hosts kept writing the stream first.
    #[error("stream `{stream}` was written by others {attempts} times in a row")]
    Contended {
        /// The stream.
        stream: StreamId,
        /// How often it was decided.
        attempts: u32,
    },
    /// Another stream holds a claim.
    #[error("`{key}` of `{scope}` is held by stream `{holder}`")]
    ClaimHeld {
        /// What kind of name it is.
        scope: Arc<str>,
        /// The name.
        key: Arc<str>,
        /// Who holds it.
        holder: StreamId,
    },
    /// The command id was used for another command of the same stream.
    #[error("command id `{command_id}` was used for another command of stream `{stream}`")]
    CommandIdReused {
        /// The id.
        command_id: CommandId,
        /// The stream.
        stream: StreamId,
    },
    /// Over a limit.
    #[error("{size} {what}, at most {max} are allowed")]
    TooLarge {
        /// Which limit.
        what: SizeLimit,
        /// How much it is.
        size: usize,
        /// How much it may be (inclusive).
        max: usize,
    },
    /// Too many commands are in flight.
    #[error("{in_flight_max} commands are in flight already")]
    Busy {
        /// How many there may be.
        in_flight_max: usize,
    },
    /// The plugin trapped, reached a limit or broke the contract.
    #[error("the plugin failed")]
    Plugin(#[source] GuestFailure),
    /// The commands of the stream made the plugin fail again and again; it is tried again later.
    #[error("stream `{}` is refused until {}: {}", .0.stream, .0.until, .0.last_failure)]
    Quarantined(Box<QuarantinedStream>),
    /// The stream holds an event the active plugin does not know.
    #[error(
        "stream `{stream}` holds `{event_type}` of schema version {schema_version} at revision \
         {revision}, which plugin version {plugin_version} does not read"
    )]
    UnreadableEvent {
        /// The stream.
        stream: StreamId,
        /// The event's type.
        event_type: EventType,
        /// Shape of its data.
        schema_version: SchemaVersion,
        /// Where it is.
        revision: Revision,
        /// The version of the active plugin.
        plugin_version: String,
    },
    /// An upcaster made nothing of an event of the stream.
    #[error("the stream cannot be read")]
    Upcast(#[source] Box<UpcastError>),
    /// Nothing happened; trying again later may succeed.
    #[error("the command was not decided")]
    Unavailable(#[source] DriverError),
    /// What is stored cannot be read.
    #[error("the stream cannot be read")]
    Damaged(#[source] DriverError),
    /// The command may be recorded or not; sending it again with the same id tells.
    #[error("nobody knows whether the command was recorded")]
    OutcomeUnknown {
        /// Send it again with this id.
        command_id: CommandId,
        /// What the store says.
        cause: Arc<str>,
    },
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}
