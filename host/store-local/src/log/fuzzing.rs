//! Damaged segments and index files whose checksums are right, for fuzzing: they reach the code behind
//! the checksums, which must give an error or a sane answer and never panic.
//!
//! `fuzz/` runs it with libFuzzer; a test runs a bounded number of mutations. `folder.rs` keeps a log in
//! memory, `sample.rs` makes the files to mutate, `ask.rs` asks a log everything.

mod ask;
mod folder;
mod sample;

use std::sync::Arc;

use self::ask::ask_everything;
use self::folder::MemoryFolder;
use self::sample::{INDEX, Ids, SEGMENT, files};
pub use self::sample::{sample_index, sample_segment};
use super::checksum::{crc32c, crc32c_append};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, body_checksum, seal};
use super::header::{SEGMENT_BODY_START, SEGMENT_HEADER_BYTES};
use super::options::{LogOptions, SEGMENT_BYTES_MIN};
use super::segments::WhenMissing;
use super::store::LocalEventStore;

/// How long a page of an index file is, and where its checksum begins.
const PAGE_BYTES: usize = 4_096;
const PAGE_CRC: usize = 4_092;

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: SEGMENT_BYTES_MIN,
    index_cache_bytes_max: 0,
    filter_bytes_max: 1 << 20,
};

/// Opens a log that has `bytes` as its only segment, and one that has them as a sealed segment whose
/// index file is believed, and asks both everything. Checksums are made right before.
pub fn decode_segment(bytes: &[u8]) {
    let mut segment = bytes.to_vec();
    correct_segment(&mut segment);
    let folder = MemoryFolder::default();
    folder.put(SEGMENT, segment.clone());
    open_and_ask(folder);
    let folder = MemoryFolder::with(files());
    folder.put(SEGMENT, segment);
    open_and_ask(folder);
}

/// Opens a log one of whose index files has the content `bytes`, and asks it everything. Checksums are
/// made right before.
pub fn read_index(bytes: &[u8]) {
    let mut index = bytes.to_vec();
    correct_index(&mut index);
    let folder = MemoryFolder::with(files());
    folder.put(INDEX, index);
    open_and_ask(folder);
}

fn open_and_ask(folder: MemoryFolder) {
    let ids = Ids::default();
    let opened = LocalEventStore::open_parts(Arc::new(folder), WhenMissing::Refuse, &ids, OPTIONS);
    if let Ok((store, _, _)) = opened {
        ask_everything(&store);
    }
}

/// Makes the checksums of the header and of all frames right that can be walked over.
fn correct_segment(segment: &mut [u8]) {
    if segment.len() < SEGMENT_HEADER_BYTES {
        return;
    }
    let (header, mut rest) = segment.split_at_mut(SEGMENT_HEADER_BYTES);
    let crc = crc32c(header.get(..12).unwrap_or_default());
    let crc = crc32c_append(crc, header.get(16..).unwrap_or_default());
    copy(header, 12, &crc.to_le_bytes());
    let salt = number(header, 48);
    debug_assert_eq!(u64::try_from(SEGMENT_HEADER_BYTES), Ok(SEGMENT_BODY_START));
    loop {
        let Ok(parsed) = FrameHeader::parse(rest) else { return };
        let Ok(frame_bytes) = parsed.frame_bytes() else { return };
        let Some((frame, behind)) = rest.split_at_mut_checked(frame_bytes) else { return };
        let body_start = FRAME_HEADER_BYTES + 8 * usize::from(parsed.streams_count);
        let body = body_checksum(frame.get(body_start..).unwrap_or_default(), salt);
        copy(frame, 4, &body.to_le_bytes());
        seal(frame, parsed.synced_commits);
        rest = behind;
    }
}

/// Makes the checksums of all pages right.
fn correct_index(index: &mut [u8]) {
    let salt = number(&sample_segment(), 48);
    for (page, bytes) in (0_u64..).zip(index.chunks_exact_mut(PAGE_BYTES)) {
        let crc = crc32c(&salt.to_le_bytes());
        let crc = crc32c_append(crc, &page.to_le_bytes());
        let crc = crc32c_append(crc, bytes.get(..PAGE_CRC).unwrap_or_default());
        copy(bytes, PAGE_CRC, &crc.to_le_bytes());
    }
}

fn copy(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = to.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|field| field.try_into().ok());
    field.map_or(0, u64::from_le_bytes)
}
