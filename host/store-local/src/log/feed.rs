//! Reading the feed: frames one after the other, the filter applied before an event is built.

use std::ops::Range;
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::Position;
use annals_core::port::event_store::{FeedFilter, FeedPage, ReadError};

use super::build::{Builder, EventPlace};
use super::decode::{Body, StreamPart};
use super::fault::FrameFault;
use super::frame::Frame;
use super::header::SEGMENT_BODY_START;
use super::names::stream_id;
use super::scan::{Scanner, Step};
use super::sealed::Sealed;
use super::segment::Segment;
use super::shared::{Durable, Shared};

/// Most bytes of commits a page may look at for nothing: one whose filter holds nearly everything back
/// ends here, after about two milliseconds, so that other tasks of the thread get their turn.
const HELD_BACK_BYTES_MAX: usize = 4 << 20;

/// Least and most bytes to read at once.
const PIECE_BYTES_MIN: usize = 16 << 10;
const PIECE_BYTES_MAX: usize = 1 << 20;

/// How long a frame of one event is, about, in bytes: decides how much to read for a small page.
const EVENT_BYTES_USUAL: usize = 512;

pub(crate) fn read_feed(
    shared: &Shared,
    after: Option<Position>,
    filter: &FeedFilter,
    limit: usize,
) -> Result<FeedPage, ReadError> {
    let durable = shared.durable.borrow().clone();
    let limit = limit.min(READ_EVENTS_MAX);
    let start = after.map_or(0, |after| after.get().saturating_add(1));
    let is_unfiltered = *filter == FeedFilter::default();
    let available = usize::try_from(durable.next_position.saturating_sub(start));
    let available = available.unwrap_or(usize::MAX);
    let mut page = PageOfFeed {
        page: FeedPage {
            events: Vec::with_capacity(if is_unfiltered { limit.min(available) } else { 0 }),
            read_up_to: after,
            is_at_head: false,
        },
        start,
        limit,
        bytes_count: 0,
        held_back_bytes: 0,
        filter,
        is_unfiltered,
        builder: Builder::new(shared.store, &shared.common.event_types),
    };
    if start < durable.next_position && limit > 0 {
        let (sealed, active) = {
            let accepting = shared.accepting();
            let offset = accepting.index.offset_of_position(start);
            (shared.sealed(), (Arc::clone(&accepting.segment), offset))
        };
        page.read(&sealed, active, &durable)?;
    }
    let mut page = page.page;
    let read_to = page.read_up_to.map_or(0, |last| last.get().saturating_add(1));
    page.is_at_head = read_to >= durable.next_position;
    Ok(page)
}

struct PageOfFeed<'a> {
    page: FeedPage,
    /// The first position wanted.
    start: u64,
    limit: usize,
    bytes_count: usize,
    held_back_bytes: usize,
    filter: &'a FeedFilter,
    is_unfiltered: bool,
    builder: Builder<'a>,
}

