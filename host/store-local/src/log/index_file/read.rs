//! Looking things up in an index file. Whatever is found by a hash is verified by its name here, or
//! by its frame by the caller.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::commit::ClaimHolder;
use annals_core::name::EventType;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

use super::filter::{BLOCK_BYTES, Filter, block_of, may_have};
use super::layout::{
    COMMAND_BYTES, COMMIT_BYTES, CONTENT_BYTES, Extent, ID_BYTES, IndexFault, IndexHeader,
    PAGE_BYTES, STREAM_BYTES, STREAM_COMMIT_BYTES, Section, check_page, damaged,
};
use super::pages::PageCache;
use crate::log::cursor::Cursor;
use crate::log::files::Files;
use crate::log::folder::OpenedBy;
use crate::log::header::SegmentHeader;
use crate::log::index::{FrameSpan, Kind, StreamTotals};

/// Most bytes of the header page and the sections read at once when a file is opened, beyond which
/// they are damage: more kinds of events than any application has.
const KINDS_BYTES_MAX: u64 = 16 << 20;

/// How far from where a hash should be to look first, in entries.
const FIRST_STEP: u64 = 64;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// What a sealed segment knows of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamFacts {
    /// What the segments before hold.
    pub(crate) before: StreamTotals,
    /// What this segment holds.
    pub(crate) own: StreamTotals,
    /// The entries of its commits and of its commands, in their sections.
    commits: Range<u64>,
    commands: Range<u64>,
}

/// An open index file. Its pages are in a cache that all share; its filter stays, while there is room.
#[derive(Debug)]
pub(crate) struct IndexFile {
    name: String,
    /// Which index of the cache it is.
    number: u64,
    pub(crate) header: IndexHeader,
    pub(crate) kinds: Vec<(Kind, u64)>,
    /// Looked at before anything else, by whoever has the index; absent when there was no room.
    pub(crate) filter: Option<Arc<Filter>>,
    files: Arc<Files>,
    pages: Arc<PageCache>,
}

/// How many bytes of filters may still be kept in memory.
#[derive(Debug)]
pub(crate) struct FilterRoom(AtomicU64);

impl FilterRoom {
    pub(crate) const fn new(bytes_max: u64) -> Self {
        Self(AtomicU64::new(bytes_max))
    }

