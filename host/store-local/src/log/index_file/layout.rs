//! The outside of an index file: pages, header and the table of sections.
//!
//! ```text
//!  page   0 ─────────────── 4092 ── 4096      header, at the start of page 0
//!         │ content        │ CRC  │           0     8   10  12     28    36      44       52
//!         └────────────────┴──────┘           │magic│ver│ 0 │store │salt │first  │first   │ …
//!                                                                        commit   position
//! ```
//!
//! Places in the file are counted over the contents of the pages, as if nothing lay between them.

use std::io;

use annals_core::id::StoreId;
use bytes::BufMut as _;
use uuid::Uuid;

use crate::log::checksum::{crc32c, crc32c_append};
use crate::log::cursor::Cursor;
use crate::log::fault::FrameFault;

/// What the name of an index file ends with; before it is the name of its segment.
pub(crate) const INDEX_SUFFIX: &str = ".idx";

/// How long a page is, and how much of it is content.
pub(crate) const PAGE_BYTES: usize = 4_096;
pub(crate) const CONTENT_BYTES: usize = PAGE_BYTES - 4;

/// The version of the format this code writes.
pub(crate) const INDEX_FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"ANNALIDX";

/// How long one entry of a section is, where all are of one length.
pub(crate) const COMMIT_BYTES: usize = 8;
pub(crate) const STREAM_BYTES: usize = 48;
pub(crate) const STREAM_COMMIT_BYTES: usize = 8;
pub(crate) const COMMAND_BYTES: usize = 4;
pub(crate) const ID_BYTES: usize = 12;

/// The sections, in the order in which they are in the file.
pub(crate) const SECTIONS_COUNT: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Commits,
    Streams,
    Names,
    StreamCommits,
    Commands,
    Ids,
    Filter,
    Claims,
    Kinds,
}

impl Section {
    pub(crate) const ALL: [Self; SECTIONS_COUNT] = [
        Self::Commits,
        Self::Streams,
        Self::Names,
        Self::StreamCommits,
        Self::Commands,
        Self::Ids,
        Self::Filter,
        Self::Claims,
        Self::Kinds,
    ];
}

/// Where a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) bytes_count: u64,
}

/// What an index file says of its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexHeader {
    pub(crate) store: StoreId,
    /// The salt of the segment: the index of another file is not believed.
    pub(crate) salt: u64,
    pub(crate) first_commit: u64,
    pub(crate) first_position: u64,
    pub(crate) commits_count: u64,
    pub(crate) events_count: u64,
    /// Where the last frame of the segment ends.
    pub(crate) end: u64,
    /// The time of the last commit.
    pub(crate) latest_ms: u64,
    /// How many pages the file has.
    pub(crate) pages_count: u64,
    pub(crate) sections: [Extent; SECTIONS_COUNT],
}

