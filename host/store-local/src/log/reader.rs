//! Reading streams, commands and the feed.

use annals_core::command::RecordedCommand;
use annals_core::commit::RecordedCommit;
use annals_core::durability::DurabilityLost;
use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::id::CommandId;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::Revision;
use annals_core::port::event_store::{Direction, ReadError, StreamPage};
use annals_core::stream::StreamId;
use bytes::Bytes;

use super::append::has_command;
use super::build::{Builder, EventPlace};
use super::decode::Body;
use super::fault::FrameFault;
use super::frame::Frame;
use super::index::{FrameSpan, StreamCommit};
use super::shared::Shared;

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
    let Some(plan) = plan(shared, stream, range) else {
        return Ok(StreamPage::default());
    };
    let last_commit = plan.frames.iter().map(|span| span.commit + 1).max();
    wait_for(shared, last_commit).await?;
    let mut page = PageOfStream {
        events: Vec::with_capacity(plan.events_count.min(READ_EVENTS_MAX)),
        bytes_count: 0,
        plan: &plan,
        stream,
        builder: Builder::new(shared.store, &shared.names),
    };
    let mut reader = RunReader::new(shared, &plan.frames);
    for &span in &plan.frames {
        let frame = reader.frame(span)?;
        page.add(&frame).map_err(|fault| shared.damaged(span.offset, &fault))?;
        if page.is_full() {
            break;
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
    frames: Vec<FrameSpan>,
    direction: Direction,
    /// The first revision to return.
    from: Revision,
    /// The last revision of the stream.
    last: Revision,
    /// How many events to return at most.
    events_count: usize,
}

impl Plan {
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
fn plan(shared: &Shared, stream: &StreamId, range: StreamRange) -> Option<Plan> {
    let accepting = shared.accepting();
    let index = &accepting.index;
    let entry = index.find_stream(stream.as_str())?;
    let last = entry.revision().0?;
    let limit = range.limit.min(READ_EVENTS_MAX);
    let span = |commit: &StreamCommit| index.frame(commit.commit);
    let count = u64::try_from(limit).unwrap_or(u64::MAX);
    let (from, frames) = match range.direction {
        Direction::Forwards if range.from > last => return None,
        Direction::Forwards => {
            let end = range.from.get().saturating_add(count);
            let commits = entry.commits_from(range.from).iter();
            let wanted = commits.take_while(|commit| u64::from(commit.first_revision) < end);
            (range.from, wanted.filter_map(span).collect())
        }
        Direction::Backwards => {
            let from = range.from.min(last);
            let mut left = count;
            let mut end = from.events_count();
            let commits = entry.commits_until(from).iter().rev();
            let wanted = commits.take_while(|commit| {
                let is_wanted = left > 0;
                let first = u64::from(commit.first_revision);
                left = left.saturating_sub(end - first);
                end = first;
                is_wanted
            });
            (from, wanted.filter_map(span).collect())
        }
    };
    Some(Plan {
        frames: if limit == 0 { Vec::new() } else { frames },
        direction: range.direction,
        from,
        last,
        events_count: limit,
    })
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
            let mut events = Vec::with_capacity(part.events_count.try_into().unwrap_or_default());
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
            self.take(events);
            return Ok(());
        }
        Err(FrameFault::Malformed { what: "events of the stream are missing" })
    }

    fn wants(&self, revision: Revision) -> bool {
        match self.plan.direction {
            Direction::Forwards => revision >= self.plan.from,
            Direction::Backwards => revision <= self.plan.from,
        }
    }

    fn take(&mut self, mut events: Vec<RecordedEvent>) {
        if self.plan.direction == Direction::Backwards {
            events.reverse();
        }
        for event in events {
            if self.is_full() {
                return;
            }
            self.bytes_count += event.data.len() + event.metadata.len();
            self.events.push(event);
        }
    }
}

/// Reads frames, neighbours in one go.
struct RunReader<'a> {
    shared: &'a Shared,
    /// What is still to be read, in the order in which it will be asked for.
    spans: &'a [FrameSpan],
    run_offset: u64,
    run: Bytes,
}

