//! A log of several segments to mutate.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

use annals_core::command::{CommandRecord, Outcome};
use annals_core::commit::{Claim, Commit, Release};
use annals_core::event::{ContentType, NewEvent, Origin};
use annals_core::id::{CommandId, CorrelationId, Digest, EventId, IdGenerator};
use annals_core::name::{CommandName, EventType};
use annals_core::place::ExpectedRevision;
use annals_core::port::EventStore as _;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

use super::OPTIONS;
use super::folder::MemoryFolder;
use crate::log::segments::WhenMissing;
use crate::log::store::LocalEventStore;
use crate::log::worker::{Step, WhenIdle};

/// The segment and the index that are mutated.
pub(super) const SEGMENT: &str = "00000000000000000000.seg";
pub(super) const INDEX: &str = "00000000000000000000.idx";

pub(super) const STREAMS: [&str; 3] = ["account/a1", "account/a2", "ledger/l1"];
pub(super) const SCOPE: &str = "e-mail";
pub(super) const KEYS: [&str; 2] = ["ada", "bob"];

/// How many commits the sample has: enough for several segments.
const COMMITS_COUNT: u64 = 60;

/// Ids that count up.
#[derive(Debug, Default)]
pub(super) struct Ids(AtomicU64);

impl IdGenerator for Ids {
    fn next_uuid(&self) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u64_pair(number, number.rotate_left(32))
    }
}

/// The whole first segment of the sample.
#[must_use]
pub fn sample_segment() -> Vec<u8> {
    files().get(SEGMENT).cloned().unwrap_or_default()
}

/// The index file of the first segment of the sample.
#[must_use]
pub fn sample_index() -> Vec<u8> {
    files().get(INDEX).cloned().unwrap_or_default()
}

/// All files of the sample.
pub(super) fn files() -> &'static BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = MemoryFolder::default();
        let shared = Arc::new(folder.clone());
        let create = WhenMissing::Create;
        let opened = LocalEventStore::open_parts(shared, create, &Ids::default(), OPTIONS);
        if let Ok((store, mut workers, _)) = opened {
            for number in 0..COMMITS_COUNT {
                let append = pin!(store.append(commit(number)));
                let _ = append.poll(&mut Context::from_waker(Waker::noop()));
                while workers.writer.step(WhenIdle::Return) == Step::Worked {}
                while workers.sealer.step(WhenIdle::Return) == Step::Worked {}
            }
        }
        folder.contents()
    })
}

/// The commit of a number: plain, with ids, a command, or one with claims.
pub(super) fn commit(number: u64) -> Commit {
    let at = usize::try_from(number).unwrap_or_default();
    let stream =
        |at: usize| STREAMS.get(at % STREAMS.len()).and_then(|it| StreamId::parse(it).ok());
    let Some((first, second)) = stream(at).zip(stream(at + 1)) else {
        return nothing();
    };
    let mut commit = nothing();
    commit.recorded_at = Timestamp::from_ms(number);
    let events = |count: usize| (0..count).filter_map(|_| event()).collect::<Vec<_>>();
    let append = |stream: &StreamId, events| annals_core::commit::StreamAppend {
        stream: stream.clone(),
        expected: ExpectedRevision::Any,
        events,
    };
    commit.streams = vec![append(&first, events(1 + at % 3)), append(&second, events(1))];
    match at % 4 {
        0 => {
            let events = commit.streams.iter_mut().flat_map(|append| &mut append.events);
            for (event, id) in events.zip(1_u128..) {
                event.id = Some(EventId::new(Uuid::from_u128(u128::from(number) << 8 | id)));
            }
        }
        1 => {
            commit.command = command(number, &first);
            commit.origin = Arc::new(Origin {
                correlation_id: CorrelationId::new("req-1").ok(),
                causation_id: None,
                principal: Some("ada".into()),
            });
        }
        2 => {
            let key = KEYS.get(at % KEYS.len()).copied().unwrap_or_default();
            let (scope, key): (Arc<str>, Arc<str>) = (SCOPE.into(), key.into());
            let release = (Arc::clone(&scope), Arc::clone(&key), second);
            let (release_scope, release_key, stream) = release;
            commit.releases = vec![Release { scope: release_scope, key: release_key, stream }];
            let expires_at = (at % 8 == 2).then(|| Timestamp::from_ms(number + 5));
            commit.claims = vec![Claim { scope, key, stream: first, expires_at }];
        }
        _ => {}
    }
    commit
}

fn nothing() -> Commit {
    Commit {
        recorded_at: Timestamp::from_ms(0),
        origin: Arc::default(),
        command: None,
        streams: Vec::new(),
        claims: Vec::new(),
        releases: Vec::new(),
        id_is_new: false,
    }
}

fn event() -> Option<NewEvent> {
    let mut event =
        NewEvent::json(EventType::new("opened").ok()?, Bytes::from_static(b"{\"n\":1}"));
    event.metadata = Bytes::from_static(b"{}");
    Some(event)
}

fn command(number: u64, stream: &StreamId) -> Option<CommandRecord> {
    Some(CommandRecord {
        id: CommandId::new(Uuid::from_u128(number.into())),
        name: CommandName::new("open-account").ok()?,
        stream: stream.clone(),
        content_type: ContentType::Json,
        data: Bytes::from_static(b"{}"),
        decided_at: Timestamp::from_ms(number),
        seed: (1, 2),
        plugin: Digest::of(b"plugin"),
        outcome: Outcome::Accepted,
    })
}
