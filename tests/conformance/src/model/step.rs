//! Steps of a random history, small numbers that collide often, and the commits they stand for.

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome};
use annals_core::commit::{Claim, Commit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, SchemaVersion};
use annals_core::id::EventId;
use annals_core::name::EventType;
use annals_core::place::ExpectedRevision;
use annals_core::port::event_store::Direction;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::{select, subsequence};
use uuid::Uuid;

use crate::support::{after_now, command, command_id, event, exactly, rejected, stream};

/// The scope of all claims.
pub(super) const SCOPE: &str = "model";

/// After how many steps a claim expires at most (exclusive).
pub(super) const EXPIRY_STEPS_MAX: usize = 12;

const STREAMS_COUNT: u64 = 3;
const KEYS_COUNT: u64 = 2;
/// More steps than any history has: how far apart the times and ids of two histories are.
const HISTORY_SPACING: u64 = 1_000;

/// One commit to append and one page to look at.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// How many steps back the commit is that is appended again, instead of the one below, and what
    /// is different about it.
    repeats: Option<(usize, Change)>,
    by: By,
    /// Stream, what is expected of it and how many events it gets.
    parts: Vec<(u64, ExpectedRevision, u64)>,
    /// Key, stream and after how many steps the claim expires.
    claims: Vec<(u64, u64, Option<usize>)>,
    /// Key and stream.
    releases: Vec<(u64, u64)>,
    pub(super) look: Look,
}

/// How a repeated commit differs from the first.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    Expectations,
    /// The rest are about the last event.
    EventType,
    SchemaVersion,
    ContentType,
    Data,
    Metadata,
}

/// Who appends.
#[derive(Debug, Clone, Copy)]
enum By {
    Client,
    /// A client that gives ids from this number on.
    ClientWithIds(u64),
    /// A command of this number on this stream.
    Accepted(u128, u64),
    Rejected(u128, u64),
}

/// A page to read.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) stream: u64,
    pub(super) from: u64,
    pub(super) limit: usize,
    pub(super) direction: Direction,
}

/// Histories of at most `steps_max` steps.
pub(super) fn history(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..=steps_max)
}

fn step() -> impl Strategy<Value = Step> {
    let by = prop_oneof![
        3 => Just(By::Client),
        5 => (0..6_u64).prop_map(By::ClientWithIds),
        3 => (0..9_u128, 0..STREAMS_COUNT).prop_map(|(id, stream)| By::Accepted(id, stream)),
        2 => (0..9_u128, 0..STREAMS_COUNT).prop_map(|(id, stream)| By::Rejected(id, stream)),
    ];
    let expected = prop_oneof![
        6 => Just(ExpectedRevision::Any),
        1 => Just(ExpectedRevision::NoStream),
        2 => Just(ExpectedRevision::StreamExists),
        3 => (0..8_u64).prop_map(exactly),
    ];
    let events_count = prop_oneof![1 => Just(0), 8 => 1..4_u64];
    let streams: Vec<u64> = (0..STREAMS_COUNT).collect();
    let parts = (subsequence(streams, 1..=2).prop_shuffle(), vec((expected, events_count), 2));
    let parts = parts.prop_map(|(streams, rest)| {
        let parts = streams.into_iter().zip(rest);
        parts.map(|(stream, (expected, events_count))| (stream, expected, events_count)).collect()
    });
    let keys: Vec<u64> = (0..KEYS_COUNT).collect();
    let holders = vec((0..STREAMS_COUNT, option::of(0..EXPIRY_STEPS_MAX)), 2);
    let claims = (subsequence(keys, 0..=2).prop_shuffle(), holders);
    let claims = claims.prop_map(|(keys, holders)| {
        let claims = keys.into_iter().zip(holders);
        claims.map(|(key, (stream, expires))| (key, stream, expires)).collect()
    });
    let releases = vec((0..KEYS_COUNT, 0..STREAMS_COUNT), 0..2);
    let direction = select(vec![Direction::Forwards, Direction::Backwards]);
    let look = (0..STREAMS_COUNT, 0..12_u64, 0..6_usize, direction);
    let look =
        look.prop_map(|(stream, from, limit, direction)| Look { stream, from, limit, direction });
    let change = prop_oneof![
        4 => Just(Change::Nothing),
        2 => Just(Change::Expectations),
        1 => Just(Change::EventType),
        1 => Just(Change::SchemaVersion),
        1 => Just(Change::ContentType),
        1 => Just(Change::Data),
        1 => Just(Change::Metadata),
    ];
    let repeats = prop_oneof![3 => Just(None), 1 => (1..4_usize, change).prop_map(Some)];
    let step = (repeats, by, parts, claims, releases, look);
    step.prop_map(|(repeats, by, parts, claims, releases, look)| Step {
        repeats,
        by,
        parts,
        claims,
        releases,
        look,
    })
}

