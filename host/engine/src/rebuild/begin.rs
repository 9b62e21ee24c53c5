//! Where a view begins that need not begin at the first event.

use annals_core::place::{Partition, Position};
use annals_core::port::EventStore;
use annals_core::port::event_store::{FeedFilter, ReadError};
use annals_core::time::Timestamp;

/// Where a view begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebuildBegin {
    /// With the event at this position. Only where the feed has one partition.
    Position(Position),
    /// With the first event of each partition that was recorded at this time or later.
    Time(Timestamp),
}

/// Why a view cannot begin there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("{0}")]
    Bad(String),
    #[error("the feed cannot be read")]
    Read(#[from] ReadError),
}

/// Per partition, the place after which a view begins.
pub(crate) async fn places_before(
    store: &dyn EventStore,
    begin: RebuildBegin,
) -> Result<Vec<Option<Position>>, BeginError> {
    let partitions_count = store.capabilities().partitions_count;
    match begin {
        RebuildBegin::Position(_) if partitions_count != 1 => Err(BeginError::Bad(format!(
            "a position is of one partition, and this store has {partitions_count}: begin at a time"
        ))),
        RebuildBegin::Position(position) => {
            let head = store.head(Partition::ZERO).await?;
            if Some(position) > head {
                let head = head.map_or_else(|| "no event".to_owned(), |head| head.to_string());
                return Err(BeginError::Bad(format!(
                    "position {position} is ahead of the store, whose newest is {head}"
                )));
            }
            // Whether an event is at the place before is of no interest.
            Ok(vec![place(position.get())])
        }
        RebuildBegin::Time(time) => {
            let mut places = Vec::new();
            for partition in (0..partitions_count).map(Partition) {
                places.push(last_before(store, partition, time).await?);
            }
            Ok(places)
        }
    }
}

/// The place of which so many places are before the next one, or none of 0.
fn place(count: u64) -> Option<Position> {
    count.checked_sub(1).map(Position::new)
}

/// A place after which the first event is one of `time` or later, found by halving: times increase
/// with positions as far as the clocks of hosts agree.
async fn last_before(
    store: &dyn EventStore,
    partition: Partition,
    time: Timestamp,
) -> Result<Option<Position>, ReadError> {
    let Some(head) = store.head(partition).await? else { return Ok(None) };
    let filter = FeedFilter::default();
    // How many places are before: from `low` on it may be, at `high` it is.
    let (mut low, mut high) = (0, head.get().saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let page = store.read_feed(partition, place(middle), &filter, 1).await?;
        match page.events.first() {
            Some(event) if event.recorded_at < time => {
                low = event.position.get().saturating_add(1);
            }
            _ => high = middle,
        }
    }
    Ok(place(high))
}
