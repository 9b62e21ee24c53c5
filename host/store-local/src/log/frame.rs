//! The outside of a frame: header, places and checksum. One frame is one commit.
//!
//! ```text
//!  0       4     8    9     10       12      16      24        32        40        48
//!  ┌───────┬─────┬────┬─────┬────────┬───────┬───────┬─────────┬─────────┬─────────┬─ ─ ─ ┬─ ─ ─
//!  │length │ CRC │ver.│flags│streams │events │commit │first    │recorded │synced   │places│body
//!  │       │     │    │     │count   │count  │number │position │at (ms)  │commits  │8 × n │
//!  └───────┴─────┴────┴─────┴────────┴───────┴───────┴─────────┴─────────┴─────────┴─ ─ ─ ┴─ ─ ─
//! ```
//!
//! The body does not depend on where the commit goes: callers encode it before they wait for their
//! turn. The places (the first revision per stream) are filled in when the commit is accepted, the
//! count of synced commits and the checksum when it is written. What is in a body is in `encode.rs`
//! and `decode.rs`; `docs/reference/log-format.md` is the reference.

use bytes::{BufMut as _, Bytes};

use super::checksum::{crc32c, crc32c_append};
use super::cursor::Cursor;
use super::fault::FrameFault;

/// How long the fixed part of a frame is; the places follow.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;

/// How long one place is.
pub(crate) const PLACE_BYTES: usize = 8;

/// Longest frame, in bytes (inclusive): five times the data a commit may have, for names, metadata
/// and claims. A longer length in a file is damage.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;

/// The version of the frame format this code writes.
pub(crate) const FRAME_FORMAT_VERSION: u8 = 1;

/// Bit 0 says compressed, bit 1 encrypted, bit 2 not durable; this code writes none of them and
/// refuses them all, as it does the bits without a meaning.
const FLAGS_KNOWN: u8 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Of the whole frame, with this header.
    pub(crate) length: u32,
    pub(crate) crc: u32,
    pub(crate) format_version: u8,
    pub(crate) flags: u8,
    pub(crate) streams_count: u16,
    pub(crate) events_count: u32,
    /// How many commits the store has before this one.
    pub(crate) commit: u64,
    /// Position of the first event, or what it would be.
    pub(crate) first_position: u64,
    pub(crate) recorded_at_ms: u64,
    /// Every commit with a smaller number was synced before this frame was written.
    pub(crate) synced_commits: u64,
}

impl FrameHeader {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FrameFault> {
        let fields = bytes.get(..FRAME_HEADER_BYTES).ok_or(FrameFault::Incomplete)?;
        let mut cursor = Cursor::new(fields);
        Ok(Self {
            length: cursor.u32()?,
            crc: cursor.u32()?,
            format_version: cursor.u8()?,
            flags: cursor.u8()?,
            streams_count: cursor.u16()?,
            events_count: cursor.u32()?,
            commit: cursor.u64()?,
            first_position: cursor.u64()?,
            recorded_at_ms: cursor.u64()?,
            synced_commits: cursor.u64()?,
        })
    }

    /// The length, when it is one a frame can have.
    pub(crate) fn frame_bytes(&self) -> Result<usize, FrameFault> {
        usize::try_from(self.length)
            .ok()
            .filter(|length| (self.body_start()..=FRAME_BYTES_MAX).contains(length))
            .ok_or(FrameFault::Length { length: self.length })
    }

    fn body_start(&self) -> usize {
        body_start(usize::from(self.streams_count))
    }
}

/// Where the body of a frame begins that names this many streams.
pub(crate) const fn body_start(streams_count: usize) -> usize {
    FRAME_HEADER_BYTES + PLACE_BYTES * streams_count
}

/// A frame whose checksum, version and flags have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    /// The whole frame.
    pub(crate) bytes: Bytes,
}

impl Frame {
    /// Checks `bytes`, which must be exactly one frame.
    pub(crate) fn check(bytes: Bytes, salt: u64) -> Result<Self, FrameFault> {
        Self::check_salted(bytes, salt_checksum(salt))
    }

