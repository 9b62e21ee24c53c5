//! Where in a store the commits of an export go.

use annals_core::commit::{Accepted, Commit};
use annals_core::place::Partition;
use annals_core::port::event_store::Capabilities;
use annals_core::time::Timestamp;

use super::gather::Gathered;
use super::lines::first_revision;

/// Whether commits come to the places they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// The store has as many partitions as the one that was exported.
    Same,
    /// It has another number of partitions: positions and numbers of commits are others.
    Other,
}

/// The way of the commits of an export.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) places: Places,
    capabilities: Capabilities,
}

/// A commit of the export on its way into the store.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) gathered: Gathered,
    /// Bytes of its lines.
    pub(super) bytes_count: usize,
}

impl Route {
    pub(super) fn new(partitions_count: u32, capabilities: Capabilities) -> Self {
        let is_same = partitions_count == capabilities.partitions_count;
        Self { places: if is_same { Places::Same } else { Places::Other }, capabilities }
    }

    /// The partition that a commit goes to.
    pub(super) fn partition_of(&self, commit: &Commit) -> Partition {
        let home = commit.home().map(|stream| self.capabilities.partition_of(stream));
        home.unwrap_or_default()
    }

    /// Whether a commit names streams of several partitions.
    pub(super) fn is_across(&self, commit: &Commit) -> bool {
        let home = self.partition_of(commit);
        let named = commit.streams.iter().map(|append| &append.stream);
        named.into_iter().any(|stream| self.capabilities.partition_of(stream) != home)
    }

    /// Whether a commit has come to where it must be. A store may move its time forward where the
    /// partitions are others, but not beyond `latest`, the time of any commit it was given.
    pub(super) fn is_right(
        &self,
        Gathered { recorded, .. }: &Gathered,
        Accepted { receipt, .. }: &Accepted,
        latest: Timestamp,
    ) -> bool {
        let commit = &recorded.commit;
        let home = self.partition_of(commit);
        let mut parts = commit.streams.iter().zip(&receipt.streams);
        let are_revisions_right = parts.all(|(append, receipt)| {
            let first = receipt.events.map(|events| events.first_revision);
            append.events.is_empty() || first == first_revision(append).ok()
        });
        let mut parts = commit.streams.iter().zip(&receipt.streams);
        let position = parts.find_map(|(append, receipt)| {
            let is_home = self.capabilities.partition_of(&append.stream) == home;
            receipt.events.filter(|_| is_home).map(|events| events.first_position)
        });
        are_revisions_right
            && match self.places {
                Places::Same => {
                    receipt.recorded_at == commit.recorded_at
                        && position.is_none_or(|position| position == recorded.first_position)
                }
                Places::Other => (commit.recorded_at..=latest).contains(&receipt.recorded_at),
            }
    }
}
