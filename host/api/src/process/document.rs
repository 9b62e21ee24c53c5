//! Instances of process managers as JSON.

use annals_core::id::{CausationId, CommandId};
use annals_engine::process::ParkedStream;
use annals_engine::process::instance::{Instance, Message, ParkedInstance, Pending, Timer};
use annals_engine::projection::Unpark;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::message::{HistoryJson, MessageJson};
use crate::event::Time;
use crate::json::RawJson;

/// Largest state, in bytes, that a list shows.
const LISTED_STATE_BYTES_MAX: usize = 1 << 10;

/// What a plugin wrote: as JSON where it is JSON.
#[derive(Debug, Default)]
struct Written<'a> {
    json: Option<RawJson<'a>>,
    base64: Option<String>,
}

impl<'a> Written<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(IgnoredAny) => Self { json: Some(RawJson(bytes)), base64: None },
            Err(_) => Self { json: None, base64: Some(STANDARD.encode(bytes)) },
        }
    }
}

/// An instance and what only its host knows of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) instance: &'a Instance,
    pub(super) is_stuck: bool,
    pub(super) asked: Option<Unpark>,
}

/// `running`, `ended` or `parked`.
fn status(instance: &Instance) -> &'static str {
    match (&instance.parked, instance.ended_at) {
        (Some(_), _) => "parked",
        (None, Some(_)) => "ended",
        (None, None) => "running",
    }
}

/// An instance of a process manager, in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessInstanceSummary)]
pub(crate) struct SummaryJson<'a> {
    /// What the process manager calls it.
    id: &'a str,
    /// `running`, `ended`, or `parked` with a message that it cannot handle.
    status: &'static str,
    /// Whether it has not got on for `processes.stuck_after`.
    is_stuck: bool,
    /// When the first message was handled (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    started_at: Time,
    /// When the last message was handled (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    changed_at: Time,
    /// When it ended (RFC 3339); null while it runs.
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Time>,
    /// How many messages it has handled.
    messages_count: u64,
    /// Its state, if it is JSON and has at most 1024 bytes; null otherwise.
    #[schema(value_type = Option<serde_json::Value>)]
    state: Option<RawJson<'a>>,
    /// The timer that fires next; null when there is none.
    next_timer: Option<TimerJson<'a>>,
    /// The command whose outcome it waits for, without its data; null when there is none.
    next_command: Option<PendingJson<'a>>,
    /// How many commands there are whose outcome is not handled.
    pending_count: usize,
    /// Why it waits; null when it is not parked.
    parked: Option<ParkedJson<'a>>,
    /// How many messages wait to be handled, the one that cannot be among them.
    waiting_count: usize,
}

impl<'a> SummaryJson<'a> {
    pub(super) fn new(seen: Seen<'a>) -> Self {
        let Seen { instance, is_stuck, asked } = seen;
        let state = instance.state.as_deref().filter(|it| it.len() <= LISTED_STATE_BYTES_MAX);
        let next_timer = instance.timers.iter().min_by_key(|(_, timer)| timer.due_at);
        Self {
            id: &instance.id,
            status: status(instance),
            is_stuck,
            started_at: Time(instance.started_at),
            changed_at: Time(instance.changed_at),
            ended_at: instance.ended_at.map(Time),
            messages_count: instance.messages_count,
            state: state.and_then(|state| Written::new(state).json),
            next_timer: next_timer.map(|(name, timer)| TimerJson::new(name, timer)),
            next_command: instance.pending.front().map(PendingJson::short),
            pending_count: instance.pending.len(),
            parked: instance.parked.as_ref().map(|parked| ParkedJson::new(parked, asked)),
            waiting_count: instance.waiting.len(),
        }
    }
}

/// Some instances.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessInstancePage)]
pub(crate) struct InstancesJson<'a> {
    /// In order of id; with a `state`, a page may be short and not be the last.
    pub(super) instances: Vec<SummaryJson<'a>>,
    /// The `page` of the next page; null when this is the last.
    pub(super) next_page: Option<String>,
}

/// An instance of a process manager.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessInstance)]
pub(crate) struct InstanceJson<'a> {
    /// What the process manager calls it.
    id: &'a str,
    /// `running`, `ended`, or `parked` with a message that it cannot handle.
    status: &'static str,
    /// Whether it has not got on for `processes.stuck_after`.
    is_stuck: bool,
    /// When the first message was handled (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    started_at: Time,
    /// When the last message was handled (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    changed_at: Time,
    /// When it ended (RFC 3339); null while it runs.
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Time>,
    /// How many messages it has handled.
    messages_count: u64,
    /// Its state; absent when it has ended, or is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    state: Option<RawJson<'a>>,
    /// Its state in base64, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    state_base64: Option<String>,
    /// What will fire, the next first.
    timers: Vec<TimerJson<'a>>,
    /// Commands whose outcome is not handled, in the order in which they are sent.
    pending: Vec<PendingJson<'a>>,
    /// Why it waits; null when it is not parked.
    parked: Option<ParkedJson<'a>>,
    /// Messages that wait, in order: the first cannot be handled.
    waiting: Vec<MessageJson>,
    /// What it has handled last, at most 32 messages, the newest at the end.
    history: Vec<HistoryJson>,
}

