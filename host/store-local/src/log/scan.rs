//! Frames one after the other, read in big pieces.

use std::io;

use bytes::Bytes;

use super::fault::FrameFault;
use super::file::LogFile;
use super::frame::{FRAME_HEADER_BYTES, Frame, FrameHeader, salt_checksum};

/// Walks over the frames of a file.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a dyn LogFile,
    /// The checksum of the segment's salt, with which that of every frame begins.
    salt_crc: u32,
    /// Where the next frame begins.
    offset: u64,
    /// Where reading ends.
    end: u64,
    /// How much to read at once, in bytes.
    piece_bytes: usize,
    // Invariant: `piece` holds the bytes of the file from `piece_offset` on.
    piece: Bytes,
    piece_offset: u64,
}

/// What is at a place of the file.
#[derive(Debug)]
pub(crate) enum Step {
    Frame(u64, Frame),
    /// There is no frame here: `fault` tells why, `None` that the bytes are the zeros of unused
    /// space, or that the end is reached.
    End(Option<FrameFault>),
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(
        file: &'a dyn LogFile,
        salt: u64,
        range: std::ops::Range<u64>,
        piece_bytes: usize,
    ) -> Self {
        Self {
            file,
            salt_crc: salt_checksum(salt),
            offset: range.start,
            end: range.end,
            piece_bytes,
            piece: Bytes::new(),
            piece_offset: range.start,
        }
    }

    /// Where the next frame begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Looks at the next place, and walks over it when it is a frame.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if self.offset >= self.end {
            return Ok(Step::End(None));
        }
        if !self.fill(FRAME_HEADER_BYTES)? {
            let rest = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
            let rest = self.bytes(rest)?.unwrap_or_default();
            let is_unused = rest.iter().all(|&byte| byte == 0);
            return Ok(Step::End((!is_unused).then_some(FrameFault::Incomplete)));
        }
        let start = usize::try_from(self.offset - self.piece_offset).unwrap_or(usize::MAX);
        let head = self.piece.get(start..start.saturating_add(FRAME_HEADER_BYTES));
        let head = head.unwrap_or_default();
        if head.iter().all(|&byte| byte == 0) {
            return Ok(Step::End(None));
        }
        let frame_bytes = FrameHeader::parse(head).and_then(|header| header.frame_bytes());
        let frame_bytes = match frame_bytes {
            Ok(frame_bytes) => frame_bytes,
            Err(fault) => return Ok(Step::End(Some(fault))),
        };
        let Some(bytes) = self.bytes(frame_bytes)? else {
            return Ok(Step::End(Some(FrameFault::Incomplete)));
        };
        let count = bytes.len();
        match Frame::check_salted(bytes, self.salt_crc) {
            Ok(frame) => {
                let offset = self.offset;
                self.offset += u64::try_from(count).unwrap_or(u64::MAX);
                Ok(Step::Frame(offset, frame))
            }
            Err(fault) => Ok(Step::End(Some(fault))),
        }
    }

    /// The next `count` bytes; `None` when there are fewer before the end.
    fn bytes(&mut self, count: usize) -> io::Result<Option<Bytes>> {
        if !self.fill(count)? {
            return Ok(None);
        }
        let start = usize::try_from(self.offset - self.piece_offset).unwrap_or(usize::MAX);
        Ok(Some(self.piece.slice(start..start.saturating_add(count))))
    }

    /// Has the next `count` bytes in the piece; false when there are fewer before the end.
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        let start = usize::try_from(self.offset - self.piece_offset).unwrap_or(usize::MAX);
        if start.checked_add(count).is_some_and(|end| end <= self.piece.len()) {
            return Ok(true);
        }
        let rest = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        if rest < count {
            return Ok(false);
        }
        let piece = self.file.read(rest.min(self.piece_bytes.max(count)), self.offset)?;
        self.piece = Bytes::from(piece);
        self.piece_offset = self.offset;
        Ok(true)
    }
}
