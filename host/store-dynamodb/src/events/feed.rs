//! Reading a feed: items in the order of their places, each directly after the one before.
//!
//! A Query may show an item before one that precedes it, or before the stream items it names. The
//! reader then asks again: what is missing was written in the same transaction or before it.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use annals_core::event::RecordedEvent;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{Direction, FeedFilter, FeedPage, ReadError};
use hashbrown::HashMap;
use lru::LruCache;

use super::feed_item::{FeedItem, Inline, Span};
use super::fields::{Fault, Item, damaged};
use super::head::Part;
use super::key::{self, Place};
use super::query::{self, Range};
use super::store::Shared;
use super::stream_item::{Owner, StreamItem};

/// Most feed items one Query asks for.
const PAGE_ITEMS_MAX: i32 = 100;

/// Most Query pages of one read whose events the filter holds back.
const IDLE_PAGES_MAX: u32 = 10;

/// Most stream items fetched at once: at 400 KB each they are 20 MB.
const FETCHED_ITEMS_MAX: usize = 50;

/// Most places kept in memory at which readers go on.
const HINTS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Where readers go on: the item after a position, or that has it.
#[derive(Debug)]
pub(super) struct Hints<K: std::hash::Hash + Eq>(Mutex<LruCache<(Partition, K), Place>>);

impl<K: std::hash::Hash + Eq> Default for Hints<K> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(HINTS_MAX)))
    }
}

impl<K: std::hash::Hash + Eq> Hints<K> {
    pub(super) fn get(&self, partition: Partition, key: K) -> Option<Place> {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hints.get(&(partition, key)).copied()
    }

    pub(super) fn put(&self, partition: Partition, key: K, place: Place) {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hints.put((partition, key), place);
    }
}

/// Consecutive items of a feed, read page by page.
#[derive(Debug)]
pub(super) struct FeedItems<'a> {
    shared: &'a Shared,
    partition: Partition,
    /// Where the next item must be; `None` before the first.
    next: Option<Place>,
    range: Range,
}

impl<'a> FeedItems<'a> {
    /// The items from a place (inclusive). `is_known`: an item is there, or the next will be.
    pub(super) fn from(shared: &'a Shared, partition: Partition, place: Place) -> Self {
        let pk = key::feed(shared.namespace(), partition);
        let from = place.sort_key();
        let range = Range { pk, from, direction: Direction::Forwards, limit: PAGE_ITEMS_MAX };
        Self { shared, partition, next: Some(place), range }
    }

    /// Where the next item is, or will be.
    pub(super) fn place(&self) -> Place {
        self.next.unwrap_or_default()
    }

    /// The next items, and whether there may be more. Waits while one is missing in between.
    pub(super) async fn page(&mut self) -> Result<(Vec<FeedItem>, bool), ReadError> {
        let mut backoff = self.shared.client.backoff();
        loop {
            let page = query::page(&self.shared.client, &self.range).await?;
            let mut items = Vec::with_capacity(page.items.len());
            let mut hole = None;
            for item in &page.items {
                let read = FeedItem::read(item).map_err(|fault| damaged(item, fault))?;
                if self.next.is_some_and(|next| next != read.place) {
                    hole = Some(item.clone());
                    break;
                }
                self.next = Some(read.next_place());
                self.range.from = read.next_place().sort_key();
                items.push(read);
            }
            let Some(item) = hole else { return Ok((items, page.has_more)) };
            if !items.is_empty() {
                return Ok((items, true));
            }
            if !self.shared.client.wait(&mut backoff).await {
                return Err(self.broken(&item));
            }
        }
    }

    fn broken(&self, item: &Item) -> ReadError {
        tracing::error!(partition = %self.partition, "an item of the feed is missing");
        damaged(item, Fault::new("sk", "does not follow the item before it"))
    }
}

/// A page being filled.
struct Filling<'a> {
    filter: &'a FeedFilter,
    limit: usize,
    after: Option<Position>,
    page: FeedPage,
    data_bytes: usize,
}

impl Filling<'_> {
    fn is_full(&self) -> bool {
        self.page.events.len() >= self.limit || self.data_bytes >= READ_BYTES_MAX
    }

    fn wants(&self, span: &Span) -> bool {
        span.types.iter().any(|run| self.filter.lets_through(&span.stream, &run.event_type))
    }

    /// Takes the next event; `false` when the page is full before it.
    fn take(&mut self, event: RecordedEvent) -> bool {
        if Some(event.position) <= self.after {
            return true;
        }
        if self.is_full() {
            return false;
        }
        self.page.read_up_to = Some(event.position);
        if self.filter.lets_through(&event.stream, &event.event_type) {
            self.data_bytes += event.data.len();
            self.page.events.push(event);
        }
        true
    }
}

