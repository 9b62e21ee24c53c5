//! How much of a log is behind a place, as far as it can still be read: what an operator gives up by
//! cutting there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{MaintenanceError, io_error, wide};
use crate::log::{FRAME_HEADER_BYTES, FrameHeader, LogInspector, SEGMENT_BODY_START, check_frame};

/// What a cut takes away. Commits in damaged places that have no readable one behind them are not
/// counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CutOff {
    /// How many commits.
    pub commits_count: u64,
    /// How many events.
    pub events_count: u64,
}

/// How much is read at once, in bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// What is behind the first `commits_count` commits, which have `events_count` events.
pub(super) fn behind(
    log: &LogInspector,
    commits_count: u64,
    events_count: u64,
) -> Result<CutOff, MaintenanceError> {
    // The newest readable commit says how many there are: numbers and positions have no holes.
    for &number in log.numbers.iter().rev() {
        let Ok(header) = log.header(number) else { continue };
        let path = log.path(number);
        let found = last_frame(&path, header.salt, header.first_commit);
        let found = found.map_err(|source| io_error("read", &path, source))?;
        let end = found.map_or((header.first_commit, header.first_position), |frame| {
            (frame.commit + 1, frame.first_position + u64::from(frame.events_count))
        });
        return Ok(CutOff {
            commits_count: end.0.saturating_sub(commits_count),
            events_count: end.1.saturating_sub(events_count),
        });
    }
    Ok(CutOff::default())
}

/// The last good frame of a segment, whatever is before it: looked for from the back, byte by byte.
fn last_frame(path: &Path, salt: u64, first_commit: u64) -> io::Result<Option<FrameHeader>> {
    let file = File::open(path)?;
    let file_end = fs::metadata(path)?.len();
    let mut end = file_end;
    while end > SEGMENT_BODY_START {
        let start = end.saturating_sub(PIECE_BYTES).max(SEGMENT_BODY_START);
        // With the rest of a header that begins at the last byte.
        let piece_end = (end + wide(FRAME_HEADER_BYTES) - 1).min(file_end);
        let mut piece = vec![0; usize::try_from(piece_end - start).unwrap_or_default()];
        file.read_exact_at(&mut piece, start)?;
        for (at, head) in piece.windows(FRAME_HEADER_BYTES).enumerate().rev() {
            let place = start + wide(at);
            let Ok(header) = FrameHeader::parse(head) else { continue };
            let is_candidate = header.commit >= first_commit
                && header.synced_commits <= header.commit
                && place + u64::from(header.length) <= file_end;
            let Some(frame_bytes) = header.frame_bytes().ok().filter(|_| is_candidate) else {
                continue;
            };
            let mut frame = vec![0; frame_bytes];
            file.read_exact_at(&mut frame, place)?;
            if let Ok(header) = check_frame(&frame, salt) {
                return Ok(Some(header));
            }
        }
        end = start;
    }
    Ok(None)
}
