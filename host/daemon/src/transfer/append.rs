//! Appending in groups: commits are accepted one after the other, and durable together.

use annals_core::commit::{Receipt, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::port::EventStore;

use super::error::ImportError;
use super::gather::Gathered;

/// Most commits that are accepted and not yet known to be durable: enough that waiting for the disk
/// costs little, few enough for every driver's queue.
const GROUP_COMMITS_MAX: usize = 1_024;

/// The same in bytes of their lines.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Appends commits, and waits for the disk now and then.
#[derive(Debug)]
pub(super) struct Appender<'a> {
    store: &'a dyn EventStore,
    commits_count: usize,
    bytes_count: usize,
    pub(super) appended_count: u64,
}

impl<'a> Appender<'a> {
    pub(super) fn new(store: &'a dyn EventStore) -> Self {
        Self { store, commits_count: 0, bytes_count: 0, appended_count: 0 }
    }

    /// Appends a commit whose lines have so many bytes.
    pub(super) async fn append(
        &mut self,
        gathered: Gathered,
        bytes_count: usize,
    ) -> Result<(), ImportError> {
        let Gathered { line, recorded, .. } = gathered;
        let place = Place::of(&recorded);
        let accepted = self.store.append(recorded.commit).await;
        let accepted = accepted.map_err(|source| ImportError::Refused { line, source })?;
        if !place.is_of(&accepted.receipt) {
            return Err(ImportError::Moved { line });
        }
        self.appended_count += 1;
        self.commits_count += 1;
        self.bytes_count = self.bytes_count.saturating_add(bytes_count);
        if self.commits_count >= GROUP_COMMITS_MAX || self.bytes_count >= GROUP_BYTES_MAX {
            self.settle().await?;
        }
        Ok(())
    }

    /// Waits until everything that was appended is durable, rejected commands too.
    pub(super) async fn settle(&mut self) -> Result<(), DurabilityLost> {
        if self.commits_count > 0 {
            self.store.flush().await?;
        }
        (self.commits_count, self.bytes_count) = (0, 0);
        Ok(())
    }
}

/// Where and when a commit was, as far as a receipt says it. Revisions are expected exactly.
struct Place {
    recorded_at: annals_core::time::Timestamp,
    first_position: annals_core::place::Position,
}

impl Place {
    fn of(recorded: &RecordedCommit) -> Self {
        let RecordedCommit { first_position, commit, .. } = recorded;
        Self { recorded_at: commit.recorded_at, first_position: *first_position }
    }

    fn is_of(&self, receipt: &Receipt) -> bool {
        let first = receipt.streams.iter().find_map(|stream| stream.events);
        receipt.recorded_at == self.recorded_at
            && first.is_none_or(|events| events.first_position == self.first_position)
    }
}