    fn take(&self, bytes_count: u64) -> bool {
        let take = |room: u64| room.checked_sub(bytes_count);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

impl IndexFile {
    /// Opens the index of the segment with `segment` as its header.
    pub(crate) fn open(
        name: String,
        segment: &SegmentHeader,
        (files, pages): (&Arc<Files>, &Arc<PageCache>),
        room: &FilterRoom,
    ) -> Result<Self, IndexFault> {
        let file = files.get(&name, OpenedBy::Index).map_err(IndexFault::Io)?;
        let mut page = vec![0; PAGE_BYTES];
        file.read_exact_at(&mut page, 0).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged("the index is cut off"),
            _ => IndexFault::Io(error),
        })?;
        let content = check_page(segment.salt, 0, &page);
        let header = IndexHeader::decode(content.ok_or(damaged("a page has a wrong checksum"))?)?;
        let is_of_segment = header.store == segment.store
            && header.salt == segment.salt
            && header.first_commit == segment.first_commit
            && header.first_position == segment.first_position;
        if !is_of_segment {
            return Err(damaged("the index is of another segment"));
        }
        let page_bytes = u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX);
        let expected = header.pages_count.checked_mul(page_bytes);
        if expected != Some(file.bytes_count().map_err(IndexFault::Io)?) {
            return Err(damaged("the index is cut off"));
        }
        let mut index = Self {
            name,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            header,
            kinds: Vec::new(),
            filter: None,
            files: Arc::clone(files),
            pages: Arc::clone(pages),
        };
        index.kinds = index.read_kinds()?;
        let filter = index.header.section(Section::Filter);
        if room.take(filter.bytes_count) {
            index.filter = Some(Arc::new(Filter::new(index.section(filter)?)));
        }
        Ok(index)
    }

    /// Whether the segment may hold something with this hash.
    fn may_have(&self, hash: u64) -> Result<bool, IndexFault> {
        if let Some(filter) = &self.filter {
            return Ok(filter.may_have(hash));
        }
        let extent = self.header.section(Section::Filter);
        let count = usize::try_from(extent.bytes_count).unwrap_or_default() / BLOCK_BYTES;
        let start = block_of(hash, count) * BLOCK_BYTES;
        let start = u64::try_from(start).unwrap_or(u64::MAX);
        let block: [u8; BLOCK_BYTES] = Window::new(self).array(extent, start)?;
        Ok(may_have(&block, hash))
    }

    /// What the segment holds of a stream; `None` when nothing.
    pub(crate) fn find_stream(
        &self,
        stream: &str,
        hash: u64,
    ) -> Result<Option<StreamFacts>, IndexFault> {
        if !self.may_have(hash)? {
            return Ok(None);
        }
        let mut window = Window::new(self);
        let table = Table::new(self.header.section(Section::Streams), 0, STREAM_BYTES)?;
        let mut entry = table.lower_bound(&mut window, hash)?;
        while entry < table.count {
            let bytes: [u8; STREAM_BYTES] = window.array(table.extent, table.at(entry))?;
            let mut cursor = Cursor::new(&bytes);
            if cursor.u64()? != hash {
                return Ok(None);
            }
            let before =
                StreamTotals { events_count: cursor.u64()?, commands_count: cursor.u64()? };
            let name_at = cursor.u32()?;
            let events_count = u64::from(cursor.u32()?);
            let commits = range(cursor.u32()?, cursor.u32()?);
            let commands = range(cursor.u32()?, cursor.u32()?);
            if self.has_name(&mut window, name_at, stream)? {
                let commands_count = commands.end - commands.start;
                let own = StreamTotals { events_count, commands_count };
                return Ok(Some(StreamFacts { before, own, commits, commands }));
            }
            entry += 1;
        }
        Ok(None)
    }

    fn has_name(&self, window: &mut Window<'_>, at: u32, name: &str) -> Result<bool, IndexFault> {
        let names = self.header.section(Section::Names);
        let length = u16::from_le_bytes(window.array(names, at.into())?);
        if usize::from(length) != name.len() {
            return Ok(false);
        }
        let mut bytes = vec![0; name.len()];
        window.read(names, u64::from(at) + 2, &mut bytes)?;
        Ok(bytes == name.as_bytes())
    }

    /// The commits of a stream that hold revisions of `wanted`, counted from the first of the segment.
    pub(crate) fn commits_with(
        &self,
        facts: &StreamFacts,
        wanted: &Range<u64>,
    ) -> Result<Vec<FrameSpan>, IndexFault> {
        let mut window = Window::new(self);
        let table =
            Table::new(self.header.section(Section::StreamCommits), 0, STREAM_COMMIT_BYTES)?;
        let mut entry = |at: u64| -> Result<(u64, u32), IndexFault> {
            let bytes: [u8; STREAM_COMMIT_BYTES] = window.array(table.extent, table.at(at))?;
            let mut cursor = Cursor::new(&bytes);
            Ok((cursor.u32()?.into(), cursor.u32()?))
        };
        if wanted.is_empty() || wanted.start >= facts.own.events_count {
            return Ok(Vec::new());
        }
        let Range { start: first, end } = facts.commits.clone();
        // The first commit that begins behind the first revision wanted: the one before holds it.
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low + (high - low) / 2;
            if entry(middle)?.0 <= wanted.start { low = middle + 1 } else { high = middle }
        }
        let mut commits = Vec::new();
        for at in low.saturating_sub(1).max(first)..end {
            let (first_revision, commit) = entry(at)?;
            if first_revision >= wanted.end {
                break;
            }
            commits.push(commit);
        }
        self.spans(commits.into_iter())
    }

    /// The commands of a stream with these numbers, counted from the first of the segment.
    pub(crate) fn commands(
        &self,
        facts: &StreamFacts,
        wanted: &Range<u64>,
    ) -> Result<Vec<FrameSpan>, IndexFault> {
        let mut window = Window::new(self);
        let table = Table::new(self.header.section(Section::Commands), 0, COMMAND_BYTES)?;
        let Range { start: first, end } = facts.commands.clone();
        let wanted = first.saturating_add(wanted.start)..end.min(first.saturating_add(wanted.end));
        let commits: Result<Vec<u32>, IndexFault> = wanted
            .map(|at| Ok(u32::from_le_bytes(window.array(table.extent, table.at(at))?)))
            .collect();
        self.spans(commits?.into_iter())
    }

    /// The last commit with events or a command of a stream.
    pub(crate) fn last_commit(&self, facts: &StreamFacts) -> Result<Option<u64>, IndexFault> {
        let last_events = facts.own.events_count.saturating_sub(1)..facts.own.events_count;
        let last_command = facts.own.commands_count.saturating_sub(1)..facts.own.commands_count;
        let with_events = self.commits_with(facts, &last_events)?;
        let with_command = self.commands(facts, &last_command)?;
        let last = with_events.last().into_iter().chain(with_command.last());
        Ok(last.map(|span| span.commit).max())
    }

    /// The commits that may have an id with this hash.
    pub(crate) fn candidates(&self, hash: u64) -> Result<Vec<FrameSpan>, IndexFault> {
        if !self.may_have(hash)? {
            return Ok(Vec::new());
        }
        let mut window = Window::new(self);
        let table = Table::new(self.header.section(Section::Ids), 0, ID_BYTES)?;
        let mut commits = Vec::new();
        for entry in table.lower_bound(&mut window, hash)?..table.count {
            let bytes: [u8; ID_BYTES] = window.array(table.extent, table.at(entry))?;
            let mut cursor = Cursor::new(&bytes);
            if cursor.u64()? != hash {
                break;
            }
            commits.push(cursor.u32()?);
        }
        self.spans(commits.into_iter())
    }

    /// The last thing the segment says of a claim; `None` when nothing.
    pub(crate) fn claim(
        &self,
        (scope, key): (&str, &str),
        hash: u64,
    ) -> Result<Option<Option<ClaimHolder>>, IndexFault> {
        if !self.may_have(hash)? {
            return Ok(None);
        }
        let extent = self.header.section(Section::Claims);
        let mut window = Window::new(self);
        let count = u64::from(u32::from_le_bytes(window.array(extent, 0)?));
        let table = Table { extent, start: 4, entry_bytes: wide(ID_BYTES), count };
        let bodies = 4 + count * wide(ID_BYTES);
        for entry in table.lower_bound(&mut window, hash)?..count {
            let bytes: [u8; ID_BYTES] = window.array(extent, table.at(entry))?;
            let mut cursor = Cursor::new(&bytes);
            if cursor.u64()? != hash {
                break;
            }
            let mut body =
                Body { window: &mut window, extent, at: bodies + u64::from(cursor.u32()?) };
            let is_it = body.text()? == scope;
            if !(body.text()? == key && is_it) {
                continue;
            }
            return Ok(Some(match body.u8()? {
                0 => None,
                has_expiry => {
                    let stream = StreamId::parse(&body.text()?)
                        .map_err(|_| damaged("a stream id is not one"))?;
                    let expires_at =
                        if has_expiry == 2 { Some(Timestamp::from_ms(body.u64()?)) } else { None };
                    Some(ClaimHolder { stream, expires_at })
                }
            }));
        }
        Ok(None)
    }

    /// Where the frame of a commit of the segment is.
    pub(crate) fn spans(
        &self,
        commits: impl Iterator<Item = u32>,
    ) -> Result<Vec<FrameSpan>, IndexFault> {
        let mut window = Window::new(self);
        let table = Table::new(self.header.section(Section::Commits), 0, COMMIT_BYTES)?;
        let mut offset = |commit: u64| -> Result<u64, IndexFault> {
            let bytes: [u8; 4] = window.array(table.extent, table.at(commit))?;
            Ok(u32::from_le_bytes(bytes).into())
        };
        commits
            .map(|commit| {
                let number = u64::from(commit);
                let start = offset(number)?;
                let is_last = number + 1 >= table.count;
                let end = if is_last { self.header.end } else { offset(number + 1)? };
                let bytes_count = end.checked_sub(start).ok_or(damaged("a frame ends early"))?;
                let commit = self.header.first_commit + number;
                Ok(FrameSpan { commit, offset: start, bytes_count })
            })
            .collect()
    }

    /// Where the frame with the event at `position` begins.
    pub(crate) fn offset_of_position(&self, position: u64) -> Result<Option<u64>, IndexFault> {
        let Some(position) = position.checked_sub(self.header.first_position) else {
            return Ok(None);
        };
        let mut window = Window::new(self);
        let table = Table::new(self.header.section(Section::Commits), 0, COMMIT_BYTES)?;
        let (mut low, mut high) = (0, table.count);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes: [u8; COMMIT_BYTES] = window.array(table.extent, table.at(middle))?;
            let mut cursor = Cursor::new(&bytes);
            let (offset, first) = (cursor.u32()?, cursor.u32()?);
            if u64::from(first) <= position {
                found = Some(u64::from(offset));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    fn read_kinds(&self) -> Result<Vec<(Kind, u64)>, IndexFault> {
        let extent = self.header.section(Section::Kinds);
        let bytes = self.section(extent)?;
        let mut cursor = Cursor::new(&bytes);
        let mut kinds = Vec::new();
        for _ in 0..cursor.u32()? {
            let kind = Kind {
                category: cursor.text_16()?.into(),
                event_type: EventType::new(cursor.text_16()?)
                    .map_err(|_| damaged("an event type is not one"))?,
                schema_version: cursor.u32()?,
            };
            kinds.push((kind, cursor.u64()?));
        }
        Ok(kinds)
    }

    /// A whole section, read past the cache: it is looked at once.
    fn section(&self, extent: Extent) -> Result<Vec<u8>, IndexFault> {
        let is_filter = extent == self.header.section(Section::Filter);
        if !is_filter && extent.bytes_count > KINDS_BYTES_MAX {
            return Err(damaged("a section is too long"));
        }
        let content_bytes = wide(CONTENT_BYTES);
        let pages = extent.start / content_bytes
            ..(extent.start + extent.bytes_count).div_ceil(content_bytes);
        let count = usize::try_from(pages.end.saturating_sub(pages.start)).unwrap_or_default();
        let mut bytes = vec![0; count * PAGE_BYTES];
        let file = self.files.get(&self.name, OpenedBy::Index).map_err(IndexFault::Io)?;
        file.read_exact_at(&mut bytes, pages.start * wide(PAGE_BYTES)).map_err(IndexFault::Io)?;
        let mut contents = Vec::with_capacity(count * CONTENT_BYTES);
        for (page, bytes) in pages.clone().zip(bytes.chunks_exact(PAGE_BYTES)) {
            let content = check_page(self.header.salt, page, bytes);
            contents.extend_from_slice(content.ok_or(damaged("a page has a wrong checksum"))?);
        }
        let start = usize::try_from(extent.start - pages.start * content_bytes).unwrap_or_default();
        let end = start + usize::try_from(extent.bytes_count).unwrap_or_default();
        let section = contents.get(start..end).ok_or(damaged("a section is cut off"))?;
        Ok(section.to_vec())
    }
}

/// Reads parts of an index, remembering the page read last: neighbours are usually in it.
struct Window<'a> {
    index: &'a IndexFile,
    page: u64,
    content: Option<Arc<[u8]>>,
}

