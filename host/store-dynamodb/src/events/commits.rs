//! Reading the commits of a partition in their order, with everything they hold.

use annals_core::commit::RecordedCommit;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::ReadError;

use super::feed::FeedItems;
use super::feed_item::{FeedItem, Span};
use super::key::Place;
use super::store::Shared;

/// Most heads fetched at once.
pub(super) const FETCHED_HEADS_MAX: usize = 50;

/// A commit of this partition, as the feed names it.
pub(super) struct Named {
    pub(super) number: u64,
    first_position: u64,
    head: Span,
}

impl Shared {
    /// A page of commits.
    pub(super) async fn read_commit_page(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        let limit = limit.min(READ_EVENTS_MAX);
        let (mut page, mut data_bytes) = (Vec::new(), 0);
        if limit == 0 {
            return Ok(page);
        }
        let place = self.place_of_commit(partition, from).await?;
        let mut items = FeedItems::from(self, partition, place);
        loop {
            let (read, has_more) = items.page().await?;
            for item in &read {
                let named = named_in(item).into_iter().filter(|named| named.number >= from);
                let named: Vec<_> = named.collect();
                for chunk in named.chunks(FETCHED_HEADS_MAX.min(limit)) {
                    for commit in self.load_named(chunk).await? {
                        data_bytes += commit.commit.data_bytes();
                        let next = commit.number + 1;
                        page.push(commit);
                        if page.len() >= limit || data_bytes >= READ_BYTES_MAX {
                            self.commit_hints.put(partition, next, item.place);
                            return Ok(page);
                        }
                    }
                }
            }
            if !has_more {
                let next = page.last().map_or(from, |commit| commit.number + 1);
                self.commit_hints.put(partition, next, items.place());
                return Ok(page);
            }
        }
    }

    pub(super) async fn load_named(
        &self,
        named: &[Named],
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        // Only the head of a span is needed here, whatever it was split into.
        let heads: Vec<Span> =
            named.iter().map(|named| Span { items_count: 1, ..named.head.clone() }).collect();
        let heads: Vec<&Span> = heads.iter().collect();
        let items = self.fetch_items(&heads).await?;
        let mut commits = Vec::with_capacity(named.len());
        for (named, items) in named.iter().zip(items) {
            for item in items {
                let loaded = self.load_commit(&named.head.stream, item).await?;
                commits.push(RecordedCommit {
                    number: named.number,
                    first_position: Position::new(named.first_position),
                    commit: loaded.commit,
                });
            }
        }
        Ok(commits)
    }

    /// The place of an item at or before commit `wanted`, found by halving the feed: positions and
    /// numbers of commits both only grow.
    pub(super) async fn place_of_commit(
        &self,
        partition: Partition,
        wanted: u64,
    ) -> Result<Place, ReadError> {
        if wanted == 0 {
            return Ok(Place::START);
        }
        if let Some(place) = self.commit_hints.get(partition, wanted) {
            return Ok(place);
        }
        let mut found = Place::START;
        let last = self.last_feed_item(partition, Place::last_at(u64::MAX)).await?;
        let (mut low, mut high) = (0, last.map_or(0, |item| item.next_place().first));
        while low <= high {
            let middle = low + (high - low) / 2;
            let at = Place { first: middle, before: wanted.min(super::key::NUMBER_MAX) };
            match self.last_feed_item(partition, at).await? {
                Some(item) if item.place.before > wanted => {
                    let Some(below) = item.place.first.checked_sub(1) else { break };
                    high = below.min(middle);
                    if below >= middle {
                        let Some(less) = middle.checked_sub(1) else { break };
                        high = less;
                    }
                }
                other => {
                    found = other.map_or(found, |item| item.place.max(found));
                    low = middle + 1;
                }
            }
        }
        Ok(found)
    }
}

/// The commits of its partition that an item names.
pub(super) fn named_in(item: &FeedItem) -> Vec<Named> {
    let (mut number, mut position) = (item.place.before, item.place.first);
    let mut named = Vec::new();
    for entry in &item.entries {
        if let Some(head) = entry.head.and_then(|index| entry.spans.get(index)) {
            named.push(Named { number, first_position: position, head: head.clone() });
            number += 1;
        }
        position += entry.events_count();
    }
    named
}
