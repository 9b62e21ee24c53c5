//! An instance of a process manager, as it is kept, and how it changes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use annals_core::event::RecordedEvent;
use annals_core::id::{CausationId, CommandId, CorrelationId, EventId};
use annals_core::name::{CommandName, EventType, PluginName};
use annals_core::place::{Partition, Position, Revision};
use annals_core::plugin::Reply;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most entries of an instance's history that are kept; the oldest go first.
pub const HISTORY_ENTRIES_MAX: usize = 32;

/// One instance of a process manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// What the process manager calls it.
    pub id: Arc<str>,
    /// When the first message was handled.
    pub started_at: Timestamp,
    /// When the last message was handled.
    pub changed_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// How many messages it has handled.
    pub messages_count: u64,
    /// Its state, as the plugin writes it; `None` when it has ended.
    #[serde(with = "super::data::optional")]
    pub state: Option<Bytes>,
    /// What will fire, by name.
    pub timers: BTreeMap<String, Timer>,
    /// Commands whose outcome is not handled, in the order in which they are sent.
    pub pending: VecDeque<Pending>,
    /// Why it waits: the first of `waiting` cannot be handled.
    pub parked: Option<ParkedInstance>,
    /// Messages that wait, in order; none unless it is parked.
    pub waiting: VecDeque<Message>,
    /// What it has handled last, the newest at the end.
    pub history: VecDeque<HistoryEntry>,
}

/// A timer that will fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Its id.
    pub id: Uuid,
    /// When it fires at the earliest.
    pub due_at: Timestamp,
    /// Handed back when it fires.
    #[serde(with = "super::data")]
    pub data: Bytes,
    /// That of what started it.
    pub correlation_id: CorrelationId,
    /// The message that started it.
    pub causation_id: CausationId,
    /// How deep what it leads to is.
    pub depth: u16,
}

/// A command that was or will be sent, and whose outcome is not handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its id, derived from what led to it.
    pub id: CommandId,
    /// The aggregate that decides.
    pub aggregate: PluginName,
    /// The id part of the stream.
    pub target_id: String,
    /// What is wished for.
    pub command: CommandName,
    /// The command's data.
    #[serde(with = "super::data")]
    pub data: Bytes,
    /// That of what led to it.
    pub correlation_id: CorrelationId,
    /// The message that led to it.
    pub causation_id: CausationId,
    /// When the process manager wanted it sent.
    pub wanted_at: Timestamp,
    /// How deep it is.
    pub depth: u16,
}

/// What an instance is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Message {
    /// An event that concerns it.
    Event(EventPlace),
    /// A timer that fired.
    Timer {
        /// Its name.
        name: String,
        /// The timer.
        timer: Timer,
    },
    /// What became of a command it sent.
    Reply {
        /// The command.
        sent: Box<Pending>,
        /// What became of it.
        reply: Reply,
    },
}

/// Where an event is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlace {
    /// Its id.
    pub event_id: EventId,
    /// What happened, as it is stored.
    pub event_type: EventType,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// The partition of the feed it is in.
    pub partition: Partition,
    /// Its place in the partition.
    pub position: Position,
    /// Which of the events that upcasters make of it, from 0.
    pub part: u32,
}

impl EventPlace {
    /// The place of a part of an event.
    pub(super) fn of(event: &RecordedEvent, part: u32) -> Self {
        Self {
            event_id: event.id,
            event_type: event.event_type.clone(),
            stream: event.stream.clone(),
            revision: event.revision,
            partition: event.partition,
            position: event.position,
            part,
        }
    }
}

/// Why an instance waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedInstance {
    /// Why the message cannot be handled.
    pub cause: String,
    /// When it was parked, or tried again last.
    pub parked_at: Timestamp,
}

/// A message that was handled, and what it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it was handled.
    pub at: Timestamp,
    /// What was handled.
    pub message: HandledMessage,
    /// Commands it led to, in order.
    pub commands: Vec<SentCommand>,
    /// Timers it started, by name.
    pub started_timers: Vec<String>,
    /// Timers it cancelled, by name.
    pub cancelled_timers: Vec<String>,
    /// Whether it ended the instance.
    pub is_end: bool,
}

