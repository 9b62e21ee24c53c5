//! Where everything is, in memory: rebuilt from the frames when the log is opened, and brought up to
//! date by every accepted commit.
//!
//! Everything refers to commits by their number, which fits 32 bits because a segment holds fewer
//! commits than that; one sorted list tells where a commit's frame is.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::event_store::EventTypeCount;
use annals_core::stream::StreamId;
use hashbrown::{DefaultHashBuilder, Equivalent, HashMap, HashTable};
use uuid::Uuid;

use super::claims::Claims;
use super::ids::IdTable;

#[derive(Debug)]
pub(crate) struct Index {
    hasher: DefaultHashBuilder,
    stream_numbers: HashTable<u32>,
    streams: Vec<StreamEntry>,
    /// Per commit: where its frame begins.
    offsets: Vec<u64>,
    /// Per commit: the position of its first event, or what it would be.
    // Invariant: never decreases.
    positions: Vec<u32>,
    /// Where the last frame ends.
    end: u64,
    next_position: u64,
    command_ids: IdTable,
    event_ids: IdTable,
    pub(crate) claims: Claims,
    counts: HashMap<Kind, u64>,
}

/// What is known of a stream.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) id: StreamId,
    pub(crate) events_count: u64,
    /// The commits with events of the stream.
    // Invariant: first revisions strictly increase, from 0.
    commits: Vec<StreamCommit>,
    /// The commits with commands the stream has decided.
    commands: Vec<u32>,
}

/// One commit of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamCommit {
    pub(crate) first_revision: u32,
    pub(crate) commit: u32,
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameSpan {
    pub(crate) commit: u64,
    pub(crate) offset: u64,
    pub(crate) bytes_count: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    category: Arc<str>,
    event_type: EventType,
    schema_version: u32,
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
    pub(crate) fn revision(&self) -> ActualRevision {
        ActualRevision(Revision::last_of(self.events_count))
    }

    pub(crate) fn commands(&self) -> &[u32] {
        &self.commands
    }

    /// The last commit with events or a command of the stream.
    pub(crate) fn last_commit(&self) -> Option<u32> {
        let with_events = self.commits.last().map(|commit| commit.commit);
        with_events.max(self.commands.last().copied())
    }

    /// The commits from the one with `revision` on, oldest first.
    pub(crate) fn commits_from(&self, revision: Revision) -> &[StreamCommit] {
        let start = self.commits_until(revision).len().saturating_sub(1);
        self.commits.get(start..).unwrap_or_default()
    }

    /// The commits up to and with the one with `revision`, oldest first.
    pub(crate) fn commits_until(&self, revision: Revision) -> &[StreamCommit] {
        let end = self
            .commits
            .partition_point(|commit| u64::from(commit.first_revision) <= revision.get());
        self.commits.get(..end).unwrap_or_default()
    }
}

