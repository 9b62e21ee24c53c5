//! Opening a log: reading the headers of all segments, the indexes of the sealed ones and every frame
//! of the last, telling a torn tail from damage, and cutting the former.
//!
//! A crash can only tear what was not synced. Each frame says how many commits were synced before it
//! was written; so when a frame is broken, and a good one behind it says that the broken one was
//! synced, the file is damaged and nothing is touched. Otherwise what is behind the last good frame
//! was never acknowledged, and is overwritten with zeros. Only the last segment can be torn: one gets
//! its name after the one before it was synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::apply::index_frame;
use super::fault::{FrameFault, LogError};
use super::file::{LogFile, io_error};
use super::frame::{FRAME_FORMAT_VERSION, FRAME_HEADER_BYTES, FrameHeader, check};
use super::header::{HeaderFault, SEGMENT_BODY_START, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::Index;
use super::index_file::{IndexFault, IndexFile};
use super::rebuild::rebuild;
use super::scan::{Scanner, Step};
use super::sealed::{Common, Sealed, SealedSegment, SegmentIndex};
use super::segment::Segment;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 4 << 20;

/// What opening a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// How many commits there are.
    pub commits_count: u64,
    /// How many events there are.
    pub events_count: u64,
    /// How many segments there are, the one that is written to included.
    pub segments_count: usize,
    /// How many index files were missing or damaged, and made again.
    pub indexes_rebuilt_count: usize,
    /// What was cut off the end; `None` when the log ended as it should.
    pub cut: Option<TornTail>,
}

/// The unfinished end of a log: writes that a crash interrupted, none of them acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// Where the cut is.
    pub offset: u64,
    /// How many bytes were cut, up to the last that was not zero.
    pub bytes_count: u64,
    /// What was wrong with the first of them.
    pub what: String,
}

/// A log that is ready to be appended to.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) sealed: Sealed,
    /// The active segment, its file and its index.
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn LogFile>,
    pub(crate) index: Index,
    /// How long the file is; from the end of the last frame to here it holds zeros.
    pub(crate) file_end: u64,
    pub(crate) report: RecoveryReport,
}

/// Opens the log with these segments, oldest first.
pub(crate) fn recover(
    common: &Arc<Common>,
    segments: Vec<Arc<Segment>>,
    synced_at_close: u64,
) -> Result<Recovered, LogError> {
    let mut sealed = Sealed { common: Arc::clone(common), segments: Vec::new() };
    let mut indexes_rebuilt_count = 0;
    for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
        let (index, is_rebuilt) = sealed_index(&sealed, segment, &next.header)?;
        indexes_rebuilt_count += usize::from(is_rebuilt);
        sealed.segments.push(Arc::new(SealedSegment::new(Arc::clone(segment), index)));
    }
    let Some(segment) = segments.last() else {
        return Err(LogError::Missing { path: common.files.folder.path().to_owned() });
    };
    check_is_last(common, segment)?;
    let path = segment.path();
    let file = segment.file().map_err(|source| io_error("open", &path, source))?;
    let recovery = Recovery { file: &*file, path: &path };
    let (mut index, file_end, cut) = recovery.recover(&sealed, &segment.header, synced_at_close)?;
    let latest_ms = sealed.segments.last().map_or(0, |last| last.latest_ms());
    index.latest_ms = index.latest_ms.max(latest_ms);
    let report = RecoveryReport {
        commits_count: index.next_commit(),
        events_count: index.next_position(),
        segments_count: segments.len(),
        indexes_rebuilt_count,
        cut,
    };
    let segment = Arc::clone(segment);
    Ok(Recovered { sealed, segment, file, index, file_end, report })
}

/// The index of a sealed segment: from its file, or made again from its frames, which the second
/// result tells.
fn sealed_index(
    before: &Sealed,
    segment: &Segment,
    next: &SegmentHeader,
) -> Result<(SegmentIndex, bool), LogError> {
    let common = &before.common;
    let path = segment.path();
    let file = segment.file().map_err(|source| io_error("open", &path, source))?;
    let file_end = file.bytes_count().map_err(|source| io_error("look at", &path, source))?;
    let name = segment.index_name();
    let parts = (&common.files, &common.pages);
    let fault = match IndexFile::open(name.clone(), &segment.header, parts, &common.filter_room) {
        Ok(index) => {
            let IndexFile { header, .. } = &index;
            let fits = header.first_commit + header.commits_count == next.first_commit
                && header.first_position + header.events_count == next.first_position
                && header.end <= file_end;
            if fits {
                return Ok((SegmentIndex::File(Box::new(index)), false));
            }
            IndexFault::Damaged { what: "the index does not fit its segment" }
        }
        Err(fault) => fault,
    };
    match &fault {
        IndexFault::Io(source) if source.kind() != io::ErrorKind::NotFound => {
            let what = format!("failed to read its index `{name}`: {source}");
            return Err(LogError::Damaged { path, offset: 0, what });
        }
        IndexFault::Io(_) => warn!(file = %name, "index is missing and made again"),
        IndexFault::Damaged { .. } => {
            warn!(file = %name, error = %fault, "index is damaged and made again");
        }
    }
    let index = rebuild(before, segment, file_end)?;
    let ends_at_next =
        index.next_commit() == next.first_commit && index.next_position() == next.first_position;
    if !ends_at_next {
        let what = format!(
            "it ends with {} commits, and the next segment begins with commit {}",
            index.next_commit(),
            next.first_commit
        );
        return Err(LogError::Damaged { path, offset: index.end(), what });
    }
    Ok((SegmentIndex::Memory(Arc::new(index)), true))
}