/// What the names of one history begin with.
#[derive(Debug)]
pub(super) struct History(u64);

impl History {
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The time of a step: later than all steps before, of all histories before.
    pub(super) fn time(&self, index: usize) -> Timestamp {
        after_now(self.0 * HISTORY_SPACING + u64::try_from(index).unwrap())
    }

    pub(super) fn stream(&self, number: u64) -> StreamId {
        stream(&format!("model-{}-{number}", self.0))
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> {
        (0..STREAMS_COUNT).map(|number| self.stream(number))
    }

    /// What the ids of all streams of this history, and of no other, begin with.
    pub(super) fn stream_prefix(&self) -> String {
        format!("account/model-{}-", self.0)
    }

    fn key(&self, number: u64) -> Arc<str> {
        Arc::from(format!("{}-{number}", self.0))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Arc<str>> {
        (0..KEYS_COUNT).map(|number| self.key(number))
    }

    /// The commit of the step at `index`.
    pub(super) fn commit(&self, index: usize, steps: &[Step]) -> Commit {
        let step = &steps[index];
        let earlier = step.repeats.and_then(|(steps_back, change)| {
            index.checked_sub(steps_back).map(|earlier| (earlier, change))
        });
        let commit = match earlier {
            Some((earlier, change)) => changed(self.commit_of(earlier, &steps[earlier]), change),
            None => self.commit_of(index, step),
        };
        Commit { recorded_at: self.time(index), ..commit }
    }

    fn commit_of(&self, index: usize, step: &Step) -> Commit {
        let is_rejected = matches!(step.by, By::Rejected(..));
        let claims = step.claims.iter().filter(|_| !is_rejected);
        let releases = step.releases.iter().filter(|_| !is_rejected);
        Commit {
            recorded_at: self.time(index),
            origin: Arc::default(),
            command: self.command(step),
            streams: self.parts(index, step),
            claims: claims.map(|claim| self.claim(index, claim)).collect(),
            id_is_new: false,
            releases: releases
                .map(|(key, stream)| Release {
                    scope: Arc::from(SCOPE),
                    key: self.key(*key),
                    stream: self.stream(*stream),
                })
                .collect(),
        }
    }

    fn command(&self, step: &Step) -> Option<CommandRecord> {
        let (number, stream, outcome) = match step.by {
            By::Client | By::ClientWithIds(_) => return None,
            By::Accepted(number, stream) => (number, stream, Outcome::Accepted),
            By::Rejected(number, stream) => (number, stream, rejected()),
        };
        Some(CommandRecord {
            id: command_id(number),
            stream: self.stream(stream),
            outcome,
            ..command("unused", 0)
        })
    }

    fn parts(&self, index: usize, step: &Step) -> Vec<StreamAppend> {
        let mut next_id = match step.by {
            By::ClientWithIds(first) => Some(u128::from(self.0 * HISTORY_SPACING + first)),
            By::Client | By::Accepted(..) | By::Rejected(..) => None,
        };
        let mut parts = Vec::new();
        for (stream, expected, events_count) in &step.parts {
            let is_rejected = matches!(step.by, By::Rejected(..));
            let events_count = if is_rejected { 0 } else { *events_count };
            let events = (0..events_count).map(|ordinal| NewEvent {
                id: next_id.as_mut().map(|id| {
                    *id += 1;
                    EventId::new(Uuid::from_u128(*id))
                }),
                ..event(u64::try_from(index).unwrap() * 10 + ordinal)
            });
            parts.push(StreamAppend {
                stream: self.stream(*stream),
                expected: *expected,
                events: events.collect(),
            });
        }
        parts
    }

    fn claim(&self, index: usize, (key, stream, expires): &(u64, u64, Option<usize>)) -> Claim {
        Claim {
            scope: Arc::from(SCOPE),
            key: self.key(*key),
            stream: self.stream(*stream),
            expires_at: expires.map(|expires| self.time(index + expires)),
        }
    }
}

fn changed(mut commit: Commit, change: Change) -> Commit {
    if matches!(change, Change::Expectations) {
        for part in &mut commit.streams {
            part.expected = ExpectedRevision::NoStream;
        }
    }
    let events = commit.streams.iter_mut().flat_map(|part| &mut part.events);
    let Some(last) = events.last() else { return commit };
    match change {
        Change::Nothing | Change::Expectations => {}
        Change::EventType => last.event_type = EventType::new("counted-otherwise").unwrap(),
        Change::SchemaVersion => last.schema_version = SchemaVersion(2),
        Change::ContentType => last.content_type = ContentType::from("text/plain"),
        Change::Data => last.data = Bytes::from_static(b"{}"),
        Change::Metadata => last.metadata = Bytes::from_static(b"{}"),
    }
    commit
}
