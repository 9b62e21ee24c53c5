//! Why an export or import ends early, and what to do about it.

use std::fmt;
use std::io;

use annals_core::durability::DurabilityLost;
use annals_core::id::Digest;
use annals_core::place::Partition;
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::port::state_store::StateError;

use super::file::LINE_BYTES_MAX;

/// Why a store was not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The export cannot be written.
    #[error("failed to write the export")]
    Write(#[source] io::Error),
    /// The store does not say of a commit all that it must.
    #[error("commit {number} of partition {partition} cannot be exported: {what}")]
    Inexact {
        /// Its partition.
        partition: Partition,
        /// Its number.
        number: u64,
        /// What is not said.
        what: &'static str,
    },
    /// A commit cannot be where the store says: there is no order in which all of them were appended.
    #[error("commit {number} of partition {partition} is out of place: {what}")]
    OutOfPlace {
        /// Its partition.
        partition: Partition,
        /// Its number.
        number: u64,
        /// What is wrong.
        what: String,
    },
}

impl ExportError {
    /// What to do about it, where that is known.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OutOfPlace { .. } => Some(
                "the store is damaged; `annals store verify` names the damage in a data folder, and a \
                 backup has what is lost",
            ),
            _ => None,
        }
    }
}

/// Why an export was not imported, or not all of it. What was imported before stays, and is durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The export cannot be read.
    #[error("failed to read the export")]
    File(#[source] io::Error),
    /// The first line is not that of an export.
    #[error("this is not an export of annals")]
    NotAnExport(#[source] LineFault),
    /// It cannot be noted that an import is under way. Nothing was appended, or everything.
    #[error("the store does not take the note that an import is under way")]
    Mark(#[source] StateError),
    /// It was written by a version that came later.
    #[error("the export has format {format}, and this version of annals reads format {known}")]
    UnknownFormat {
        /// Of the export.
        format: u64,
        /// The one that is known.
        known: u64,
    },
    /// A line is not as an export has it.
    #[error("line {line} of the export")]
    BadLine {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        #[source]
        fault: LineFault,
    },
    /// The last line is missing: the export was cut off.
    #[error(
        "the export ends early, after {lines_count} whole lines; its first {commits_count} commits \
         are in the store"
    )]
    EndsEarly {
        /// How many whole lines it has.
        lines_count: u64,
        /// How many whole commits they hold.
        commits_count: u64,
    },
    /// Everything is imported, and is not what was exported.
    #[error(
        "the export was changed after it was written: the digest of its lines is {actual}, and its \
         last line says {told}; all of it is in the store"
    )]
    Changed {
        /// What the last line says.
        told: Digest,
        /// What it is.
        actual: Digest,
    },
    /// The store holds something else.
    #[error(
        "the store is not empty, and holds something else than this export: commit {number} of \
         partition {partition} is another one"
    )]
    OtherContent {
        /// Of the first commit that differs.
        partition: Partition,
        /// Of the first commit that differs.
        number: u64,
    },
    /// The store does not hold a part of the export, and holds a later one.
    #[error(
        "the store is not empty, and holds something else than an import of this export leaves: \
         commit {number} of partition {partition} is missing, and later ones are there"
    )]
    Gap {
        /// Where the first commit belongs that is missing.
        partition: Partition,
        /// How many commits of the export belong there before it.
        number: u64,
    },
    /// The store holds more.
    #[error(
        "the store holds more than this export: {store} commits in partition {partition}, and the \
         export has {export}"
    )]
    Ahead {
        /// The partition.
        partition: Partition,
        /// How many commits of it the export has.
        export: u64,
        /// How many the store has.
        store: u64,
    },
    /// The store does not take a commit.
    #[error("the store refuses the commit that begins in line {line} of the export")]
    Refused {
        /// The number of its first line, from 1.
        line: u64,
        /// Why.
        #[source]
        source: AppendError,
    },
    /// The store gave a commit another place or time than it had.
    #[error(
        "the store gave the commit that begins in line {line} of the export another place or time \
         than it had"
    )]
    Moved {
        /// The number of its first line, from 1.
        line: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Commits in flight were lost.
    #[error(transparent)]
    Lost(#[from] DurabilityLost),
    /// What was read back is not what was imported.
    #[error("what the store gives back of partition {partition} is not what was imported")]
    NotTheSame {
        /// The partition.
        partition: Partition,
    },
    /// What was read back is more or less than what was imported.
    #[error(
        "what the store gives back is not what was imported: it has {store} {what}, and the export \
         has {export}"
    )]
    OtherTotals {
        /// What is counted.
        what: &'static str,
        /// How many the export has.
        export: u64,
        /// How many the store has.
        store: u64,
    },
    /// What was read back is as much as was imported, and something else.
    #[error(
        "what the store gives back is not what was imported: the digest of its commits is {store}, \
         and that of the export is {export}"
    )]
    OtherContents {
        /// Of the commits of the export, in any order.
        export: Digest,
        /// Of those of the store.
        store: Digest,
    },
}

