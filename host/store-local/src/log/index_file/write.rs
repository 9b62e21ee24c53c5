//! Writing the index of a segment that is full: everything is sorted in memory, and written once.

use std::io;
use std::sync::Arc;

use annals_core::commit::ClaimHolder;
use annals_core::id::StoreId;
use bytes::BufMut as _;

use super::filter;
use super::layout::{
    CONTENT_BYTES, Extent, HEADER_BYTES, IndexHeader, PAGE_BYTES, SECTIONS_COUNT, Section,
    page_checksum,
};
use crate::log::claims::Name;
use crate::log::file::LogFile;
use crate::log::hash::StableHasher;
use crate::log::header::SegmentHeader;
use crate::log::index::{Index, Kind, StreamEntry};

/// How much is written at once, in pages.
const PAGES_PER_WRITE: usize = 256;

/// Writes the index of the segment with `segment` as its header into an empty file, and makes it
/// durable.
pub(crate) fn write(file: &dyn LogFile, segment: &SegmentHeader, index: &Index) -> io::Result<()> {
    let mut offset = 0;
    for_each_piece(segment, index, |bytes| {
        file.write_all_at(bytes, offset)?;
        offset += wide(bytes.len());
        Ok(())
    })?;
    file.sync_data()
}

/// Hands over the bytes of the index file, piece by piece. The same frames give the same bytes.
pub(crate) fn for_each_piece(
    segment: &SegmentHeader,
    index: &Index,
    mut visit: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let contents = contents(segment, index);
    let mut buffer = Vec::with_capacity(PAGES_PER_WRITE * PAGE_BYTES);
    let mut page = 0;
    for pages in contents.chunks(PAGES_PER_WRITE * CONTENT_BYTES) {
        buffer.clear();
        for content in pages.chunks(CONTENT_BYTES) {
            let start = buffer.len();
            buffer.put_slice(content);
            buffer.resize(start + CONTENT_BYTES, 0);
            let crc = page_checksum(segment.salt, page, buffer.get(start..).unwrap_or_default());
            buffer.put_u32_le(crc);
            page += 1;
        }
        visit(&buffer)?;
    }
    Ok(())
}

/// The contents of all pages, one after the other.
fn contents(segment: &SegmentHeader, index: &Index) -> Vec<u8> {
    let hasher = StableHasher::new(segment.store);
    let mut streams: Vec<&StreamEntry> = index.streams().iter().collect();
    streams.sort_unstable_by(|a, b| (a.hash, a.id.as_str()).cmp(&(b.hash, b.id.as_str())));
    let mut ids: Vec<(u64, u32)> = index.ids.iter().collect();
    ids.sort_unstable();
    let mut claims: Vec<(u64, &Name, Option<&ClaimHolder>)> = index
        .claims
        .iter()
        .map(|(name, holder)| (hasher.claim(&name.scope, &name.key), name, holder))
        .collect();
    claims.sort_unstable_by_key(|(hash, name, _)| (*hash, *name));
    let mut sections = Sections { out: vec![0; HEADER_BYTES], extents: Vec::new() };
    sections.put(|out| put_commits(out, index));
    put_streams(&mut sections, &streams);
    sections.put(|out| {
        for &(hash, commit) in &ids {
            out.put_u64_le(hash);
            out.put_u32_le(commit);
        }
    });
    sections.put(|out| {
        let hashes = streams.iter().map(|entry| entry.hash);
        let hashes = hashes.chain(ids.iter().map(|(hash, _)| *hash));
        let hashes: Vec<_> = hashes.chain(claims.iter().map(|(hash, _, _)| *hash)).collect();
        out.put_slice(&filter::build(hashes.into_iter()));
    });
    sections.put(|out| put_claims(out, &claims));
    sections.put(|out| put_kinds(out, index));
    sections.finish(segment, index)
}

struct Sections {
    out: Vec<u8>,
    extents: Vec<Extent>,
}

impl Sections {
    fn put(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        put(&mut self.out);
        self.extents.push(Extent { start: wide(start), bytes_count: wide(self.out.len() - start) });
    }