impl<'a> RunReader<'a> {
    fn new(shared: &'a Shared, spans: &'a [FrameSpan]) -> Self {
        Self { shared, spans, run_offset: 0, run: Bytes::new() }
    }

    /// The frame at `span`, which must be the next one.
    fn frame(&mut self, span: FrameSpan) -> Result<Frame, ReadError> {
        let bytes = match self.in_run(span) {
            Some(bytes) => bytes,
            None => {
                let (start, end) = self.next_run(span);
                self.run = self.shared.read(start, end - start)?;
                self.run_offset = start;
                self.in_run(span).unwrap_or_default()
            }
        };
        self.spans = self.spans.split_first().map_or(&[], |(_, rest)| rest);
        self.shared.check_frame(span, bytes)
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
    let found = {
        let accepting = shared.accepting();
        let Some(number) = accepting.index.stream_number(stream.as_str()) else {
            return Ok(None);
        };
        let verify = |commit| {
            let frame = shared.frame(&accepting, commit)?;
            has_command(&frame, stream, id.uuid()).map_err(|fault| shared.damaged(0, &fault))
        };
        let commit = accepting.index.find_command(number, id.uuid(), verify)?;
        commit.and_then(|commit| accepting.index.frame(commit))
    };
    let Some(span) = found else { return Ok(None) };
    wait_for(shared, Some(span.commit + 1)).await?;
    read_command(shared, span).map(Some)
}

pub(crate) async fn read_commands(
    shared: &Shared,
    stream: &StreamId,
    skip: u64,
    limit: usize,
) -> Result<Vec<RecordedCommand>, ReadError> {
    let spans: Vec<_> = {
        let accepting = shared.accepting();
        let Some(entry) = accepting.index.find_stream(stream.as_str()) else {
            return Ok(Vec::new());
        };
        let commits = entry.commands().iter();
        commits
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .take(limit.min(READ_EVENTS_MAX))
            .filter_map(|&commit| accepting.index.frame(commit))
            .collect()
    };
    wait_for(shared, spans.last().map(|span| span.commit + 1)).await?;
    spans.into_iter().map(|span| read_command(shared, span)).collect()
}

pub(crate) fn read_commits(
    shared: &Shared,
    from: u64,
    limit: usize,
) -> Result<Vec<RecordedCommit>, ReadError> {
    let end = shared.durable.borrow().commits;
    let spans: Vec<_> = {
        let accepting = shared.accepting();
        let numbers = (from..end).take(limit.min(READ_EVENTS_MAX));
        let numbers = numbers.filter_map(|number| u32::try_from(number).ok());
        numbers.filter_map(|number| accepting.index.frame(number)).collect()
    };
    let mut reader = RunReader::new(shared, &spans);
    let mut builder = Builder::new(shared.store, &shared.names);
    let mut commits = Vec::with_capacity(spans.len());
    let mut data_bytes = 0;
    for &span in &spans {
        let frame = reader.frame(span)?;
        let commit = builder.commit(&frame);
        let commit = commit.map_err(|fault| shared.damaged(span.offset, &fault))?;
        data_bytes += commit.commit.data_bytes();
        commits.push(commit);
        if data_bytes >= READ_BYTES_MAX {
            break;
        }
    }
    Ok(commits)
}

fn read_command(shared: &Shared, span: FrameSpan) -> Result<RecordedCommand, ReadError> {
    let frame = shared.read_frame(span)?;
    Builder::new(shared.store, &shared.names)
        .command(&frame)
        .map_err(|fault| shared.damaged(span.offset, &fault))
}

/// Waits until so many commits are durable; what never will be cannot be shown.
pub(crate) async fn wait_for(shared: &Shared, commits: Option<u64>) -> Result<(), ReadError> {
    let Some(commits) = commits else {
        return Ok(());
    };
    shared.wait_for(commits).await.map_err(lost)
}

pub(crate) fn lost(lost: DurabilityLost) -> ReadError {
    let message = "the log cannot make durable what was accepted";
    ReadError::Unavailable(DriverError::with_source(message, lost))
}
