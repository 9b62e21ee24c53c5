//! Commands, events and queries as the contract sees them: a type index and JSON.
//!
//! The attribute macros implement all of this; it is public because generic code needs names for
//! it, not because a plugin would.

use std::fmt;

/// One kind of command, event or query.
#[derive(Debug, Clone, Copy)]
pub struct MessageType {
    /// Kebab-case name on the wire.
    pub name: &'static str,
    /// Shape of the data: 1, 2, 3 …
    pub schema_version: u32,
    /// Makes the JSON Schema 2020-12 of the data.
    pub schema: fn() -> String,
}

/// An enum whose variants are kinds of messages. Implemented by [`command`](macro@crate::command),
/// [`event`](macro@crate::event), [`outgoing`](macro@crate::outgoing), [`query`](macro@crate::query) and
/// [`shapes`](macro@crate::shapes).
pub trait Message: Sized + fmt::Debug + Clone + PartialEq + 'static {
    /// The variants, in the order they are written. A type index is an index into this.
    const TYPES: &'static [MessageType];

    /// Index of this message's variant in [`Self::TYPES`].
    fn type_index(&self) -> u32;

    /// The fields as a JSON object.
    ///
    /// # Errors
    ///
    /// When a field is something JSON cannot say, such as a map whose keys are not strings.
    fn encode(&self) -> Result<Vec<u8>, EncodeError>;

    /// The variant at `type_index` with the fields in `data`; no bytes at all are an empty object.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownType`] when there is no such variant, [`DecodeError::Malformed`] when
    /// the data does not fit it.
    fn decode(type_index: u32, data: &[u8]) -> Result<Self, DecodeError>;

    /// Name of this message's variant.
    ///
    /// ```
    /// use annals_sdk::Message as _;
    ///
    /// #[annals_sdk::command]
    /// enum Command {
    ///     OpenAccount { owner: String },
    /// }
    ///
    /// assert_eq!(Command::OpenAccount { owner: "Athena".to_owned() }.name(), "open-account");
    /// ```
    fn name(&self) -> &'static str {
        let types = Self::TYPES;
        usize::try_from(self.type_index())
            .ok()
            .and_then(|index| types.get(index))
            .map_or("", |message_type| message_type.name)
    }
}

/// Commands of an aggregate; see [`command`](macro@crate::command).
pub trait Command: Message {}

/// Commands that a process manager sends; see [`outgoing`](macro@crate::outgoing).
pub trait Outgoing: Message {
    /// Per variant, in the order of [`Message::TYPES`], the aggregate that takes it.
    const TARGETS: &'static [&'static str];
}

/// Events of an aggregate, projection or process manager; see [`event`](macro@crate::event).
pub trait Event: Message {}

/// Events that an upcaster takes or makes, of which one event may be there in several versions; see
/// [`shapes`](macro@crate::shapes). Those of an [`Event`] are as good.
pub trait Shapes: Message {}

impl<E: Event> Shapes for E {}

/// Queries of a projection; see [`query`](macro@crate::query).
pub trait Query: Message {}

/// A message cannot be written as JSON.
#[derive(Debug)]
pub struct EncodeError(pub(crate) serde_json::Error);

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("message cannot be written as JSON")
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Bytes are not the message they are said to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// No variant has this index.
    UnknownType {
        /// The index that was asked for.
        type_index: u32,
    },
    /// The data does not fit the variant.
    Malformed {
        /// Name of the variant.
        name: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType { type_index } => write!(formatter, "no message type {type_index}"),
            Self::Malformed { name, .. } => write!(formatter, "data does not fit `{name}`"),
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::UnknownType { .. } => None,
            Self::Malformed { source, .. } => Some(source),
        }
    }
}

/// The error and its causes in one line, for the texts that go to the host.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
