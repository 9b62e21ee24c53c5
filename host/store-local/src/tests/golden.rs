//! The data folders in `tests/golden`, each written by a release, against what they must hold.
//!
//! A release that changes the format adds a folder; those of earlier ones are never made again.

use std::fs;
use std::path::{Path, PathBuf};

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Claim, Commit, RecordedCommit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::{CausationId, CommandId, CorrelationId, Digest, EventId};
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::EventStore as _;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use pollster::block_on;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::log::CountedIds;
use crate::{LocalEventStore, LogOptions, WhenMissing};

const COMMITS_COUNT: u64 = 60;

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(version)
}

fn open(folder: &Path) -> LocalEventStore {
    let options = LogOptions { segment_bytes: 4 << 10, ..LogOptions::default() };
    LocalEventStore::open(folder, WhenMissing::Create, &CountedIds::default(), options).unwrap().0
}

fn stream(number: u64) -> StreamId {
    StreamId::parse(&format!("account/a{}", number % 5)).unwrap()
}

fn event(number: u64) -> NewEvent {
    let mut event = NewEvent::json(
        EventType::new("funds-deposited").unwrap(),
        format!("{{\"n\":{number},\"text\":\"\u{fc}\u{1f600}\"}}"),
    );
    if number.is_multiple_of(4) {
        event.content_type = ContentType::from("application/octet-stream");
        event.data = Bytes::from(vec![0, 255, u8::try_from(number).unwrap()]);
        event.metadata = Bytes::from_static(b"{\"ip\":\"::1\"}");
        event.schema_version = SchemaVersion(3);
    }
    event
}

fn command(number: u64, outcome: Outcome) -> CommandRecord {
    CommandRecord {
        id: CommandId::new(Uuid::from_u64_pair(9, number)),
        name: CommandName::new("deposit-funds").unwrap(),
        stream: stream(number),
        content_type: ContentType::Json,
        data: Bytes::from(format!("{{\"amount\":{number}}}")),
        decided_at: Timestamp::from_ms(1_000 + number),
        seed: (number, 7),
        plugin: Digest::of(b"plugin"),
        outcome,
    }
}

/// The commits every golden store begins with: one of each kind, again and again.
fn commit(number: u64) -> Commit {
    let (any, at) = (ExpectedRevision::Any, Timestamp::from_ms(2_000 + number));
    let mut commit = Commit::plain(stream(number), any, vec![event(number)], at);
    match number % 6 {
        0 => {}
        1 => commit.streams[0].events[0].id = Some(EventId::new(Uuid::from_u64_pair(8, number))),
        2 => {
            commit.command = Some(command(number, Outcome::Accepted));
            commit.streams.push(StreamAppend {
                stream: StreamId::parse("ledger/l1").unwrap(),
                expected: any,
                events: vec![event(number + 1), event(number + 2)],
            });
            commit.origin = std::sync::Arc::new(Origin {
                correlation_id: Some(CorrelationId::new("req-1").unwrap()),
                causation_id: Some(CausationId::new(Uuid::from_u64_pair(7, number))),
                principal: Some("ada".into()),
            });
        }
        3 => {
            let rejection = Rejection {
                code: "insufficient-funds".into(),
                message: "there is not enough".into(),
                detail: Bytes::from_static(b"{\"missing\":5}"),
            };
            commit.command = Some(command(number, Outcome::Rejected(rejection)));
            commit.streams.clear();
        }
        4 => commit.claims.push(Claim {
            scope: "e-mail".into(),
            key: format!("{number}@example.org").into(),
            stream: stream(number),
            expires_at: number.is_multiple_of(8).then(|| Timestamp::from_ms(9_000)),
        }),
        // What the stream of six commits before took, once there is such.
        _ if number < 7 => {}
        _ => commit.releases.push(Release {
            scope: "e-mail".into(),
            key: format!("{}@example.org", number - 7).into(),
            stream: stream(number - 7),
        }),
    }
    commit
}

