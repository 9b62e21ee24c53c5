//! Reading one stream: its events and its commands, page by page, up to where it ended at the start.

use std::collections::VecDeque;

use annals_core::command::RecordedCommand;
use annals_core::event::RecordedEvent;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Revision;
use annals_core::port::EventStore;
use annals_core::port::event_store::{Direction, ReadError};
use annals_core::stream::StreamId;

/// Commands read at once: with the largest data, 256 KiB, they have 64 MiB.
const COMMANDS_PER_PAGE: usize = 256;

/// The events of a stream, in order.
#[derive(Debug)]
pub(super) struct Events<'a> {
    stream: &'a StreamId,
    /// How many events the stream had.
    end: u64,
    /// How many were given out.
    taken: u64,
    next: Option<Revision>,
    read: VecDeque<RecordedEvent>,
}

impl<'a> Events<'a> {
    pub(super) fn new(stream: &'a StreamId, end: u64) -> Self {
        let next = (end > 0).then_some(Revision::FIRST);
        Self { stream, end, taken: 0, next, read: VecDeque::new() }
    }

    /// How many events were given out.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many events the stream had.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The next events, of one page at most, until `count` were given out; none when they were.
    pub(super) async fn take_to(
        &mut self,
        store: &dyn EventStore,
        count: u64,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let left = count.min(self.end).saturating_sub(self.taken);
        if left > 0 && self.read.is_empty() {
            self.read_page(store).await?;
        }
        let taken = self.read.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.taken += u64::try_from(taken).unwrap_or(0);
        Ok(self.read.drain(..taken).collect())
    }

    /// The `count` events that come next, which stay there. A commit's events, so they fit in memory.
    pub(super) async fn ahead(
        &mut self,
        store: &dyn EventStore,
        count: u64,
    ) -> Result<impl Iterator<Item = &RecordedEvent>, ReadError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        while self.read.len() < count && self.next.is_some() {
            self.read_page(store).await?;
        }
        Ok(self.read.iter().take(count))
    }

    async fn read_page(&mut self, store: &dyn EventStore) -> Result<(), ReadError> {
        let Some(from) = self.next else {
            return Ok(());
        };
        let page = store.read_stream(self.stream, from, READ_EVENTS_MAX, Direction::Forwards);
        let page = page.await?;
        let end = self.end;
        self.next = page.next.filter(|next| next.get() < end);
        self.read.extend(page.events.into_iter().filter(|event| event.revision.get() < end));
        Ok(())
    }
}

/// The commands of a stream, in order.
#[derive(Debug)]
pub(super) struct Commands<'a> {
    stream: &'a StreamId,
    /// How many the stream had.
    end: u64,
    /// How many were given out.
    taken: u64,
    read: VecDeque<RecordedCommand>,
}

impl<'a> Commands<'a> {
    pub(super) fn new(stream: &'a StreamId, end: u64) -> Self {
        Self { stream, end, taken: 0, read: VecDeque::new() }
    }

    /// How many were not given out.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.taken)
    }

    pub(super) async fn next(
        &mut self,
        store: &dyn EventStore,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        if self.left() == 0 {
            return Ok(None);
        }
        if self.read.is_empty() {
            let page = store.read_commands(self.stream, self.taken, COMMANDS_PER_PAGE).await?;
            self.read.extend(page);
        }
        self.taken += 1;
        Ok(self.read.pop_front())
    }
}
