//! Where everything of one segment is, in memory: rebuilt from the frames when the log is opened, and
//! brought up to date by every accepted commit. When the segment is full, `index_file.rs` writes it.
//!
//! Everything refers to commits by their number in the segment, which fits 32 bits because a segment
//! holds fewer commits than that; one sorted list tells where a commit's frame is.

use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;

use annals_core::name::EventType;
use annals_core::stream::StreamId;
use hashbrown::{DefaultHashBuilder, Equivalent, HashMap, HashTable};

use super::claims::Claims;
use super::ids::IdTable;

/// Longest segment, in bytes (inclusive): places in it are numbers of 32 bits.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug)]
pub(crate) struct Index {
    /// Number of the first commit of the segment.
    pub(crate) first_commit: u64,
    /// Position of the first event of the segment.
    pub(crate) first_position: u64,
    hasher: DefaultHashBuilder,
    stream_numbers: HashTable<u32>,
    streams: Vec<StreamEntry>,
    /// Per commit: where its frame begins.
    offsets: Vec<u32>,
    /// Per commit: the position of its first event, or what it would be, counted from the first of the
    /// segment.
    // Invariant: never decreases.
    positions: Vec<u32>,
    /// Where the last frame ends.
    end: u64,
    /// How many events there are.
    events_count: u64,
    /// The time of the last commit.
    pub(crate) latest_ms: u64,
    pub(crate) ids: IdTable,
    pub(crate) claims: Claims,
    counts: HashMap<Kind, u64>,
}

/// What a segment knows of a stream that it holds something of.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) id: StreamId,
    /// The stable hash of the id.
    pub(crate) hash: u64,
    /// What the segments before hold.
    pub(crate) before: StreamTotals,
    pub(crate) events_count: u32,
    /// The commits with events of the stream.
    // Invariant: first revisions strictly increase, from 0.
    pub(crate) commits: Vec<StreamCommit>,
    /// The commits with commands the stream has decided.
    pub(crate) commands: Vec<u32>,
}

/// How much there is of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StreamTotals {
    pub(crate) events_count: u64,
    pub(crate) commands_count: u64,
}

/// One commit of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamCommit {
    /// Counted from the first event of the stream in the segment.
    pub(crate) first_revision: u32,
    /// Counted from the first of the segment.
    pub(crate) commit: u32,
}

/// Where a frame is in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameSpan {
    /// The number of the commit in the log.
    pub(crate) commit: u64,
    pub(crate) offset: u64,
    pub(crate) bytes_count: u64,
}

/// A kind of event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    pub(crate) category: Arc<str>,
    pub(crate) event_type: EventType,
    pub(crate) schema_version: u32,
}

/// A kind of event, borrowed.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct KindRef<'a> {
    pub(crate) category: &'a str,
    pub(crate) event_type: &'a EventType,
    pub(crate) schema_version: u32,
}

impl Equivalent<Kind> for KindRef<'_> {
    fn equivalent(&self, kind: &Kind) -> bool {
        *self.category == *kind.category
            && *self.event_type == kind.event_type
            && self.schema_version == kind.schema_version
    }
}

impl StreamEntry {
    /// With this segment and all before.
    pub(crate) fn totals(&self) -> StreamTotals {
        let commands_count = u64::try_from(self.commands.len()).unwrap_or(u64::MAX);
        StreamTotals {
            events_count: self.before.events_count + u64::from(self.events_count),
            commands_count: self.before.commands_count + commands_count,
        }
    }

    /// The last commit with events or a command of the stream.
    pub(crate) fn last_commit(&self) -> Option<u32> {
        let with_events = self.commits.last().map(|commit| commit.commit);
        with_events.max(self.commands.last().copied())
    }
}

