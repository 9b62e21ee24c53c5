//! The commits of one correlation id: what a page of them is, and how they are found by reading every
//! commit, which is what a store does that knows no shorter way.

use crate::commit::RecordedCommit;
use crate::id::CorrelationId;
use crate::limits::READ_EVENTS_MAX;
use crate::place::Partition;
use crate::port::event_store::{EventStore, ReadError};
use crate::time::Timestamp;

/// Some commits of one partition and one correlation id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorrelatedPage {
    /// The commits, in order of their numbers.
    pub commits: Vec<RecordedCommit>,
    /// The number to go on from: every commit before it, from the one asked for on, was looked at.
    pub next: u64,
    /// Whether no durable commit was from `next` on at the time of the read. A store may need one
    /// more page, without a commit, to know.
    pub is_at_head: bool,
}

/// A page of [`EventStore::read_correlated`], found by [`EventStore::read_commits`].
///
/// # Errors
/// Those of [`EventStore::read_commits`].
pub async fn by_commits<S: EventStore + ?Sized>(
    store: &S,
    partition: Partition,
    correlation_id: &CorrelationId,
    from: u64,
) -> Result<CorrelatedPage, ReadError> {
    let mut commits = store.read_commits(partition, from, READ_EVENTS_MAX).await?;
    let next = commits.last().map_or(from, |last| last.number.saturating_add(1));
    let is_at_head = commits.is_empty();
    commits.retain(|it| it.commit.origin.correlation_id.as_ref() == Some(correlation_id));
    Ok(CorrelatedPage { commits, next, is_at_head })
}

/// The answer of [`EventStore::first_commit_since`], found by halving: times never go back along the
/// commits of a partition.
///
/// # Errors
/// Those of [`EventStore::read_commits`].
pub async fn since_by_commits<S: EventStore + ?Sized>(
    store: &S,
    partition: Partition,
    since: Timestamp,
) -> Result<u64, ReadError> {
    // Every commit before `low` is earlier than `since`; none from `high` on is, or there is none.
    let (mut low, mut high) = (0_u64, None::<u64>);
    let mut step = 1_u64;
    while high.is_none_or(|high| low < high) {
        let look = match high {
            Some(high) => low + (high - low) / 2,
            None => low.saturating_add(step - 1),
        };
        let found = store.read_commits(partition, look, 1).await?;
        let is_earlier = found.first().is_some_and(|it| it.commit.recorded_at < since);
        if is_earlier {
            low = look.saturating_add(1);
            step = step.saturating_mul(2);
        } else {
            high = Some(look);
        }
    }
    Ok(low)
}
