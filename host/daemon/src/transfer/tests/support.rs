//! A store with a commit of every kind, and short forms of export and import.

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Claim, Commit, RecordedCommit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::{CausationId, CommandId, CorrelationId, Digest, EventId, StoreId};
use annals_core::place::{ExpectedRevision, Partition, Revision};
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_memory::{MemoryEventStore, MemoryStateStores};
use bytes::Bytes;
use uuid::Uuid;

use crate::transfer::{ExportFile, Exported, ImportError, Imported, export};

pub(super) fn empty_store(number: u128) -> MemoryEventStore {
    MemoryEventStore::new(StoreId::new(Uuid::from_u128(number)))
}

pub(super) fn stream(id: &str) -> StreamId {
    id.parse().unwrap()
}

pub(super) fn event(data: &[u8]) -> NewEvent {
    NewEvent::json("note-taken".parse().unwrap(), Bytes::copy_from_slice(data))
}

pub(super) fn at(ms: u64) -> Timestamp {
    Timestamp::from_ms(1_795_167_000_000 + ms)
}

/// An append of one note to `note/n1`.
pub(super) fn note(data: &[u8], ms: u64) -> Commit {
    Commit::plain(stream("note/n1"), ExpectedRevision::Any, vec![event(data)], at(ms))
}

pub(super) fn command(number: u128, of: &str, outcome: Outcome) -> CommandRecord {
    CommandRecord {
        id: CommandId::new(Uuid::from_u128(number)),
        name: "take-note".parse().unwrap(),
        stream: stream(of),
        content_type: ContentType::Json,
        data: Bytes::from_static(br#"{"cents": 1.50, "a":null}"#),
        decided_at: at(1),
        seed: (u64::MAX, 7),
        plugin: Digest::of(b"plugin"),
        outcome,
    }
}

fn rejected(detail: &'static [u8]) -> Outcome {
    Outcome::Rejected(Rejection {
        code: Arc::from("insufficient-funds"),
        message: Arc::from("the balance is \"0\"\n\u{1f980}"),
        detail: Bytes::from_static(detail),
    })
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        correlation_id: Some(CorrelationId::new("trace-1").unwrap()),
        causation_id: Some(CausationId::new(Uuid::from_u128(99))),
        principal: Some(Arc::from("ada \0 \u{7f} ü")),
    })
}

fn of_command(record: CommandRecord, streams: Vec<StreamAppend>) -> Commit {
    Commit {
        recorded_at: at(5),
        origin: origin(),
        command: Some(record),
        streams,
        claims: Vec::new(),
        releases: Vec::new(),
        id_is_new: false,
    }
}

fn part(id: &str, expected: ExpectedRevision, events: Vec<NewEvent>) -> StreamAppend {
    StreamAppend { stream: stream(id), expected, events }
}

/// Data that JSON libraries like to change, and what is no JSON at all.
fn all_kinds_of_data() -> Vec<NewEvent> {
    let json: [&[u8]; 11] = [
        b"null",
        b"{}",
        b"",
        b"\0",
        b"\xff\xfe",
        br#"{"b":1,"a":18446744073709551616,"b":1.50e+01}"#,
        b" {\"spaces\": \"around\"} ",
        b"{\n  \"lines\": 2\r\n}",
        "\"\u{1f980} \u{2028} \\u0000 \\ud800\"".as_bytes(),
        b"not json",
        b"1e999",
    ];
    let mut events: Vec<_> = json.iter().map(|data| event(data)).collect();
    for (content_type, data) in [
        ("application/cbor", &b"\xa0"[..]),
        ("text/plain; charset=utf-8", b"plain"),
        ("application/json; charset=utf-8", b"{}"),
    ] {
        let other = NewEvent { content_type: ContentType::from(content_type), ..event(data) };
        events.push(other);
    }
    for metadata in [&b"{\"k\": \"v\"}"[..], b"\0\xff", b"\0 \n"] {
        events.push(NewEvent { metadata: Bytes::copy_from_slice(metadata), ..event(b"[]") });
    }
    events.push(NewEvent { schema_version: SchemaVersion(u32::MAX), ..event(b"true") });
    events
}