/// Why an index file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexFault {
    /// It can be made again from the segment.
    #[error("{what}")]
    Damaged { what: &'static str },
    #[error("failed to read an index")]
    Io(#[source] io::Error),
}

impl From<FrameFault> for IndexFault {
    fn from(_: FrameFault) -> Self {
        damaged("a field reaches past the end")
    }
}

pub(crate) const fn damaged(what: &'static str) -> IndexFault {
    IndexFault::Damaged { what }
}

/// How long the header is.
pub(crate) const HEADER_BYTES: usize = 92 + 16 * SECTIONS_COUNT;

impl IndexHeader {
    pub(crate) fn section(&self, section: Section) -> Extent {
        let found = Section::ALL.iter().zip(self.sections).find(|(all, _)| **all == section);
        found.map(|(_, extent)| extent).unwrap_or_default()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.put_slice(&MAGIC);
        out.put_u16_le(INDEX_FORMAT_VERSION);
        out.put_u16_le(0);
        out.put_slice(self.store.uuid().as_bytes());
        for field in [
            self.salt,
            self.first_commit,
            self.first_position,
            self.commits_count,
            self.events_count,
            self.end,
            self.latest_ms,
            self.pages_count,
        ] {
            out.put_u64_le(field);
        }
        for extent in self.sections {
            out.put_u64_le(extent.start);
            out.put_u64_le(extent.bytes_count);
        }
        debug_assert_eq!(out.len(), HEADER_BYTES);
        out
    }

    /// Reads the content of page 0.
    pub(crate) fn decode(content: &[u8]) -> Result<Self, IndexFault> {
        let mut cursor = Cursor::new(content);
        if cursor.array()? != MAGIC {
            return Err(damaged("the file does not begin as an index does"));
        }
        if cursor.u16()? != INDEX_FORMAT_VERSION {
            return Err(damaged("the index has another format version"));
        }
        cursor.u16()?;
        let mut header = Self {
            store: StoreId::new(Uuid::from_bytes(cursor.array()?)),
            salt: cursor.u64()?,
            first_commit: cursor.u64()?,
            first_position: cursor.u64()?,
            commits_count: cursor.u64()?,
            events_count: cursor.u64()?,
            end: cursor.u64()?,
            latest_ms: cursor.u64()?,
            pages_count: cursor.u64()?,
            sections: [Extent::default(); SECTIONS_COUNT],
        };
        for extent in &mut header.sections {
            *extent = Extent { start: cursor.u64()?, bytes_count: cursor.u64()? };
        }
        header.check()?;
        Ok(header)
    }

    /// Whether the sections lie in the file, and are as long as the counts say.
    fn check(&self) -> Result<(), IndexFault> {
        let content_bytes = u64::try_from(CONTENT_BYTES).unwrap_or(u64::MAX);
        let contents = self.pages_count.checked_mul(content_bytes).unwrap_or_default();
        let are_inside = self.sections.iter().all(|extent| {
            extent.start.checked_add(extent.bytes_count).is_some_and(|end| end <= contents)
        });
        let commit_bytes = u64::try_from(COMMIT_BYTES).unwrap_or(u64::MAX);
        let commits = self.section(Section::Commits).bytes_count;
        if !are_inside || self.commits_count.checked_mul(commit_bytes) != Some(commits) {
            return Err(damaged("a section reaches past the end"));
        }
        Ok(())
    }
}

/// The checksum of a page: of the salt, the page's number and its content.
pub(crate) fn page_checksum(salt: u64, page: u64, content: &[u8]) -> u32 {
    let crc = crc32c(&salt.to_le_bytes());
    crc32c_append(crc32c_append(crc, &page.to_le_bytes()), content)
}

/// The content of a page, when its checksum is right.
pub(crate) fn check_page(salt: u64, page: u64, bytes: &[u8]) -> Option<&[u8]> {
    let (content, crc) = bytes.split_at_checked(CONTENT_BYTES)?;
    let crc = u32::from_le_bytes(crc.try_into().ok()?);
    (page_checksum(salt, page, content) == crc).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> IndexHeader {
        let mut sections = [Extent { start: 300, bytes_count: 8 }; SECTIONS_COUNT];
        sections[0] = Extent { start: 200, bytes_count: 48 };
        IndexHeader {
            store: StoreId::new(Uuid::from_u128(7)),
            salt: 1,
            first_commit: 2,
            first_position: 3,
            commits_count: 6,
            events_count: 5,
            end: 4,
            latest_ms: 9,
            pages_count: 1,
            sections,
        }
    }

    #[test]
    fn a_header_reads_back_and_one_that_lies_is_refused() {
        // Guards the reader: no section outside the file is ever looked at.
        let bytes = header().encode();
        assert_eq!(IndexHeader::decode(&bytes).unwrap(), header());
        for count in 0..bytes.len() {
            assert!(IndexHeader::decode(&bytes[..count]).is_err(), "{count} bytes");
        }
        for (at, value) in [(0, 0), (8, 9), (84, 0), (92 + 7, 255), (92 + 8, 47)] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            assert!(IndexHeader::decode(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_page_is_only_believed_at_its_place() {
        // Guards against stale pages: of another file, another place, or with a flipped bit.
        let mut page = vec![5; CONTENT_BYTES];
        page.put_u32_le(page_checksum(1, 2, &page));
        assert!(check_page(1, 2, &page).is_some());
        assert!(check_page(2, 2, &page).is_none());
        assert!(check_page(1, 3, &page).is_none());
        assert!(check_page(1, 2, &page[1..]).is_none());
        page[17] ^= 1;
        assert!(check_page(1, 2, &page).is_none());
    }
}
