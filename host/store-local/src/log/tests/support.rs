//! Stores in folders of their own, commits, and a look at everything a store holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::command::{CommandRecord, Outcome, RecordedCommand, Rejection};
use annals_core::commit::{Accepted, Claim, ClaimHolder, Commit, Receipt, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::{
    CausationId, CommandId, CorrelationId, Digest, EventId, IdGenerator, StoreId,
};
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{AppendError, EventTypeCount, FeedFilter, StreamInfo};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use pollster::block_on;
use uuid::Uuid;

use crate::{LocalEventStore, LogError, LogOptions, RecoveryReport, WhenMissing};

#[derive(Debug, Default)]
pub(crate) struct CountedIds(AtomicU64);

impl IdGenerator for CountedIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u64_pair(0x5eed_0000_1234_5678, self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    pub(crate) fn segment(&self) -> PathBuf {
        self.log().join("00000000000000000000.seg")
    }

    pub(crate) fn try_open(&self) -> Result<(LocalEventStore, RecoveryReport), LogError> {
        self.try_open_with(LogOptions::default())
    }

    pub(crate) fn try_open_with(
        &self,
        options: LogOptions,
    ) -> Result<(LocalEventStore, RecoveryReport), LogError> {
        LocalEventStore::open(&self.log(), WhenMissing::Create, &CountedIds::default(), options)
    }

    pub(crate) fn open(&self) -> LocalEventStore {
        self.try_open().unwrap().0
    }

    /// The segment without the zeros behind its frames.
    pub(crate) fn used_bytes(&self) -> Vec<u8> {
        let mut bytes = fs::read(self.segment()).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        bytes.truncate(used);
        bytes
    }

    /// A folder whose segment holds `bytes`.
    pub(crate) fn with_segment(bytes: &[u8]) -> Self {
        let folder = Self::new();
        fs::create_dir(folder.log()).unwrap();
        fs::write(folder.segment(), bytes).unwrap();
        folder
    }
}

pub(crate) fn stream(text: &str) -> StreamId {
    StreamId::parse(text).unwrap()
}

pub(crate) fn event(data: &str) -> NewEvent {
    NewEvent::json(EventType::new("deposited").unwrap(), Bytes::copy_from_slice(data.as_bytes()))
}

pub(crate) fn plain(text: &str, data: &[&str]) -> Commit {
    let events = data.iter().map(|data| event(data)).collect();
    Commit::plain(stream(text), ExpectedRevision::Any, events, Timestamp::from_ms(1_000))
}

pub(crate) fn event_id(number: u128) -> EventId {
    EventId::new(Uuid::from_u128(number))
}

pub(crate) fn command_id(number: u128) -> CommandId {
    CommandId::new(Uuid::from_u128(number))
}

pub(crate) fn command(text: &str, id: u128, outcome: Outcome) -> CommandRecord {
    CommandRecord {
        id: command_id(id),
        name: CommandName::new("deposit-funds").unwrap(),
        stream: stream(text),
        content_type: ContentType::Json,
        data: Bytes::from_static(b"{\"amount\":1}"),
        decided_at: Timestamp::from_ms(999),
        seed: (3, 4),
        plugin: Digest::of(b"plugin"),
        outcome,
    }
}

/// A command that recorded two events, one of another stream, and took a claim.
pub(crate) fn accepted_command(id: u128) -> Commit {
    let mut other = event("{\"n\":2}");
    other.content_type = ContentType::from("text/plain");
    other.schema_version = SchemaVersion(3);
    other.metadata = Bytes::from_static(b"{\"ip\":\"::1\"}");
    Commit {
        recorded_at: Timestamp::from_ms(2_000),
        origin: Arc::new(Origin {
            correlation_id: Some(CorrelationId::new("req-1").unwrap()),
            causation_id: Some(CausationId::new(Uuid::from_u128(77))),
            principal: Some("ada".into()),
        }),
        command: Some(command("account/a1", id, Outcome::Accepted)),
        streams: vec![
            StreamAppend {
                stream: stream("account/a1"),
                expected: ExpectedRevision::Any,
                events: vec![event("{\"n\":1}")],
            },
            StreamAppend {
                stream: stream("ledger/l1"),
                expected: ExpectedRevision::Any,
                events: vec![other],
            },
        ],
        claims: vec![Claim {
            scope: "e-mail".into(),
            key: "ada@example.org".into(),
            stream: stream("account/a1"),
            expires_at: Some(Timestamp::from_ms(9_000)),
        }],
        releases: Vec::new(),
        id_is_new: false,
    }
}

pub(crate) fn rejected_command(text: &str, id: u128) -> Commit {
    let rejection = Rejection {
        code: "insufficient-funds".into(),
        message: "there is not enough".into(),
        detail: Bytes::from_static(b"{\"missing\":5}"),
    };
    Commit {
        recorded_at: Timestamp::from_ms(3_000),
        origin: Arc::default(),
        command: Some(command(text, id, Outcome::Rejected(rejection))),
        streams: Vec::new(),
        claims: Vec::new(),
        releases: Vec::new(),
        id_is_new: false,
    }
}

pub(crate) fn accept(store: &LocalEventStore, commit: Commit) -> Result<Accepted, AppendError> {
    block_on(store.append(commit))
}

/// Appends and waits until it is durable.
#[track_caller]
pub(crate) fn append(store: &LocalEventStore, commit: Commit) -> Receipt {
    let accepted = accept(store, commit).unwrap();
    block_on(accepted.durability.wait()).unwrap();
    accepted.receipt
}

pub(crate) fn feed(store: &LocalEventStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut after = None;
    loop {
        let filter = FeedFilter::default();
        let page = block_on(store.read_feed(Partition::ZERO, after, &filter, 1_000)).unwrap();
        events.extend(page.events);
        after = page.read_up_to;
        if page.is_at_head {
            return events;
        }
    }
}

/// Everything a store says.
#[derive(Debug, PartialEq)]
pub(crate) struct Contents {
    pub(crate) store: StoreId,
    pub(crate) feed: Vec<RecordedEvent>,
    pub(crate) commands: Vec<RecordedCommand>,
    pub(crate) infos: Vec<StreamInfo>,
    pub(crate) claim: Option<ClaimHolder>,
    pub(crate) counts: Vec<EventTypeCount>,
}

pub(crate) fn contents(store: &LocalEventStore) -> Contents {
    let streams = [stream("account/a1"), stream("account/a2"), stream("ledger/l1")];
    let commands = |stream| block_on(store.read_commands(stream, 0, 100)).unwrap();
    Contents {
        store: store.store_id(),
        feed: feed(store),
        commands: streams.iter().flat_map(commands).collect(),
        infos: streams.iter().map(|stream| block_on(store.stream_info(stream)).unwrap()).collect(),
        claim: block_on(store.claim_holder("e-mail", "ada@example.org", Timestamp::from_ms(1)))
            .unwrap(),
        counts: block_on(store.event_type_counts()).unwrap(),
    }
}

pub(crate) fn copy(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
