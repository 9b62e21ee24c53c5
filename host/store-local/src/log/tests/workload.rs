//! Random commits over a few streams, names and ids, so that they meet each other often.

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Claim, Commit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::CorrelationId;
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use pollster::block_on;

use super::seed::Seed;
use super::support::{command, event_id, stream};

pub(crate) const STREAMS: [&str; 6] =
    ["account/a1", "account/a2", "account/a3", "ledger/l1", "ledger/l2", "$plugins/registry"];

pub(crate) const SCOPE: &str = "e-mail";
pub(crate) const KEYS: [&str; 4] = ["ada", "bob", "eve", "mia"];

const TYPES: [&str; 4] = ["opened", "deposited", "withdrawn", "closed"];

/// Decides what comes next. Ids count up from 1.
#[derive(Debug)]
pub(crate) struct Workload {
    seed: Seed,
    ids_count: u128,
    now_ms: u64,
    /// What was made with ids of its own, to be sent again.
    with_ids: Vec<Commit>,
}

impl Workload {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self { seed, ids_count: 0, now_ms: 1_000_000_000, with_ids: Vec::new() }
    }

    /// How many ids were given; they are 1 to this number.
    pub(crate) const fn ids_count(&self) -> u128 {
        self.ids_count
    }

    fn next_id(&mut self) -> u128 {
        self.ids_count += 1;
        self.ids_count
    }

    /// A new id, and sometimes one that was given before.
    fn some_id(&mut self) -> u128 {
        if self.ids_count > 0 && self.seed.percent(15) {
            return u128::from(self.seed.below(u64::try_from(self.ids_count).unwrap())) + 1;
        }
        self.next_id()
    }

    /// The next commit; `store` has all before.
    pub(crate) fn commit(&mut self, store: &dyn EventStore) -> Commit {
        self.now_ms += self.seed.below(50);
        let recorded_at = match self.seed.below(20) {
            0 => self.now_ms - 3_600_000,
            1 => self.now_ms + 100,
            _ => self.now_ms,
        };
        let mut commit = match self.seed.below(20) {
            0..=7 => self.plain(store),
            8..=9 => self.with_given_ids(store),
            10 if !self.with_ids.is_empty() => return self.seed.pick(&self.with_ids),
            10..=15 => self.accepted_command(store),
            _ => return self.rejected_command(recorded_at),
        };
        commit.recorded_at = Timestamp::from_ms(recorded_at);
        commit.origin = self.origin();
        self.add_claims(&mut commit, recorded_at);
        if commit.streams.iter().flat_map(|append| &append.events).any(|event| event.id.is_some()) {
            self.with_ids.push(commit.clone());
        }
        commit
    }

    fn plain(&mut self, store: &dyn EventStore) -> Commit {
        let first = self.some_stream();
        let mut streams = vec![self.append(first, store)];
        if self.seed.percent(30) {
            let other = self.some_stream();
            if streams.iter().all(|append| append.stream.as_str() != other) {
                streams.push(self.append(other, store));
                // The first stream is then only expected to be as it says.
                if self.seed.percent(30) {
                    streams[0].events.clear();
                }
            }
        }
        Commit {
            recorded_at: Timestamp::from_ms(0),
            origin: Arc::default(),
            command: None,
            streams,
            claims: Vec::new(),
            releases: Vec::new(),
            id_is_new: false,
        }
    }

    fn with_given_ids(&mut self, store: &dyn EventStore) -> Commit {
        let mut commit = self.plain(store);
        let reuses = self.seed.percent(20);
        for event in commit.streams.iter_mut().flat_map(|append| &mut append.events) {
            let id = if reuses { self.some_id() } else { self.next_id() };
            event.id = Some(event_id(id));
        }
        commit
    }

    fn accepted_command(&mut self, store: &dyn EventStore) -> Commit {
        let mut commit = self.plain(store);
        let is_named = self.seed.percent(70);
        let target = if is_named {
            commit.streams[0].stream.as_str().to_owned()
        } else {
            self.some_stream().to_owned()
        };
        if self.seed.percent(10) {
            commit.streams.clear();
        }
        commit.command = Some(self.command(&target, Outcome::Accepted));
        commit
    }

    fn rejected_command(&mut self, recorded_at: u64) -> Commit {
        let rejection = Rejection {
            code: "insufficient-funds".into(),
            message: "there is not enough".into(),
            detail: Bytes::from("x".repeat(self.seed.index(40))),
        };
        let target = self.some_stream();
        Commit {
            recorded_at: Timestamp::from_ms(recorded_at),
            origin: self.origin(),
            command: Some(self.command(target, Outcome::Rejected(rejection))),
            streams: Vec::new(),
            claims: Vec::new(),
            releases: Vec::new(),
            id_is_new: false,
        }
    }

    fn command(&mut self, target: &str, outcome: Outcome) -> CommandRecord {
        let id = self.some_id();
        let mut command = command(target, id, outcome);
        command.seed = (self.seed.next(), 0);
        command
    }

    fn origin(&mut self) -> Arc<Origin> {
        if self.seed.percent(50) {
            return Arc::default();
        }
        Arc::new(Origin {
            correlation_id: Some(CorrelationId::new("req-1").unwrap()),
            causation_id: None,
            principal: Some("ada".into()),
        })
    }

    fn some_stream(&mut self) -> &'static str {
        self.seed.pick(&STREAMS)
    }

    fn append(&mut self, name: &str, store: &dyn EventStore) -> StreamAppend {
        let stream = stream(name);
        let expected = self.expected(&stream, store);
        let events = (0..=self.seed.below(3)).map(|_| self.event()).collect();
        StreamAppend { stream, expected, events }
    }

    /// Mostly what is true.
    fn expected(&mut self, stream: &StreamId, store: &dyn EventStore) -> ExpectedRevision {
        match self.seed.below(10) {
            0..=4 => ExpectedRevision::Any,
            5 => ExpectedRevision::Exactly(Revision::new(self.seed.below(30))),
            6 => ExpectedRevision::StreamExists,
            7 => ExpectedRevision::NoStream,
            _ => ExpectedRevision::at(block_on(store.stream_info(stream)).unwrap().revision),
        }
    }

    fn event(&mut self) -> NewEvent {
        let event_type = EventType::new(self.seed.pick(&TYPES)).unwrap();
        let bytes_count = match self.seed.below(40) {
            0 => 5_000,
            1..=9 => 600,
            _ => self.seed.index(120),
        };
        let mut event = NewEvent::json(event_type, Bytes::from("x".repeat(bytes_count)));
        if self.seed.percent(10) {
            event.content_type = ContentType::from("text/plain");
            event.schema_version = SchemaVersion(2);
            event.metadata = Bytes::from_static(b"{}");
        }
        event
    }

    fn add_claims(&mut self, commit: &mut Commit, recorded_at: u64) {
        if !self.seed.percent(30) {
            return;
        }
        let key: Arc<str> = self.seed.pick(&KEYS).into();
        let holder = stream(self.some_stream());
        if self.seed.percent(40) {
            let release = Release { scope: SCOPE.into(), key: Arc::clone(&key), stream: holder };
            commit.releases.push(release);
        }
        if self.seed.percent(80) {
            let expires_at = self.seed.percent(50).then(|| recorded_at + self.seed.below(200));
            commit.claims.push(Claim {
                scope: SCOPE.into(),
                key,
                stream: stream(self.some_stream()),
                expires_at: expires_at.map(Timestamp::from_ms),
            });
        }
    }
}
