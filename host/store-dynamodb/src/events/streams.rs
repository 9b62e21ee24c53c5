//! Reading one stream: pages of events, where it ends, the commands it decided.

use std::collections::VecDeque;

use annals_core::command::{RecordedCommand, RecordedRange};
use annals_core::event::RecordedEvent;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{ActualRevision, Position, Revision};
use annals_core::port::event_store::{Direction, ReadError, StreamPage};
use annals_core::stream::StreamId;

use super::fields::{Item, damaged};
use super::key::{self, Place};
use super::query::{self, Range};
use super::store::Shared;
use super::stream_item::{Owner, StreamItem};

/// Most items one Query asks for. Its answer ends at 1 MB anyway.
const PAGE_ITEMS_MAX: i32 = 1_000;

/// Where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct StreamTail {
    /// Where its next item goes.
    pub(super) place: Place,
    /// How many commits it has.
    pub(super) commits: u64,
    /// How many commands it has decided.
    pub(super) commands: u64,
}

impl StreamTail {
    /// The end of a stream whose last item is `item`.
    pub(super) fn after(item: &StreamItem) -> Self {
        Self {
            place: item.next_place(),
            commits: item.commits_before + 1,
            commands: item.commands_after(),
        }
    }

    /// Its last revision.
    pub(super) fn revision(&self) -> ActualRevision {
        ActualRevision(Revision::last_of(self.place.first))
    }
}

impl Shared {
    /// Reads an item of a stream.
    pub(super) fn read_item(item: &Item, stream: &StreamId) -> Result<StreamItem, ReadError> {
        StreamItem::read(item, stream).map_err(|fault| damaged(item, fault))
    }

    /// The items of a stream in one direction, from a place (inclusive).
    pub(super) fn stream_range(
        &self,
        stream: &StreamId,
        from: Place,
        direction: Direction,
    ) -> Range {
        let pk = key::stream(self.namespace(), stream);
        Range { pk, from: from.sort_key(), direction, limit: PAGE_ITEMS_MAX }
    }

    /// The last item of a stream at or before a place.
    pub(super) async fn last_item(
        &self,
        stream: &StreamId,
        at: Place,
    ) -> Result<Option<StreamItem>, ReadError> {
        let pk = key::stream(self.namespace(), stream);
        let item = query::last(&self.client, pk, at.sort_key()).await?;
        item.map(|item| Self::read_item(&item, stream)).transpose()
    }

    /// Where a stream ends.
    pub(super) async fn tail(&self, stream: &StreamId) -> Result<StreamTail, ReadError> {
        let last = self.last_item(stream, Place::last_at(u64::MAX)).await?;
        Ok(last.as_ref().map(StreamTail::after).unwrap_or_default())
    }

    /// A page of a stream's events.
    pub(super) async fn read_stream_page(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        let limit = limit.min(READ_EVENTS_MAX);
        let mut events = Events::begin(self, stream, from, direction, limit).await?;
        let (mut page, mut data_bytes) = (StreamPage::default(), 0);
        loop {
            let next = events.next().await?;
            let is_full = page.events.len() >= limit || data_bytes >= READ_BYTES_MAX;
            match next {
                None => return Ok(page),
                Some(event) if is_full => {
                    page.next = Some(event.revision);
                    return Ok(page);
                }
                Some(event) => {
                    data_bytes += event.data.len();
                    page.events.push(event);
                }
            }
        }
    }

    /// A stream's commands, oldest first.
    pub(super) async fn read_command_page(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        let limit = limit.min(READ_EVENTS_MAX);
        let mut commands = Vec::new();
        let mut from = self.place_of_command(stream, skip).await?;
        while commands.len() < limit {
            let page =
                query::page(&self.client, &self.stream_range(stream, from, Direction::Forwards))
                    .await?;
            for item in &page.items {
                let item = Self::read_item(item, stream)?;
                from = item.next_place();
                if item.commands_before >= skip && commands.len() < limit {
                    commands.extend(recorded_command(&item, stream));
                }
            }
            if !page.has_more {
                break;
            }
        }
        Ok(commands)
    }

