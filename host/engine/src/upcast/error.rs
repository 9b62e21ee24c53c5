//! Why an event cannot be read as its reader needs it.

use annals_core::event::SchemaVersion;
use annals_core::name::{EventType, PluginName};
use annals_core::place::{Position, Revision};
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;

/// An upcaster did not make of an event what it should. The event stays as it is stored; another
/// version of the upcaster may succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "upcaster `{upcaster}` makes nothing of `{event_type}` of schema version {schema_version}, \
     from revision {revision} of stream `{stream}`"
)]
pub struct UpcastError {
    /// The upcaster.
    pub upcaster: PluginName,
    /// What it was given, which another upcaster may have made of what is stored.
    pub event_type: EventType,
    /// Shape of what it was given.
    pub schema_version: SchemaVersion,
    /// The stream of the stored event.
    pub stream: StreamId,
    /// Where it is in its stream.
    pub revision: Revision,
    /// Where it is in the feed of its partition.
    pub position: Position,
    /// Which of the events that were to be read it is.
    pub(crate) index: usize,
    /// Why.
    #[source]
    pub fault: UpcastFault,
}

/// Why an upcaster made nothing of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpcastFault {
    /// It said so.
    #[error("it refuses the event: {0}")]
    Refused(String),
    /// It trapped, reached a limit or broke the contract.
    #[error(transparent)]
    Guest(#[from] GuestFailure),
    /// One step led to the next for too long.
    #[error(
        "{steps_max} steps made nothing of it that is read (upcast_chain_max); upcasters that make \
         each other's events go in a circle"
    )]
    Chain {
        /// How many steps there may be (inclusive).
        steps_max: u32,
    },
}

/// Why events are not shown as upcasters make them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpcastReadError {
    /// One of them cannot be.
    #[error(transparent)]
    Upcast(#[from] Box<UpcastError>),
    /// They become too many bytes.
    #[error("the events become more than {bytes_max} bytes")]
    TooLarge {
        /// How many bytes they may become (inclusive).
        bytes_max: usize,
    },
    /// Too many queries are in flight.
    #[error("{in_flight_max} queries are in flight already")]
    Busy {
        /// How many there may be.
        in_flight_max: usize,
    },
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}