    /// As [`Self::check`], with the checksum of the salt.
    pub(crate) fn check_salted(bytes: Bytes, salt_crc: u32) -> Result<Self, FrameFault> {
        let header = check_salted(&bytes, salt_crc)?;
        Ok(Self { header, bytes })
    }

    /// A frame on its way to the file, which has no checksum yet.
    pub(crate) fn in_flight(bytes: Bytes) -> Result<Self, FrameFault> {
        let header = FrameHeader::parse(&bytes)?;
        Ok(Self { header, bytes })
    }

    /// First revisions, per stream; may be longer than it should on a frame in flight.
    pub(crate) fn places(&self) -> &[u8] {
        self.bytes.get(FRAME_HEADER_BYTES..self.header.body_start()).unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(self.header.body_start()..).unwrap_or_default()
    }
}

/// Checks that `bytes` are exactly one frame of the segment with this salt.
pub(crate) fn check(bytes: &[u8], salt: u64) -> Result<FrameHeader, FrameFault> {
    check_salted(bytes, salt_checksum(salt))
}

fn check_salted(bytes: &[u8], salt_crc: u32) -> Result<FrameHeader, FrameFault> {
    let header = FrameHeader::parse(bytes)?;
    if header.frame_bytes()? != bytes.len() {
        return Err(FrameFault::Incomplete);
    }
    let body = bytes.get(header.body_start()..).unwrap_or_default();
    let body_crc = crc32c_append(salt_crc, body);
    if frame_checksum(bytes, header.body_start(), body_crc) != header.crc {
        return Err(FrameFault::Checksum);
    }
    if header.format_version != FRAME_FORMAT_VERSION {
        return Err(FrameFault::FormatVersion(header.format_version));
    }
    if header.flags & !FLAGS_KNOWN != 0 {
        return Err(FrameFault::Flags(header.flags));
    }
    if header.first_position.checked_add(header.events_count.into()).is_none() {
        return Err(FrameFault::Malformed { what: "its positions are past the last there is" });
    }
    Ok(header)
}

/// The checksum of salt and body, the part that does not depend on the place.
pub(crate) fn body_checksum(body: &[u8], salt: u64) -> u32 {
    crc32c_append(salt_checksum(salt), body)
}

/// The checksum of a salt, with which that of every frame of its segment begins.
pub(crate) fn salt_checksum(salt: u64) -> u32 {
    crc32c(&salt.to_le_bytes())
}

/// The checksum of everything: salt and body first, then the length, then from the version to the
/// last place.
fn frame_checksum(frame: &[u8], body_start: usize, body_crc: u32) -> u32 {
    let length = frame.get(..4).unwrap_or_default();
    let fields = frame.get(8..body_start).unwrap_or_default();
    // Most frames name one or two streams: their fields are short, and one call is faster than two.
    let mut together = [0; 64];
    match together.get_mut(..length.len() + fields.len()) {
        Some(together) => {
            let (start, rest) = together.split_at_mut(length.len());
            start.copy_from_slice(length);
            rest.copy_from_slice(fields);
            crc32c_append(body_crc, together)
        }
        None => crc32c_append(crc32c_append(body_crc, length), fields),
    }
}

/// Where an accepted commit goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) commit: u64,
    pub(crate) first_position: u64,
    pub(crate) recorded_at_ms: u64,
    pub(crate) events_count: u32,
}

/// A frame that has a body but no place: header and places are there, as zeros.
#[derive(Debug)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    streams_count: u16,
    /// Of which segment the checksum is.
    salt: u64,
    body_crc: u32,
}

impl Draft {
    /// Takes bytes whose body is complete; `None` when they are too short or too long for a frame.
    pub(crate) fn new(bytes: Vec<u8>, streams_count: u16, salt: u64) -> Option<Self> {
        let body = bytes.get(body_start(usize::from(streams_count))..)?;
        let body_crc = body_checksum(body, salt);
        let is_short = bytes.len() <= FRAME_BYTES_MAX;
        is_short.then_some(Self { bytes, streams_count, salt, body_crc })
    }

    /// Makes it a frame of the segment with this salt: another one was begun in the meantime.
    pub(crate) fn move_to(&mut self, salt: u64) {
        if self.salt != salt {
            let start = body_start(usize::from(self.streams_count));
            self.body_crc = body_checksum(self.bytes.get(start..).unwrap_or_default(), salt);
            self.salt = salt;
        }
    }