impl<'a> Window<'a> {
    const fn new(index: &'a IndexFile) -> Self {
        Self { index, page: 0, content: None }
    }

    fn array<const N: usize>(&mut self, extent: Extent, at: u64) -> Result<[u8; N], IndexFault> {
        let mut bytes = [0; N];
        self.read(extent, at, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `out` from `at` on, counted from the start of a section.
    fn read(&mut self, extent: Extent, at: u64, out: &mut [u8]) -> Result<(), IndexFault> {
        let is_inside =
            at.checked_add(wide(out.len())).is_some_and(|end| end <= extent.bytes_count);
        if !is_inside {
            return Err(damaged("an entry reaches past the end of its section"));
        }
        let mut at = extent.start + at;
        let mut out = out;
        while !out.is_empty() {
            let content = self.page(at / wide(CONTENT_BYTES))?;
            let start = usize::try_from(at % wide(CONTENT_BYTES)).unwrap_or_default();
            let rest = content.get(start..).unwrap_or_default();
            let count = rest.len().min(out.len());
            let (now, later) = out.split_at_mut_checked(count).unwrap_or_default();
            now.copy_from_slice(rest.get(..count).unwrap_or_default());
            out = later;
            at += wide(count);
        }
        Ok(())
    }

    fn page(&mut self, page: u64) -> Result<Arc<[u8]>, IndexFault> {
        if let Some(content) = self.content.as_ref().filter(|_| self.page == page) {
            return Ok(Arc::clone(content));
        }
        let index = self.index;
        let open = || index.files.get(&index.name, OpenedBy::Index);
        let content = index.pages.page((index.number, index.header.salt), page, open)?;
        self.page = page;
        self.content = Some(Arc::clone(&content));
        Ok(content)
    }
}

/// Entries of one length, in a section; where they begin with a hash, sorted by it.
#[derive(Debug, Clone, Copy)]
struct Table {
    extent: Extent,
    start: u64,
    entry_bytes: u64,
    count: u64,
}

impl Table {
    fn new(extent: Extent, start: u64, entry_bytes: usize) -> Result<Self, IndexFault> {
        let entry_bytes = wide(entry_bytes);
        if !extent.bytes_count.is_multiple_of(entry_bytes) {
            return Err(damaged("a section has part of an entry"));
        }
        Ok(Self { extent, start, entry_bytes, count: extent.bytes_count / entry_bytes })
    }

    /// Where an entry begins in its section.
    const fn at(&self, entry: u64) -> u64 {
        self.start + entry * self.entry_bytes
    }

    /// The first entry whose hash is not below `hash`. Hashes are spread evenly: the search begins
    /// where this one should be, and goes outwards in growing steps.
    fn lower_bound(&self, window: &mut Window<'_>, hash: u64) -> Result<u64, IndexFault> {
        let guess = (u128::from(hash) * u128::from(self.count)) >> 64;
        let guess = u64::try_from(guess).unwrap_or_default();
        let mut is_below = |entry: u64| -> Result<bool, IndexFault> {
            Ok(u64::from_le_bytes(window.array(self.extent, self.at(entry))?) < hash)
        };
        let (mut low, mut high) = (guess, guess);
        let mut step = FIRST_STEP;
        while low > 0 && !is_below(low - 1)? {
            low = low.saturating_sub(step);
            step = step.saturating_mul(2);
        }
        step = FIRST_STEP;
        while high < self.count && is_below(high)? {
            high = high.saturating_add(step).min(self.count);
            step = step.saturating_mul(2);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_below(middle)? { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

/// Fields of any length, one after the other.
struct Body<'a, 'b> {
    window: &'a mut Window<'b>,
    extent: Extent,
    at: u64,
}

impl Body<'_, '_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], IndexFault> {
        let bytes = self.window.array(self.extent, self.at)?;
        self.at += wide(N);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, IndexFault> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, IndexFault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, IndexFault> {
        let length = u16::from_le_bytes(self.array()?);
        let mut bytes = vec![0; usize::from(length)];
        self.window.read(self.extent, self.at, &mut bytes)?;
        self.at += u64::from(length);
        String::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"))
    }
}

fn range(start: u32, count: u32) -> Range<u64> {
    u64::from(start)..u64::from(start) + u64::from(count)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
