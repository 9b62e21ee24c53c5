//! The port to the truth: commits in, events and decided commands out.

pub mod correlated;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::command::RecordedCommand;
use crate::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use crate::durability::DurabilityLost;
use crate::error::DriverError;
use crate::event::{RecordedEvent, SchemaVersion};
use crate::id::{CommandId, CorrelationId, EventId, StoreId};
use crate::name::EventType;
use crate::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use crate::stream::StreamId;
use crate::time::Timestamp;

pub use correlated::CorrelatedPage;

/// Where events are kept.
///
/// ```text
///            append(commit)                       feed of a partition
///   writer ────────────────►  ┌──────────────────────────────────────────┐
///                             │ 0  1  2  3  4  5  6 │ 7  8               │
///   accepted: place is final  └─────────────────────┼────────────────────┘
///   durable: cannot be lost        readers ◄────────┤ accepted, not yet durable
///                                              head = 6
/// ```
///
/// # Order
/// - A stream's events have the revisions 0, 1, 2 … without a hole or a repeat.
/// - A stream is in the partition that [`Capabilities::partition_of`] says. The events of a commit of
///   several streams may be in several partitions; the commit itself is in that of its command's
///   stream, or of its first stream when it has no command.
/// - Every event has a position in one partition. The events of a partition have the positions 0, 1,
///   2 … without a hole or a repeat, and along them `recorded_at` never goes back. All events of a stream are in the same partition, in the order of
///   their revisions. The events of a commit are in the order of the commit's streams.
/// - A reader that was given position `n` of a partition was given every event up to `n` that its
///   filter lets through: no smaller position appears later.
///
/// # Atomicity and durability
/// - A commit is all or nothing, across its streams, claims and releases.
/// - [`EventStore::append`] returns when the commit is *accepted*: its places are final and later
///   commits are checked against it. [`Accepted::durability`] tells when it is *durable*.
/// - No read shows an event before it is durable. `read_stream`, `find_command`, `read_commands`,
///   `claim_holder` and `stream_info` show everything that was accepted before they were called, and
///   wait for its durability if they must. `read_feed`, `read_commits` and `head` do not wait: they
///   end at what is durable. A rejected command may be shown, and lost by a crash, before it is durable.
///
/// # Absent things
/// A stream without events is an empty stream; nothing has to be created.
#[async_trait]
pub trait EventStore: Send + Sync + fmt::Debug {
    /// The id of this store, made when the store was created and never changed.
    fn store_id(&self) -> StoreId;

    /// What this driver can do.
    fn capabilities(&self) -> Capabilities;

    /// Appends a commit: all of it, or on any error nothing.
    ///
    /// Checks, in this order: limits, ids seen before, expectations, claims.
    ///
    /// - A stream may be named once; a stream with no events is only expected to be as it says.
    /// - A commit whose command id its stream has decided before is refused; [`Self::find_command`]
    ///   gives the first outcome. Ids are remembered per stream, as long as
    ///   [`Capabilities::command_ids_remembered`] says.
    /// - The events of a plain append may carry ids given by a client, all of them or none. The first
    ///   stream of the commit remembers the ids of the whole commit, like command ids. When it
    ///   remembers one of the ids that are given now, the append writes nothing: it is a success with
    ///   the first receipt, whatever it expects, if it has the same streams and exactly the same
    ///   events (ids, types, schema versions, content types, data and metadata) in the same order as
    ///   that commit; otherwise it is refused.
    /// - An event of a plain append without an id is given one that no other event has.
    /// - A claim held by its own stream is taken again and gets the new expiry. A claim whose
    ///   `expires_at` is at or before the receipt's `recorded_at` is free. Releases come before
    ///   claims.
    /// - A commit that holds a rejected command has no events, claims or releases.
    ///
    /// # Errors
    /// - [`AppendError::Empty`]: neither an event nor a command record.
    /// - [`AppendError::Invalid`]: a stream named or a key claimed twice, an empty scope or key, a
    ///   rejected command with events, claims or releases, ids given to a command's events, to some
    ///   events only, or twice.
    /// - [`AppendError::TooLarge`]: over one of the [`limits`](crate::limits).
    /// - [`AppendError::AlreadyDecided`], [`AppendError::EventIdsReused`]: see above.
    /// - [`AppendError::WrongExpectedRevision`]: the first expectation that is not met.
    /// - [`AppendError::ClaimHeld`]: the first claim another stream holds.
    /// - [`AppendError::Unavailable`]: nothing was written; trying again later may succeed.
    /// - [`AppendError::OutcomeUnknown`]: the commit may be there or not; appending the same command
    ///   id (or event ids) again is safe and tells.
    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError>;

    /// Waits until everything accepted before the call is durable.
    ///
    /// # Errors
    /// [`DurabilityLost`] when the store failed to make it durable.
    async fn flush(&self) -> Result<(), DurabilityLost>;

