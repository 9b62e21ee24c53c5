//! Histories that look random and are the same for the same seed: commits of every kind, over several
//! streams and partitions, on clocks that differ.

use std::num::NonZeroU32;
use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Claim, Commit, Release, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::id::{CommandId, EventId, StoreId};
use annals_core::place::ExpectedRevision;
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use annals_store_memory::MemoryEventStore;
use annals_store_memory::faulty::Random;
use bytes::Bytes;
use uuid::Uuid;

use super::support::{at, command, event, stream};

/// How many streams a history is about.
const STREAMS_COUNT: u64 = 12;

/// Names that streams hold in turn.
pub(super) const NAMES: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// An empty store of so many partitions.
pub(super) fn partitioned(number: u128, partitions_count: u32) -> MemoryEventStore {
    let id = StoreId::new(Uuid::from_u128(number));
    MemoryEventStore::with_partitions(id, NonZeroU32::new(partitions_count).unwrap())
}

/// All streams that a history may be about.
pub(super) fn streams() -> impl Iterator<Item = StreamId> {
    (0..STREAMS_COUNT).map(name)
}

fn name(number: u64) -> StreamId {
    stream(&format!("note/n{number}"))
}

/// Makes commits.
#[derive(Debug)]
pub(super) struct History {
    random: Random,
    now_ms: u64,
    /// How many milliseconds clocks may differ.
    skew_ms: u64,
    ids_count: u64,
}

impl History {
    pub(super) fn new(seed: u64, skew_ms: u64) -> Self {
        Self { random: Random::new(seed), now_ms: 0, skew_ms, ids_count: 0 }
    }

    /// A store of so many partitions that was asked to append `steps_count` commits.
    pub(super) async fn store(
        seed: u64,
        (partitions_count, skew_ms): (u32, u64),
        steps_count: u64,
    ) -> MemoryEventStore {
        let store = partitioned(1, partitions_count);
        let mut history = Self::new(seed, skew_ms);
        for _ in 0..steps_count {
            history.append_to(&store).await;
        }
        store
    }

    /// Appends a commit, if the store takes it.
    pub(super) async fn append_to(&mut self, store: &dyn EventStore) {
        // Refused: a name that another holds, an id that was there.
        drop(store.append(self.next()).await);
    }

    /// The next commit.
    pub(super) fn next(&mut self) -> Commit {
        self.now_ms += self.random.below(3);
        let kind = self.random.below(10);
        let first = name(self.random.below(STREAMS_COUNT));
        let mut streams = vec![self.part(first.clone(), if kind == 0 { 1_000 } else { 0 })];
        if self.random.happens(250) {
            for _ in 0..=self.random.below(2) {
                let other = name(self.random.below(STREAMS_COUNT));
                if streams.iter().all(|part| part.stream != other) {
                    streams.push(self.part(other, 300));
                }
            }
        }
        let mut commit = Commit {
            recorded_at: at(self.now_ms + self.random.below(self.skew_ms + 1)),
            ..Commit::plain(first.clone(), ExpectedRevision::Any, Vec::new(), at(0))
        };
        commit.streams = streams;
        match kind {
            0..=2 => self.decide(&mut commit, &first),
            3 | 4 => self.reject(&mut commit, &first),
            5 => self.give_ids(&mut commit),
            _ => {}
        }
        if !(3..=7).contains(&kind) {
            self.name(&mut commit, &first);
        }
        commit
    }

    /// What a commit adds to a stream: perhaps nothing, when it only expects something of it.
    fn part(&mut self, stream: StreamId, empty_per_mille: u64) -> StreamAppend {
        let is_empty = self.random.happens(empty_per_mille);
        let count = if is_empty { 0 } else { 1 + self.random.below(2) };
        let events = (0..count).map(|_| self.event()).collect();
        StreamAppend { stream, expected: ExpectedRevision::Any, events }
    }

    fn event(&mut self) -> NewEvent {
        let data = self.random.below(1_000).to_string();
        NewEvent { metadata: Bytes::from_static(b"\0m"), ..event(data.as_bytes()) }
    }

    fn id(&mut self) -> Uuid {
        self.ids_count += 1;
        Uuid::from_u128(u128::from(self.ids_count))
    }

    fn record(&mut self, of: &StreamId, outcome: Outcome) -> CommandRecord {
        let id = CommandId::new(self.id());
        CommandRecord { id, ..command(0, of.as_str(), outcome) }
    }

    fn decide(&mut self, commit: &mut Commit, of: &StreamId) {
        commit.command = Some(self.record(of, Outcome::Accepted));
        // A command's stream need not be the first, and need not be named.
        match self.random.below(4) {
            0 => commit.streams.reverse(),
            1 if commit.streams.len() > 1 => drop(commit.streams.remove(0)),
            _ => {}
        }
    }

    fn reject(&mut self, commit: &mut Commit, of: &StreamId) {
        let rejection = Rejection {
            code: Arc::from("no"),
            message: Arc::from("not now"),
            detail: Bytes::new(),
        };
        commit.command = Some(self.record(of, Outcome::Rejected(rejection)));
        commit.streams.iter_mut().for_each(|part| part.events.clear());
        if self.random.happens(500) {
            commit.streams.clear();
        }
    }

    fn give_ids(&mut self, commit: &mut Commit) {
        for part in &mut commit.streams {
            for event in &mut part.events {
                event.id = Some(EventId::new(self.id()));
            }
        }
    }

    /// Lets a stream take a name, or give one back.
    fn name(&mut self, commit: &mut Commit, stream: &StreamId) {
        let name = |number: u64| Arc::from(NAMES[usize::try_from(number).unwrap()]);
        let scope: Arc<str> = Arc::from("s");
        if self.random.happens(600) {
            let key = name(self.random.below(4));
            let scope = Arc::clone(&scope);
            commit.releases.push(Release { scope, key, stream: stream.clone() });
        }
        if self.random.happens(400) {
            let expires_at = self.random.happens(300).then(|| at(self.now_ms + 20));
            let key = name(self.random.below(4));
            commit.claims.push(Claim { scope, key, stream: stream.clone(), expires_at });
        }
    }
}
