//! Projections: events in, rows out.

use std::fmt;

use serde_json::Value;

use crate::context::split_stream_id;
use crate::{Event, Query, QueryContext, Reads, View, Writes};

/// Turns events into rows of a view, which can be thrown away and built again at any time.
///
/// It has no state but its rows. See the [crate's documentation](crate) for a whole one.
pub trait Projection: 'static {
    /// Kebab-case name, e.g. `account-balances`.
    const NAME: &'static str;

    /// Names of its tables, e.g. `&[ACCOUNTS.name()]`; see [`Table`](crate::Table).
    const TABLES: &'static [&'static str];

    /// Whether its view is right as well when it begins after the first event, e.g. a list of what
    /// happened lately. Then operators may rebuild it from a position or a time on.
    const BEGINS_LATER: bool = false;

    /// The events it wants, by their names, whatever aggregate records them. Declare the fields
    /// that are used; others are skipped.
    type Event: Event;

    /// Changes the view by one event.
    ///
    /// Events of a stream arrive in order, each once. A row read through `view` shows what the
    /// events before this one wrote.
    ///
    /// # Errors
    ///
    /// A [`Failure`], when the event should come again later or can never be handled. Nothing this
    /// call wrote is kept then.
    fn project(event: Self::Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure>;

    /// Names the rows that [`project`](Self::project) will read for an event. The host is then asked
    /// once for those of a whole batch, where each row that is not named is asked for on its own,
    /// which makes catching up several times slower.
    ///
    /// Called for all events of a batch before the first of them is projected; what `project` reads
    /// is the same with it and without.
    fn reads(event: &Self::Event, meta: &EventMeta<'_>, reads: &mut Reads<'_>) {
        _ = (event, meta, reads);
    }
}

/// A projection that answers named questions about its view; export it with
/// [`export_projection!(MyProjection, queries)`](crate::export_projection).
pub trait Queries: Projection {
    /// The questions, with their parameters.
    type Query: Query;

    /// Answers a question. Anything serde can serialise goes into [`json!`](crate::json).
    ///
    /// # Errors
    ///
    /// [`QueryError::malformed`], when a parameter has a value that makes no sense.
    fn answer(query: Self::Query, ctx: &QueryContext, view: &View) -> Result<Value, QueryError>;
}

/// What is true about an event and not said by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventMeta<'a> {
    /// The stream, as `category/id`.
    pub stream_id: &'a str,
    /// Place in the stream; 0 is the first.
    pub revision: u64,
    /// Place in the order of all events of `partition`. Compare, never compute.
    pub position: u64,
    /// The partition the event was read from.
    pub partition: u32,
    /// When the host recorded it, in milliseconds since 1970-01-01T00:00:00Z.
    pub recorded_at_ms: u64,
}

impl<'a> EventMeta<'a> {
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

/// Why an event was not projected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) remedy: Remedy,
    pub(crate) message: String,
}

/// What the host does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    Retry,
    Park,
}

impl Failure {
    /// The event may succeed when it comes again later.
    #[must_use]
    pub fn retry(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Retry, message: message.into() }
    }

    /// The event can never be handled: put it aside, with the later ones of its stream.
    #[must_use]
    pub fn park(message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Park, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryError {
    /// No query has this name.
    Unknown,
    /// The parameters do not fit the query; the text says why.
    Malformed(String),
}

impl QueryError {
    /// The parameters do not fit the query.
    #[must_use]
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed(message.into())
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str("no query has this name"),
            Self::Malformed(message) => formatter.write_str(message),
        }
    }
}

impl std::error::Error for QueryError {}
