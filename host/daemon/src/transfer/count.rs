//! How many commits a store holds.

use annals_core::place::Partition;
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use futures_util::future::try_join_all;

use super::retry::reading;

/// The partitions of a store, in order.
pub(super) fn partitions_of(store: &dyn EventStore) -> impl Iterator<Item = Partition> + use<> {
    (0..store.capabilities().partitions_count).map(Partition)
}

/// A partition's place in a list of something of each.
pub(super) fn index_of(partition: Partition) -> usize {
    usize::try_from(partition.0).unwrap_or(usize::MAX)
}

/// How many durable commits each partition has.
pub(super) async fn commits_counts(store: &dyn EventStore) -> Result<Vec<u64>, ReadError> {
    try_join_all(partitions_of(store).map(|partition| commits_count(store, partition))).await
}

/// How many durable commits a partition has: they are numbered without a hole, so it is found by
/// asking for some of them.
async fn commits_count(store: &dyn EventStore, partition: Partition) -> Result<u64, ReadError> {
    let has_more_than = async |count: u64| {
        let page = reading(|| store.read_commits(partition, count, 1)).await?;
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
            assert_eq!(commits_counts(&store).await.unwrap(), [count]);
            let events = vec![NewEvent::json("note-taken".parse().unwrap(), "{}")];
            let stream = "note/n1".parse().unwrap();
            let now = Timestamp::from_ms(count);
            store.append(Commit::plain(stream, ExpectedRevision::Any, events, now)).await.unwrap();
        }
    }
}
