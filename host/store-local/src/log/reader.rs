//! Reading streams, commands and the feed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use annals_core::command::RecordedCommand;
use annals_core::commit::{ClaimHolder, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::error::DriverError;
use annals_core::event::{RecordedEvent, SchemaVersion};
use annals_core::id::CommandId;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{ActualRevision, Partition, Revision};
use annals_core::port::event_store::{
    Direction, EventTypeCount, ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;

use super::append::{find_sealed_command, has_command};
use super::build::{Builder, EventPlace};
use super::claims::is_expired;
use super::decode::Body;
use super::fault::FrameFault;
use super::frame::Frame;
use super::hash::IdKind;
use super::index::{FrameSpan, Kind};
use super::sealed::{Frames, relative};
use super::segment::Segment;
use super::shared::{Accepting, Shared};

/// Frames at most this far apart, in bytes, are read in one go.
const GAP_BYTES_MAX: u64 = 4 << 10;

/// Most bytes read in one go for a stream, unless one frame alone has more.
const RUN_BYTES_MAX: u64 = 256 << 10;

/// Which part of a stream to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamRange {
    pub(crate) from: Revision,
    pub(crate) limit: usize,
    pub(crate) direction: Direction,
}

pub(crate) async fn read_stream(
    shared: &Shared,
    stream: &StreamId,
    range: StreamRange,
) -> Result<StreamPage, ReadError> {
    let Some(plan) = plan(shared, stream, range)? else {
        return Ok(StreamPage::default());
    };
    wait_for(shared, plan.last_commit()).await?;
    let mut page = PageOfStream {
        events: Vec::with_capacity(plan.events_count.min(READ_EVENTS_MAX)),
        bytes_count: 0,
        plan: &plan,
        stream,
        builder: Builder::new(shared.store, &shared.common.event_types),
    };
    'page: for Frames { segment, spans } in &plan.frames {
        let mut reader = RunReader::new(segment, spans);
        for &span in spans {
            let frame = reader.frame(span)?;
            page.add(&frame).map_err(|fault| segment.damaged(span.offset, &fault))?;
            if page.is_full() {
                break 'page;
            }
        }
    }
    let events = page.events;
    debug_assert!(events.is_sorted_by_key(|event| match plan.direction {
        Direction::Forwards => event.revision.get(),
        Direction::Backwards => u64::MAX - event.revision.get(),
    }));
    let next = plan.next(events.last().map(|event| event.revision));
    Ok(StreamPage { events, next })
}

/// What a read of a stream needs, as of the moment it was called.
#[derive(Debug)]
struct Plan {
    /// The frames, in the direction of the read.
    frames: Vec<Frames>,
    direction: Direction,
    /// The first revision to return.
    from: Revision,
    /// The last revision of the stream.
    last: Revision,
    /// How many events to return at most.
    events_count: usize,
}

impl Plan {
    /// Up to which count of commits the read must wait for durability.
    fn last_commit(&self) -> Option<u64> {
        let spans = self.frames.iter().flat_map(|frames| &frames.spans);
        spans.map(|span| span.commit + 1).max()
    }

    fn next(&self, read_to: Option<Revision>) -> Option<Revision> {
        let Some(read_to) = read_to else {
            return (self.from <= self.last).then_some(self.from);
        };
        match self.direction {
            Direction::Forwards => (read_to < self.last).then(|| read_to.next()),
            Direction::Backwards => Revision::last_of(read_to.get()),
        }
    }
}

