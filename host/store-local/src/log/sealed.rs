//! The sealed segments: full, never changed again, and looked up newest first.
//!
//! ```text
//!  oldest                                       newest
//!  [file index] [file index] [file index] [index in memory]   then the active segment, in `shared.rs`
//!                                          being written by `sealer.rs`
//! ```

use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, OnceLock, PoisonError, RwLock};

use annals_core::commit::ClaimHolder;
use annals_core::error::DriverError;
use annals_core::port::event_store::ReadError;
use tracing::warn;

use super::fault::{FrameFault, LogError};
use super::files::Files;
use super::hash::StableHasher;
use super::index::{FrameSpan, Index, Kind, StreamTotals};
use super::index_file::{Filter, FilterRoom, IndexFault, IndexFile, PageCache, StreamFacts};
use super::names::EventTypes;
use super::rebuild::rebuild;
use super::segment::Segment;

/// What all segments of a log share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) files: Arc<Files>,
    pub(crate) pages: Arc<PageCache>,
    pub(crate) filter_room: FilterRoom,
    pub(crate) hasher: StableHasher,
    pub(crate) event_types: EventTypes,
    /// Wakes the sealer: there is an index to write.
    pub(crate) full: Condvar,
}

/// All sealed segments at one time.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) common: Arc<Common>,
    /// Oldest first.
    // Invariant: each begins with the commit and the position at which the one before ends.
    pub(crate) segments: Vec<Arc<SealedSegment>>,
}

#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) segment: Arc<Segment>,
    index: RwLock<SegmentIndex>,
    /// The filter of the index file, once there is one and room for it. Beside the lock: nearly all
    /// looks end here, and a loop over many segments must not wait for each.
    filter: OnceLock<Arc<Filter>>,
    /// The number of the first commit, and the position of the first event, of the next segment.
    pub(crate) end_commit: u64,
    pub(crate) next_position: u64,
    /// Where the last frame ends.
    pub(crate) end: u64,
}

/// Where a sealed segment's index is.
#[derive(Debug)]
pub(crate) enum SegmentIndex {
    Memory(Arc<Index>),
    File(Box<IndexFile>),
}

/// Some of the frames of a sealed segment.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) segment: Arc<Segment>,
    pub(crate) spans: Vec<FrameSpan>,
}

impl SealedSegment {
    pub(crate) fn new(segment: Arc<Segment>, index: SegmentIndex) -> Self {
        let (end_commit, next_position, end) = match &index {
            SegmentIndex::Memory(index) => {
                (index.next_commit(), index.next_position(), index.end())
            }
            SegmentIndex::File(index) => (
                index.header.first_commit + index.header.commits_count,
                index.header.first_position + index.header.events_count,
                index.header.end,
            ),
        };
        let filter = OnceLock::new();
        let sealed =
            Self { segment, index: RwLock::new(index), filter, end_commit, next_position, end };
        sealed.keep_filter();
        sealed
    }

    fn keep_filter(&self) {
        if let SegmentIndex::File(index) =
            &*self.index.read().unwrap_or_else(PoisonError::into_inner)
            && let Some(filter) = &index.filter
        {
            // Another one is there only when an index was made again: both say the same.
            self.filter.get_or_init(|| Arc::clone(filter));
        }
    }

    /// Whether the segment may hold something with this hash.
    fn may_have(&self, hash: u64) -> bool {
        self.filter.get().is_none_or(|filter| filter.may_have(hash))
    }

    /// The index, when it is not in a file yet.
    pub(crate) fn index_in_memory(&self) -> Option<Arc<Index>> {
        match &*self.index.read().unwrap_or_else(PoisonError::into_inner) {
            SegmentIndex::Memory(index) => Some(Arc::clone(index)),
            SegmentIndex::File(_) => None,
        }
    }

    pub(crate) fn replace_index(&self, index: SegmentIndex) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        self.keep_filter();
    }

    /// The time of the last commit.
    pub(crate) fn latest_ms(&self) -> u64 {
        match &*self.index.read().unwrap_or_else(PoisonError::into_inner) {
            SegmentIndex::Memory(index) => index.latest_ms,
            SegmentIndex::File(index) => index.header.latest_ms,
        }
    }

    pub(crate) fn kinds(&self) -> Vec<(Kind, u64)> {
        match &*self.index.read().unwrap_or_else(PoisonError::into_inner) {
            SegmentIndex::Memory(index) => {
                index.counts().map(|(kind, count)| (kind.clone(), count)).collect()
            }
            SegmentIndex::File(index) => index.kinds.clone(),
        }
    }
}

