//! The port to where failures of plugins are kept, each with what repeats it: bug bundles.

use std::fmt;

use bytes::Bytes;

use crate::columns::{EventBatch, History};
use crate::id::Digest;
use crate::name::PluginName;
use crate::plugin::Context;
use crate::port::guest::{GuestFailure, ViewRow};
use crate::time::Timestamp;

/// Keeps what repeats the failures of plugins.
pub trait FailureSink: Send + Sync + fmt::Debug {
    /// Whether a bundle of this failure is wanted now. Asked at every failure, so it answers at once;
    /// after a yes the same failure is not wanted for a while, whether a bundle comes or not.
    fn wants(&self, plugin: Digest, failure: &GuestFailure, now: Timestamp) -> bool;

    /// Keeps a bundle. May block. A failure to keep it is the sink's to report.
    fn keep(&self, bundle: &FailureBundle);
}

/// A failure of a plugin, and what repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureBundle {
    /// The plugin.
    pub plugin: PluginName,
    /// Its version.
    pub version: String,
    /// Content of its component.
    pub digest: Digest,
    /// When it failed.
    pub at: Timestamp,
    /// How.
    pub failure: GuestFailure,
    /// What it was doing.
    pub work: FailedWork,
}

/// What a plugin was doing when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailedWork {
    /// An aggregate was given a stream, and perhaps a command.
    Stream(FailedStream),
    /// A projection was given a batch of events.
    Batch(FailedBatch),
}

/// A stream that made an aggregate fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStream {
    /// The stream, as `category/id`.
    pub stream: String,
    /// The snapshot it was loaded from, if there was one.
    pub snapshot: Option<Bytes>,
    /// The events after that, in the pages they were given in.
    pub pages: Vec<History>,
    /// Whether `pages` are all there were: a long stream does not fit into a bundle.
    pub is_complete: bool,
    /// The command, if there was one.
    pub command: Option<FailedCommand>,
}

/// A command that was being decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCommand {
    /// Index into the description's commands.
    pub command_type: u32,
    /// Its data.
    pub data: Bytes,
    /// What the plugin was told beside it.
    pub context: Context,
}

/// A batch that made a projection fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBatch {
    /// The events.
    pub events: EventBatch,
    /// What it read of its view, in order.
    pub reads: Vec<ViewAnswer>,
}

/// What a projection was answered when it read its view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewAnswer {
    /// Values by key.
    Values(Vec<Option<Vec<u8>>>),
    /// Rows of a scan.
    Rows(Vec<ViewRow>),
}
