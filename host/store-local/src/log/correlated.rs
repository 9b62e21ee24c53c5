//! Looking for the commits of a correlation id: frames one after the other, of which only the origin is
//! looked at until it is the right one.

use std::ops::Range;
use std::sync::Arc;

use annals_core::id::CorrelationId;
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::port::event_store::{CorrelatedPage, ReadError};
use bytes::Bytes;

use super::build::Builder;
use super::encode::what;
use super::fault::FrameFault;
use super::frame::Frame;
use super::header::SEGMENT_BODY_START;
use super::scan::{Scanner, Step};
use super::sealed::Sealed;
use super::segment::Segment;
use super::shared::{Durable, Shared};

/// Most bytes of commits a page looks at: it ends here after a few milliseconds, so that other tasks of
/// the thread get their turn.
const LOOKED_AT_BYTES_MAX: usize = 4 << 20;

/// How many bytes to read at once.
const PIECE_BYTES: usize = 1 << 20;

pub(crate) fn read_correlated(
    shared: &Shared,
    correlation_id: &CorrelationId,
    from: u64,
) -> Result<CorrelatedPage, ReadError> {
    let durable = shared.durable.borrow().clone();
    let mut looking = Looking {
        page: CorrelatedPage { next: from, ..CorrelatedPage::default() },
        id: correlation_id.as_str().as_bytes(),
        entries_count: 0,
        data_bytes: 0,
        looked_at_bytes: 0,
        builder: Builder::new(shared.store, &shared.common.event_types),
    };
    if from < durable.commits {
        let (sealed, active) = {
            let accepting = shared.accepting();
            let index = &accepting.index;
            let number = from.checked_sub(index.first_commit).map(u32::try_from);
            let span = number.and_then(|number| index.span(number.unwrap_or(u32::MAX)));
            (shared.sealed(), (Arc::clone(&accepting.segment), span.map(|span| span.offset)))
        };
        looking.read(&sealed, active, &durable)?;
    }
    let mut page = looking.page;
    page.is_at_head = page.next >= durable.commits;
    Ok(page)
}

struct Looking<'a> {
    page: CorrelatedPage,
    /// The bytes of the correlation id.
    id: &'a [u8],
    /// How many commits and events are in the page.
    entries_count: usize,
    data_bytes: usize,
    looked_at_bytes: usize,
    builder: Builder<'a>,
}

impl Looking<'_> {
    fn is_over(&self) -> bool {
        self.entries_count >= READ_EVENTS_MAX
            || self.data_bytes >= READ_BYTES_MAX
            || self.looked_at_bytes >= LOOKED_AT_BYTES_MAX
    }

    /// Reads segment after segment, up to what is durable.
    fn read(
        &mut self,
        sealed: &Sealed,
        (active, offset): (Arc<Segment>, Option<u64>),
        durable: &Durable,
    ) -> Result<(), ReadError> {
        let from = self.page.next;
        let mut first = sealed.frames_of_commits(&(from..from.saturating_add(1)))?;
        let mut offset_of_first = first.pop().and_then(|frames| Some(frames.spans.first()?.offset));
        let later = sealed.segments.partition_point(|sealed| sealed.end_commit <= from);
        for sealed in sealed.segments.iter().skip(later) {
            let first_commit = sealed.segment.header.first_commit;
            let end = if first_commit < durable.segment { sealed.end } else { durable.end };
            let start = offset_of_first.take().unwrap_or(SEGMENT_BODY_START);
            self.scan(&sealed.segment, start..end)?;
            if self.is_over() || first_commit >= durable.segment {
                return Ok(());
            }
        }
        if active.header.first_commit == durable.segment {
            self.scan(&active, offset.unwrap_or(SEGMENT_BODY_START)..durable.end)?;
        }
        Ok(())
    }

    fn scan(&mut self, segment: &Segment, range: Range<u64>) -> Result<(), ReadError> {
        let end = range.end;
        let file = segment.file().map_err(|error| segment.unreadable(error))?;
        let mut scanner = Scanner::new(&*file, segment.header.salt, range, PIECE_BYTES);
        while !self.is_over() {
            let step = scanner.step().map_err(|error| segment.unreadable(error))?;
            let (at, looked) = match step {
                Step::Frame(at, frame) => (at, self.look_at(&frame)),
                Step::End(Some(fault)) => (scanner.offset(), Err(fault)),
                Step::End(None) if scanner.offset() < end => {
                    (scanner.offset(), Err(FrameFault::Incomplete))
                }
                Step::End(None) => return Ok(()),
            };
            looked.map_err(|fault| segment.damaged(at, &fault))?;
        }
        Ok(())
    }

    fn look_at(&mut self, frame: &Frame) -> Result<(), FrameFault> {
        self.looked_at_bytes += frame.bytes.len();
        if has_correlation_id(frame.body(), self.id) {
            // A copy: a few found commits must not keep the pieces in memory that they were read in.
            let bytes = Bytes::copy_from_slice(&frame.bytes);
            let commit = self.builder.commit(&Frame { header: frame.header, bytes })?;
            self.data_bytes += commit.commit.data_bytes();
            self.entries_count += 1 + commit.commit.events_count();
            self.page.commits.push(commit);
        }
        self.page.next = frame.header.commit.saturating_add(1);
        Ok(())
    }
}

/// Whether the origin at the beginning of a body has this correlation id: a length and the text behind
/// the byte that says what is there.
fn has_correlation_id(body: &[u8], id: &[u8]) -> bool {
    let Some(([bits, length], rest)) = body.split_first_chunk() else { return false };
    bits & what::CORRELATION != 0 && usize::from(*length) == id.len() && rest.starts_with(id)
}
