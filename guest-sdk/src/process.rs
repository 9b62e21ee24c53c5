//! Process managers: events, timers and replies in, commands out.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::split_stream_id;
use crate::{Event, Outgoing, ProcessContext, trap};

/// Follows what happens over several aggregates and sends them commands.
///
/// It runs in **instances**, each with an id and a state of its own, e.g. one per transfer of money. An
/// instance begins with the first event that concerns it, and ends when a reaction leaves no state. The
/// host keeps the state: what a call answers replaces it, in one step with the commands and timers.
/// See the [crate's documentation](crate) for a whole one.
///
/// - Each event, timer and reply reaches an instance once.
/// - The commands of an instance are sent one by one, in order: each after the one before it was
///   answered and its reply handled. A command takes effect at most once, however often it is sent.
pub trait ProcessManager: 'static {
    /// Kebab-case name, e.g. `transfer`.
    const NAME: &'static str;

    /// Count this up when the same fields of the state start to mean something else. A change of the
    /// fields is noticed without it.
    const STATE_VERSION: u32 = 1;

    /// What an instance must remember.
    type State: Serialize + DeserializeOwned + JsonSchema + 'static;

    /// The events it wants, by their names, whatever aggregate records them. Declare the fields that
    /// are used; others are skipped.
    type Event: Event;

    /// The commands it sends, each with the aggregate that takes it.
    type Command: Outgoing;

    /// The instances that an event concerns, by id: at most 100, each of 1 to 256 bytes. None at all:
    /// the event is passed over.
    ///
    /// Pure, and called for many events at once, before any of them is handled.
    fn correlate(received: &Received<'_, Self::Event>) -> Vec<String>;

    /// Handles an event that concerns the instance; `state` is `None` when there is no such instance.
    ///
    /// # Errors
    ///
    /// [`Unhandled`], when nothing can be made of the event. The host puts it aside, and the instance
    /// waits.
    fn on_event(
        state: Option<Self::State>,
        received: Received<'_, Self::Event>,
        ctx: &ProcessContext,
    ) -> Result<Reaction<Self::State, Self::Command>, Unhandled>;

    /// Handles a timer that the instance started.
    ///
    /// # Errors
    ///
    /// [`Unhandled`], as [`on_event`](Self::on_event).
    fn on_timer(
        state: Self::State,
        fired: Timer,
        ctx: &ProcessContext,
    ) -> Result<Reaction<Self::State, Self::Command>, Unhandled>;

    /// Handles what became of a command that the instance sent.
    ///
    /// # Errors
    ///
    /// [`Unhandled`], as [`on_event`](Self::on_event).
    fn on_reply(
        state: Self::State,
        sent: Sent<Self::Command>,
        reply: Reply,
        ctx: &ProcessContext,
    ) -> Result<Reaction<Self::State, Self::Command>, Unhandled>;
}

/// An event, and what is true about it and not said by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a, E> {
    /// What happened.
    pub event: E,
    /// The stream, as `category/id`.
    pub stream_id: &'a str,
    /// Place in the stream; 0 is the first.
    pub revision: u64,
    /// When the host recorded it, in milliseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_ms: u64,
}

impl<'a, E> Received<'a, E> {
    /// The part of the stream id before the first `/`: for an aggregate's events, its name.
    #[must_use]
    pub fn category(&self) -> &'a str {
        split_stream_id(self.stream_id).0
    }

    /// The part of the stream id after the first `/`.
    #[must_use]
    pub fn id(&self) -> &'a str {
        split_stream_id(self.stream_id).1
    }
}

/// A command with the id of the stream it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<C> {
    /// Id part of the stream; the category is the command's target.
    pub target_id: String,
    /// The command.
    pub command: C,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It was accepted.
    Accepted,
    /// The rules of its target forbade it.
    Rejected {
        /// Stable and kebab-case.
        code: String,
        /// A sentence for people.
        message: String,
    },
    /// The host gave up: there is no such aggregate, its plugin failed, a limit was reached. The command
    /// had no effect and never will.
    Failed {
        /// Why.
        cause: String,
    },
}

impl Reply {
    /// Rejected with a code, and a message that nobody reads; for tests.
    #[must_use]
    pub fn rejected(code: impl Into<String>) -> Self {
        Self::Rejected { code: code.into(), message: String::new() }
    }

    /// Given up for a cause.
    #[must_use]
    pub fn failed(cause: impl Into<String>) -> Self {
        Self::Failed { cause: cause.into() }
    }
}

