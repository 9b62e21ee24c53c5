//! Opening a log: reading every frame, telling a torn tail from damage, and cutting the former.
//!
//! A crash can only tear what was not synced. Each frame says how many commits were synced before it
//! was written; so when a frame is broken, and a good one behind it says that the broken one was
//! synced, the file is damaged and nothing is touched. Otherwise what is behind the last good frame
//! was never acknowledged, and is overwritten with zeros.

use std::io;
use std::path::{Path, PathBuf};

use super::apply::index_frame;
use super::fault::{FrameFault, LogError};
use super::file::{LogFile, io_error};
use super::frame::{FRAME_FORMAT_VERSION, FRAME_HEADER_BYTES, FrameHeader, check};
use super::header::{HeaderFault, SEGMENT_BODY_START, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::Index;
use super::names::Names;
use super::scan::{Scanner, Step};

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 4 << 20;

/// What opening a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// How many commits there are.
    pub commits_count: u64,
    /// How many events there are.
    pub events_count: u64,
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
    pub(crate) header: SegmentHeader,
    pub(crate) index: Index,
    pub(crate) latest_ms: u64,
    /// How long the file is; from the end of the last frame to here it holds zeros.
    pub(crate) file_end: u64,
    pub(crate) report: RecoveryReport,
}

pub(crate) fn recover(
    file: &dyn LogFile,
    path: &Path,
    names: &Names,
) -> Result<Recovered, LogError> {
    let recovery = Recovery { file, path };
    let file_end = recovery.io("read the length of", file.bytes_count())?;
    let header = recovery.header(file_end)?;
    let mut index = Index::starting_at(SEGMENT_BODY_START);
    let mut latest_ms = 0;
    let mut synced_commits = 0;
    let mut scanner = Scanner::new(file, header.salt, SEGMENT_BODY_START..file_end, PIECE_BYTES);
    let fault = loop {
        match recovery.io("read", scanner.step())? {
            Step::Frame(offset, frame) => {
                if let Err(fault) = index_frame(&mut index, names, &frame) {
                    if let FrameFault::Malformed { .. } = fault {
                        return Err(recovery.damaged(offset, &fault));
                    }
                    break Some(fault);
                }
                latest_ms = latest_ms.max(frame.header.recorded_at_ms);
                synced_commits = frame.header.synced_commits;
            }
            // Written by a newer Annals, not torn: its checksum is right.
            Step::End(Some(fault @ (FrameFault::FormatVersion(_) | FrameFault::Flags(_)))) => {
                return Err(recovery.damaged(scanner.offset(), &fault));
            }
            Step::End(fault) => break fault,
        }
    };
    let cut = recovery.cut_torn_tail(&header, &index, file_end, fault)?;
    recovery.write_again(&index, synced_commits)?;
    recovery.io("sync", file.sync_data())?;
    let report = RecoveryReport {
        commits_count: index.commits_count(),
        events_count: index.next_position(),
        cut,
    };
    Ok(Recovered { header, index, latest_ms, file_end, report })
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

    fn header(&self, file_end: u64) -> Result<SegmentHeader, LogError> {
        if file_end < SEGMENT_BODY_START {
            return Err(self.damaged(0, &HeaderFault::Incomplete));
        }
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        self.io("read", self.file.read_exact_at(&mut bytes, 0))?;
        match SegmentHeader::decode(&bytes) {
            // The first segment begins at nothing.
            Ok(header) if (header.first_commit, header.first_position) == (0, 0) => Ok(header),
            Ok(_) => Err(self.damaged(0, &"the segments before it are missing")),
            Err(HeaderFault::FormatVersion(version)) => {
                Err(LogError::FormatVersion { path: self.path.to_owned(), version })
            }
            Err(fault) => Err(self.damaged(0, &fault)),
        }
    }

    /// Overwrites with zeros what is behind the last good frame, unless it is damage.
    fn cut_torn_tail(
        &self,
        header: &SegmentHeader,
        index: &Index,
        file_end: u64,
        fault: Option<FrameFault>,
    ) -> Result<Option<TornTail>, LogError> {
        let start = index.end();
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
        let next_commit = index.commits_count();
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
        let zeros = vec![0; PIECE_BYTES.min(as_usize(used_end - start))];
        // From the back, so that a crash in between leaves a tail that is still torn.
        let mut end = used_end;
        while end > start {
            let count = (end - start).min(as_u64(zeros.len()));
            let zeros = zeros.get(..as_usize(count)).unwrap_or_default();
            self.io("cut", self.file.write_all_at(zeros, end - count))?;
            end -= count;
        }
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
        let first = u32::try_from(synced_commits).ok();
        let Some(span) = first.and_then(|commit| index.frame(commit)) else {
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