/// A message as far as people want to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum HandledMessage {
    /// An event.
    Event {
        /// Its id.
        event_id: EventId,
        /// What happened, as it is stored.
        event_type: EventType,
        /// Its stream.
        stream: StreamId,
        /// Its place in the stream.
        revision: Revision,
    },
    /// A timer that fired.
    Timer {
        /// Its name.
        name: String,
        /// When it was due.
        due_at: Timestamp,
    },
    /// What became of a command.
    Reply {
        /// The command's id.
        command_id: CommandId,
        /// The command.
        command: CommandName,
        /// The stream it was for, `category/id`.
        target: String,
        /// What became of it.
        reply: Reply,
    },
    /// A message was given up by an operator.
    Discarded {
        /// The message.
        message: Box<Self>,
        /// Why it could not be handled.
        cause: String,
    },
}

/// A command that a message led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCommand {
    /// Its id.
    pub command_id: CommandId,
    /// The command.
    pub command: CommandName,
    /// The stream it is for, `category/id`.
    pub target: String,
}

/// Longest text of an outcome in a history, in bytes; what is beyond is cut.
const HISTORY_TEXT_BYTES_MAX: usize = 512;

fn in_short(reply: &Reply) -> Reply {
    let short = |text: &String| cut(text.clone(), HISTORY_TEXT_BYTES_MAX);
    match reply {
        Reply::Accepted => Reply::Accepted,
        Reply::Rejected { code, message } => {
            Reply::Rejected { code: code.clone(), message: short(message) }
        }
        Reply::Failed { cause } => Reply::Failed { cause: short(cause) },
    }
}

/// At most so many bytes of a text, whole characters.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

impl Pending {
    /// The stream it is for, `category/id`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}/{}", self.aggregate, self.target_id)
    }
}

impl Message {
    /// It as far as people want to know.
    #[must_use]
    pub fn handled(&self) -> HandledMessage {
        match self {
            Self::Event(place) => HandledMessage::Event {
                event_id: place.event_id,
                event_type: place.event_type.clone(),
                stream: place.stream.clone(),
                revision: place.revision,
            },
            Self::Timer { name, timer } => {
                HandledMessage::Timer { name: name.clone(), due_at: timer.due_at }
            }
            Self::Reply { sent, reply } => HandledMessage::Reply {
                command_id: sent.id,
                command: sent.command.clone(),
                target: sent.target(),
                reply: in_short(reply),
            },
        }
    }
}

impl Instance {
    /// One that begins.
    pub(super) fn new(id: Arc<str>, now: Timestamp) -> Self {
        Self {
            id,
            started_at: now,
            changed_at: now,
            ended_at: None,
            messages_count: 0,
            state: None,
            timers: BTreeMap::new(),
            pending: VecDeque::new(),
            parked: None,
            waiting: VecDeque::new(),
            history: VecDeque::new(),
        }
    }

    /// When its next timer is due; nothing fires while it is parked.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.parked.is_some() {
            return None;
        }
        self.timers.values().map(|timer| timer.due_at).min()
    }

    /// The command that is sent next, or is on the way: none while an outcome waits to be handled, since
    /// each is sent after the outcome of the one before is handled.
    #[must_use]
    pub fn next_command(&self) -> Option<&Pending> {
        let is_held = self.waiting.iter().any(|it| matches!(it, Message::Reply { .. }));
        if is_held { None } else { self.pending.front() }
    }

    /// Whether it runs: it has a state.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.state.is_some()
    }

    /// Whether it is over for good: it has ended and nothing of it is on the way.
    pub(super) fn is_over(&self) -> bool {
        self.state.is_none() && self.pending.is_empty() && self.parked.is_none()
    }

    /// Since when it waits for something that should not take long, if it does: for the outcome of a
    /// command, or for nothing at all. An instance that waits for a timer waits on purpose.
    #[must_use]
    pub fn waits_since(&self) -> Option<Timestamp> {
        let is_waiting = match (&self.parked, self.pending.front()) {
            (Some(parked), _) => return Some(parked.parked_at),
            (None, Some(_)) => true,
            (None, None) => self.is_running() && self.timers.is_empty(),
        };
        is_waiting.then_some(self.changed_at)
    }

    /// Whether it has not got on for too long.
    #[must_use]
    pub fn is_stuck(&self, now: Timestamp, stuck_after: Duration) -> bool {
        let waited = |since| Duration::from_millis(now.ms_since(since));
        self.waits_since().is_some_and(|since| waited(since) >= stuck_after)
    }

    pub(super) fn note(&mut self, entry: HistoryEntry) {
        while self.history.len() >= HISTORY_ENTRIES_MAX {
            self.history.pop_front();
        }
        self.changed_at = entry.at;
        self.history.push_back(entry);
    }
}
