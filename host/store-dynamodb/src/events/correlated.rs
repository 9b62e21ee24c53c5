//! Looking for the commits of a correlation id, and where to begin when a time is said.

use annals_core::id::CorrelationId;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::Partition;
use annals_core::port::event_store::{CorrelatedPage, ReadError};
use annals_core::time::Timestamp;

use super::commits::{FETCHED_HEADS_MAX, named_in};
use super::feed::FeedItems;
use super::feed_item::FeedItem;
use super::key::{NUMBER_MAX, Place};
use super::store::Shared;

/// Most commits whose heads a page reads: about twenty requests, one after the other, so that whoever
/// looks hears how far it is about once a second.
const LOOKED_AT_COMMITS_MAX: usize = 20 * FETCHED_HEADS_MAX;

impl Shared {
    /// A page of commits of a correlation id. What a commit's origin is, its head says; that of a small
    /// lone commit is in the feed too, and its head is read only when it is wanted.
    pub(super) async fn read_correlated_page(
        &self,
        partition: Partition,
        correlation_id: &CorrelationId,
        from: u64,
    ) -> Result<CorrelatedPage, ReadError> {
        let mut page = CorrelatedPage { next: from, ..CorrelatedPage::default() };
        let (mut data_bytes, mut entries_count, mut looked_at) = (0, 0, 0);
        let place = self.place_of_commit(partition, from).await?;
        let mut items = FeedItems::from(self, partition, place);
        loop {
            let (read, has_more) = items.page().await?;
            for item in &read {
                let named = named_in(item).into_iter().filter(|named| named.number >= from);
                let named: Vec<_> = named.collect();
                if is_of_another(item, correlation_id) {
                    page.next = page.next.max(item.next_place().before);
                    continue;
                }
                for chunk in named.chunks(FETCHED_HEADS_MAX) {
                    for commit in self.load_named(chunk).await? {
                        page.next = commit.number + 1;
                        if commit.commit.origin.correlation_id.as_ref() == Some(correlation_id) {
                            data_bytes += commit.commit.data_bytes();
                            entries_count += 1 + commit.commit.events_count();
                            page.commits.push(commit);
                        }
                        if entries_count >= READ_EVENTS_MAX || data_bytes >= READ_BYTES_MAX {
                            self.commit_hints.put(partition, page.next, item.place);
                            return Ok(page);
                        }
                    }
                    looked_at += chunk.len();
                }
                if looked_at >= LOOKED_AT_COMMITS_MAX {
                    self.commit_hints.put(partition, page.next, item.next_place());
                    return Ok(page);
                }
            }
            if !has_more {
                page.is_at_head = true;
                self.commit_hints.put(partition, page.next, items.place());
                return Ok(page);
            }
        }
    }

    /// How many commits come before the first group of commits that has one of `since` or later, found
    /// by halving the feed. Items of the feed without events have the position of what follows them;
    /// only the last of each position is looked at, so the number may be that of an earlier one.
    pub(super) async fn first_commit_since(
        &self,
        partition: Partition,
        since: Timestamp,
    ) -> Result<u64, ReadError> {
        let is_earlier = |item: &FeedItem| item.recorded_at < since;
        let Some(last) = self.last_feed_item(partition, Place::last_at(NUMBER_MAX)).await? else {
            return Ok(0);
        };
        if is_earlier(&last) {
            return Ok(last.next_place().before);
        }
        // Every item up to the one that gave `found` is earlier than `since`.
        let mut found = 0;
        let (mut low, mut high) = (0, last.place.first);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.last_feed_item(partition, Place::last_at(middle)).await? {
                Some(item) if is_earlier(&item) => {
                    found = found.max(item.next_place().before);
                    low = middle + 1;
                }
                Some(item) => high = item.place.first.min(middle),
                None => low = middle + 1,
            }
        }
        Ok(found)
    }
}

/// Whether the feed itself says that an item's only commit is of another correlation id.
fn is_of_another(item: &FeedItem, correlation_id: &CorrelationId) -> bool {
    let inline = item.inline.as_ref();
    inline.is_some_and(|inline| inline.origin.correlation_id.as_ref() != Some(correlation_id))
}
