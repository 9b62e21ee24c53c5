//! Commands in the event store: recorded with their outcome, recognised when repeated, read back.

use std::sync::Arc;

use annals_core::command::{CommandRecord, RecordedCommand};
use annals_core::commit::{Claim, Commit, Receipt, Release};
use annals_core::event::{ContentType, Origin};
use annals_core::id::{CausationId, CorrelationId, Digest};
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::name::CommandName;
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::{AppendError, CommandIdsRemembered};
use bytes::Bytes;
use uuid::Uuid;

use crate::support::{
    Store, after_now, append, assert_recorded, assert_refused, command, command_id, decided,
    events, exactly, part, plain, refused_by_domain, rejected, stream, wrong_revision,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// How many commits must not make a store forget that remembers all ids.
const COMMITS_UNFORGOTTEN: u128 = 1_100;

/// Guards C3: the first outcome can be given again, with its places.
pub async fn finds_an_accepted_command_with_its_events(store: &Store) {
    append(store, plain("accepted", ANY, events(2))).await;
    let commit = decided("accepted", 1, events(3));
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
    let expected = RecordedCommand {
        revision: Revision::new(4).into(),
        events: receipt.streams[0].events,
        ..recorded(&commit, &receipt)
    };
    assert!(expected.events.is_some());
    assert_eq!(find(store, "accepted", 1).await, Some(expected));
}

/// Guards C6: a decision without events records the command and changes no revision, of a stream
/// with events and of one without.
pub async fn finds_an_accepted_command_without_events(store: &Store) {
    append(store, plain("no-events", ANY, events(2))).await;
    for (id, revision) in [("no-events", Revision::last_of(2)), ("no-stream", None)] {
        let commit = decided(id, 1, Vec::new());
        let receipt = append(store, commit.clone()).await;
        assert_eq!(receipt.streams[0].revision, ActualRevision(revision));
        let expected =
            RecordedCommand { revision: ActualRevision(revision), ..recorded(&commit, &receipt) };
        assert_eq!(find(store, id, 1).await, Some(expected));
        let info = store.stream_info(&stream(id)).await.unwrap();
        assert_eq!((info.revision, info.commands_count), (ActualRevision(revision), 1));
    }
}

/// Guards B1: the domain's refusals are in the log as commands, not as events.
pub async fn finds_a_rejected_command_with_its_rejection(store: &Store) {
    append(store, plain("rejected", ANY, events(1))).await;
    let commit = Commit {
        streams: vec![part("rejected", exactly(0), Vec::new())],
        ..refused_by_domain("rejected", 1)
    };
    let receipt = append(store, commit.clone()).await;
    let expected =
        RecordedCommand { revision: Revision::FIRST.into(), ..recorded(&commit, &receipt) };
    assert_eq!(expected.record.outcome, rejected());
    assert_eq!(find(store, "rejected", 1).await, Some(expected));
    let info = store.stream_info(&stream("rejected")).await.unwrap();
    assert_eq!((info.revision, info.commands_count), (Revision::FIRST.into(), 1));
}

/// Guards the record against a driver that forgets a field or changes a byte.
pub async fn keeps_every_field_of_a_command(store: &Store) {
    let record = CommandRecord {
        id: command_id(u128::MAX),
        name: CommandName::new("keep-2-things").unwrap(),
        content_type: ContentType::from("application/octet-stream"),
        data: Bytes::from_static(b"\0\xff\xf0\x9f\x98\x80"),
        decided_at: after_now(1),
        seed: (u64::MAX, 0),
        plugin: Digest::from_bytes([0xff; 32]),
        ..command("fields", 1)
    };
    let mut commit = decided("fields", 1, events(1));
    commit.command = Some(record);
    commit.origin = Arc::new(Origin {
        correlation_id: Some(CorrelationId::new("from~outside").unwrap()),
        causation_id: Some(CausationId::new(Uuid::from_u128(7))),
        principal: Some(Arc::from("ada \u{1f600}")),
    });
    let receipt = append(store, commit.clone()).await;
    let expected = RecordedCommand {
        revision: Revision::FIRST.into(),
        events: receipt.streams[0].events,
        ..recorded(&commit, &receipt)
    };
    assert_eq!(find(store, "fields", u128::MAX).await, Some(expected));
}

/// Guards new commands: none of another id or another stream is taken for them.
pub async fn finds_nothing_that_its_stream_has_not_decided(store: &Store) {
    append(store, decided("found", 1, events(1))).await;
    assert_eq!(find(store, "found", 2).await, None);
    assert_eq!(find(store, "not-found", 1).await, None);
}

/// Guards C3: a repeat is refused whatever it expects and whatever it decided, and writes nothing.
pub async fn refuses_a_command_decided_before(store: &Store) {
    append(store, decided("repeat", 1, events(1))).await;
    append(store, refused_by_domain("repeat", 2)).await;
    append(store, decided("repeat", 3, Vec::new())).await;
    for number in 1..=3 {
        let error =
            AppendError::AlreadyDecided { stream: stream("repeat"), command: command_id(number) };
        for expected in [ANY, ExpectedRevision::NoStream, exactly(0)] {
            let mut commit = decided("repeat", number, events(2));
            commit.streams[0].expected = expected;
            assert_refused(store, commit, &error).await;
        }
        assert_refused(store, refused_by_domain("repeat", number), &error).await;
    }
}

/// Guards ids that a client uses for two streams: each stream decides for itself.
pub async fn remembers_command_ids_per_stream(store: &Store) {
    for id in ["own-1", "own-2"] {
        let commit = decided(id, 1, events(1));
        let receipt = append(store, commit.clone()).await;
        assert_recorded(store, &commit, &receipt).await;
        let found = find(store, id, 1).await.map(|found| found.record);
        assert_eq!(found, commit.command);
    }
}

/// Guards commands that write to other streams than their own: the record belongs to its own.
pub async fn records_a_command_that_writes_other_streams(store: &Store) {
    append(store, plain("owner", ANY, events(2))).await;
    let commit = Commit {
        streams: vec![part("written", ANY, events(2))],
        ..decided("owner", 1, Vec::new())
    };
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
    let expected =
        RecordedCommand { revision: Revision::new(1).into(), ..recorded(&commit, &receipt) };
    assert_eq!(find(store, "owner", 1).await, Some(expected));
    assert_eq!(find(store, "written", 1).await, None);
}

/// Guards the log's meaning: a rejection changes nothing but the log.
pub async fn refuses_a_rejected_command_that_records_something(store: &Store) {
    let error = AppendError::Invalid { what: "a rejected command records nothing" };
    let mut with_event = refused_by_domain("records", 1);
    with_event.streams.push(part("records", ANY, events(1)));
    assert_refused(store, with_event, &error).await;

    let (scope, key): (Arc<str>, Arc<str>) = (Arc::from("commands"), Arc::from("records"));
    let mut with_claim = refused_by_domain("records", 1);
    with_claim.claims.push(Claim {
        scope: Arc::clone(&scope),
        key: Arc::clone(&key),
        stream: stream("records"),
        expires_at: None,
    });
    assert_refused(store, with_claim, &error).await;

    let mut with_release = refused_by_domain("records", 1);
    with_release.releases.push(Release { scope, key, stream: stream("records") });
    assert_refused(store, with_release, &error).await;
}

/// Guards C5: a rejection that rests on a stale state is not recorded.
pub async fn refuses_a_rejected_command_whose_expectation_is_not_met(store: &Store) {
    append(store, plain("stale", ANY, events(2))).await;
    let commit = Commit {
        streams: vec![part("stale", exactly(0), Vec::new())],
        ..refused_by_domain("stale", 1)
    };
    assert_refused(store, commit, &wrong_revision("stale", exactly(0), 2)).await;
    assert_eq!(find(store, "stale", 1).await, None);
}

/// Guards the history of a stream's commands: oldest first, rejected ones in their place, in pages.
pub async fn reads_commands_oldest_first_in_pages(store: &Store) {
    assert_eq!(read(store, 0, 10).await, []);
    for number in 0..5 {
        let commit = match number % 3 {
            0 => decided("history", number, events(2)),
            1 => refused_by_domain("history", number),
            _ => decided("history", number, Vec::new()),
        };
        append(store, commit).await;
        append(store, decided("other-history", number, events(1))).await;
    }
    let cases: [(u64, usize, &[u128]); 8] = [
        (0, 10, &[0, 1, 2, 3, 4]),
        (0, 5, &[0, 1, 2, 3, 4]),
        (0, 2, &[0, 1]),
        (3, 1, &[3]),
        (4, usize::MAX, &[4]),
        (5, 1, &[]),
        (u64::MAX, usize::MAX, &[]),
        (1, 0, &[]),
    ];
    for (skip, limit, numbers) in cases {
        let mut found = Vec::new();
        for number in numbers {
            found.extend(find(store, "history", *number).await);
        }
        assert_eq!(found.len(), numbers.len());
        assert_eq!(read(store, skip, limit).await, found, "{skip} {limit}");
    }
    let info = store.stream_info(&stream("history")).await.unwrap();
    assert_eq!((info.revision, info.commands_count), (Revision::new(3).into(), 5));
}

/// Guards memory: whatever the caller asks for, a read has an end.
pub async fn limits_the_commands_of_a_read(store: &Store) {
    let commands_count = u128::try_from(READ_EVENTS_MAX).unwrap() + 1;
    for number in 0..commands_count {
        store.append(refused_by_domain("history", number)).await.unwrap();
    }
    let numbers = read(store, 0, usize::MAX).await.into_iter();
    let numbers: Vec<_> = numbers.map(|found| found.record.id).collect();
    let expected: Vec<_> = (0..commands_count - 1).map(command_id).collect();
    assert_eq!(numbers, expected);
}

/// Guards late repeats: ids are remembered as long as the capabilities say, and no longer is
/// promised.
pub async fn remembers_command_ids_as_its_capabilities_say(store: &Store) {
    append(store, decided("late", 0, events(1))).await;
    let (is_forgetful, commits_count) = match store.capabilities().command_ids_remembered {
        CommandIdsRemembered::All => (false, COMMITS_UNFORGOTTEN),
        // The first commit is itself one of the last.
        CommandIdsRemembered::LastCommits(count) => (true, u128::from(count) - 1),
    };
    for number in 1..=commits_count {
        store.append(decided("late", number, events(1))).await.unwrap();
    }
    let error = AppendError::AlreadyDecided { stream: stream("late"), command: command_id(0) };
    assert_refused(store, decided("late", 0, events(1)), &error).await;
    assert!(find(store, "late", 0).await.is_some());
    if is_forgetful {
        append(store, decided("late", commits_count + 1, events(1))).await;
        assert_eq!(find(store, "late", 0).await, None);
        append(store, decided("late", 0, events(1))).await;
    }
}

async fn find(store: &Store, id: &str, number: u128) -> Option<RecordedCommand> {
    let stream = stream(id);
    let found = store.find_command(&stream, command_id(number)).await;
    found.unwrap()
}

async fn read(store: &Store, skip: u64, limit: usize) -> Vec<RecordedCommand> {
    let stream = stream("history");
    let commands = store.read_commands(&stream, skip, limit).await;
    commands.unwrap()
}

/// The command of a commit as it is recorded, of a stream and without events.
fn recorded(commit: &Commit, receipt: &Receipt) -> RecordedCommand {
    RecordedCommand {
        record: commit.command.clone().unwrap(),
        origin: Arc::clone(&commit.origin),
        recorded_at: receipt.recorded_at,
        revision: ActualRevision::NO_EVENT,
        events: None,
    }
}