/// `None` when there is nothing to read and nothing will follow.
fn plan(shared: &Shared, stream: &StreamId, range: StreamRange) -> Result<Option<Plan>, ReadError> {
    let limit = range.limit.min(READ_EVENTS_MAX);
    let count = u64::try_from(limit).unwrap_or(u64::MAX);
    // What the active segment has of the stream, and the revisions wanted, when it has some.
    let wanted = |events_count: u64| -> Option<(Revision, Revision, Range<u64>)> {
        let last = Revision::last_of(events_count)?;
        match range.direction {
            Direction::Forwards if range.from > last => None,
            Direction::Forwards => {
                let end = range.from.get().saturating_add(count).min(events_count);
                Some((range.from, last, range.from.get()..end))
            }
            Direction::Backwards => {
                let from = range.from.min(last);
                let end = from.events_count();
                Some((from, last, end.saturating_sub(count)..end))
            }
        }
    };
    let (sealed, active) = {
        let accepting = shared.accepting();
        let entry = accepting.index.find_stream(stream.as_str());
        let active = entry.map(|entry| {
            let wanted = wanted(entry.totals().events_count);
            let before = entry.before.events_count;
            let spans = wanted.as_ref().map_or_else(Vec::new, |(_, _, wanted)| {
                accepting.index.commits_with(entry, &relative(wanted, before))
            });
            (wanted, before, Frames { segment: Arc::clone(&accepting.segment), spans })
        });
        (shared.sealed(), active)
    };
    let (wanted, before, active) = match active {
        Some((wanted, before, active)) => (wanted, before, Some(active)),
        None => {
            let totals = sealed.stream_totals(stream.as_str())?;
            (wanted(totals.events_count), u64::MAX, None)
        }
    };
    let Some((from, last, wanted)) = wanted else {
        return Ok(None);
    };
    let mut frames = Vec::new();
    if !wanted.is_empty() && wanted.start < before {
        frames = sealed.frames_of_events(stream.as_str(), &wanted)?;
    }
    frames.extend(active.filter(|active| limit > 0 && !active.spans.is_empty()));
    if range.direction == Direction::Backwards {
        frames.reverse();
        frames.iter_mut().for_each(|frames| frames.spans.reverse());
    }
    let direction = range.direction;
    Ok(Some(Plan { frames, direction, from, last, events_count: limit }))
}

/// A page of a stream on its way.
struct PageOfStream<'a> {
    events: Vec<RecordedEvent>,
    bytes_count: usize,
    plan: &'a Plan,
    stream: &'a StreamId,
    builder: Builder<'a>,
}

impl PageOfStream<'_> {
    fn is_full(&self) -> bool {
        self.events.len() >= self.plan.events_count || self.bytes_count >= READ_BYTES_MAX
    }

    /// Adds the wanted events of a frame, until the page is full.
    fn add(&mut self, frame: &Frame) -> Result<(), FrameFault> {
        let body = Body::decode(frame)?;
        let mut parts = body.events();
        let mut position = frame.header.first_position;
        for part in body.streams() {
            let part = part?;
            let count = u64::from(part.events_count);
            if part.stream != self.stream.as_str() || count == 0 {
                position += count;
                parts.skip(count)?;
                continue;
            }
            let origin = self.builder.origin(&body.origin)?;
            let stream = self.stream.clone();
            let common = self.builder.common(frame, &body, stream, &origin);
            let events_count = usize::try_from(part.events_count).unwrap_or(READ_EVENTS_MAX);
            let mut events = Vec::with_capacity(events_count.min(READ_EVENTS_MAX));
            for ordinal in 0..part.events_count {
                let event = parts.decode_next()?;
                let place = EventPlace {
                    ordinal,
                    revision: part.first_revision.plus(ordinal.into()),
                    position: position + u64::from(ordinal),
                };
                if self.wants(place.revision) {
                    events.push(self.builder.event(frame, &common, &event, place)?);
                }
            }
            return self.take(events);
        }
        Err(FrameFault::Malformed { what: "events of the stream are missing" })
    }

    fn wants(&self, revision: Revision) -> bool {
        match self.plan.direction {
            Direction::Forwards => revision >= self.plan.from,
            Direction::Backwards => revision <= self.plan.from,
        }
    }

    fn take(&mut self, mut events: Vec<RecordedEvent>) -> Result<(), FrameFault> {
        if self.plan.direction == Direction::Backwards {
            events.reverse();
        }
        for event in events {
            if self.is_full() {
                return Ok(());
            }
            let follows = self.events.last().is_none_or(|last| match self.plan.direction {
                Direction::Forwards => event.revision == last.revision.next(),
                Direction::Backwards => last.revision == event.revision.next(),
            });
            if !follows {
                return Err(FrameFault::Malformed { what: "a revision is missing" });
            }
            self.bytes_count += event.data.len() + event.metadata.len();
            self.events.push(event);
        }
        Ok(())
    }
}

/// Reads frames, neighbours in one go.
struct RunReader<'a> {
    segment: &'a Segment,
    /// What is still to be read, in the order in which it will be asked for.
    spans: &'a [FrameSpan],
    run_offset: u64,
    run: Bytes,
}

impl<'a> RunReader<'a> {
    fn new(segment: &'a Segment, spans: &'a [FrameSpan]) -> Self {
        Self { segment, spans, run_offset: 0, run: Bytes::new() }
    }

    /// The frame at `span`, which must be the next one.
    fn frame(&mut self, span: FrameSpan) -> Result<Frame, ReadError> {
        let bytes = match self.in_run(span) {
            Some(bytes) => bytes,
            None => {
                let (start, end) = self.next_run(span);
                self.run = self.segment.read(start, end - start)?;
                self.run_offset = start;
                self.in_run(span).unwrap_or_default()
            }
        };
        self.spans = self.spans.split_first().map_or(&[], |(_, rest)| rest);
        self.segment.check_frame(span, bytes)
    }