    /// Returns at most `limit` events of `stream` (and at most
    /// [`READ_EVENTS_MAX`](crate::limits::READ_EVENTS_MAX)), beginning at `from` (inclusive), in
    /// `direction`.
    ///
    /// The page ends early after the event with which the data reaches
    /// [`READ_BYTES_MAX`](crate::limits::READ_BYTES_MAX); [`StreamPage::next`] tells where to go on.
    /// Forwards from past the end: no events. Backwards from past the end: from the last event. A
    /// `limit` of 0 gives no events, and `next` is where the read would have begun.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError>;

    /// Returns at most `limit` durable events of `partition` after position `after` (exclusive;
    /// `None`: from the first), that `filter` lets through, in order of position.
    ///
    /// Limits are those of [`Self::read_stream`]. A driver may end a page early after looking at many
    /// events that the filter holds back: go on from [`FeedPage::read_up_to`] until
    /// [`FeedPage::is_at_head`].
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError>;

    /// The position of the newest durable event of `partition`; `None` when it has none.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError>;

    /// Waits until `partition` has a durable event after `after`. May return without one (a driver
    /// may poll); the caller reads and sees.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError>;

    /// The command `id` that `stream` has decided, accepted or rejected; `None` when it has not.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError>;

    /// At most `limit` commands that `stream` has decided, oldest first, skipping the first `skip`.
    /// At most [`READ_EVENTS_MAX`](crate::limits::READ_EVENTS_MAX) are returned.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError>;

    /// At most `limit` durable commits of `partition` (and at most
    /// [`READ_EVENTS_MAX`](crate::limits::READ_EVENTS_MAX)) in the order in which they were accepted,
    /// beginning with number `from` (inclusive).
    ///
    /// Numbers begin at 0 and have no hole; a rejected command is a commit. The page ends early after
    /// the commit with which the data of events and commands reaches
    /// [`READ_BYTES_MAX`](crate::limits::READ_BYTES_MAX). No commit: `from` is past the last durable
    /// one, or `limit` is 0.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError>;

    /// The durable commits of `partition` whose origin has `correlation_id`, in the order in which they
    /// were accepted, beginning with number `from` (inclusive); rejected commands are among them.
    ///
    /// A page has at most [`READ_EVENTS_MAX`](crate::limits::READ_EVENTS_MAX) commits and ends early
    /// after the one with which their data reaches [`READ_BYTES_MAX`](crate::limits::READ_BYTES_MAX). A
    /// driver may end it sooner, after many events or after looking at many commits of other ids: go on
    /// from [`CorrelatedPage::next`] until [`CorrelatedPage::is_at_head`]. Until then each page gets
    /// further. From past the head: no commit, and `next` is `from`.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn read_correlated(
        &self,
        partition: Partition,
        correlation_id: &CorrelationId,
        from: u64,
    ) -> Result<CorrelatedPage, ReadError> {
        correlated::by_commits(self, partition, correlation_id, from).await
    }

    /// The number of a commit of `partition` before which every durable commit was recorded earlier
    /// than `since`: where to begin to look for what was recorded at `since` or later. A store may
    /// answer with less than it could, but not when every durable commit is earlier than `since`: then
    /// it is how many there are.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn first_commit_since(
        &self,
        partition: Partition,
        since: Timestamp,
    ) -> Result<u64, ReadError> {
        correlated::since_by_commits(self, partition, since).await
    }

    /// Who holds the claim `key` of `scope` at `now`; `None` when nobody does or it has expired.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError>;

    /// Where `stream` ends, and its partition.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError>;

    /// How many events of each category, type and schema version are recorded, in order of category,
    /// type and version.
    ///
    /// # Errors
    /// Each variant of [`ReadError`].
    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError>;
}

/// What a driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How many partitions the feed has, numbered from 0.
    pub partitions_count: u32,
    /// How long a stream remembers the ids of its commands.
    pub command_ids_remembered: CommandIdsRemembered,
}

impl Capabilities {
    /// The partition of a stream: [`StreamId::stable_hash`] modulo the number of partitions, for
    /// every driver.
    #[must_use]
    pub fn partition_of(&self, stream: &StreamId) -> Partition {
        let partition = stream.stable_hash() % u64::from(self.partitions_count.max(1));
        Partition(u32::try_from(partition).unwrap_or_default())
    }
}

/// How long a stream remembers the ids of its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandIdsRemembered {
    /// For ever.
    All,
    /// Those of this many last commits of the stream.
    LastCommits(u64),
}

/// Which way to read a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forwards,
    /// Newest first.
    Backwards,
}