impl Shared {
    /// A page of a feed.
    pub(super) async fn read_feed_page(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        let page = FeedPage { read_up_to: after, ..FeedPage::default() };
        let limit = limit.min(READ_EVENTS_MAX);
        let mut filling = Filling { filter, limit, after, page, data_bytes: 0 };
        if filling.is_full() {
            filling.page.is_at_head = self.head(partition).await? <= after;
            return Ok(filling.page);
        }
        let mut items = FeedItems::from(self, partition, self.place_after(partition, after).await?);
        for _ in 0..IDLE_PAGES_MAX {
            let (read, has_more) = items.page().await?;
            let is_whole = self.fill(&mut filling, partition, &read).await?;
            if is_whole && let Some(last) = read.last() {
                let end = last.next_place();
                let last = end.first.checked_sub(1).map(Position::new);
                filling.page.read_up_to = filling.page.read_up_to.max(last);
                self.hints.put(partition, filling.page.read_up_to, end);
            }
            filling.page.is_at_head = is_whole && !has_more;
            if !is_whole || !has_more || !filling.page.events.is_empty() {
                break;
            }
        }
        Ok(filling.page)
    }

    /// The position of the newest event.
    pub(super) async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        let last = self.last_feed_item(partition, Place::last_at(u64::MAX)).await?;
        let end = last.map_or(0, |item| item.next_place().first);
        Ok(end.checked_sub(1).map(Position::new))
    }

    /// The last feed item at or before a place.
    pub(super) async fn last_feed_item(
        &self,
        partition: Partition,
        at: Place,
    ) -> Result<Option<FeedItem>, ReadError> {
        let pk = key::feed(self.namespace(), partition);
        let item = query::last(&self.client, pk, at.sort_key()).await?;
        item.map(|item| FeedItem::read(&item).map_err(|fault| damaged(&item, fault))).transpose()
    }

    /// The place of the item that has the event after a position, or will have it.
    async fn place_after(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<Place, ReadError> {
        let Some(position) = after else { return Ok(Place::START) };
        if let Some(place) = self.hints.get(partition, after) {
            return Ok(place);
        }
        let wanted = position.get().saturating_add(1);
        let item = self.last_feed_item(partition, Place::last_at(wanted)).await?;
        Ok(item.map_or(Place::START, |item| {
            let end = item.next_place();
            if end.first > wanted { item.place } else { end }
        }))
    }

    /// Adds the events of items; `false` when the page was full before their end.
    async fn fill(
        &self,
        filling: &mut Filling<'_>,
        partition: Partition,
        items: &[FeedItem],
    ) -> Result<bool, ReadError> {
        let spans: Vec<PlacedSpan<'_>> = items.iter().flat_map(placed_spans).collect();
        let mut rest = spans.as_slice();
        while !rest.is_empty() {
            if filling.is_full() {
                return Ok(false);
            }
            // As many as may be needed, and no more than fit in memory.
            let (mut events, mut fetched, mut taken) = (filling.page.events.len(), 0, 0);
            for placed in rest {
                if events >= filling.limit || fetched >= FETCHED_ITEMS_MAX {
                    break;
                }
                taken += 1;
                if filling.wants(placed.span) && placed.inline.is_none() {
                    fetched += usize::try_from(placed.span.items_count).unwrap_or(usize::MAX);
                    let count = placed.span.events_count();
                    events += usize::try_from(count).unwrap_or(usize::MAX);
                }
            }
            let (now, later) = rest.split_at(taken.max(1).min(rest.len()));
            rest = later;
            let wanted: Vec<_> =
                now.iter().filter(|placed| filling.wants(placed.span)).copied().collect();
            let mut stored = self.fetch(partition, &wanted).await?;
            for placed in now {
                if !self.take_span(filling, partition, placed, &mut stored) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn take_span(
        &self,
        filling: &mut Filling<'_>,
        partition: Partition,
        placed: &PlacedSpan<'_>,
        stored: &mut HashMap<u64, Vec<RecordedEvent>>,
    ) -> bool {
        let owner = Owner { store: self.store, stream: &placed.span.stream, partition };
        let events = match placed.inline {
            Some(inline) => placed.inline_item(inline).recorded(&owner),
            None => stored.remove(&placed.first_position).unwrap_or_default(),
        };
        let is_skipped = events.is_empty();
        for event in events {
            if !filling.take(event) {
                return false;
            }
        }
        let events_count = placed.span.events_count();
        if is_skipped && events_count > 0 {
            if filling.is_full() {
                return false;
            }
            let last = Position::new(placed.first_position + events_count - 1);
            filling.page.read_up_to = filling.page.read_up_to.max(Some(last));
        }
        true
    }

    /// The events of spans by their first positions, from the items of their streams.
    async fn fetch(
        &self,
        partition: Partition,
        spans: &[PlacedSpan<'_>],
    ) -> Result<HashMap<u64, Vec<RecordedEvent>>, ReadError> {
        let spans: Vec<_> = spans.iter().filter(|placed| placed.inline.is_none()).collect();
        let wanted: Vec<&Span> = spans.iter().map(|placed| placed.span).collect();
        let items = self.fetch_items(&wanted).await?;
        let events = spans.iter().zip(items).map(|(placed, items)| {
            let owner = Owner { store: self.store, stream: &placed.span.stream, partition };
            let events = items.iter().flat_map(|item| item.recorded(&owner)).collect();
            (placed.first_position, events)
        });
        Ok(events.collect())
    }

    /// The stream items of each span. Waits for those that cannot be seen yet.
    pub(super) async fn fetch_items(
        &self,
        spans: &[&Span],
    ) -> Result<Vec<Vec<StreamItem>>, ReadError> {
        let key_of =
            |span: &Span| (key::stream(self.namespace(), &span.stream), span.place().sort_key());
        let single = |span: &&&Span| span.items_count == 1;
        let mut found = HashMap::new();
        let mut backoff = self.client.backoff();
        loop {
            let keys = spans.iter().filter(single).map(|span| key_of(span));
            let missing: Vec<_> = keys.filter(|key| !found.contains_key(key)).collect();
            let Some((pk, sk)) = missing.first() else { break };
            let key = query::key(pk, sk);
            let before = found.len();
            found.extend(query::get_all(&self.client, &missing).await?);
            let is_stuck = found.len() == before;
            if is_stuck && !self.client.wait(&mut backoff).await {
                return Err(damaged(&key, Fault::new("sk", "is named by the feed, but not there")));
            }
        }
        let mut items = Vec::with_capacity(spans.len());
        for span in spans {
            items.push(match found.get(&key_of(span)) {
                Some(item) => vec![Self::read_item(item, &span.stream)?],
                None => self.load_part(&part_of(span)).await?,
            });
        }
        Ok(items)
    }
}

/// A span that has several items, as a part of its commit.
fn part_of(span: &Span) -> Part {
    Part {
        stream: span.stream.clone(),
        before: span.before,
        events_count: span.events_count(),
        items_before: span.items_before,
        items_count: span.items_count,
    }
}

/// A span and where its first event is in the feed.
#[derive(Debug, Clone, Copy)]
struct PlacedSpan<'a> {
    item: &'a FeedItem,
    span: &'a Span,
    first_position: u64,
    inline: Option<(&'a Inline, usize)>,
}

impl PlacedSpan<'_> {
    /// What the stream's item says of the events, from the feed.
    fn inline_item(&self, (inline, index): (&Inline, usize)) -> StreamItem {
        StreamItem {
            place: self.span.place(),
            commits_before: 0,
            commands_before: 0,
            first_position: self.first_position,
            recorded_at: self.item.recorded_at,
            origin: std::sync::Arc::clone(&inline.origin),
            ordinal: 0,
            command_id: inline.command_id,
            head: None,
            events: inline.events.get(index).cloned().unwrap_or_default(),
        }
    }
}

fn placed_spans(item: &FeedItem) -> Vec<PlacedSpan<'_>> {
    let mut first_position = item.place.first;
    let mut placed = Vec::new();
    for span in item.entries.iter().flat_map(|entry| &entry.spans) {
        let inline = item.inline.as_ref().map(|inline| (inline, placed.len()));
        placed.push(PlacedSpan { item, span, first_position, inline });
        first_position += span.events_count();
    }
    placed.retain(|placed| !placed.span.types.is_empty());
    placed
}
