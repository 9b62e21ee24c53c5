//! The commit: the unit of atomicity, and of the log.

use std::collections::HashSet;
use std::sync::Arc;

use crate::command::{CommandRecord, Outcome, RecordedRange};
use crate::durability::Durability;
use crate::event::{NewEvent, Origin};
use crate::id::EventId;
use crate::limits;
use crate::place::{ActualRevision, ExpectedRevision, Position};
use crate::port::event_store::{AppendError, SizeLimit};
use crate::stream::StreamId;
use crate::time::Timestamp;

/// What is appended all together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The time of the events. The store moves it forward to its latest when it lies before.
    pub recorded_at: Timestamp,
    /// Who and what led to it.
    pub origin: Arc<Origin>,
    /// The command that was decided; `None` for a plain append.
    pub command: Option<CommandRecord>,
    /// The streams it writes, or only expects something of. No stream is named twice.
    pub streams: Vec<StreamAppend>,
    /// Claims to take.
    pub claims: Vec<Claim>,
    /// Claims to release. One that the stream does not hold is passed over.
    pub releases: Vec<Release>,
    /// Whoever made the commit has just made the id of its command, and no append of it may have been
    /// recorded: a driver that would have to ask its server whether the id is new need not. A hint,
    /// not recorded.
    pub id_is_new: bool,
}

impl Commit {
    /// An append of `events` to one stream, without command, claims and origin.
    #[must_use]
    pub fn plain(
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
        recorded_at: Timestamp,
    ) -> Self {
        Self {
            recorded_at,
            origin: Arc::default(),
            command: None,
            streams: vec![StreamAppend { stream, expected, events }],
            claims: Vec::new(),
            releases: Vec::new(),
            id_is_new: false,
        }
    }

    /// The stream it belongs to: that of its command, or its first. `None` when it has neither.
    #[must_use]
    pub fn home(&self) -> Option<&StreamId> {
        let first = self.streams.first().map(|append| &append.stream);
        self.command.as_ref().map(|command| &command.stream).or(first)
    }

    /// How many events it holds.
    #[must_use]
    pub fn events_count(&self) -> usize {
        self.streams.iter().map(|append| append.events.len()).sum()
    }

    /// Data of the command and of the events and metadata of the events, in bytes.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        let events = self.streams.iter().flat_map(|append| &append.events);
        self.command.as_ref().map_or(0, |command| command.data.len())
            + events.map(|event| event.data.len() + event.metadata.len()).sum::<usize>()
    }
}

/// One stream's part of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamId,
    /// What must be true of the stream before the commit.
    pub expected: ExpectedRevision,
    /// Events to add at its end; none when the commit only expects something of it.
    pub events: Vec<NewEvent>,
}

/// Longest scope or key of a claim, in bytes.
pub const CLAIM_PART_BYTES_MAX: usize = 256;

/// A name that `stream` is to hold alone, e.g. scope `e-mail`, key `ada@example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What kind of name it is; 1 to [`CLAIM_PART_BYTES_MAX`] bytes.
    pub scope: Arc<str>,
    /// The name; 1 to [`CLAIM_PART_BYTES_MAX`] bytes.
    pub key: Arc<str>,
    /// Who is to hold it.
    pub stream: StreamId,
    /// From this time on (inclusive) others may take it. `None`: until released.
    pub expires_at: Option<Timestamp>,
}

/// A claim to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What kind of name it is.
    pub scope: Arc<str>,
    /// The name.
    pub key: Arc<str>,
    /// Who holds it.
    pub stream: StreamId,
}

/// Who holds a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHolder {
    /// The holder.
    pub stream: StreamId,
    /// From this time on (inclusive) others may take it.
    pub expires_at: Option<Timestamp>,
}

/// A commit the store has accepted: its places are final, and [`Accepted::durability`] tells when it
/// can no longer be lost.
#[derive(Debug)]
pub struct Accepted {
    /// Where everything went.
    pub receipt: Receipt,
    /// Tells when the commit is durable. A commit without events may report it at once.
    pub durability: Durability,
}

/// A commit as the store recorded it. Appending the commits of a partition in the order of their
/// numbers to an empty store gives the same events, commands and claims at the same places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCommit {
    /// How many commits of the partition came before it.
    pub number: u64,
    /// The position of its first event, or what it would be.
    pub first_position: Position,
    /// What was recorded: at the time the receipt told, each stream expected exactly where it was,
    /// each event of a plain append with its id.
    pub commit: Commit,
}

/// Where the parts of a commit went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The time the store gave the commit.
    pub recorded_at: Timestamp,
    /// Per entry of [`Commit::streams`], in the same order.
    pub streams: Vec<StreamReceipt>,
}

