//! The header of a segment: which store it belongs to, and what makes its frames its own.
//!
//! ```text
//!  0        8    10   12      16                32           40           48     56       64
//!  ┌────────┬────┬────┬───────┬─────────────────┬────────────┬────────────┬──────┬────────┐
//!  │ magic  │ver.│ 0  │ CRC   │ store id        │first commit│first posit.│ salt │ 0      │
//!  └────────┴────┴────┴───────┴─────────────────┴────────────┴────────────┴──────┴────────┘
//! ```
//!
//! `docs/reference/log-format.md` is the reference.

use annals_core::id::StoreId;
use bytes::BufMut as _;
use uuid::Uuid;

use super::checksum::{crc32c, crc32c_append};
use super::cursor::Cursor;
use super::fault::FrameFault;

/// How long the header is.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;

/// Where the first frame begins: right behind the header.
pub(crate) const SEGMENT_BODY_START: u64 = 64;

/// The version of the format this code writes.
pub(crate) const SEGMENT_FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"ANNALSEG";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: StoreId,
    /// Number of the first commit of the segment.
    pub(crate) first_commit: u64,
    /// Position the first event of the segment has or will have.
    pub(crate) first_position: u64,
    /// Goes into the checksum of every frame, so that frames of another file are not frames here.
    pub(crate) salt: u64,
}

/// Why bytes are not the header of a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderFault {
    #[error("the header of the segment is cut off")]
    Incomplete,
    #[error("the file does not begin as a segment does")]
    Magic,
    #[error("the checksum of the segment's header does not match")]
    Checksum,
    #[error("format version {0} is not known")]
    FormatVersion(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        rest.put_slice(self.store.uuid().as_bytes());
        rest.put_u64_le(self.first_commit);
        rest.put_u64_le(self.first_position);
        rest.put_u64_le(self.salt);
        rest.put_u64_le(0);
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.put_slice(&MAGIC);
        bytes.put_u16_le(SEGMENT_FORMAT_VERSION);
        bytes.put_u16_le(0);
        let crc = crc32c_append(crc32c(&bytes), &rest);
        bytes.put_u32_le(crc);
        bytes.put_slice(&rest);
        debug_assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let (Some(head), Some(rest)) = (bytes.get(..12), bytes.get(16..SEGMENT_HEADER_BYTES))
        else {
            return Err(HeaderFault::Incomplete);
        };
        let fields = || -> Result<_, FrameFault> {
            let mut cursor = Cursor::new(bytes);
            let magic: [u8; 8] = cursor.array()?;
            let version = cursor.u16()?;
            cursor.u16()?;
            let crc = cursor.u32()?;
            let header = Self {
                store: StoreId::new(Uuid::from_bytes(cursor.array()?)),
                first_commit: cursor.u64()?,
                first_position: cursor.u64()?,
                salt: cursor.u64()?,
            };
            Ok((magic, version, crc, header))
        };
        let (magic, version, crc, header) = fields().map_err(|_| HeaderFault::Incomplete)?;
        if magic != MAGIC {
            return Err(HeaderFault::Magic);
        }
        if crc != crc32c_append(crc32c(head), rest) {
            return Err(HeaderFault::Checksum);
        }
        if version != SEGMENT_FORMAT_VERSION {
            return Err(HeaderFault::FormatVersion(version));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            store: StoreId::new(Uuid::from_u128(7)),
            first_commit: 1,
            first_position: 2,
            salt: 3,
        }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_found() {
        // Guards R4: a damaged header is never believed.
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
        for count in 0..bytes.len() {
            assert_eq!(SegmentHeader::decode(&bytes[..count]), Err(HeaderFault::Incomplete));
        }
    }
}