    fn in_run(&self, span: FrameSpan) -> Option<Bytes> {
        let start = usize::try_from(span.offset.checked_sub(self.run_offset)?).ok()?;
        let end = start.checked_add(usize::try_from(span.bytes_count).ok()?)?;
        (end <= self.run.len()).then(|| self.run.slice(start..end))
    }

    /// The longest run of close neighbours that begins with `span`.
    fn next_run(&self, span: FrameSpan) -> (u64, u64) {
        let (mut start, mut end) = (span.offset, span.offset + span.bytes_count);
        for next in self.spans.iter().skip(1) {
            let (new_start, new_end) =
                (start.min(next.offset), end.max(next.offset + next.bytes_count));
            let is_close = next.offset <= end + GAP_BYTES_MAX
                && next.offset + next.bytes_count + GAP_BYTES_MAX >= start;
            if !is_close || new_end - new_start > RUN_BYTES_MAX {
                break;
            }
            (start, end) = (new_start, new_end);
        }
        (start, end)
    }
}

pub(crate) async fn find_command(
    shared: &Shared,
    stream: &StreamId,
    id: CommandId,
) -> Result<Option<RecordedCommand>, ReadError> {
    let (sealed, found) = {
        let accepting = shared.accepting();
        (shared.sealed(), find_active_command(shared, &accepting, stream, id)?)
    };
    let found = match found {
        Some(found) => Some(found),
        None => find_sealed_command(shared, &sealed, stream, id)?
            .map(|(segment, _, span)| (segment, span)),
    };
    let Some((segment, span)) = found else { return Ok(None) };
    wait_for(shared, Some(span.commit + 1)).await?;
    read_command(shared, &segment, span).map(Some)
}

fn find_active_command(
    shared: &Shared,
    accepting: &Accepting,
    stream: &StreamId,
    id: CommandId,
) -> Result<Option<(Arc<Segment>, FrameSpan)>, ReadError> {
    let Accepting { index, segment, .. } = accepting;
    let Some(entry) = index.find_stream(stream.as_str()) else {
        return Ok(None);
    };
    let hash = shared.common.hasher.id(IdKind::Command, entry.hash, id.uuid());
    for span in index.candidates(hash) {
        let frame = shared.frame(accepting, segment, span)?;
        let is_it = has_command(&frame, stream, id.uuid());
        if is_it.map_err(|fault| segment.damaged(span.offset, &fault))? {
            return Ok(Some((Arc::clone(segment), span)));
        }
    }
    Ok(None)
}

pub(crate) async fn read_commands(
    shared: &Shared,
    stream: &StreamId,
    skip: u64,
    limit: usize,
) -> Result<Vec<RecordedCommand>, ReadError> {
    let count = u64::try_from(limit.min(READ_EVENTS_MAX)).unwrap_or(u64::MAX);
    let wanted = skip..skip.saturating_add(count);
    let (sealed, before, active) = {
        let accepting = shared.accepting();
        let entry = accepting.index.find_stream(stream.as_str());
        let before = entry.map_or(u64::MAX, |entry| entry.before.commands_count);
        let spans = entry.map_or_else(Vec::new, |entry| {
            accepting.index.commands(entry, &relative(&wanted, before))
        });
        (shared.sealed(), before, Frames { segment: Arc::clone(&accepting.segment), spans })
    };
    let mut frames = Vec::new();
    if !wanted.is_empty() && wanted.start < before {
        frames = sealed.frames_of_commands(stream.as_str(), &wanted)?;
    }
    frames.push(active);
    let spans = frames.iter().flat_map(|frames| &frames.spans);
    wait_for(shared, spans.map(|span| span.commit + 1).max()).await?;
    let mut commands = Vec::new();
    for Frames { segment, spans } in frames {
        for span in spans {
            commands.push(read_command(shared, &segment, span)?);
        }
    }
    Ok(commands)
}

