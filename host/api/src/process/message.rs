//! Messages of instances as JSON: what was handled, and what waits.

use annals_core::id::{CommandId, EventId};
use annals_core::plugin::Reply;
use annals_engine::process::instance::{HandledMessage, HistoryEntry, SentCommand};
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Time;

/// A message that an instance was told, or waits to be told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[schema(as = ProcessMessage)]
pub(crate) enum MessageJson {
    /// An event that concerns it.
    #[schema(title = "ProcessEventMessage")]
    Event {
        /// Its id.
        #[schema(value_type = String, format = "uuid")]
        event_id: EventId,
        /// What happened, as it is stored.
        event_type: String,
        /// Its stream, as `category/id`.
        stream: String,
        /// Its place in the stream.
        revision: u64,
    },
    /// A timer that fired.
    #[schema(title = "ProcessTimerMessage")]
    Timer {
        /// Its name.
        timer: String,
        /// When it was due (RFC 3339).
        #[schema(value_type = String, format = "date-time")]
        due_at: Time,
    },
    /// What became of a command it sent.
    #[schema(title = "ProcessReplyMessage")]
    Reply {
        /// The command's id.
        #[schema(value_type = String, format = "uuid")]
        command_id: CommandId,
        /// The command.
        command: String,
        /// The stream it was for, as `category/id`.
        target: String,
        /// `accepted`, `rejected`, or `failed` when the host gave up.
        outcome: &'static str,
        /// Why it was rejected: stable and kebab-case.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Why it was rejected or failed, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// An operator gave a message up that could not be handled.
    #[schema(title = "ProcessDiscardedMessage")]
    Discarded {
        /// What it was, in words.
        discarded: String,
        /// Why it could not be handled.
        cause: String,
    },
}

/// A message in a line.
fn in_words(message: &HandledMessage) -> String {
    match message {
        HandledMessage::Event { event_type, stream, revision, .. } => {
            format!("event {event_type}, {stream} at revision {revision}")
        }
        HandledMessage::Timer { name, due_at } => format!("timer {name}, due {due_at}"),
        HandledMessage::Reply { command, target, .. } => {
            format!("outcome of {command} to {target}")
        }
        HandledMessage::Discarded { message, .. } => in_words(message),
    }
}

impl From<HandledMessage> for MessageJson {
    fn from(message: HandledMessage) -> Self {
        match message {
            HandledMessage::Event { event_id, event_type, stream, revision } => Self::Event {
                event_id,
                event_type: event_type.to_string(),
                stream: stream.to_string(),
                revision: revision.get(),
            },
            HandledMessage::Timer { name, due_at } => {
                Self::Timer { timer: name, due_at: Time(due_at) }
            }
            HandledMessage::Reply { command_id, command, target, reply } => {
                let (outcome, code, cause) = match reply {
                    Reply::Accepted => ("accepted", None, None),
                    Reply::Rejected { code, message } => ("rejected", Some(code), Some(message)),
                    Reply::Failed { cause } => ("failed", None, Some(cause)),
                };
                let command = command.to_string();
                Self::Reply { command_id, command, target, outcome, code, cause }
            }
            HandledMessage::Discarded { message, cause } => {
                Self::Discarded { discarded: in_words(&message), cause }
            }
        }
    }
}

/// A message that was handled, and what it led to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessHistoryEntry)]
pub(crate) struct HistoryJson {
    /// When it was handled (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    at: Time,
    /// What was handled.
    message: MessageJson,
    /// Commands it led to, in order.
    commands: Vec<SentJson>,
    /// Timers it started, by name.
    started_timers: Vec<String>,
    /// Timers it cancelled, by name.
    cancelled_timers: Vec<String>,
    /// Whether it ended the instance.
    is_end: bool,
}

impl From<HistoryEntry> for HistoryJson {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            at: Time(entry.at),
            message: entry.message.into(),
            commands: entry.commands.into_iter().map(SentJson::from).collect(),
            started_timers: entry.started_timers,
            cancelled_timers: entry.cancelled_timers,
            is_end: entry.is_end,
        }
    }
}

/// A command that a message led to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessSentCommand)]
pub(crate) struct SentJson {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// The command.
    command: String,
    /// The stream it is for, as `category/id`.
    target: String,
}

impl From<SentCommand> for SentJson {
    fn from(sent: SentCommand) -> Self {
        let SentCommand { command_id, command, target } = sent;
        Self { command_id, command: command.to_string(), target }
    }
}
