//! One commit, split into the items of its streams and the entries of its feeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::commit::{Commit, StreamAppend, StreamReceipt};
use annals_core::event::NewEvent;
use annals_core::id::EventId;
use annals_core::place::Partition;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

use super::super::event::write_event;
use super::super::feed_item::{Entry, INLINE_BYTES_MAX, Inline, Span, TypeRun};
use super::super::fields::Item;
use super::super::head::{Head, Part};
use super::super::key::Place;
use super::super::size;
use super::super::stream_item::{StreamItem, count};
use super::super::streams::{StreamTail, range};
use super::super::windows::ids_of;
use super::{Group, StagedHead, entry_bytes};

/// Largest item of a stream, in bytes; DynamoDB allows 400 KB.
const ITEM_BYTES_MAX: usize = 400_000;

/// What one commit writes.
pub(super) struct Draft {
    pub(super) recorded_at: Timestamp,
    pub(super) items: Vec<(StreamId, Item)>,
    /// Where the streams it writes end after it.
    pub(super) tails: Vec<(StreamId, StreamTail)>,
    /// Streams it only expects something of, and where their next item would go.
    pub(super) expected: Vec<(StreamId, Place)>,
    /// Per partition: bytes of the entry, the entry, its events.
    pub(super) entries: BTreeMap<Partition, (usize, Entry, u64)>,
    pub(super) inline: Option<(Partition, Inline)>,
    /// Per stream of the commit.
    pub(super) receipts: Vec<StreamReceipt>,
    pub(super) heads: Vec<StagedHead>,
}

impl Draft {
    /// What it adds to the transaction, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let items: usize = self.items.iter().map(|(_, item)| size::of_item(item)).sum();
        let entries: usize = self.entries.values().map(|(bytes, _, _)| bytes).sum();
        items + entries
    }

    /// What `commit`, which belongs to `home`, writes on top of `group`.
    pub(super) fn of(group: &Group, commit: &Commit, home: &StreamId) -> Self {
        let splitting = Splitting::new(group, commit, home);
        let pieces = splitting.pieces();
        let mut draft = Self {
            recorded_at: splitting.recorded_at,
            items: Vec::new(),
            tails: Vec::new(),
            expected: Vec::new(),
            entries: BTreeMap::new(),
            inline: splitting.inline(&pieces),
            receipts: splitting.receipts(&pieces),
            heads: Vec::new(),
        };
        for piece in &pieces {
            draft.add(&splitting, piece);
        }
        for append in &commit.streams {
            let is_written = pieces.iter().any(|piece| piece.stream == &append.stream);
            if !is_written && append.expected != annals_core::place::ExpectedRevision::Any {
                draft.expected.push((append.stream.clone(), group.tail(&append.stream).place));
            }
        }
        draft
    }

    fn add(&mut self, splitting: &Splitting<'_>, piece: &Piece<'_>) {
        let items = splitting.items(piece);
        let Some(last) = items.last() else { return };
        self.tails.push((piece.stream.clone(), StreamTail::after(last)));
        if let Some(head) = items.first().filter(|item| item.head.is_some()) {
            let place = head.place;
            let commit = head.commits_before;
            self.heads.push((piece.stream.clone(), commit, place, ids_of(head)));
        }
        let namespace = &splitting.group.namespace;
        let written = items.iter().map(|item| item.write(namespace, piece.stream));
        self.items.extend(written.map(|item| (piece.stream.clone(), item)));
        let span = Span {
            stream: piece.stream.clone(),
            before: piece.before.revision(),
            items_before: piece.before.place.before,
            items_count: u64::try_from(items.len()).unwrap_or(u64::MAX),
            types: TypeRun::all(piece.events),
        };
        let empty = || (0, Entry { head: None, spans: Vec::new() }, 0);
        let (bytes, entry, events_count) =
            self.entries.entry(piece.partition).or_insert_with(empty);
        if piece.is_home {
            entry.head = Some(entry.spans.len());
        }
        entry.spans.push(span);
        *events_count += count(piece.events);
        *bytes = entry_bytes(entry);
    }
}