/// An index file is only written when there is a next segment: that one is lost.
fn check_is_last(common: &Common, segment: &Segment) -> Result<(), LogError> {
    let names = common.files.folder.list();
    let names = names.map_err(|source| io_error("list", common.files.folder.path(), source))?;
    if names.contains(&segment.index_name()) {
        let what = "the segments behind it are missing".to_owned();
        return Err(LogError::Damaged { path: segment.path(), offset: 0, what });
    }
    Ok(())
}

/// Reads the header of the segment in `file`.
pub(crate) fn read_header(file: &dyn LogFile, path: &Path) -> Result<SegmentHeader, LogError> {
    let recovery = Recovery { file, path };
    let file_end = recovery.io("read the length of", file.bytes_count())?;
    if file_end < SEGMENT_BODY_START {
        return Err(recovery.damaged(0, &HeaderFault::Incomplete));
    }
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    recovery.io("read", file.read_exact_at(&mut bytes, 0))?;
    match SegmentHeader::decode(&bytes) {
        Ok(header) => Ok(header),
        Err(HeaderFault::FormatVersion(version)) => {
            Err(LogError::FormatVersion { path: path.to_owned(), version })
        }
        Err(fault) => Err(recovery.damaged(0, &fault)),
    }
}

/// What is behind the last good frame of the last segment, without changing it.
pub(crate) fn find_torn_tail(
    (file, path): (&dyn LogFile, &Path),
    header: &SegmentHeader,
    place: (u64, u64),
    fault: Option<FrameFault>,
) -> Result<Option<TornTail>, LogError> {
    let recovery = Recovery { file, path };
    let file_end = recovery.io("read the length of", file.bytes_count())?;
    recovery.find_torn_tail(header, place, file_end, fault)
}

struct Recovery<'a> {
    file: &'a dyn LogFile,
    path: &'a Path,
}