pub(crate) fn read_commits(
    shared: &Shared,
    from: u64,
    limit: usize,
) -> Result<Vec<RecordedCommit>, ReadError> {
    let count = u64::try_from(limit.min(READ_EVENTS_MAX)).unwrap_or(u64::MAX);
    let end = shared.durable.borrow().commits.min(from.saturating_add(count));
    let (sealed, active) = {
        let accepting = shared.accepting();
        let index = &accepting.index;
        let numbers = from.max(index.first_commit)..end;
        let numbers = numbers.filter_map(|number| u32::try_from(number - index.first_commit).ok());
        let spans = numbers.filter_map(|number| index.span(number)).collect();
        (shared.sealed(), Frames { segment: Arc::clone(&accepting.segment), spans })
    };
    let mut frames = sealed.frames_of_commits(&(from..end))?;
    frames.push(active);
    let mut builder = Builder::new(shared.store, &shared.common.event_types);
    let mut commits = Vec::new();
    let mut data_bytes = 0;
    for Frames { segment, spans } in &frames {
        let mut reader = RunReader::new(segment, spans);
        for &span in spans {
            let frame = reader.frame(span)?;
            let commit = builder.commit(&frame);
            let commit = commit.map_err(|fault| segment.damaged(span.offset, &fault))?;
            data_bytes += commit.commit.data_bytes();
            commits.push(commit);
            if data_bytes >= READ_BYTES_MAX {
                return Ok(commits);
            }
        }
    }
    Ok(commits)
}

fn read_command(
    shared: &Shared,
    segment: &Segment,
    span: FrameSpan,
) -> Result<RecordedCommand, ReadError> {
    let frame = segment.read_frame(span)?;
    Builder::new(shared.store, &shared.common.event_types)
        .command(&frame)
        .map_err(|fault| segment.damaged(span.offset, &fault))
}

pub(crate) async fn claim_holder(
    shared: &Shared,
    (scope, key): (&str, &str),
    now: Timestamp,
) -> Result<Option<ClaimHolder>, ReadError> {
    let (sealed, said, commits) = {
        let accepting = shared.accepting();
        let said = accepting.index.claims.get(scope, key).map(|holder| holder.cloned());
        (shared.sealed(), said, accepting.index.next_commit())
    };
    let holder = match said {
        Some(holder) => holder,
        None => sealed.claim(scope, key)?,
    };
    wait_for(shared, Some(commits)).await?;
    Ok(holder.filter(|holder| !is_expired(holder, now)))
}

pub(crate) async fn stream_info(
    shared: &Shared,
    stream: &StreamId,
) -> Result<StreamInfo, ReadError> {
    let (sealed, active) = {
        let accepting = shared.accepting();
        let first_commit = accepting.index.first_commit;
        let entry = accepting.index.find_stream(stream.as_str());
        let active = entry.map(|entry| {
            let last = entry.last_commit().map(|commit| first_commit + u64::from(commit));
            (entry.totals(), last)
        });
        (shared.sealed(), active)
    };
    let found = match active {
        Some((totals, None)) => {
            let earlier = sealed.stream_end(stream.as_str())?;
            Some((totals, earlier.and_then(|(_, last)| last)))
        }
        Some(found) => Some(found),
        None => sealed.stream_end(stream.as_str())?,
    };
    let (totals, last_commit) = found.unwrap_or_default();
    wait_for(shared, last_commit.map(|commit| commit + 1)).await?;
    Ok(StreamInfo {
        partition: Partition::ZERO,
        revision: ActualRevision(Revision::last_of(totals.events_count)),
        commands_count: totals.commands_count,
    })
}

pub(crate) async fn event_type_counts(shared: &Shared) -> Result<Vec<EventTypeCount>, ReadError> {
    let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
    let (sealed, commits) = {
        let accepting = shared.accepting();
        counts.extend(accepting.index.counts().map(|(kind, count)| (kind.clone(), count)));
        (shared.sealed(), accepting.index.next_commit())
    };
    for (kind, events_count) in sealed.segments.iter().flat_map(|sealed| sealed.kinds()) {
        *counts.entry(kind).or_default() += events_count;
    }
    wait_for(shared, Some(commits)).await?;
    let to_count = |(kind, events_count): (Kind, u64)| EventTypeCount {
        category: kind.category,
        event_type: kind.event_type,
        schema_version: SchemaVersion(kind.schema_version),
        events_count,
    };
    Ok(counts.into_iter().map(to_count).collect())
}

/// Waits until so many commits are durable; what never will be cannot be shown.
pub(crate) async fn wait_for(shared: &Shared, commits: Option<u64>) -> Result<(), ReadError> {
    let Some(commits) = commits else {
        return Ok(());
    };
    shared.wait_for(commits).await.map_err(lost)
}

pub(crate) fn lost(lost: DurabilityLost) -> ReadError {
    ReadError::Unavailable(lost_driver(lost))
}

pub(crate) fn lost_driver(lost: DurabilityLost) -> DriverError {
    DriverError::with_source("the log cannot make durable what was accepted", lost)
}
