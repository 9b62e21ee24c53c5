//! What one outside request led to: the commits of a correlation id, looked for in all partitions, one
//! after the other.
//!
//! ```text
//!   partition 0   · · x · · · x ·│      found: x, in pages of bounded time and size
//!   partition 1   · · · x · · · ·│      │ end: how many commits there were when the look came to it
//! ```
//! No index leads there: a look reads all commits since a time, so it is for people who ask why.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use annals_core::commit::RecordedCommit;
use annals_core::id::{CommandId, CorrelationId};
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use annals_core::time::Timestamp;
use tokio::time::Instant;

/// A page ends after about so long, found or not, so that whoever asks hears how far the look is.
pub const PAGE_WAIT: Duration = Duration::from_secs(1);

/// A page ends with the commit with which it has so many commits and events.
pub const PAGE_ENTRIES_MAX: usize = READ_EVENTS_MAX;

/// How much before the time in a correlation id a look begins: clocks of clients and hosts may differ by
/// so much.
pub const CLOCKS_DIFFER_MAX: Duration = Duration::from_hours(1);

/// What to look for, and where.
#[derive(Debug, Clone)]
pub struct Look {
    /// The correlation id.
    pub id: CorrelationId,
    /// Only commits that were recorded at this time or later are looked at, and maybe some before it.
    /// `None`: all.
    pub since: Option<Timestamp>,
    /// Where the page before ended; `None`: at the beginning.
    pub from: Option<LookPlace>,
}

/// How far a look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookPlace {
    /// The partition that is looked at; those before it are done.
    pub partition: Partition,
    /// The next commit to look at.
    pub number: u64,
    /// Where the look into this partition ends (exclusive): what comes later is not waited for.
    pub end: u64,
}

/// A text that is not the place of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the place of a look is what the page before said")]
pub struct InvalidLookPlace;

impl fmt::Display for LookPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.partition, self.number, self.end)
    }
}

impl FromStr for LookPlace {
    type Err = InvalidLookPlace;

    fn from_str(text: &str) -> Result<Self, InvalidLookPlace> {
        let mut parts = text.split('-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let read = (|| {
            let partition = Partition(u32::try_from(number()?).ok()?);
            Some(Self { partition, number: number()?, end: number()? })
        })();
        // Leaves one spelling per place.
        read.filter(|place| place.to_string() == text).ok_or(InvalidLookPlace)
    }
}

/// Some of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LookPage {
    /// The commits with their partition: those of one partition in the order in which they were
    /// accepted.
    pub commits: Vec<(Partition, RecordedCommit)>,
    /// How many commits were looked at for this page.
    pub looked_at_count: u64,
    /// Where to go on; `None`: everything was looked at.
    pub next: Option<LookPlace>,
}

/// When a look begins unless somebody says another time: a while before the time in the id, when it is
/// a UUID of version 7, as those that hosts make. Nothing can be older that has the id. `None`: at the
/// beginning of the store.
#[must_use]
pub fn default_since(id: &CorrelationId) -> Option<Timestamp> {
    let uuid = id.as_str().parse::<CommandId>().ok()?.uuid();
    if uuid.get_version_num() != 7 {
        return None;
    }
    let (high, _) = uuid.as_u64_pair();
    let margin = u64::try_from(CLOCKS_DIFFER_MAX.as_millis()).unwrap_or(u64::MAX);
    // The first 48 bits are milliseconds since 1970 (RFC 9562).
    Some(Timestamp::from_ms((high >> 16).saturating_sub(margin)))
}

/// Looks for the commits of a correlation id, for one page.
///
/// # Errors
/// Each variant of [`ReadError`].
pub async fn look(store: &dyn EventStore, look: &Look) -> Result<LookPage, ReadError> {
    let deadline = Instant::now() + PAGE_WAIT;
    let mut page = LookPage::default();
    let mut entries_count = 0;
    let mut place = match look.from {
        Some(place) => place,
        None => begin(store, Partition::ZERO, look.since).await?,
    };
    loop {
        while place.number < place.end {
            if Instant::now() >= deadline || entries_count >= PAGE_ENTRIES_MAX {
                page.next = Some(place);
                return Ok(page);
            }
            let read = store.read_correlated(place.partition, &look.id, place.number).await?;
            let mut next = if read.is_at_head { place.end } else { read.next };
            for commit in read.commits.into_iter().filter(|commit| commit.number < place.end) {
                if entries_count >= PAGE_ENTRIES_MAX {
                    next = commit.number;
                    break;
                }
                entries_count += 1 + commit.commit.events_count();
                page.commits.push((place.partition, commit));
            }
            let next = next.min(place.end);
            page.looked_at_count += next.saturating_sub(place.number);
            place.number = next;
            // A store that answers from memory must not keep the thread from others.
            tokio::task::yield_now().await;
        }
        let next = Partition(place.partition.0.saturating_add(1));
        if next.0 >= store.capabilities().partitions_count {
            return Ok(page);
        }
        place = begin(store, next, look.since).await?;
    }
}

/// Where a look into a partition begins and ends.
async fn begin(
    store: &dyn EventStore,
    partition: Partition,
    since: Option<Timestamp>,
) -> Result<LookPlace, ReadError> {
    let for_ever = Timestamp::from_ms(u64::MAX);
    let end = store.first_commit_since(partition, for_ever).await?;
    let number = match since {
        Some(since) => store.first_commit_since(partition, since).await?,
        None => 0,
    };
    Ok(LookPlace { partition, number, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_begins_an_hour_before_the_time_in_a_uuid_of_version_7() {
        // Guards against looking through years for a request of today, and against passing over the
        // beginning for ids that only look like UUIDs of hosts.
        let since = |text: &str| default_since(&CorrelationId::new(text).unwrap());
        let made_at = 0x0191_e2c4_7d1a;
        let expected = Some(Timestamp::from_ms(made_at - 3_600_000));
        assert_eq!(since("0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10"), expected);
        assert_eq!(since("00000000-0001-7b3e-9c55-3f1f0a4f2b10"), Some(Timestamp::from_ms(0)));
        for other in ["0191e2c4-7d1a-4b3e-9c55-3f1f0a4f2b10", "trace-1", "7"] {
            assert_eq!(since(other), None, "{other}");
        }
    }

    #[test]
    fn a_place_reads_back_and_nothing_else_does() {
        // Guards what clients hand back.
        let place = LookPlace { partition: Partition(3), number: 17, end: u64::MAX };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "1", "1-2", "1-2-3-4", "01-2-3", "1-2-+3", "a-b-c", "4294967296-0-0"] {
            assert_eq!(bad.parse::<LookPlace>(), Err(InvalidLookPlace), "{bad}");
        }
    }
}
