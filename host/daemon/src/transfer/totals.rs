//! How much was exported or imported, in all and so far.

use annals_core::commit::RecordedCommit;
use annals_core::id::{Digest, StoreId};
use annals_core::place::Partition;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::Inexact;
use super::lines::lines_of;

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The store it is of.
    pub store: StoreId,
    /// How many commits.
    pub commits_count: u64,
    /// How many events.
    pub events_count: u64,
    /// Size of all its lines, in bytes.
    pub bytes_count: u64,
    /// SHA-256 of all lines but the last, which says it.
    pub sha256: Digest,
    /// The same by partition.
    pub partitions: Vec<PartitionTotals>,
}

/// What one partition of a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionTotals {
    /// The partition.
    pub partition: Partition,
    /// How many commits.
    pub commits_count: u64,
    /// How many events.
    pub events_count: u64,
    /// SHA-256 of the lines that these commits have in the export.
    pub sha256: Digest,
}

/// How far an export or import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// How many commits are done.
    pub commits_count: u64,
    /// How many there are to do, where that is known.
    pub commits_total: Option<u64>,
    /// How many events are done.
    pub events_count: u64,
    /// How many bytes of the export were written or read.
    pub bytes_count: u64,
}

/// What an export or import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Writing commits to an export.
    Exporting,
    /// Reading commits from an export, and appending what is not there.
    Importing,
    /// Reading the store again and comparing it with the export.
    Verifying,
}

/// Counts the commits of one partition and takes the digest of their lines.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    partition: Partition,
    pub(super) commits_count: u64,
    pub(super) events_count: u64,
    hash: Sha256,
}

impl Tally {
    pub(super) fn of(partition: Partition) -> Self {
        Self { partition, commits_count: 0, events_count: 0, hash: Sha256::new() }
    }

    /// Adds a commit, and its lines to `text`.
    pub(super) fn add(
        &mut self,
        source: &str,
        recorded: &RecordedCommit,
        text: &mut Vec<u8>,
    ) -> Result<(), Inexact> {
        let start = text.len();
        for line in lines_of(source, self.partition, recorded)? {
            line.write(text);
        }
        self.hash.update(text.get(start..).unwrap_or_default());
        self.commits_count += 1;
        self.events_count += u64::try_from(recorded.commit.events_count()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The commits and events of all partitions.
    pub(super) fn counts<'a>(tallies: impl IntoIterator<Item = &'a Self>) -> (u64, u64) {
        tallies.into_iter().fold((0, 0), |(commits, events), tally| {
            (commits + tally.commits_count, events + tally.events_count)
        })
    }

    pub(super) fn totals(&self) -> PartitionTotals {
        PartitionTotals {
            partition: self.partition,
            commits_count: self.commits_count,
            events_count: self.events_count,
            sha256: Digest::from_bytes(self.hash.clone().finalize().into()),
        }
    }
}