impl PageOfFeed<'_> {
    fn is_full(&self) -> bool {
        self.page.events.len() >= self.limit || self.bytes_count >= READ_BYTES_MAX
    }

    fn is_over(&self) -> bool {
        self.is_full() || self.held_back_bytes >= HELD_BACK_BYTES_MAX
    }

    /// Reads segment after segment, up to what is durable.
    fn read(
        &mut self,
        sealed: &Sealed,
        (active, offset): (Arc<Segment>, Option<u64>),
        durable: &Durable,
    ) -> Result<(), ReadError> {
        let mut from = sealed.find_position(self.start)?;
        if let Some((first, _)) = from {
            for sealed in sealed.segments.iter().skip(first) {
                let first_commit = sealed.segment.header.first_commit;
                let end = if first_commit < durable.segment { sealed.end } else { durable.end };
                let start = from.take().map_or(SEGMENT_BODY_START, |(_, offset)| offset);
                self.scan(&sealed.segment, start..end)?;
                if self.is_over() || first_commit >= durable.segment {
                    return Ok(());
                }
            }
        }
        if active.header.first_commit == durable.segment {
            self.scan(&active, offset.unwrap_or(SEGMENT_BODY_START)..durable.end)?;
        }
        Ok(())
    }

    fn scan(&mut self, segment: &Segment, range: Range<u64>) -> Result<(), ReadError> {
        let usual_bytes = self.limit.saturating_mul(EVENT_BYTES_USUAL);
        let piece_bytes = if self.is_unfiltered {
            usual_bytes.clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX)
        } else {
            PIECE_BYTES_MAX
        };
        let end = range.end;
        let file = segment.file().map_err(|error| segment.unreadable(error))?;
        let mut scanner = Scanner::new(&*file, segment.header.salt, range, piece_bytes);
        while !self.is_over() {
            let step = scanner.step().map_err(|error| segment.unreadable(error))?;
            let (at, added) = match step {
                Step::Frame(at, frame) => {
                    let events_count = self.page.events.len();
                    let added = self.add(&frame);
                    if self.page.events.len() == events_count {
                        self.held_back_bytes += frame.bytes.len();
                    }
                    (at, added)
                }
                Step::End(Some(fault)) => (scanner.offset(), Err(fault)),
                Step::End(None) if scanner.offset() < end => {
                    (scanner.offset(), Err(FrameFault::Incomplete))
                }
                Step::End(None) => return Ok(()),
            };
            added.map_err(|fault| segment.damaged(at, &fault))?;
        }
        Ok(())
    }

    /// Adds the wanted events of a frame, until the page is full.
    fn add(&mut self, frame: &Frame) -> Result<(), FrameFault> {
        if frame.header.events_count == 0 {
            return Ok(());
        }
        let body = Body::decode(frame)?;
        let mut position = frame.header.first_position;
        let mut events = body.events();
        let mut origin = None;
        for part in body.streams() {
            let part = part?;
            let count = u64::from(part.events_count);
            if position + count <= self.start || !self.may_let_through(&part) {
                if count > 0 {
                    self.looked_at(position + count - 1);
                }
                events.skip(count)?;
                position += count;
                continue;
            }
            let origin = match &mut origin {
                Some(origin) => origin,
                none => none.insert(self.builder.origin(&body.origin)?),
            };
            let stream = stream_id(part.stream)?;
            let common = self.builder.common(frame, &body, stream, origin);
            for ordinal in 0..part.events_count {
                let event = events.decode_next()?;
                let place = EventPlace {
                    ordinal,
                    revision: part.first_revision.plus(ordinal.into()),
                    position,
                };
                position += 1;
                if place.position < self.start {
                    continue;
                }
                if self.wants_type(event.event_type) {
                    let event = self.builder.event(frame, &common, &event, place)?;
                    self.take(event);
                }
                self.looked_at(place.position);
                if self.is_full() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn take(&mut self, event: RecordedEvent) {
        self.bytes_count += event.data.len() + event.metadata.len();
        self.page.events.push(event);
    }

    fn looked_at(&mut self, position: u64) {
        if position >= self.start {
            self.page.read_up_to = Some(Position::new(position));
        }
    }

    /// Whether the filter lets events of this stream through, if their type is wanted.
    fn may_let_through(&self, part: &StreamPart<'_>) -> bool {
        let category = part.stream.split_once('/').map_or("", |(name, _)| name);
        let is_wanted_category = match &self.filter.categories {
            Some(categories) => categories.contains(category),
            None => !part.stream.starts_with('$'),
        };
        let prefix = self.filter.stream_prefix.as_deref();
        is_wanted_category && prefix.is_none_or(|prefix| part.stream.starts_with(prefix))
    }

    fn wants_type(&self, event_type: &str) -> bool {
        let types = self.filter.event_types.as_ref();
        types.is_none_or(|types| types.contains(event_type))
    }
}
