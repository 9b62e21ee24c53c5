//! Whole commits, put together from the items they were split over.

use annals_core::commit::{Commit, Receipt, StreamAppend, StreamReceipt};
use annals_core::event::NewEvent;
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::{Direction, ReadError};
use annals_core::stream::StreamId;

use super::fields::{Fault, damaged};
use super::head::Part;
use super::query;
use super::store::Shared;
use super::stream_item::{StreamItem, count, made_id};
use super::streams::range;

/// A commit as it is stored.
#[derive(Debug)]
pub(super) struct Loaded {
    /// As it was recorded.
    pub(super) commit: Commit,
    /// What its writer was told.
    pub(super) receipt: Receipt,
}

impl Shared {
    /// The commit whose head `item` of `stream` is.
    pub(super) async fn load_commit(
        &self,
        stream: &StreamId,
        item: StreamItem,
    ) -> Result<Loaded, ReadError> {
        let Some(head) = item.head.clone() else {
            let key = query::item_key(self.namespace(), stream, item.place);
            return Err(damaged(&key, Fault::new("k", "says that it is no head")));
        };
        let mut loaded = Loaded {
            commit: Commit {
                recorded_at: item.recorded_at,
                origin: std::sync::Arc::clone(&item.origin),
                command: head.command,
                streams: Vec::new(),
                claims: head.claims,
                releases: head.releases,
                id_is_new: false,
            },
            receipt: Receipt { recorded_at: item.recorded_at, streams: Vec::new() },
        };
        match head.parts {
            None => {
                let part = Part {
                    stream: stream.clone(),
                    before: ActualRevision(Revision::last_of(item.place.first)),
                    events_count: count(&item.events),
                    items_before: item.place.before,
                    items_count: 1,
                };
                loaded.add(self, &part, &[item]);
            }
            Some(parts) => {
                for part in parts {
                    let items = self.load_part(&part).await?;
                    loaded.add(self, &part, &items);
                }
            }
        }
        Ok(loaded)
    }

    /// The items of a part. They may become visible one after the other, so a part that is not whole
    /// is asked for again.
    pub(super) async fn load_part(&self, part: &Part) -> Result<Vec<StreamItem>, ReadError> {
        let mut backoff = self.client.backoff();
        loop {
            let mut items = Vec::new();
            let mut range = self.stream_range(&part.stream, part.place(), Direction::Forwards);
            let mut has_more = part.items_count > 0;
            while has_more && count_of(&items) < part.items_count {
                let missing = part.items_count - count_of(&items);
                range.limit = i32::try_from(missing).unwrap_or(i32::MAX);
                let page = query::page(&self.client, &range).await?;
                has_more = page.has_more;
                for item in &page.items {
                    let item = Self::read_item(item, &part.stream)?;
                    range.from = item.next_place().sort_key();
                    items.push(item);
                }
            }
            let events: u64 = items.iter().map(|item| count(&item.events)).sum();
            let is_whole = count_of(&items) == part.items_count && events == part.events_count;
            if is_whole {
                return Ok(items);
            }
            if !self.client.wait(&mut backoff).await {
                let key = query::item_key(self.namespace(), &part.stream, part.place());
                return Err(damaged(&key, Fault::new("sk", "begins a part that is not whole")));
            }
        }
    }
}

fn count_of(items: &[StreamItem]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

impl Loaded {
    fn add(&mut self, shared: &Shared, part: &Part, items: &[StreamItem]) {
        let is_plain = self.commit.command.is_none();
        let mut events: Vec<NewEvent> = Vec::new();
        for item in items {
            for (index, event) in (0..).zip(&item.events) {
                let made = || made_id(shared.store, &part.stream, item.first_position + index);
                let id = is_plain.then(|| event.id.unwrap_or_else(made));
                events.push(NewEvent { id, ..event.clone() });
            }
        }
        let first = part.before.next().get();
        let position = items.first().map_or(0, |item| item.first_position);
        self.receipt.streams.push(StreamReceipt {
            revision: ActualRevision(Revision::last_of(first + part.events_count)),
            events: range(first, position, part.events_count),
        });
        self.commit.streams.push(StreamAppend {
            stream: part.stream.clone(),
            expected: ExpectedRevision::at(part.before),
            events,
        });
    }
}