impl Sealed {
    /// Looks something up in the index of the segment at `at`. An index file that turns out to be
    /// damaged is made again from its segment first.
    fn look<T>(
        &self,
        at: usize,
        look: impl Fn(&SegmentIndex) -> Result<T, IndexFault>,
    ) -> Result<Option<T>, ReadError> {
        let Some(sealed) = self.segments.get(at) else {
            return Ok(None);
        };
        let looked = look(&sealed.index.read().unwrap_or_else(PoisonError::into_inner));
        let fault = match looked {
            Ok(found) => return Ok(Some(found)),
            // One that is gone is made again, as one that is damaged.
            Err(IndexFault::Io(source)) if source.kind() != io::ErrorKind::NotFound => {
                return Err(sealed.segment.unreadable(source));
            }
            Err(fault) => fault,
        };
        let name = sealed.segment.index_name();
        warn!(file = %name, error = %fault, "index is damaged and made again");
        let index = self.rebuild(at).map_err(|error| {
            let message = format!("failed to make `{name}` again");
            ReadError::Damaged(DriverError::with_source(&message, error))
        })?;
        sealed.replace_index(SegmentIndex::Memory(Arc::new(index)));
        self.common.full.notify_all();
        look(&sealed.index.read().unwrap_or_else(PoisonError::into_inner))
            .map(Some)
            .map_err(|fault| ReadError::Damaged(DriverError::new(&fault.to_string())))
    }

    /// The index of the segment at `at`, from its frames.
    fn rebuild(&self, at: usize) -> Result<Index, LogError> {
        let (before, _) = self.segments.split_at_checked(at).unwrap_or_default();
        let before = Self { common: Arc::clone(&self.common), segments: before.to_vec() };
        match self.segments.get(at) {
            Some(sealed) => rebuild(&before, &sealed.segment, sealed.end),
            None => Ok(Index::starting_at(0, 0, 0)),
        }
    }

    /// The segments that may hold something with this hash, newest first.
    fn that_may_have(&self, hash: u64) -> impl Iterator<Item = usize> {
        let segments = self.segments.iter().enumerate().rev();
        segments.filter(move |(_, sealed)| sealed.may_have(hash)).map(|(at, _)| at)
    }

    /// How much all sealed segments hold of a stream.
    pub(crate) fn stream_totals(&self, stream: &str) -> Result<StreamTotals, ReadError> {
        let hash = self.common.hasher.stream(stream);
        for at in self.that_may_have(hash) {
            if let Some((totals, _)) = self.stream_in(at, stream, hash)? {
                return Ok(totals);
            }
        }
        Ok(StreamTotals::default())
    }

    /// How much there is of a stream up to the segment at `at`, when that has something of it, and
    /// before it.
    fn stream_in(
        &self,
        at: usize,
        stream: &str,
        hash: u64,
    ) -> Result<Option<(StreamTotals, StreamTotals)>, ReadError> {
        let found = self.look(at, |index| match index {
            SegmentIndex::Memory(index) => {
                Ok(index.find_stream(stream).map(|entry| (entry.totals(), entry.before)))
            }
            SegmentIndex::File(index) => {
                Ok(index.find_stream(stream, hash)?.map(|facts| (facts.totals(), facts.before)))
            }
        })?;
        Ok(found.flatten())
    }