/// Where one stream's part of a commit went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReceipt {
    /// Where the stream ends after the commit.
    pub revision: ActualRevision,
    /// The events of the commit in this stream; `None` when there are none.
    pub events: Option<RecordedRange>,
}

impl Commit {
    /// Checks what can be checked without a store: every driver calls it first in `append`.
    ///
    /// # Errors
    /// [`AppendError::Empty`], [`AppendError::Invalid`] or [`AppendError::TooLarge`].
    pub fn check(&self) -> Result<(), AppendError> {
        let events_count = self.events_count();
        if events_count == 0 && self.command.is_none() {
            return Err(AppendError::Empty);
        }
        self.check_consistency(events_count)?;
        let items_count = self.streams.len() + self.claims.len() + self.releases.len();
        at_most(SizeLimit::CommitEvents, events_count, limits::COMMIT_EVENTS_MAX)?;
        at_most(SizeLimit::CommitItems, items_count, limits::COMMIT_ITEMS_MAX)?;
        if let Some(command) = &self.command {
            at_most(SizeLimit::PayloadBytes, command.data.len(), limits::PAYLOAD_BYTES_MAX)?;
            if let Outcome::Rejected(rejection) = &command.outcome {
                let size = rejection.code.len() + rejection.message.len() + rejection.detail.len();
                at_most(SizeLimit::RejectionBytes, size, limits::REJECTION_BYTES_MAX)?;
            }
        }
        for event in self.streams.iter().flat_map(|append| &append.events) {
            at_most(SizeLimit::PayloadBytes, event.data.len(), limits::PAYLOAD_BYTES_MAX)?;
            at_most(SizeLimit::MetadataBytes, event.metadata.len(), limits::METADATA_BYTES_MAX)?;
        }
        at_most(SizeLimit::CommitBytes, self.data_bytes(), limits::COMMIT_BYTES_MAX)?;
        let claims = self.claims.iter().map(|claim| (&claim.scope, &claim.key));
        let releases = self.releases.iter().map(|release| (&release.scope, &release.key));
        for (scope, key) in claims.chain(releases) {
            if scope.is_empty() || key.is_empty() {
                return Err(AppendError::Invalid { what: "the scope or key of a claim is empty" });
            }
            let size = scope.len().max(key.len());
            at_most(SizeLimit::ClaimPartBytes, size, CLAIM_PART_BYTES_MAX)?;
        }
        Ok(())
    }

    fn check_consistency(&self, events_count: usize) -> Result<(), AppendError> {
        // Commits name one or two streams; a set would cost more than it saves.
        let names_twice = self.streams.iter().enumerate().any(|(index, append)| {
            self.streams.iter().skip(index + 1).any(|other| other.stream == append.stream)
        });
        if names_twice {
            return Err(AppendError::Invalid { what: "a stream is named twice" });
        }
        self.check_claimed_once()?;
        let Some(command) = &self.command else {
            return self.check_given_ids(events_count);
        };
        let is_rejected = matches!(command.outcome, Outcome::Rejected(_));
        if is_rejected && (events_count > 0 || self.claims.len() + self.releases.len() > 0) {
            return Err(AppendError::Invalid { what: "a rejected command records nothing" });
        }
        let gives_ids = self.streams.iter().flat_map(|s| &s.events).any(|e| e.id.is_some());
        if gives_ids {
            return Err(AppendError::Invalid { what: "ids of a command's events are derived" });
        }
        Ok(())
    }

    /// No key is claimed twice: which of two streams were to hold it?
    fn check_claimed_once(&self) -> Result<(), AppendError> {
        let claimed_twice = self.claims.iter().enumerate().any(|(index, claim)| {
            self.claims
                .iter()
                .skip(index + 1)
                .any(|other| other.scope == claim.scope && other.key == claim.key)
        });
        if claimed_twice {
            return Err(AppendError::Invalid { what: "a key is claimed twice" });
        }
        Ok(())
    }

    /// A client gives an id to all events of a plain append or to none, and each id once.
    fn check_given_ids(&self, events_count: usize) -> Result<(), AppendError> {
        let events = self.streams.iter().flat_map(|append| &append.events);
        let given: Vec<EventId> = events.filter_map(|event| event.id).collect();
        if given.is_empty() {
            return Ok(());
        }
        if given.len() < events_count {
            return Err(AppendError::Invalid { what: "some events have ids and others have not" });
        }
        let distinct: HashSet<EventId> = given.into_iter().collect();
        if distinct.len() < events_count {
            return Err(AppendError::Invalid { what: "an event id is given twice" });
        }
        Ok(())
    }
}

fn at_most(what: SizeLimit, size: usize, max: usize) -> Result<(), AppendError> {
    if size > max { Err(AppendError::TooLarge { what, size, max }) } else { Ok(()) }
}