/// What a person can do about an import that ended early.
const GO_ON: &str = "and run the same command again: it goes on where it ended";

impl ImportError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotAnExport(_) => "name a file that `annals store export` wrote".to_owned(),
            Self::UnknownFormat { .. } => "use the version of annals that wrote it".to_owned(),
            Self::BadLine { .. } => format!(
                "every commit before it is in the store; put the line right, or take the export \
                 again, {GO_ON}"
            ),
            Self::EndsEarly { .. } => format!("take the whole file, or export again, {GO_ON}"),
            Self::Changed { .. } => {
                "to be sure, export again, and import into an empty store".to_owned()
            }
            Self::OtherContent { .. } | Self::Gap { .. } | Self::Ahead { .. } => {
                "nothing was written; import into an empty store".to_owned()
            }
            Self::Moved { .. } => {
                "import into an empty store, and let nobody else write to it meanwhile".to_owned()
            }
            Self::Refused {
                source: AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_),
                ..
            }
            | Self::Read(ReadError::Unavailable(_)) => {
                format!("look at the disk, or at the network and the service, {GO_ON}")
            }
            Self::Refused {
                source: AppendError::AlreadyDecided { .. } | AppendError::EventIdsReused { .. },
                ..
            } => {
                "the store that was exported had forgotten the id when it came again, and this one \
                  remembers it: import into a store of the same kind"
                    .to_owned()
            }
            Self::Refused { source: AppendError::ClaimHeld { .. }, .. } => format!(
                "clocks of hosts differed when the name went from one stream to another; move the \
                 lines of this commit, with all that follow of its partition, behind those of the \
                 commit that releases the name, {GO_ON}"
            ),
            Self::Mark(_) | Self::Lost(_) => format!("look at the disk, {GO_ON}"),
            _ => return None,
        };
        Some(hint)
    }

    /// Whether whoever imports can put it right: the file or the store is not the right one.
    #[must_use]
    pub const fn is_the_users(&self) -> bool {
        !matches!(
            self,
            Self::Moved { .. }
                | Self::Read(_)
                | Self::Lost(_)
                | Self::Mark(_)
                | Self::NotTheSame { .. }
                | Self::OtherTotals { .. }
                | Self::OtherContents { .. }
                | Self::Refused {
                    source: AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_),
                    ..
                }
        )
    }
}

/// What is wrong with a line of an export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// There is no line.
    #[error("there is nothing in it")]
    Nothing,
    /// Over the limit.
    #[error("it has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It is not an object of the attributes that an export has.
    #[error("it is not a line of an export: {cause}")]
    NotALine {
        /// Why.
        cause: String,
    },
    /// An attribute is missing.
    #[error("`{name}` is missing")]
    Missing {
        /// The attribute.
        name: &'static str,
    },
    /// It is there as JSON and as base64.
    #[error("`{name}` is there twice, as JSON and as base64")]
    Twice {
        /// The attribute.
        name: &'static str,
    },
    /// An attribute has a value it cannot have.
    #[error("`{name}` is not valid: {cause}")]
    Invalid {
        /// The attribute.
        name: &'static str,
        /// Why.
        cause: String,
    },
    /// An attribute contradicts the rest of the export.
    #[error("`{name}` is {found}, and the rest of the export says {expected}")]
    Contradiction {
        /// The attribute.
        name: String,
        /// What it is.
        found: String,
        /// What it would be.
        expected: String,
    },
    /// A line is missing, or lines are not in order.
    #[error("a line is missing before it, or is in the wrong place: {expected} comes here")]
    OutOfOrder {
        /// What should be there.
        expected: String,
    },
    /// A commit has more than a commit can have.
    #[error("its commit is larger than any commit can be")]
    CommitTooLarge,
    /// The last line says other counts.
    #[error("it says {told} {what}, and there are {actual}")]
    OtherCount {
        /// What is counted.
        what: &'static str,
        /// What it says.
        told: u64,
        /// How many there are.
        actual: u64,
    },
    /// There is something after the last line.
    #[error("it comes after the last line of the export")]
    AfterEnd,
}

impl LineFault {
    pub(super) fn invalid(name: &'static str, cause: &dyn fmt::Display) -> Self {
        Self::Invalid { name, cause: cause.to_string() }
    }

    /// A text that is not the JSON it should be. That it is on line 1 says nothing here.
    pub(super) fn not_a_line(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let cause = match text.rsplit_once(" at line ") {
            Some((cause, _)) => format!("{cause}, at column {}", error.column()),
            None => text,
        };
        Self::NotALine { cause }
    }
}

/// What a store does not say of a commit, and must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inexact(pub(super) &'static str);
