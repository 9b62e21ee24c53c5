//! Which streams a category has: every commit of every partition, once, up to the head of the start.
//!
//! A stream is found at the first commit that concerns it, so nobody has to remember which were found:
//! that of its first event, unless a command was decided on it before that and led to none (a
//! rejection, mostly). Whether one was, the stream's first command tells. Streams that have commands
//! and no event are found too.

use std::collections::BinaryHeap;
use std::sync::Arc;

use annals_core::id::CommandId;
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position};
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

/// Commits read at once; a page ends earlier with the data it has.
const COMMITS_PER_PAGE: usize = 512;

/// Goes through all commits.
#[derive(Debug)]
pub(super) struct Walk {
    category: Arc<str>,
    started_at: Timestamp,
    /// Per partition in order: where it ended at the start.
    heads: Vec<Option<Position>>,
    /// The partition that is read.
    at: usize,
    /// The commit of it that comes next.
    from: u64,
}

/// What a page of commits brought.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Streams of the category that were met the first time.
    pub(super) streams: Vec<StreamId>,
    /// Events that were passed, of all categories.
    pub(super) events_count: u64,
    /// Events that were passed, of other categories.
    pub(super) others_count: u64,
}

/// By what a stream was met.
#[derive(Debug, Clone, Copy)]
enum Met {
    FirstEvent,
    /// By a command on a stream without events, which led to none.
    Command(CommandId),
}

impl Walk {
    /// A walk up to where the store is durable now.
    pub(super) async fn new(
        store: &dyn EventStore,
        category: &str,
        started_at: Timestamp,
    ) -> Result<Self, ReadError> {
        let mut heads = Vec::new();
        for partition in 0..store.capabilities().partitions_count {
            heads.push(store.head(Partition(partition)).await?);
        }
        Ok(Self { category: Arc::from(category), started_at, heads, at: 0, from: 0 })
    }

    /// How many events there were: the positions of a partition have no hole.
    pub(super) fn events_count(&self) -> u64 {
        let counts = self.heads.iter().flatten().map(|head| head.get().saturating_add(1));
        counts.fold(0, u64::saturating_add)
    }

    /// What the next page of commits brings; `None` at the end.
    pub(super) async fn next(
        &mut self,
        store: &dyn EventStore,
    ) -> Result<Option<Found>, ReadError> {
        let Some(head) = self.heads.get(self.at).copied() else {
            return Ok(None);
        };
        let partition = Partition(u32::try_from(self.at).unwrap_or(u32::MAX));
        let commits = store.read_commits(partition, self.from, COMMITS_PER_PAGE).await?;
        let mut found = Found::default();
        let mut is_at_end = commits.is_empty();
        for recorded in commits {
            self.from = recorded.number.saturating_add(1);
            let commit = recorded.commit;
            // Commands without events after the last event count when they are from before the start.
            let is_after_head = head.is_none_or(|head| recorded.first_position > head);
            let is_younger = commit.events_count() > 0 || commit.recorded_at > self.started_at;
            if is_after_head && is_younger {
                is_at_end = true;
                break;
            }
            for append in &commit.streams {
                let events_count = u64::try_from(append.events.len()).unwrap_or(u64::MAX);
                found.events_count = found.events_count.saturating_add(events_count);
                if append.stream.category() != &*self.category {
                    found.others_count = found.others_count.saturating_add(events_count);
                    continue;
                }
                let is_first = append.expected == ExpectedRevision::NoStream;
                if !is_first {
                    continue;
                }
                let command = commit.command.as_ref();
                let command = command.filter(|command| command.stream == append.stream);
                let met = match (events_count, command) {
                    (0, Some(command)) => Met::Command(command.id),
                    // It only expects that there is no stream.
                    (0, None) => continue,
                    _ => Met::FirstEvent,
                };
                if is_met_first(store, &append.stream, met).await? {
                    found.streams.push(append.stream.clone());
                }
            }
        }
        if is_at_end {
            self.at += 1;
            self.from = 0;
        }
        Ok(Some(found))
    }
}

/// Whether no earlier commit has met the stream.
async fn is_met_first(
    store: &dyn EventStore,
    stream: &StreamId,
    met: Met,
) -> Result<bool, ReadError> {
    let first = store.read_commands(stream, 0, 1).await?.into_iter().next();
    let before_events = first
        .filter(|command| command.revision == ActualRevision::NO_EVENT && command.events.is_none());
    Ok(match (met, before_events) {
        (Met::FirstEvent, before_events) => before_events.is_none(),
        (Met::Command(id), Some(first)) => first.record.id == id,
        // The command was lost by a crash of the store since it was read.
        (Met::Command(_), None) => false,
    })
}

/// A sample of streams: those whose ids have the smallest hashes. It is the same at each time, spread
/// over the category, and grows with the category as little as it must.
#[derive(Debug)]
pub(super) struct Sample {
    streams_max: usize,
    // The largest hash is on top.
    chosen: BinaryHeap<(u64, Arc<str>)>,
}

impl Sample {
    pub(super) fn new(streams_max: usize) -> Self {
        Self { streams_max, chosen: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, stream: &StreamId) {
        self.chosen.push((mixed(stream.stable_hash()), stream.to_shared()));
        if self.chosen.len() > self.streams_max {
            self.chosen.pop();
        }
    }

    /// The streams, in the order of their hashes.
    pub(super) fn into_streams(self) -> Vec<StreamId> {
        let chosen = self.chosen.into_sorted_vec().into_iter();
        // What was a stream id still is one.
        chosen.filter_map(|(_, text)| StreamId::parse(&text).ok()).collect()
    }
}

/// Spreads a hash over all bits: ids that differ in their last letter alone have stable hashes with the
/// same highest bits (the finalizer of SplitMix64, by Sebastiano Vigna).
const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_at_each_time_and_spread() {
        // Guards samples: the order in which streams are offered is of no matter, a larger sample holds
        // the smaller one, and neighbours are not chosen together.
        let streams: Vec<_> =
            (0..1_000).map(|n| StreamId::parse(&format!("account/a{n:04}")).unwrap()).collect();
        let sample = |streams: &mut dyn Iterator<Item = &StreamId>, streams_max| {
            let mut sample = Sample::new(streams_max);
            streams.for_each(|stream| sample.offer(stream));
            sample.into_streams()
        };
        let chosen = sample(&mut streams.iter(), 100);
        assert_eq!(sample(&mut streams.iter().rev(), 100), chosen);
        assert_eq!(sample(&mut streams.iter(), 10), chosen[..10]);
        let tens: Vec<_> = (0..10)
            .map(|ten| format!("account/a0{ten}"))
            .map(|prefix| chosen.iter().filter(|s| s.as_str().starts_with(&prefix)).count())
            .collect();
        assert!(tens.iter().all(|count| (1..=25).contains(count)), "{tens:?}");
        assert_eq!(sample(&mut streams.iter().take(3), 100).len(), 3);
    }
}