    pub(crate) fn bytes_count(&self) -> usize {
        self.bytes.len()
    }

    /// Fills in everything but the count of synced commits; the checksum field holds that of the
    /// body until [`seal`] completes it.
    pub(crate) fn place(
        mut self,
        place: Place,
        first_revisions: impl Iterator<Item = u64>,
    ) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let mut out = self.bytes.as_mut_slice();
        out.put_u32_le(length);
        out.put_u32_le(self.body_crc);
        out.put_u8(FRAME_FORMAT_VERSION);
        out.put_u8(0);
        out.put_u16_le(self.streams_count);
        out.put_u32_le(place.events_count);
        out.put_u64_le(place.commit);
        out.put_u64_le(place.first_position);
        out.put_u64_le(place.recorded_at_ms);
        out.put_u64_le(0);
        for revision in first_revisions.take(usize::from(self.streams_count)) {
            out.put_u64_le(revision);
        }
        self.bytes
    }
}

/// Completes a placed frame just before it is written: how many commits are synced, and the
/// checksum.
pub(crate) fn seal(frame: &mut [u8], synced_commits: u64) {
    let Ok(header) = FrameHeader::parse(frame) else {
        debug_assert!(false, "a placed frame has a header");
        return;
    };
    if let Some(field) = frame.get_mut(40..FRAME_HEADER_BYTES) {
        field.copy_from_slice(&synced_commits.to_le_bytes());
    }
    let crc = frame_checksum(frame, header.body_start(), header.crc);
    if let Some(field) = frame.get_mut(4..8) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x1234_5678_9abc_def0;

    fn sealed() -> Vec<u8> {
        let mut bytes = vec![0; body_start(2)];
        bytes.extend_from_slice(b"body");
        let draft = Draft::new(bytes, 2, SALT).unwrap();
        let place = Place { commit: 5, first_position: 6, recorded_at_ms: 7, events_count: 8 };
        let mut frame = draft.place(place, [9, 10].into_iter());
        seal(&mut frame, 4);
        frame
    }

    #[test]
    fn a_sealed_frame_reads_back() {
        // Guards the layout: these bytes are in files for ever.
        let bytes = sealed();
        let frame = Frame::check(Bytes::from(bytes.clone()), SALT).unwrap();
        let header = FrameHeader {
            length: 68,
            crc: frame.header.crc,
            format_version: 1,
            flags: 0,
            streams_count: 2,
            events_count: 8,
            commit: 5,
            first_position: 6,
            recorded_at_ms: 7,
            synced_commits: 4,
        };
        assert_eq!(frame.header, header);
        assert_eq!(frame.places(), [9, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(frame.body(), b"body");
        // The checksum by its definition, over one run of bytes.
        let mut all = SALT.to_le_bytes().to_vec();
        all.extend_from_slice(&bytes[64..]);
        all.extend_from_slice(&bytes[..4]);
        all.extend_from_slice(&bytes[8..64]);
        assert_eq!(frame.header.crc, crc32c::crc32c(&all));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        // Guards R3: no broken frame is ever believed, and none of another segment.
        let bytes = sealed();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped, SALT).is_err(), "bit {bit}");
        }
        for count in 0..bytes.len() {
            assert!(check(&bytes[..count], SALT).is_err(), "{count} bytes");
        }
        assert_eq!(check(&bytes, SALT + 1), Err(FrameFault::Checksum));
    }

    #[test]
    fn versions_and_flags_of_the_future_are_refused() {
        // Guards against reading compressed or encrypted bytes as if they were plain.
        for (at, value, fault) in [
            (8, 2, FrameFault::FormatVersion(2)),
            (9, 1, FrameFault::Flags(1)),
            (9, 0x80, FrameFault::Flags(0x80)),
        ] {
            let mut bytes = sealed();
            bytes[at] = value;
            let body_crc = body_checksum(&bytes[64..], SALT);
            let crc = frame_checksum(&bytes, 64, body_crc);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(check(&bytes, SALT), Err(fault));
        }
    }
}
