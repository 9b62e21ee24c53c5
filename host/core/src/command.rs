//! Commands as the log keeps them: with their context and outcome, rejected ones included.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::{ContentType, Origin};
use crate::id::{CommandId, Digest};
use crate::name::CommandName;
use crate::place::{ActualRevision, Position, Revision};
use crate::stream::StreamId;
use crate::time::Timestamp;

/// A command that was decided, as part of its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRecord {
    /// The id by which its stream recognises a repeat.
    pub id: CommandId,
    /// What was wished for.
    pub name: CommandName,
    /// The stream it was decided on.
    pub stream: StreamId,
    /// Media type of `data`.
    pub content_type: ContentType,
    /// The command's data, as it came.
    pub data: Bytes,
    /// The time the plugin was told.
    pub decided_at: Timestamp,
    /// The seed the plugin was given.
    pub seed: (u64, u64),
    /// Content of the plugin that decided.
    pub plugin: Digest,
    /// What the plugin said.
    pub outcome: Outcome,
}

/// What became of a decided command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// Its events, none or more, are in the same commit.
    Accepted,
    /// The domain said no.
    Rejected(Rejection),
}

/// The domain says no. Recorded and returned to the caller, never retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Stable and kebab-case, e.g. `insufficient-funds`.
    pub code: Arc<str>,
    /// A sentence for the caller.
    pub message: Arc<str>,
    /// JSON text, when the caller can use more than a sentence; empty otherwise.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub detail: Bytes,
}

/// A decided command as a store gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCommand {
    /// The command and its outcome.
    pub record: CommandRecord,
    /// Who and what led to it.
    pub origin: Arc<Origin>,
    /// When the store accepted its commit.
    pub recorded_at: Timestamp,
    /// Where its stream ended after the commit.
    pub revision: ActualRevision,
    /// Its events in its own stream; `None` when it recorded none there.
    pub events: Option<RecordedRange>,
}

/// Consecutive events of one stream, in one commit. Both ends are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRange {
    /// Revision of the first event.
    pub first_revision: Revision,
    /// Revision of the last event.
    pub last_revision: Revision,
    /// Position of the first event.
    pub first_position: Position,
    /// Position of the last event.
    pub last_position: Position,
}