impl Index {
    /// An index of no commits whose first frame will be at `end`.
    pub(crate) fn starting_at(first_commit: u64, first_position: u64, end: u64) -> Self {
        Self {
            first_commit,
            first_position,
            hasher: DefaultHashBuilder::default(),
            stream_numbers: HashTable::new(),
            streams: Vec::new(),
            offsets: Vec::new(),
            positions: Vec::new(),
            end,
            events_count: 0,
            latest_ms: 0,
            ids: IdTable::default(),
            claims: Claims::default(),
            counts: HashMap::new(),
        }
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    pub(crate) const fn events_count(&self) -> u64 {
        self.events_count
    }

    pub(crate) const fn next_position(&self) -> u64 {
        self.first_position + self.events_count
    }

    pub(crate) fn commits_count(&self) -> u64 {
        u64::try_from(self.offsets.len()).unwrap_or(u64::MAX)
    }

    /// The number the next commit of the log gets.
    pub(crate) fn next_commit(&self) -> u64 {
        self.first_commit + self.commits_count()
    }

    /// Whether a commit of this size still has places of 32 bits.
    pub(crate) fn has_places_for(&self, bytes_count: u64, events_count: u32) -> bool {
        let most = u64::from(u32::MAX);
        self.commits_count() < most
            && self.events_count + u64::from(events_count) < most
            && self.end + bytes_count <= SEGMENT_BYTES_MAX
    }

    pub(crate) fn streams(&self) -> &[StreamEntry] {
        &self.streams
    }

    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    pub(crate) fn positions(&self) -> &[u32] {
        &self.positions
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (&Kind, u64)> {
        self.counts.iter().map(|(kind, &count)| (kind, count))
    }

    pub(crate) fn stream_number(&self, stream: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(stream);
        self.stream_numbers
            .find(hash, |&number| {
                self.stream(number).is_some_and(|entry| entry.id.as_str() == stream)
            })
            .copied()
    }

    pub(crate) fn stream(&self, number: u32) -> Option<&StreamEntry> {
        self.streams.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn find_stream(&self, stream: &str) -> Option<&StreamEntry> {
        self.stream(self.stream_number(stream)?)
    }

    /// Begins to index a commit: what is recorded from now on belongs to it.
    pub(crate) fn begin_commit(
        &mut self,
        bytes_count: u64,
        events_count: u32,
        recorded_at_ms: u64,
    ) {
        debug_assert!(self.has_places_for(bytes_count, events_count));
        self.offsets.push(u32::try_from(self.end).unwrap_or(u32::MAX));
        self.positions.push(u32::try_from(self.events_count).unwrap_or(u32::MAX));
        self.end += bytes_count;
        self.events_count += u64::from(events_count);
        self.latest_ms = self.latest_ms.max(recorded_at_ms);
    }

    /// The number of a stream, which gets one when it has none: `make` then gives its id, its stable
    /// hash and what the segments before hold of it.
    pub(crate) fn stream_number_or_new<E>(
        &mut self,
        stream: &str,
        make: impl FnOnce() -> Result<(StreamId, u64, StreamTotals), E>,
    ) -> Result<u32, E> {
        if let Some(number) = self.stream_number(stream) {
            return Ok(number);
        }
        let (id, stable_hash, before) = make()?;
        let number = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        self.streams.push(StreamEntry {
            id,
            hash: stable_hash,
            before,
            events_count: 0,
            commits: Vec::new(),
            commands: Vec::new(),
        });
        let (streams, hasher) = (&self.streams, &self.hasher);
        let hash_of = |&number: &u32| {
            usize::try_from(number)
                .ok()
                .and_then(|number| streams.get(number))
                .map_or(0, |entry| hasher.hash_one(entry.id.as_str()))
        };
        self.stream_numbers.insert_unique(hash_of(&number), number, hash_of);
        Ok(number)
    }

    /// Records that the current commit has events of a stream.
    pub(crate) fn record_events(&mut self, stream: u32, events_count: u32) {
        let commit = self.current();
        if events_count == 0 {
            return;
        }
        if let Some(entry) = self.entry(stream) {
            let first_revision = entry.events_count;
            debug_assert!(
                entry.commits.last().is_none_or(|last| last.first_revision < first_revision)
            );
            entry.commits.push(StreamCommit { first_revision, commit });
            entry.events_count = entry.events_count.saturating_add(events_count);
        }
    }

    /// Records that the current commit has a command that a stream decided.
    pub(crate) fn record_command(&mut self, stream: u32, id_hash: u64) {
        let commit = self.current();
        self.ids.insert(id_hash, commit);
        if let Some(entry) = self.entry(stream) {
            entry.commands.push(commit);
        }
    }

    /// Records an event id that a client gave.
    pub(crate) fn record_event_id(&mut self, id_hash: u64) {
        self.ids.insert(id_hash, self.current());
    }

    pub(crate) fn count_events(&mut self, kind: KindRef<'_>, events_count: u64) {
        if let Some(count) = self.counts.get_mut(&kind) {
            *count += events_count;
            return;
        }
        let kind = Kind {
            category: kind.category.into(),
            event_type: kind.event_type.clone(),
            schema_version: kind.schema_version,
        };
        self.counts.insert(kind, events_count);
    }

    /// Where the frame of a commit of the segment is.
    pub(crate) fn span(&self, commit: u32) -> Option<FrameSpan> {
        let index = usize::try_from(commit).ok()?;
        let offset = u64::from(*self.offsets.get(index)?);
        let end = self.offsets.get(index + 1).map_or(self.end, |&next| next.into());
        let commit = self.first_commit + u64::from(commit);
        Some(FrameSpan { commit, offset, bytes_count: end - offset })
    }

    /// The commits of a stream that hold revisions of `wanted`, counted from the first of the segment.
    pub(crate) fn commits_with(&self, entry: &StreamEntry, wanted: &Range<u64>) -> Vec<FrameSpan> {
        if wanted.is_empty() || wanted.start >= entry.events_count.into() {
            return Vec::new();
        }
        let first = |commit: &StreamCommit| u64::from(commit.first_revision);
        let end = entry.commits.partition_point(|commit| first(commit) < wanted.end);
        let after = entry.commits.partition_point(|commit| first(commit) <= wanted.start);
        let commits = entry.commits.get(after.saturating_sub(1)..end).unwrap_or_default();
        commits.iter().filter_map(|commit| self.span(commit.commit)).collect()
    }

    /// The commands of a stream with these numbers, counted from the first of the segment.
    pub(crate) fn commands(&self, entry: &StreamEntry, wanted: &Range<u64>) -> Vec<FrameSpan> {
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let end = index(wanted.end).min(entry.commands.len());
        let commands = entry.commands.get(index(wanted.start)..end).unwrap_or_default();
        commands.iter().filter_map(|&commit| self.span(commit)).collect()
    }

    /// The commits that may have an id with this hash.
    pub(crate) fn candidates(&self, hash: u64) -> Vec<FrameSpan> {
        let commits = self.ids.candidates(hash);
        commits.into_iter().filter_map(|commit| self.span(commit)).collect()
    }

    /// Where the frame with the event at `position` begins.
    pub(crate) fn offset_of_position(&self, position: u64) -> Option<u64> {
        let position = position.checked_sub(self.first_position)?;
        let after = self.positions.partition_point(|&first| u64::from(first) <= position);
        self.offsets.get(after.checked_sub(1)?).map(|&offset| offset.into())
    }

    fn current(&self) -> u32 {
        u32::try_from(self.offsets.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn entry(&mut self, stream: u32) -> Option<&mut StreamEntry> {
        self.streams.get_mut(usize::try_from(stream).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: &mut Index, stream: &str, events_count: u32) {
        index.begin_commit(10, events_count, 5);
        let make = || Ok::<_, ()>((StreamId::parse(stream).unwrap(), 0, StreamTotals::default()));
        let number = index.stream_number_or_new(stream, make).unwrap();
        index.record_events(number, events_count);
    }

    #[test]
    fn finds_the_commits_of_a_revision_and_the_frame_of_a_position() {
        // Guards reads: the right frames, neither one too many nor one too few at the edges.
        let mut index = Index::starting_at(7, 100, 64);
        record(&mut index, "a/1", 2);
        record(&mut index, "b/1", 1);
        index.begin_commit(10, 0, 6); // A rejected command.
        record(&mut index, "a/1", 1);
        let entry = index.find_stream("a/1").unwrap();
        let first = FrameSpan { commit: 7, offset: 64, bytes_count: 10 };
        let second = FrameSpan { commit: 10, offset: 94, bytes_count: 10 };
        assert_eq!(index.commits_with(entry, &(1..9)), [first, second]);
        assert_eq!(index.commits_with(entry, &(2..9)), [second]);
        assert_eq!(index.commits_with(entry, &(0..2)), [first]);
        assert_eq!(index.commits_with(entry, &(0..3)), [first, second]);
        let totals = StreamTotals { events_count: 3, commands_count: 0 };
        assert_eq!(entry.totals(), totals);
        let offsets = [100, 101, 102, 103].map(|position| index.offset_of_position(position));
        assert_eq!(offsets, [Some(64), Some(64), Some(74), Some(94)]);
        assert_eq!((index.next_commit(), index.next_position()), (11, 104));
        assert_eq!((index.span(4), index.latest_ms), (None, 6));
    }

    #[test]
    fn a_segment_is_full_before_its_places_overflow() {
        // Guards the 32-bit places: another segment is begun, a number never wraps.
        let mut index = Index::starting_at(0, 0, 64);
        index.events_count = u64::from(u32::MAX) - 3;
        assert!(index.has_places_for(10, 2));
        assert!(!index.has_places_for(10, 3));
        index.end = SEGMENT_BYTES_MAX - 10;
        assert!(index.has_places_for(10, 0));
        assert!(!index.has_places_for(11, 0));
    }
}