impl<'a> InstanceJson<'a> {
    pub(super) fn new(seen: Seen<'a>) -> Self {
        let Seen { instance, is_stuck, asked } = seen;
        let Written { json, base64 } =
            instance.state.as_deref().map(Written::new).unwrap_or_default();
        let mut timers: Vec<_> = instance.timers.iter().collect();
        timers.sort_by_key(|(_, timer)| timer.due_at);
        let history = instance.history.iter().cloned();
        Self {
            id: &instance.id,
            status: status(instance),
            is_stuck,
            started_at: Time(instance.started_at),
            changed_at: Time(instance.changed_at),
            ended_at: instance.ended_at.map(Time),
            messages_count: instance.messages_count,
            state: json,
            state_base64: base64,
            timers: timers.into_iter().map(|(name, timer)| TimerJson::new(name, timer)).collect(),
            pending: instance.pending.iter().map(PendingJson::new).collect(),
            parked: instance.parked.as_ref().map(|parked| ParkedJson::new(parked, asked)),
            waiting: instance.waiting.iter().map(Message::handled).map(Into::into).collect(),
            history: history.map(HistoryJson::from).collect(),
        }
    }
}

/// A timer that will fire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessTimer)]
pub(crate) struct TimerJson<'a> {
    /// Its name.
    name: &'a str,
    /// When it fires at the earliest (RFC 3339); not while the instance is parked.
    #[schema(value_type = String, format = "date-time")]
    due_at: Time,
}

impl<'a> TimerJson<'a> {
    fn new(name: &'a str, timer: &Timer) -> Self {
        Self { name, due_at: Time(timer.due_at) }
    }
}

/// A command that was or will be sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessPending)]
pub(crate) struct PendingJson<'a> {
    /// Its id, under which it may be sent more than once and takes effect once.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// The command.
    command: &'a str,
    /// The stream it is for, as `category/id`.
    target: String,
    /// Its data; absent when it is not JSON, and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<RawJson<'a>>,
    /// Its data in base64, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    /// When the process manager wanted it sent (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    wanted_at: Time,
    /// The message that led to it.
    #[schema(value_type = String, format = "uuid")]
    causation_id: CausationId,
    /// Shared by everything one outside request led to.
    correlation_id: &'a str,
}

impl<'a> PendingJson<'a> {
    /// For lists: data may be long.
    fn short(pending: &'a Pending) -> Self {
        Self { data: None, data_base64: None, ..Self::new(pending) }
    }

    fn new(pending: &'a Pending) -> Self {
        let Written { json, base64 } = Written::new(&pending.data);
        Self {
            command_id: pending.id,
            command: pending.command.as_str(),
            target: pending.target(),
            data: json,
            data_base64: base64,
            wanted_at: Time(pending.wanted_at),
            causation_id: pending.causation_id,
            correlation_id: pending.correlation_id.as_str(),
        }
    }
}

/// Why an instance or a stream waits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessParked)]
pub(crate) struct ParkedJson<'a> {
    /// Why the message cannot be handled; after a trap, the lines after the first are its backtrace.
    cause: &'a str,
    /// When it was parked, or tried again last (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    parked_at: Time,
    /// What is being done about it: `replay`, `discard`, or null.
    #[schema(value_type = Option<String>)]
    asked: Option<Unpark>,
}

impl<'a> ParkedJson<'a> {
    fn new(parked: &'a ParkedInstance, asked: Option<Unpark>) -> Self {
        Self { cause: &parked.cause, parked_at: Time(parked.parked_at), asked }
    }
}

/// Some streams that wait.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessParkedStreamPage)]
pub(crate) struct ParkedStreamsJson<'a> {
    /// In order of stream.
    pub(super) parked: Vec<ParkedStreamJson<'a>>,
    /// The `page` of the next page; null when this is the last.
    pub(super) next_page: Option<String>,
}

/// A stream that waits behind an event of which nobody knows whom it concerns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessParkedStream)]
pub(crate) struct ParkedStreamJson<'a> {
    /// The stream, as `category/id`.
    stream: &'a str,
    /// The event.
    event: MessageJson,
    /// Why, and since when.
    parked: ParkedJson<'a>,
}

impl<'a> ParkedStreamJson<'a> {
    pub(super) fn new(parked: &'a ParkedStream, asked: Option<Unpark>) -> Self {
        Self {
            stream: parked.event.stream.as_str(),
            event: Message::Event(parked.event.clone()).handled().into(),
            parked: ParkedJson::new(&parked.parked, asked),
        }
    }
}