/// What a commit writes to one stream.
struct Piece<'a> {
    stream: &'a StreamId,
    partition: Partition,
    before: StreamTail,
    first_position: u64,
    events: &'a [NewEvent],
    is_home: bool,
    /// Events per item.
    counts: Vec<usize>,
}

/// A commit being split.
struct Splitting<'a> {
    group: &'a Group,
    commit: &'a Commit,
    home: &'a StreamId,
    recorded_at: Timestamp,
}

impl<'a> Splitting<'a> {
    fn new(group: &'a Group, commit: &'a Commit, home: &'a StreamId) -> Self {
        let writing = commit.streams.iter().filter(|append| !append.events.is_empty());
        let streams = writing.map(|append| &append.stream).chain([home]);
        let feeds =
            streams.filter_map(|stream| group.feeds.get(&group.capabilities.partition_of(stream)));
        let recorded_at = feeds.map(|feed| feed.latest).fold(commit.recorded_at, Timestamp::max);
        Self { group, commit, home, recorded_at }
    }

    /// The streams that are written, in the order of the commit; the home first when the commit does
    /// not name it.
    fn pieces(&self) -> Vec<Piece<'a>> {
        let names_home = self.commit.streams.iter().any(|append| append.stream == *self.home);
        let unnamed = (!names_home).then_some((self.home, &[][..]));
        let named = self.commit.streams.iter().map(|append| (&append.stream, &append.events[..]));
        let mut positions: BTreeMap<Partition, u64> = BTreeMap::new();
        let mut pieces = Vec::new();
        for (stream, events) in unnamed.into_iter().chain(named) {
            let is_home = stream == self.home;
            if events.is_empty() && !is_home {
                continue;
            }
            let partition = self.group.capabilities.partition_of(stream);
            let next = || self.group.feeds.get(&partition).map_or(0, |feed| feed.next_position);
            let position = positions.entry(partition).or_insert_with(next);
            let mut piece = Piece {
                stream,
                partition,
                before: self.group.tail(stream),
                first_position: *position,
                events,
                is_home,
                counts: Vec::new(),
            };
            *position += count(events);
            piece.counts = self.counts(&piece);
            pieces.push(piece);
        }
        pieces
    }

    /// How many events go into each item of a piece.
    fn counts(&self, piece: &Piece<'_>) -> Vec<usize> {
        let namespace = &self.group.namespace;
        // The parts of a head are counted as if every stream were a part, which they are at most.
        let head = piece.is_home.then(|| self.largest_head());
        let first = self.item(piece, 0, (0, 0), head).write(namespace, piece.stream);
        let rest = self.item(piece, 1, (0, 0), None).write(namespace, piece.stream);
        let (mut room, rest_room) = (
            ITEM_BYTES_MAX - size::of_item(&first).min(ITEM_BYTES_MAX),
            ITEM_BYTES_MAX - size::of_item(&rest).min(ITEM_BYTES_MAX),
        );
        let (mut counts, mut current) = (Vec::new(), 0);
        for event in piece.events {
            let bytes = 8 + size::of_value(&write_event(event));
            let may_end = current > 0 || (piece.is_home && counts.is_empty());
            if bytes > room && may_end {
                counts.push(current);
                current = 0;
                room = rest_room;
            }
            room = room.saturating_sub(bytes);
            current += 1;
        }
        counts.push(current);
        counts
    }

    /// What the commit holds besides events.
    fn head(&self, pieces: &[Piece<'_>]) -> Head {
        let is_simple = matches!(self.commit.streams.as_slice(), [only] if only.stream == *self.home)
            && matches!(pieces, [only] if only.counts.len() == 1);
        let head = self.largest_head();
        let home = pieces.iter().find(|piece| piece.is_home);
        let in_head = home.and_then(|piece| piece.counts.first()).copied().unwrap_or_default();
        let parts = self.commit.streams.iter().map(|append| self.part(pieces, append));
        Head {
            parts: (!is_simple).then(|| parts.collect()),
            other_ids: self.given_ids(in_head),
            ..head
        }
    }

    /// The head with every list as long as it can get, to tell how much room it takes.
    fn largest_head(&self) -> Head {
        let parts = self.commit.streams.iter().map(|append| self.part(&[], append));
        Head {
            command: self.commit.command.clone(),
            parts: Some(parts.collect()),
            claims: self.commit.claims.clone(),
            releases: self.commit.releases.clone(),
            other_ids: self.given_ids(0),
        }
    }

    fn part(&self, pieces: &[Piece<'_>], append: &StreamAppend) -> Part {
        let before = self.group.tail(&append.stream);
        let piece = pieces.iter().find(|piece| *piece.stream == append.stream);
        let items_count = piece.map_or(0, |piece| piece.counts.len());
        Part {
            stream: append.stream.clone(),
            before: before.revision(),
            events_count: count(&append.events),
            items_before: before.place.before,
            items_count: u64::try_from(items_count).unwrap_or(u64::MAX),
        }
    }

    /// Ids that a client gave, but to the first `skipped` events of the home.
    fn given_ids(&self, skipped: usize) -> Vec<EventId> {
        let ids = self.commit.streams.iter().flat_map(|append| {
            let skipped = if append.stream == *self.home { skipped } else { 0 };
            append.events.iter().skip(skipped).filter_map(|event| event.id)
        });
        ids.collect()
    }

    /// Item number `index` of a piece, with the events from `start` to `end` (exclusive).
    fn item(
        &self,
        piece: &Piece<'_>,
        index: usize,
        (start, end): (usize, usize),
        head: Option<Head>,
    ) -> StreamItem {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let is_later = index > 0;
        let decides = is_later && piece.is_home && self.commit.command.is_some();
        let before = piece.before;
        StreamItem {
            place: Place {
                first: before.place.first + number(start),
                before: before.place.before + number(index),
            },
            commits_before: before.commits,
            commands_before: before.commands + u64::from(decides),
            first_position: piece.first_position + number(start),
            recorded_at: self.recorded_at,
            origin: Arc::clone(&self.commit.origin),
            ordinal: u32::try_from(start).unwrap_or(u32::MAX),
            command_id: self.commit.command.as_ref().map(|command| command.id),
            head,
            events: piece.events.get(start..end).unwrap_or_default().to_vec(),
        }
    }

    fn items(&self, piece: &Piece<'_>) -> Vec<StreamItem> {
        let mut start = 0;
        let mut items = Vec::with_capacity(piece.counts.len());
        for (index, events_count) in piece.counts.iter().enumerate() {
            let end = start + events_count;
            let is_head = piece.is_home && index == 0;
            let head = is_head.then(|| self.head(&self.pieces()));
            items.push(self.item(piece, index, (start, end), head));
            start = end;
        }
        items
    }

    fn receipts(&self, pieces: &[Piece<'_>]) -> Vec<StreamReceipt> {
        let receipt = |append: &StreamAppend| {
            let before = self.group.tail(&append.stream);
            let events_count = count(&append.events);
            let piece = pieces.iter().find(|piece| *piece.stream == append.stream);
            let position = piece.map_or(0, |piece| piece.first_position);
            let mut after = before;
            after.place.first += events_count;
            StreamReceipt {
                revision: after.revision(),
                events: range(before.place.first, position, events_count),
            }
        };
        self.commit.streams.iter().map(receipt).collect()
    }

    /// The events for the feed itself, when they may be small enough.
    fn inline(&self, pieces: &[Piece<'_>]) -> Option<(Partition, Inline)> {
        let partition = pieces.first()?.partition;
        let is_alone = pieces.iter().all(|piece| piece.partition == partition);
        if !is_alone || self.commit.data_bytes() > INLINE_BYTES_MAX * 2 {
            return None;
        }
        let inline = Inline {
            command_id: self.commit.command.as_ref().map(|command| command.id),
            origin: Arc::clone(&self.commit.origin),
            events: pieces.iter().map(|piece| piece.events.to_vec()).collect(),
        };
        Some((partition, inline))
    }
}