    fn finish(mut self, segment: &SegmentHeader, index: &Index) -> Vec<u8> {
        let mut sections = [Extent::default(); SECTIONS_COUNT];
        debug_assert_eq!(self.extents.len(), Section::ALL.len());
        for (section, extent) in sections.iter_mut().zip(self.extents) {
            *section = extent;
        }
        let header = IndexHeader {
            store: StoreId::new(segment.store.uuid()),
            salt: segment.salt,
            first_commit: index.first_commit,
            first_position: index.first_position,
            commits_count: index.commits_count(),
            events_count: index.events_count(),
            end: index.end(),
            latest_ms: index.latest_ms,
            pages_count: wide(self.out.len().div_ceil(CONTENT_BYTES)),
            sections,
        };
        if let Some(start) = self.out.get_mut(..HEADER_BYTES) {
            start.copy_from_slice(&header.encode());
        }
        self.out
    }
}

fn put_commits(out: &mut Vec<u8>, index: &Index) {
    for (&offset, &position) in index.offsets().iter().zip(index.positions()) {
        out.put_u32_le(offset);
        out.put_u32_le(position);
    }
}

/// The sections of streams, names, commits of streams and commands of streams.
fn put_streams(sections: &mut Sections, streams: &[&StreamEntry]) {
    sections.put(|out| {
        let (mut name_at, mut commits_at, mut commands_at) = (0_u32, 0_u32, 0_u32);
        for entry in streams {
            out.put_u64_le(entry.hash);
            out.put_u64_le(entry.before.events_count);
            out.put_u64_le(entry.before.commands_count);
            out.put_u32_le(name_at);
            out.put_u32_le(entry.events_count);
            out.put_u32_le(commits_at);
            out.put_u32_le(narrow(entry.commits.len()));
            out.put_u32_le(commands_at);
            out.put_u32_le(narrow(entry.commands.len()));
            name_at = name_at.saturating_add(narrow(entry.id.as_str().len() + 2));
            commits_at = commits_at.saturating_add(narrow(entry.commits.len()));
            commands_at = commands_at.saturating_add(narrow(entry.commands.len()));
        }
    });
    sections.put(|out| {
        for entry in streams {
            put_text(out, entry.id.as_str());
        }
    });
    sections.put(|out| {
        for commit in streams.iter().flat_map(|entry| &entry.commits) {
            out.put_u32_le(commit.first_revision);
            out.put_u32_le(commit.commit);
        }
    });
    sections.put(|out| {
        for &commit in streams.iter().flat_map(|entry| &entry.commands) {
            out.put_u32_le(commit);
        }
    });
}

/// First where each claim is, by hash; then the claims.
fn put_claims(out: &mut Vec<u8>, claims: &[(u64, &Name, Option<&ClaimHolder>)]) {
    out.put_u32_le(narrow(claims.len()));
    let mut bodies = Vec::new();
    for (hash, name, holder) in claims {
        out.put_u64_le(*hash);
        out.put_u32_le(narrow(bodies.len()));
        put_text(&mut bodies, &name.scope);
        put_text(&mut bodies, &name.key);
        match holder {
            None => bodies.put_u8(0),
            Some(holder) => {
                bodies.put_u8(if holder.expires_at.is_some() { 2 } else { 1 });
                put_text(&mut bodies, holder.stream.as_str());
                if let Some(time) = holder.expires_at {
                    bodies.put_u64_le(time.ms());
                }
            }
        }
    }
    out.put_slice(&bodies);
}

fn put_kinds(out: &mut Vec<u8>, index: &Index) {
    let mut kinds: Vec<(&Kind, u64)> = index.counts().collect();
    kinds.sort_unstable();
    out.put_u32_le(narrow(kinds.len()));
    for (kind, events_count) in kinds {
        put_text(out, &Arc::clone(&kind.category));
        put_text(out, kind.event_type.as_str());
        out.put_u32_le(kind.schema_version);
        out.put_u64_le(events_count);
    }
}

/// As 16 bits of length and the text; every name is far shorter than that allows.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A count of things of one segment, which fits 32 bits because its commits do.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