impl Recovery<'_> {
    fn io<T>(&self, action: &'static str, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|source| io_error(action, self.path, source))
    }

    fn damaged(&self, offset: u64, what: &dyn std::fmt::Display) -> LogError {
        LogError::Damaged { path: self.path.to_owned(), offset, what: what.to_string() }
    }

    /// Indexes the last segment, cuts what is torn, and gives the length of the file.
    fn recover(
        &self,
        sealed: &Sealed,
        header: &SegmentHeader,
        synced_at_close: u64,
    ) -> Result<(Index, u64, Option<TornTail>), LogError> {
        let file_end = self.io("read the length of", self.file.bytes_count())?;
        let mut index =
            Index::starting_at(header.first_commit, header.first_position, SEGMENT_BODY_START);
        let mut synced_commits = header.first_commit;
        let mut scanner =
            Scanner::new(self.file, header.salt, SEGMENT_BODY_START..file_end, PIECE_BYTES);
        let fault = loop {
            match self.io("read", scanner.step())? {
                Step::Frame(offset, frame) => match index_frame(&mut index, sealed, &frame) {
                    Ok(()) => synced_commits = frame.header.synced_commits,
                    Err(fault @ (FrameFault::Malformed { .. } | FrameFault::Earlier { .. })) => {
                        return Err(self.damaged(offset, &fault));
                    }
                    Err(fault) => break Some(fault),
                },
                // Written by a newer Annals, not torn: its checksum is right.
                Step::End(Some(fault @ (FrameFault::FormatVersion(_) | FrameFault::Flags(_)))) => {
                    return Err(self.damaged(scanner.offset(), &fault));
                }
                Step::End(fault) => break fault,
            }
        };
        // A segment gets its name when its first commits are synced: without them it is not torn.
        if header.first_commit > 0 && index.commits_count() == 0 {
            let fault = fault.unwrap_or(FrameFault::Incomplete);
            return Err(self.damaged(SEGMENT_BODY_START, &fault));
        }
        if index.next_commit() < synced_at_close {
            let fault = fault.unwrap_or(FrameFault::Incomplete);
            return Err(self.damaged(index.end(), &fault));
        }
        let cut = self.cut_torn_tail(header, &index, file_end, fault)?;
        self.write_again(&index, synced_commits)?;
        self.io("sync", self.file.sync_data())?;
        Ok((index, file_end, cut))
    }

    /// Overwrites with zeros what is behind the last good frame, unless it is damage.
    fn cut_torn_tail(
        &self,
        header: &SegmentHeader,
        index: &Index,
        file_end: u64,
        fault: Option<FrameFault>,
    ) -> Result<Option<TornTail>, LogError> {
        let place = (index.end(), index.next_commit());
        let Some(tail) = self.find_torn_tail(header, place, file_end, fault)? else {
            return Ok(None);
        };
        let start = tail.offset;
        let zeros = vec![0; PIECE_BYTES.min(as_usize(tail.bytes_count))];
        // From the back, so that a crash in between leaves a tail that is still torn.
        let mut end = start + tail.bytes_count;
        while end > start {
            let count = (end - start).min(as_u64(zeros.len()));
            let zeros = zeros.get(..as_usize(count)).unwrap_or_default();
            self.io("cut", self.file.write_all_at(zeros, end - count))?;
            end -= count;
        }
        Ok(Some(tail))
    }

    /// What is behind the last good frame, which ends at `start` and is followed by commit
    /// `next_commit`: nothing, what a crash left, or damage.
    fn find_torn_tail(
        &self,
        header: &SegmentHeader,
        (start, next_commit): (u64, u64),
        file_end: u64,
        fault: Option<FrameFault>,
    ) -> Result<Option<TornTail>, LogError> {
        let fault =
            fault.unwrap_or(FrameFault::Malformed { what: "there is more behind unused space" });
        let mut used_end = start;
        self.for_each_piece(start..file_end, 0, |offset, piece| {
            if let Some(last) = piece.iter().rposition(|&byte| byte != 0) {
                used_end = offset + as_u64(last) + 1;
            }
            Ok(())
        })?;
        if used_end == start {
            return Ok(None);
        }
        let overlap = FRAME_HEADER_BYTES - 1;
        self.for_each_piece(start..used_end, overlap, |offset, piece| {
            for (at, head) in piece.windows(FRAME_HEADER_BYTES).enumerate() {
                let candidate = offset + as_u64(at);
                if self.proves_synced(head, candidate, file_end, (header.salt, next_commit))? {
                    return Err(self.damaged(start, &fault));
                }
            }
            Ok(())
        })?;
        Ok(Some(TornTail {
            path: self.path.to_owned(),
            offset: start,
            bytes_count: used_end - start,
            what: fault.to_string(),
        }))
    }

    /// Whether a good frame begins at `offset` that was written after commit `next_commit` was
    /// synced.
    fn proves_synced(
        &self,
        head: &[u8],
        offset: u64,
        file_end: u64,
        (salt, next_commit): (u64, u64),
    ) -> Result<bool, LogError> {
        let Ok(header) = FrameHeader::parse(head) else {
            return Ok(false);
        };
        let is_candidate = header.synced_commits > next_commit
            && header.synced_commits <= header.commit
            && header.format_version == FRAME_FORMAT_VERSION
            && offset + u64::from(header.length) <= file_end;
        if !is_candidate {
            return Ok(false);
        }
        let Ok(frame_bytes) = header.frame_bytes() else {
            return Ok(false);
        };
        let mut frame = vec![0; frame_bytes];
        self.io("read", self.file.read_exact_at(&mut frame, offset))?;
        Ok(check(&frame, salt).is_ok())
    }

    /// Writes the frames again that no later frame says were synced. The operating system may take
    /// them for written although an earlier sync failed; written again, the next sync is a true one.
    fn write_again(&self, index: &Index, synced_commits: u64) -> Result<(), LogError> {
        let first = synced_commits.checked_sub(index.first_commit);
        let first = first.and_then(|commit| u32::try_from(commit).ok());
        let Some(span) = first.and_then(|commit| index.span(commit)) else {
            return Ok(());
        };
        self.for_each_piece(span.offset..index.end(), 0, |offset, piece| {
            self.io("write", self.file.write_all_at(piece, offset))
        })
    }

    /// Hands over the bytes of `range` in pieces, each with the last `overlap` bytes of the one
    /// before.
    fn for_each_piece(
        &self,
        range: std::ops::Range<u64>,
        overlap: usize,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut buffer = vec![0; PIECE_BYTES.min(as_usize(range.end - range.start))];
        let mut offset = range.start;
        while offset < range.end {
            let count = (range.end - offset).min(as_u64(buffer.len()));
            let piece = buffer.get_mut(..as_usize(count)).unwrap_or_default();
            self.io("read", self.file.read_exact_at(piece, offset))?;
            visit(offset, piece)?;
            offset += count;
            if offset < range.end {
                offset -= as_u64(overlap);
            }
        }
        Ok(())
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn as_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