    /// A place at or before the item of the command with number `wanted`, found by halving the
    /// stream: revisions and numbers of commands both only grow.
    async fn place_of_command(&self, stream: &StreamId, wanted: u64) -> Result<Place, ReadError> {
        /// Fewer commands are passed over one by one.
        const PASSED_OVER_MAX: u64 = 100;
        let mut found = Place::START;
        if wanted <= PASSED_OVER_MAX {
            return Ok(found);
        }
        let (mut low, mut high) = (0, self.tail(stream).await?.place.first);
        while low <= high {
            let middle = low + (high - low) / 2;
            let item = self.last_item(stream, Place::last_at(middle)).await?;
            match item {
                Some(item) if item.commands_before > wanted => {
                    let Some(below) = item.place.first.checked_sub(1) else { break };
                    high = below.min(middle);
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

/// The command of a head; `None` when the item holds none.
pub(super) fn recorded_command(item: &StreamItem, stream: &StreamId) -> Option<RecordedCommand> {
    let head = item.head.as_ref()?;
    let record = head.command.clone()?;
    let own = head.parts.as_ref().map(|parts| parts.iter().find(|part| part.stream == *stream));
    let events_count = match own {
        None => super::stream_item::count(&item.events),
        Some(part) => part.map_or(0, |part| part.events_count),
    };
    let after = ActualRevision(Revision::last_of(item.place.first + events_count));
    Some(RecordedCommand {
        record,
        origin: std::sync::Arc::clone(&item.origin),
        recorded_at: item.recorded_at,
        revision: after,
        events: range(item.place.first, item.first_position, events_count),
    })
}

/// The places of `count` events; `None` when there are none.
pub(super) fn range(revision: u64, position: u64, count: u64) -> Option<RecordedRange> {
    let last = count.checked_sub(1)?;
    Some(RecordedRange {
        first_revision: Revision::new(revision),
        last_revision: Revision::new(revision + last),
        first_position: Position::new(position),
        last_position: Position::new(position + last),
    })
}

/// The events of a stream one after the other, read page by page.
struct Events<'a> {
    shared: &'a Shared,
    stream: &'a StreamId,
    range: Range,
    // Bounds of the revisions, inclusive.
    first: u64,
    last: u64,
    read: VecDeque<RecordedEvent>,
    has_more: bool,
}

impl<'a> Events<'a> {
    async fn begin(
        shared: &'a Shared,
        stream: &'a StreamId,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> Result<Self, ReadError> {
        let is_forwards = direction == Direction::Forwards;
        let from = from.get();
        let start = if is_forwards { Place::first_at(from) } else { Place::last_at(from) };
        let mut range = shared.stream_range(stream, start, direction);
        // One more tells whether the stream goes on.
        let wanted = i32::try_from(limit).unwrap_or(i32::MAX).saturating_add(1);
        range.limit = wanted.min(PAGE_ITEMS_MAX);
        let (first, last) = if is_forwards { (from, u64::MAX) } else { (0, from) };
        let read = VecDeque::new();
        let mut events = Self { shared, stream, range, first, last, read, has_more: true };
        if is_forwards && from > 0 {
            events.look_back(from).await?;
        }
        Ok(events)
    }

    /// Begins at the item that holds revision `from`, which may have begun before it.
    async fn look_back(&mut self, from: u64) -> Result<(), ReadError> {
        if let Some(item) = self.shared.last_item(self.stream, Place::last_at(from)).await? {
            self.range.from = item.next_place().sort_key();
            self.take(&item);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<RecordedEvent>, ReadError> {
        while self.read.is_empty() && self.has_more {
            let page = query::page(&self.shared.client, &self.range).await?;
            self.has_more = page.has_more;
            for item in &page.items {
                let item = Shared::read_item(item, self.stream)?;
                self.take(&item);
                self.go_on_after(&item);
            }
        }
        Ok(self.read.pop_front())
    }

    fn go_on_after(&mut self, item: &StreamItem) {
        if self.range.direction == Direction::Forwards {
            self.range.from = item.next_place().sort_key();
        } else if let Some(before) = item.place.before.checked_sub(1) {
            let first = item.place.first;
            self.range.from = Place { first, before }.sort_key();
        } else {
            self.has_more = false;
        }
    }

    fn take(&mut self, item: &StreamItem) {
        let partition = self.shared.capabilities.partition_of(self.stream);
        let owner = Owner { store: self.shared.store, stream: self.stream, partition };
        let (first, last) = (self.first, self.last);
        let events = item.recorded(&owner).into_iter();
        let events = events.filter(|event| (first..=last).contains(&event.revision.get()));
        if self.range.direction == Direction::Forwards {
            self.read.extend(events);
        } else {
            self.read.extend(events.rev());
        }
    }
}