/// Some events of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamPage {
    /// The events, in the direction asked for.
    pub events: Vec<RecordedEvent>,
    /// Where the next page begins; `None` when the stream ends here.
    pub next: Option<Revision>,
}

/// Some events of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedPage {
    /// The events, in order of position.
    pub events: Vec<RecordedEvent>,
    /// Every event up to here (inclusive) that the filter lets through has been returned, by this
    /// page or those before: the checkpoint to go on from. Never before the `after` asked for;
    /// `None`: nothing read yet, and nothing there (or the limit was 0).
    pub read_up_to: Option<Position>,
    /// Whether no durable event was after `read_up_to` at the time of the read.
    pub is_at_head: bool,
}

/// Which events of the feed a reader wants. Each condition that is `None` lets everything through;
/// all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedFilter {
    /// Only these categories. `None`: all but the host's own (`$…`).
    pub categories: Option<HashSet<Arc<str>>>,
    /// Only these event types.
    pub event_types: Option<HashSet<EventType>>,
    /// Only streams whose id (`category/id`) starts with this.
    pub stream_prefix: Option<Arc<str>>,
}

impl FeedFilter {
    /// Whether the filter lets an event of this stream and type through.
    #[must_use]
    pub fn lets_through(&self, stream: &StreamId, event_type: &EventType) -> bool {
        self.event_types.as_ref().is_none_or(|types| types.contains(event_type))
            && self.categories.as_ref().map_or_else(
                || !stream.is_system(),
                |categories| categories.contains(stream.category()),
            )
            && self
                .stream_prefix
                .as_deref()
                .is_none_or(|prefix| stream.as_str().starts_with(prefix))
    }
}

/// Where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its partition.
    pub partition: Partition,
    /// Its last revision.
    pub revision: ActualRevision,
    /// How many commands it has decided, rejected ones included.
    pub commands_count: u64,
}

/// How many events of one kind are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeCount {
    /// Category of their streams.
    pub category: Arc<str>,
    /// Their type.
    pub event_type: EventType,
    /// Shape of their data.
    pub schema_version: SchemaVersion,
    /// How many.
    pub events_count: u64,
}

/// What an append was refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SizeLimit {
    /// Data of one event or command, in bytes.
    PayloadBytes,
    /// Metadata of one event, in bytes.
    MetadataBytes,
    /// Data and metadata of the whole commit, in bytes.
    CommitBytes,
    /// Events of the commit.
    CommitEvents,
    /// Streams, claims and releases of the commit.
    CommitItems,
    /// Scope or key of a claim, in bytes.
    ClaimPartBytes,
    /// Code, message and detail of a rejection, in bytes.
    RejectionBytes,
}

impl fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PayloadBytes => "bytes of data of one event or command",
            Self::MetadataBytes => "bytes of metadata of one event",
            Self::CommitBytes => "bytes of one commit",
            Self::CommitEvents => "events in one commit",
            Self::CommitItems => "streams, claims and releases in one commit",
            Self::ClaimPartBytes => "bytes of the scope or key of a claim",
            Self::RejectionBytes => "bytes of a rejection",
        })
    }
}

/// Why a commit was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Neither an event nor a command record.
    #[error("a commit needs an event or a command record")]
    Empty,
    /// The commit contradicts itself.
    #[error("the commit contradicts itself: {what}")]
    Invalid {
        /// How.
        what: &'static str,
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
    /// The stream has decided this command id before.
    #[error("stream `{stream}` has decided command `{command}` before")]
    AlreadyDecided {
        /// The stream.
        stream: StreamId,
        /// The command.
        command: CommandId,
    },
    /// Some of the given event ids are recorded, but not as one commit of the same events.
    #[error("event id `{event}` is recorded in stream `{stream}` as part of another append")]
    EventIdsReused {
        /// The stream.
        stream: StreamId,
        /// The first id that is there.
        event: EventId,
    },
    /// An expectation is not met.
    #[error("stream `{stream}` is at {actual}, expected {expected}")]
    WrongExpectedRevision {
        /// The stream.
        stream: StreamId,
        /// What was believed.
        expected: ExpectedRevision,
        /// What is true.
        actual: ActualRevision,
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
    /// Nothing was written; trying again later may succeed.
    #[error("the event store is not available")]
    Unavailable(#[source] DriverError),
    /// The commit may be there or not.
    #[error("the event store did not say whether the commit is there")]
    OutcomeUnknown(#[source] DriverError),
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store has no such partition.
    #[error("there is no partition `{partition}`")]
    UnknownPartition {
        /// The partition asked for.
        partition: Partition,
    },
    /// Trying again later may succeed.
    #[error("the event store is not available")]
    Unavailable(#[source] DriverError),
    /// What is stored cannot be read; an operator must look.
    #[error("the event store is damaged")]
    Damaged(#[source] DriverError),
}