fn plain_commits() -> Vec<Commit> {
    let mut commits = vec![
        note(b"{}", 0),
        // A clock that goes back does not move the time of an event.
        Commit { origin: origin(), ..note(b"{\"a\":1}", 0) },
    ];
    commits.extend(
        all_kinds_of_data().into_iter().map(|event| {
            Commit::plain(stream("kind/ü 1"), ExpectedRevision::Any, vec![event], at(3))
        }),
    );
    let given =
        |number| NewEvent { id: Some(EventId::new(Uuid::from_u128(number))), ..event(b"1") };
    let mut two_streams = note(b"{}", 4);
    two_streams.streams = vec![
        part("note/n2", ExpectedRevision::NoStream, vec![given(1), given(2)]),
        part("note/n3", ExpectedRevision::Any, Vec::new()),
        part("note/n1", ExpectedRevision::StreamExists, vec![given(3)]),
    ];
    commits.push(two_streams);
    commits
}

fn claim(key: &str, holder: &str, expires_at: Option<Timestamp>) -> Claim {
    Claim { scope: Arc::from("e-mail"), key: Arc::from(key), stream: stream(holder), expires_at }
}

fn command_commits() -> Vec<Commit> {
    let accepted = |number, of| command(number, of, Outcome::Accepted);
    let open = vec![part("account/a1", ExpectedRevision::NoStream, all_kinds_of_data())];
    let mut claims = of_command(accepted(1, "account/a1"), open);
    claims.claims = vec![
        claim("ada@example.org", "account/a1", None),
        claim("\0 \"", "account/a1", Some(Timestamp::from_ms(u64::MAX))),
        claim("soon", "account/a1", Some(at(6))),
    ];
    let at_17 = ExpectedRevision::Exactly(Revision::new(17));
    let parts = vec![
        part("account/a1", at_17, vec![event(b"{}")]),
        part("account/a2", ExpectedRevision::NoStream, vec![event(b"{}"), event(b"2")]),
    ];
    let mut moves = of_command(accepted(2, "account/a2"), parts);
    moves.releases = vec![Release {
        scope: Arc::from("e-mail"),
        key: Arc::from("ada@example.org"),
        stream: stream("account/a1"),
    }];
    let mut data = accepted(3, "account/a1");
    data.content_type = ContentType::from("application/octet-stream");
    data.data = Bytes::from_static(b"\0\xff");
    let expects = vec![part("account/a9", ExpectedRevision::NoStream, Vec::new())];
    vec![
        claims,
        moves,
        of_command(data, expects),
        of_command(accepted(4, "account/never"), Vec::new()),
        of_command(command(5, "account/a1", rejected(b"")), Vec::new()),
        of_command(command(6, "account/a1", rejected(b"null")), Vec::new()),
        of_command(command(7, "account/a8", rejected(b"{\n}")), Vec::new()),
        note(b"\"last\"", 9),
    ]
}

/// A store with commits of every kind.
pub(super) async fn full_store(number: u128) -> MemoryEventStore {
    let store = empty_store(number);
    for commit in plain_commits().into_iter().chain(command_commits()) {
        store.append(commit).await.unwrap();
    }
    store
}

/// All commits of a store.
pub(super) async fn commits(store: &dyn EventStore) -> Vec<RecordedCommit> {
    let mut commits = Vec::new();
    loop {
        let from = u64::try_from(commits.len()).unwrap();
        let page = store.read_commits(Partition::ZERO, from, usize::MAX).await.unwrap();
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}

/// The text of a store, and what is said of it.
pub(super) async fn exported(store: &dyn EventStore) -> (String, Exported) {
    let mut text = Vec::new();
    let said = export(store, &mut text, &mut |_| {}).await.unwrap();
    (String::from_utf8(text).unwrap(), said)
}

/// Imports a text.
pub(super) async fn import(
    text: impl AsRef<[u8]>,
    store: &dyn EventStore,
) -> Result<Imported, ImportError> {
    let mut text = text.as_ref();
    ExportFile::open(&mut text)
        .await?
        .import_into(store, &MemoryStateStores::new(), &mut |_| {})
        .await
}

/// The same export with its last line made anew, as if it had been written so.
pub(super) fn with_new_end(text: &str, commits_count: u64, events_count: u64) -> String {
    let (body, end) = text.trim_end().rsplit_once('\n').unwrap();
    let body = format!("{body}\n");
    let mut end: serde_json::Value = serde_json::from_str(end).unwrap();
    end["data"] = serde_json::json!({
        "commits_count": commits_count,
        "events_count": events_count,
        "sha256": Digest::of(body.as_bytes()).to_string(),
    });
    format!("{body}{end}\n")
}