impl Index {
    /// An index of no commits whose first frame will be at `end`.
    pub(crate) fn starting_at(end: u64) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            stream_numbers: HashTable::new(),
            streams: Vec::new(),
            offsets: Vec::new(),
            positions: Vec::new(),
            end,
            next_position: 0,
            command_ids: IdTable::default(),
            event_ids: IdTable::default(),
            claims: Claims::default(),
            counts: HashMap::new(),
        }
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    pub(crate) const fn next_position(&self) -> u64 {
        self.next_position
    }

    pub(crate) fn commits_count(&self) -> u64 {
        u64::try_from(self.offsets.len()).unwrap_or(u64::MAX)
    }

    /// Whether a commit with so many events still has numbers of 32 bits.
    pub(crate) fn has_numbers_for(&self, events_count: u32) -> bool {
        let most = u64::from(u32::MAX);
        self.commits_count() < most && self.next_position + u64::from(events_count) < most
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
    pub(crate) fn begin_commit(&mut self, bytes_count: u64, events_count: u32) {
        self.offsets.push(self.end);
        self.positions.push(u32::try_from(self.next_position).unwrap_or(u32::MAX));
        self.end += bytes_count;
        self.next_position += u64::from(events_count);
    }

    /// The number of the stream, which gets one when it has none.
    pub(crate) fn stream_number_or_new(
        &mut self,
        stream: &str,
        make: impl FnOnce() -> StreamId,
    ) -> u32 {
        if let Some(number) = self.stream_number(stream) {
            return number;
        }
        let number = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        self.streams.push(StreamEntry {
            id: make(),
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
        number
    }

    /// Records that the current commit has events of a stream.
    pub(crate) fn record_events(&mut self, stream: u32, events_count: u32) {
        let commit = self.current();
        if events_count == 0 {
            return;
        }
        if let Some(entry) = self.entry(stream) {
            let first_revision = u32::try_from(entry.events_count).unwrap_or(u32::MAX);
            debug_assert!(
                entry.commits.last().is_none_or(|last| last.first_revision < first_revision)
            );
            entry.commits.push(StreamCommit { first_revision, commit });
            entry.events_count += u64::from(events_count);
        }
    }

    /// Records that the current commit has a command that a stream decided.
    pub(crate) fn record_command(&mut self, stream: u32, id: Uuid) {
        let commit = self.current();
        self.command_ids.insert(self.id_hash(stream, id), commit);
        if let Some(entry) = self.entry(stream) {
            entry.commands.push(commit);
        }
    }

    /// Records an event id that a client gave, under the first stream of the current commit.
    pub(crate) fn record_event_id(&mut self, stream: u32, id: Uuid) {
        let commit = self.current();
        self.event_ids.insert(self.id_hash(stream, id), commit);
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

    /// The commit in which `stream` decided the command, when `verify` confirms it.
    pub(crate) fn find_command<E>(
        &self,
        stream: u32,
        id: Uuid,
        verify: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Option<u32>, E> {
        self.command_ids.find(self.id_hash(stream, id), verify)
    }

    /// The commit whose first stream is `stream` and that has the event id, when `verify` confirms
    /// it.
    pub(crate) fn find_event_id<E>(
        &self,
        stream: u32,
        id: Uuid,
        verify: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Option<u32>, E> {
        self.event_ids.find(self.id_hash(stream, id), verify)
    }

    /// Where the frame of a commit is.
    pub(crate) fn frame(&self, commit: u32) -> Option<FrameSpan> {
        let index = usize::try_from(commit).ok()?;
        let offset = *self.offsets.get(index)?;
        let end = self.offsets.get(index + 1).copied().unwrap_or(self.end);
        Some(FrameSpan { commit: commit.into(), offset, bytes_count: end - offset })
    }

    /// Where the frame with the event at `position` begins.
    pub(crate) fn offset_of_position(&self, position: u64) -> Option<u64> {
        let after = self.positions.partition_point(|&first| u64::from(first) <= position);
        self.offsets.get(after.checked_sub(1)?).copied()
    }

    /// In order of category, type and version.
    pub(crate) fn event_type_counts(&self) -> Vec<EventTypeCount> {
        let mut counts: Vec<_> = self
            .counts
            .iter()
            .map(|(kind, &events_count)| EventTypeCount {
                category: Arc::clone(&kind.category),
                event_type: kind.event_type.clone(),
                schema_version: SchemaVersion(kind.schema_version),
                events_count,
            })
            .collect();
        counts.sort_unstable_by(|a, b| {
            (&a.category, &a.event_type, a.schema_version).cmp(&(
                &b.category,
                &b.event_type,
                b.schema_version,
            ))
        });
        counts
    }

    fn current(&self) -> u32 {
        u32::try_from(self.offsets.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn entry(&mut self, stream: u32) -> Option<&mut StreamEntry> {
        self.streams.get_mut(usize::try_from(stream).ok()?)
    }

    fn id_hash(&self, stream: u32, id: Uuid) -> u64 {
        self.hasher.hash_one((stream, id.as_u128()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: &mut Index, stream: &str, events_count: u32) {
        index.begin_commit(10, events_count);
        let number = index.stream_number_or_new(stream, || StreamId::parse(stream).unwrap());
        index.record_events(number, events_count);
    }

    #[test]
    fn finds_the_commits_of_a_revision_and_the_frame_of_a_position() {
        // Guards reads: the right frames, neither one too many nor one too few at the edges.
        let mut index = Index::starting_at(64);
        record(&mut index, "a/1", 2);
        record(&mut index, "b/1", 1);
        index.begin_commit(10, 0); // A rejected command.
        record(&mut index, "a/1", 1);
        let entry = index.find_stream("a/1").unwrap();
        let first = StreamCommit { first_revision: 0, commit: 0 };
        let second = StreamCommit { first_revision: 2, commit: 3 };
        assert_eq!(entry.commits_from(Revision::new(1)), [first, second]);
        assert_eq!(entry.commits_from(Revision::new(2)), [second]);
        assert_eq!(entry.commits_until(Revision::new(1)), [first]);
        assert_eq!(entry.commits_until(Revision::new(9)), [first, second]);
        assert_eq!(entry.revision(), Revision::new(2).into());
        let offsets = [0, 1, 2, 3].map(|position| index.offset_of_position(position));
        assert_eq!(offsets, [Some(64), Some(64), Some(74), Some(94)]);
        let span = FrameSpan { commit: 3, offset: 94, bytes_count: 10 };
        assert_eq!(index.frame(3), Some(span));
        assert_eq!(index.frame(4), None);
    }

    #[test]
    fn a_segment_is_full_before_its_numbers_overflow() {
        // Guards the 32-bit numbers: an append is refused, a number never wraps.
        let mut index = Index::starting_at(64);
        index.next_position = u64::from(u32::MAX) - 3;
        assert!(index.has_numbers_for(2));
        assert!(!index.has_numbers_for(3));
    }
}
