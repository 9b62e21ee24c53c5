//! What a store holds already, and whether it is what an export begins with.

use std::collections::VecDeque;

use annals_core::commit::RecordedCommit;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;

use super::totals::Tally;

/// One partition of the store that is imported into.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) partition: Partition,
    /// How many commits it had before.
    pub(super) found_count: u64,
    /// Commits that it had, from the one that is compared next.
    page: VecDeque<RecordedCommit>,
    /// What the export has of it so far.
    pub(super) tally: Tally,
}

impl Target {
    pub(super) async fn look(
        store: &dyn EventStore,
        partition: Partition,
    ) -> Result<Self, ReadError> {
        let found_count = commits_count(store, partition).await?;
        let tally = Tally::of(partition);
        Ok(Self { partition, found_count, page: VecDeque::new(), tally })
    }

    /// Whether the store has this commit at its place. Asked in the order of numbers.
    pub(super) async fn holds(
        &mut self,
        store: &dyn EventStore,
        recorded: &RecordedCommit,
    ) -> Result<bool, ReadError> {
        if self.page.is_empty() {
            let page = store.read_commits(self.partition, recorded.number, READ_EVENTS_MAX).await?;
            self.page = page.into();
        }
        Ok(self.page.pop_front().as_ref() == Some(recorded))
    }
}

/// How many durable commits a partition has: they are numbered without a hole, so it is found by
/// asking for some of them.
async fn commits_count(store: &dyn EventStore, partition: Partition) -> Result<u64, ReadError> {
    let has_more_than = async |count: u64| {
        let page = store.read_commits(partition, count, 1).await?;
        Ok::<bool, ReadError>(!page.is_empty())
    };
    let mut at_most = 0;
    let mut at_least = 0;
    while has_more_than(at_most).await? {
        at_least = at_most.saturating_add(1);
        at_most = at_least.saturating_mul(2);
    }
    while at_least < at_most {
        let middle = at_least + (at_most - at_least) / 2;
        if has_more_than(middle).await? {
            at_least = middle + 1;
        } else {
            at_most = middle;
        }
    }
    Ok(at_least)
}

#[cfg(test)]
mod tests {
    use annals_core::commit::Commit;
    use annals_core::event::NewEvent;
    use annals_core::id::StoreId;
    use annals_core::place::ExpectedRevision;
    use annals_core::time::Timestamp;
    use annals_store_memory::MemoryEventStore;

    use super::*;

    #[tokio::test]
    async fn commits_are_counted_without_reading_all() {
        // Guards where an import goes on: one too many or too few would be a hole or a repeat.
        let store = MemoryEventStore::new(StoreId::new(uuid::Uuid::from_u128(1)));
        for count in 0..70 {
            assert_eq!(commits_count(&store, Partition::ZERO).await.unwrap(), count);
            let events = vec![NewEvent::json("note-taken".parse().unwrap(), "{}")];
            let stream = "note/n1".parse().unwrap();
            let now = Timestamp::from_ms(count);
            store.append(Commit::plain(stream, ExpectedRevision::Any, events, now)).await.unwrap();
        }
    }
}
