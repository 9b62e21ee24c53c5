//! Reading on: from the feed into the window, and again the streams that were released.

use std::collections::{HashMap, HashSet};

use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{Direction, FeedFilter};
use annals_core::port::state_store::StateWrite;
use annals_core::stream::StreamId;

use super::draft::Draft;
use super::error::SubscriptionError;
use super::window::{Entry, Source};
use super::{SubscriptionPorts, parked};

/// Most released streams that one lease reads on.
const RELEASED_STREAMS_MAX: usize = 16;

/// Most events of a released stream that are read at once.
const RELEASED_PAGE_EVENTS: usize = 256;

/// Fewest events asked of the feed by pages after the first.
const LATER_PAGE_EVENTS_MIN: usize = 64;

/// Events that were read, and how it ended.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    ports: &'a SubscriptionPorts,
    filter: FeedFilter,
    /// The events that are at hand, with their data.
    pub(super) events: HashMap<(Partition, Position), RecordedEvent>,
    bytes: usize,
    // How many more events are wanted that can be delivered.
    wanted: usize,
    pages_left: usize,
    // Streams with an event that cannot be delivered now.
    blocked: HashSet<StreamId>,
    /// Whether every partition was read to its head.
    pub(super) is_at_head: bool,
    /// Whether it ended for want of room.
    pub(super) is_full: bool,
}

impl<'a> Filling<'a> {
    pub(super) fn new(ports: &'a SubscriptionPorts, draft: &Draft) -> Self {
        Self {
            ports,
            filter: draft.record().settings.filter.for_feed(),
            events: HashMap::new(),
            bytes: 0,
            wanted: 0,
            pages_left: ports.limits.feed_pages_max,
            blocked: HashSet::new(),
            is_at_head: true,
            is_full: false,
        }
    }

    /// Reads the events of released streams into the window again, as far as there is room.
    pub(super) async fn read_released(
        &mut self,
        draft: &mut Draft,
    ) -> Result<(), SubscriptionError> {
        if draft.record().released_streams_count == 0 {
            return Ok(());
        }
        let incarnation = std::sync::Arc::clone(&draft.record().incarnation);
        let state = &*self.ports.state;
        for (stream, from) in parked::released(state, &incarnation, RELEASED_STREAMS_MAX).await? {
            // One that was parked by this very change waits again.
            if draft.parked.contains(&stream) {
                continue;
            }
            let mut next = from;
            let is_over = loop {
                let limit = draft.room().min(RELEASED_PAGE_EVENTS);
                if limit == 0 {
                    break false;
                }
                let store = &self.ports.store;
                let page = store.read_stream(&stream, next, limit, Direction::Forwards).await?;
                let mut is_over = page.next.is_none();
                let mut has_room = true;
                for event in page.events {
                    if Some(event.position) > draft.record().read_up_to(event.partition) {
                        // From here on the feed has them.
                        is_over = true;
                        break;
                    }
                    let is_wanted = self.filter.lets_through(&event.stream, &event.event_type);
                    let revision = event.revision;
                    if is_wanted && !self.take(draft, event, Source::Released) {
                        has_room = false;
                        is_over = false;
                        break;
                    }
                    next = revision.next();
                }
                if is_over || !has_room || self.bytes >= self.ports.limits.lease_bytes_max {
                    break is_over;
                }
            };
            if is_over {
                draft.write(StateWrite::Delete(parked::released_row(&incarnation, &stream)));
                let record = draft.record_mut();
                record.released_streams_count = record.released_streams_count.saturating_sub(1);
                draft.read_in.insert(stream);
            } else if next != from {
                draft.write(parked::write_released(&incarnation, &stream, next));
            }
        }
        Ok(())
    }

    /// Reads on in the feed until `wanted` more events can be delivered, beginning with a partition.
    pub(super) async fn read_feed(
        &mut self,
        draft: &mut Draft,
        first: Partition,
        wanted: usize,
    ) -> Result<(), SubscriptionError> {
        self.wanted = wanted;
        self.blocked = draft.record().window.blocked();
        let count = u32::try_from(draft.record().partitions.len()).unwrap_or(u32::MAX);
        let partitions = (first.0..count).chain(0..first.0.min(count)).map(Partition);
        for partition in partitions {
            while self.wanted > 0 && !self.is_full {
                if self.pages_left == 0 || self.bytes >= self.ports.limits.lease_bytes_max {
                    self.is_at_head = false;
                    return Ok(());
                }
                self.pages_left -= 1;
                if self.read_page(draft, partition).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads one page; says whether it was the last there is now.
    async fn read_page(
        &mut self,
        draft: &mut Draft,
        partition: Partition,
    ) -> Result<bool, SubscriptionError> {
        // What was blocked on the first page may go on for long.
        let is_first = self.pages_left.saturating_add(1) == self.ports.limits.feed_pages_max;
        let least = if is_first { 1 } else { LATER_PAGE_EVENTS_MIN };
        let limit = draft.room().min(self.wanted.max(least));
        if limit == 0 {
            self.is_full = true;
            return Ok(false);
        }
        let mut after = draft.record().read_up_to(partition);
        let store = &self.ports.store;
        let page = store.read_feed(partition, after, &self.filter, limit).await?;
        let waiting = self.waiting(draft, &page.events).await?;
        for event in page.events {
            let position = event.position;
            let source = Source::Feed { after };
            if !waiting.contains(&event.stream) && !self.take(draft, event, source) {
                draft.record_mut().set_read_up_to(partition, after);
                self.is_full = true;
                return Ok(false);
            }
            after = Some(position);
        }
        draft.record_mut().set_read_up_to(partition, page.read_up_to);
        Ok(page.is_at_head)
    }

    /// The streams of some events that wait behind a parked one.
    async fn waiting(
        &self,
        draft: &Draft,
        events: &[RecordedEvent],
    ) -> Result<HashSet<StreamId>, SubscriptionError> {
        let streams: HashSet<_> = events.iter().map(|event| event.stream.clone()).collect();
        // What this change does is not in the rows yet.
        let unknown = |stream: &&StreamId| {
            !draft.parked.contains(*stream) && !draft.read_in.contains(*stream)
        };
        let asked: Vec<_> = streams.iter().filter(unknown).cloned().collect();
        let state = &*self.ports.state;
        let mut waiting: HashSet<_> =
            parked::waiting_among(state, draft.record(), &asked).await?.into_iter().collect();
        waiting.extend(draft.parked.iter().cloned());
        Ok(waiting)
    }

    /// Puts an event into the window; `false`: there is no room.
    fn take(&mut self, draft: &mut Draft, event: RecordedEvent, source: Source) -> bool {
        let entry = Entry::new(&event, source);
        if !draft.insert(entry, &self.ports.limits) {
            return false;
        }
        if !self.blocked.contains(&event.stream) {
            self.wanted = self.wanted.saturating_sub(1);
            self.bytes = self.bytes.saturating_add(event.data.len() + event.metadata.len());
            self.events.insert((event.partition, event.position), event);
        }
        true
    }
}