    /// How much there is of a stream, and its last commit; `None` when there is nothing.
    pub(crate) fn stream_end(
        &self,
        stream: &str,
    ) -> Result<Option<(StreamTotals, Option<u64>)>, ReadError> {
        let hash = self.common.hasher.stream(stream);
        for at in self.that_may_have(hash) {
            let found = self.look(at, |index| match index {
                SegmentIndex::Memory(index) => Ok(index.find_stream(stream).map(|entry| {
                    let last = entry.last_commit();
                    (entry.totals(), last.map(|commit| index.first_commit + u64::from(commit)))
                })),
                SegmentIndex::File(index) => match index.find_stream(stream, hash)? {
                    Some(facts) => Ok(Some((facts.totals(), index.last_commit(&facts)?))),
                    None => Ok(None),
                },
            })?;
            if let Some(found) = found.flatten() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The frames with the events of a stream whose revisions are in `wanted`, oldest first.
    pub(crate) fn frames_of_events(
        &self,
        stream: &str,
        wanted: &Range<u64>,
    ) -> Result<Vec<Frames>, ReadError> {
        self.frames_of(stream, wanted, Of::Events)
    }

    /// The frames with the commands of a stream whose numbers, counted from its first, are in
    /// `wanted`, oldest first.
    pub(crate) fn frames_of_commands(
        &self,
        stream: &str,
        wanted: &Range<u64>,
    ) -> Result<Vec<Frames>, ReadError> {
        self.frames_of(stream, wanted, Of::Commands)
    }

    fn frames_of(
        &self,
        stream: &str,
        wanted: &Range<u64>,
        of: Of,
    ) -> Result<Vec<Frames>, ReadError> {
        let hash = self.common.hasher.stream(stream);
        let mut all = Vec::new();
        let mut end = u64::MAX;
        for at in self.that_may_have(hash) {
            if end <= wanted.start {
                break;
            }
            let found = self.look(at, |index| match index {
                SegmentIndex::Memory(index) => Ok(index.find_stream(stream).map(|entry| {
                    let before = of.count(entry.before);
                    let inside = relative(wanted, before);
                    let spans = match of {
                        Of::Events => index.commits_with(entry, &inside),
                        Of::Commands => index.commands(entry, &inside),
                    };
                    (before, spans)
                })),
                SegmentIndex::File(index) => {
                    let Some(facts) = index.find_stream(stream, hash)? else {
                        return Ok(None);
                    };
                    let before = of.count(facts.before);
                    let inside = relative(wanted, before);
                    let spans = match of {
                        Of::Events => index.commits_with(&facts, &inside)?,
                        Of::Commands => index.commands(&facts, &inside)?,
                    };
                    Ok(Some((before, spans)))
                }
            })?;
            let Some((before, spans)) = found.flatten() else { continue };
            end = before;
            if let Some(sealed) = self.segments.get(at)
                && !spans.is_empty()
            {
                all.push(Frames { segment: Arc::clone(&sealed.segment), spans });
            }
        }
        all.reverse();
        Ok(all)
    }

    /// The frames that may have an id with this hash, newest segment first.
    pub(crate) fn candidates(&self, hash: u64) -> Result<Vec<Frames>, ReadError> {
        let mut all = Vec::new();
        for at in self.that_may_have(hash) {
            let spans = self.look(at, |index| match index {
                SegmentIndex::Memory(index) => Ok(index.candidates(hash)),
                SegmentIndex::File(index) => index.candidates(hash),
            })?;
            if let Some(spans) = spans.filter(|spans| !spans.is_empty())
                && let Some(sealed) = self.segments.get(at)
            {
                all.push(Frames { segment: Arc::clone(&sealed.segment), spans });
            }
        }
        Ok(all)
    }

    /// Who holds a claim, maybe expired.
    pub(crate) fn claim(&self, scope: &str, key: &str) -> Result<Option<ClaimHolder>, ReadError> {
        let hash = self.common.hasher.claim(scope, key);
        for at in self.that_may_have(hash) {
            let said = self.look(at, |index| match index {
                SegmentIndex::Memory(index) => {
                    Ok(index.claims.get(scope, key).map(|holder| holder.cloned()))
                }
                SegmentIndex::File(index) => index.claim((scope, key), hash),
            })?;
            if let Some(holder) = said.flatten() {
                return Ok(holder);
            }
        }
        Ok(None)
    }

    /// The segment that holds a commit, and where its frames from this commit to `end` are.
    pub(crate) fn frames_of_commits(&self, wanted: &Range<u64>) -> Result<Vec<Frames>, ReadError> {
        let first = self.segments.partition_point(|sealed| sealed.end_commit <= wanted.start);
        let mut all = Vec::new();
        for (at, sealed) in self.segments.iter().enumerate().skip(first) {
            let begin = sealed.segment.header.first_commit;
            if begin >= wanted.end {
                break;
            }
            let numbers = wanted.start.max(begin)..wanted.end.min(sealed.end_commit);
            let numbers: Vec<u32> =
                numbers.filter_map(|number| u32::try_from(number - begin).ok()).collect();
            let spans = self.look(at, |index| match index {
                SegmentIndex::Memory(index) => {
                    Ok(numbers.iter().filter_map(|&number| index.span(number)).collect())
                }
                SegmentIndex::File(index) => index.spans(numbers.iter().copied()),
            })?;
            let segment = Arc::clone(&sealed.segment);
            all.push(Frames { segment, spans: spans.unwrap_or_default() });
        }
        Ok(all)
    }

    /// Which segment holds the event at `position`, and where its frame begins. `None`: none of them.
    pub(crate) fn find_position(&self, position: u64) -> Result<Option<(usize, u64)>, ReadError> {
        let at = self.segments.partition_point(|sealed| sealed.next_position <= position);
        let offset = self.look(at, |index| match index {
            SegmentIndex::Memory(index) => Ok(index.offset_of_position(position)),
            SegmentIndex::File(index) => index.offset_of_position(position),
        })?;
        match offset {
            None => Ok(None),
            Some(Some(offset)) => Ok(Some((at, offset))),
            Some(None) => {
                let fault = FrameFault::Malformed { what: "a position is in no frame" };
                let damaged = self.segments.get(at).map(|sealed| sealed.segment.damaged(0, &fault));
                damaged.map_or(Ok(None), Err)
            }
        }
    }
}

/// What of a stream is looked for.
#[derive(Debug, Clone, Copy)]
enum Of {
    Events,
    Commands,
}

impl Of {
    const fn count(self, totals: StreamTotals) -> u64 {
        match self {
            Self::Events => totals.events_count,
            Self::Commands => totals.commands_count,
        }
    }
}

impl StreamFacts {
    fn totals(&self) -> StreamTotals {
        StreamTotals {
            events_count: self.before.events_count.saturating_add(self.own.events_count),
            commands_count: self.before.commands_count.saturating_add(self.own.commands_count),
        }
    }
}

/// A range counted from `before`.
pub(crate) fn relative(wanted: &Range<u64>, before: u64) -> Range<u64> {
    wanted.start.saturating_sub(before)..wanted.end.saturating_sub(before)
}