/// A log with the golden commits, each written alone.
fn write(folder: &Path) {
    let store = open(folder);
    for number in 0..COMMITS_COUNT {
        let accepted = block_on(store.append(commit(number))).unwrap();
        block_on(accepted.durability.wait()).unwrap();
        block_on(store.flush()).unwrap();
    }
}

fn commits(store: &LocalEventStore) -> Vec<RecordedCommit> {
    block_on(store.read_commits(Partition::ZERO, 0, 1_000)).unwrap()
}

/// A commit as JSON that says everything.
fn describe(recorded: &RecordedCommit) -> Value {
    let commit = &recorded.commit;
    let bytes = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let events = |append: &StreamAppend| -> Vec<Value> {
        let one = |event: &NewEvent| {
            json!({
                "id": event.id, "type": event.event_type.as_str(),
                "schema_version": event.schema_version.0,
                "content_type": format!("{:?}", event.content_type),
                "data": bytes(&event.data), "metadata": bytes(&event.metadata),
            })
        };
        append.events.iter().map(one).collect()
    };
    let streams = commit.streams.iter().map(|append| {
        json!({
            "stream": append.stream.as_str(), "expected": append.expected.to_string(),
            "events": events(append),
        })
    });
    let command = commit.command.as_ref().map(|command| {
        json!({
            "id": command.id, "name": command.name.as_str(), "stream": command.stream.as_str(),
            "data": bytes(&command.data), "decided_at_ms": command.decided_at.ms(),
            "seed": [command.seed.0, command.seed.1], "plugin": command.plugin.to_string(),
            "outcome": format!("{:?}", command.outcome),
        })
    });
    json!({
        "number": recorded.number, "first_position": recorded.first_position,
        "recorded_at_ms": commit.recorded_at.ms(), "origin": format!("{:?}", commit.origin),
        "command": command, "streams": streams.collect::<Vec<_>>(),
        "claims": format!("{:?}", commit.claims), "releases": format!("{:?}", commit.releases),
    })
}

fn describe_all(store: &LocalEventStore) -> String {
    commits(store).iter().map(|commit| format!("{}\n", describe(commit))).collect()
}

/// The files of a log, without most of the zeros behind the content of the last segment.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "seg" || it == "idx"))
        .map(|path| {
            let mut bytes = fs::read(&path).unwrap();
            // The last frame may end with some zeros.
            bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).unwrap() + 65);
            (path.file_name().unwrap().to_str().unwrap().to_owned(), bytes)
        })
        .collect();
    files.sort_unstable();
    files
}

#[test]
fn stores_of_every_release_open_and_hold_what_they_held() {
    // Guards every log on a disk: what a release wrote is read for ever, also without its indexes.
    for version in ["0.1.0"] {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files(&golden(version).join("log")) {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let expected = fs::read_to_string(golden(version).join("commits.ndjson")).unwrap();
        assert_eq!(describe_all(&open(folder.path())), expected);
        for (name, _) in files(folder.path()).iter().filter(|(name, _)| name.ends_with(".idx")) {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        assert_eq!(describe_all(&open(folder.path())), expected);
    }
}

#[test]
fn this_version_writes_what_0_1_0_wrote() {
    // Guards against a change of the format that nobody noticed: it needs a new version number and a
    // new folder, made with `UPDATE_GOLDEN=1`.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let written = files(folder.path());
    let golden = golden("0.1.0");
    #[expect(clippy::disallowed_methods, reason = "a golden folder is made by hand, once")]
    let is_wanted = std::env::var("UPDATE_GOLDEN").is_ok();
    if is_wanted && !golden.exists() {
        fs::create_dir_all(golden.join("log")).unwrap();
        for (name, bytes) in &written {
            fs::write(golden.join("log").join(name), bytes).unwrap();
        }
        fs::write(golden.join("commits.ndjson"), describe_all(&open(folder.path()))).unwrap();
    }
    assert!(written.iter().filter(|(name, _)| name.ends_with(".idx")).count() > 2);
    assert_eq!(written, files(&golden.join("log")));
}
