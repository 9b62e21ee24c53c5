//! Making the index of a sealed segment from its frames.

use super::apply::index_frame;
use super::fault::{FrameFault, LogError};
use super::file::io_error;
use super::header::SEGMENT_BODY_START;
use super::index::Index;
use super::scan::{Scanner, Step};
use super::sealed::Sealed;
use super::segment::Segment;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 4 << 20;

/// The index of `segment`, whose frames end at `end`. `before` are the segments before it.
pub(crate) fn rebuild(before: &Sealed, segment: &Segment, end: u64) -> Result<Index, LogError> {
    let path = segment.path();
    let header = &segment.header;
    let file = segment.file().map_err(|source| io_error("open", &path, source))?;
    let mut index =
        Index::starting_at(header.first_commit, header.first_position, SEGMENT_BODY_START);
    let mut scanner = Scanner::new(&*file, header.salt, SEGMENT_BODY_START..end, PIECE_BYTES);
    let damaged = |offset, fault: &FrameFault| LogError::Damaged {
        path: path.clone(),
        offset,
        what: fault.to_string(),
    };
    loop {
        match scanner.step().map_err(|source| io_error("read", &path, source))? {
            Step::Frame(offset, frame) => {
                index_frame(&mut index, before, &frame).map_err(|fault| damaged(offset, &fault))?;
            }
            Step::End(Some(fault)) => return Err(damaged(scanner.offset(), &fault)),
            Step::End(None) => return Ok(index),
        }
    }
}