/// A timer of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Unique in the instance; kebab-case.
    pub name: String,
    /// When it fires at the earliest, in milliseconds since 1970-01-01T00:00:00Z.
    pub due_at_ms: u64,
    pub(crate) data: Vec<u8>,
}

impl Timer {
    /// What it was started with; `None` from a timer without data, where `T` is an `Option`.
    ///
    /// # Errors
    ///
    /// [`Unhandled`], when it is not a `T`: another version of the plugin started it.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Unhandled> {
        let data = if self.data.is_empty() { b"null" } else { self.data.as_slice() };
        serde_json::from_slice(data)
            .map_err(|error| Unhandled::new(format!("data of timer `{}`: {error}", self.name)))
    }
}

/// What an event, a timer or a reply leads to. All of it happens or nothing does.
///
/// ```
/// use annals_sdk::Reaction;
///
/// #[annals_sdk::outgoing]
/// enum Command {
///     #[annals(target = "account")]
///     DepositFunds { cents: i64 },
/// }
///
/// let gift = Command::DepositFunds { cents: 100 };
/// // The instance goes on with the state 1, sends a command, and is called again in an hour.
/// let reaction = Reaction::keep(1).send("a1", gift.clone()).start_timer("again", 3_600_000);
/// assert_eq!(reaction.commands()[0].command, gift);
/// // The instance ends, once its last command is sent.
/// let last = Reaction::<u64, _>::end().send("a1", gift);
/// assert_eq!(last.state(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction<S, C> {
    pub(crate) state: Option<S>,
    pub(crate) commands: Vec<Sent<C>>,
    // Invariant: no name is in both, and none is in one twice.
    pub(crate) start_timers: Vec<Timer>,
    pub(crate) cancel_timers: Vec<String>,
}

impl<S, C> Reaction<S, C> {
    /// The instance goes on with a state.
    #[must_use]
    pub const fn keep(state: S) -> Self {
        Self::unchanged(Some(state))
    }

    /// The instance ends: it has no state any more, and hears of no timer and no reply. The next event
    /// that concerns its id begins another.
    #[must_use]
    pub const fn end() -> Self {
        Self::unchanged(None)
    }

    /// Nothing is to be done: the instance stays as it was given, and where there is none, none begins.
    #[must_use]
    pub const fn unchanged(state: Option<S>) -> Self {
        Self { state, commands: Vec::new(), start_timers: Vec::new(), cancel_timers: Vec::new() }
    }

    /// Sends a command to the stream of an id, after those there are. At most 100 at once.
    #[must_use]
    pub fn send(mut self, target_id: impl Into<String>, command: C) -> Self {
        self.commands.push(Sent { target_id: target_id.into(), command });
        self
    }

    /// Starts a timer that fires at a time in milliseconds since 1970-01-01T00:00:00Z, or as soon as
    /// possible after it. One of the same name is replaced; an instance has at most 100.
    #[must_use]
    pub fn start_timer(self, name: impl Into<String>, due_at_ms: u64) -> Self {
        self.push_timer(Timer { name: name.into(), due_at_ms, data: Vec::new() })
    }

    /// As [`start_timer`](Self::start_timer), with what [`Timer::data`] gives back: at most 64 KiB of
    /// JSON.
    ///
    /// # Panics
    ///
    /// When `data` is something JSON cannot say.
    #[must_use]
    pub fn start_timer_with<T: Serialize + ?Sized>(
        self,
        name: impl Into<String>,
        due_at_ms: u64,
        data: &T,
    ) -> Self {
        let data = serde_json::to_vec(data).unwrap_or_else(|error| trap("data of a timer", &error));
        self.push_timer(Timer { name: name.into(), due_at_ms, data })
    }

    /// Ends a timer; one that is not running is ignored.
    #[must_use]
    pub fn cancel_timer(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.start_timers.retain(|timer| timer.name != name);
        if !self.cancel_timers.contains(&name) {
            self.cancel_timers.push(name);
        }
        self
    }

    /// The state that is kept.
    #[must_use]
    pub const fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// The commands, in order.
    #[must_use]
    pub fn commands(&self) -> &[Sent<C>] {
        &self.commands
    }

    fn push_timer(mut self, timer: Timer) -> Self {
        self.cancel_timers.retain(|name| *name != timer.name);
        self.start_timers.retain(|started| started.name != timer.name);
        self.start_timers.push(timer);
        self
    }
}

/// Why nothing was made of an event, a timer or a reply. The host puts it aside and shows the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhandled {
    pub(crate) message: String,
}

impl Unhandled {
    /// A reason, for operators.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Unhandled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Unhandled {}
