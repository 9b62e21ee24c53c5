//! `EventStore::append`: places, expectations, atomicity and time. Limits, ids and claims have files
//! of their own.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::commit::{Claim, Commit, Receipt, StreamReceipt};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::{CausationId, CorrelationId, EventId};
use annals_core::limits::METADATA_BYTES_MAX;
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::{AppendError, SizeLimit, StreamInfo};
use annals_core::stream::StreamId;
use bytes::Bytes;
use uuid::Uuid;

use crate::support::{
    Store, after_now, append, assert_recorded, assert_refused, command_id, commit_of, data_from,
    data_of, decided, event, event_with_id, events, exactly, part, partition_of, partitions, plain,
    stream, whole_stream, wrong_revision,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards the identity of a store: whatever is derived from it carries its id.
pub async fn has_one_id_and_at_least_one_partition(store: &Store) {
    assert_eq!(store.store_id(), store.store_id());
    assert_eq!(store.capabilities(), store.capabilities());
    assert!(store.capabilities().partitions_count >= 1);
}

/// Guards the first revision: 0, not 1.
pub async fn creates_a_stream_at_revision_zero(store: &Store) {
    let commit = plain("create", ExpectedRevision::NoStream, events(1));
    let receipt = append(store, commit.clone()).await;
    assert_eq!(receipt.streams[0].revision, Revision::FIRST.into());
    assert_recorded(store, &commit, &receipt).await;
}

/// Guards the order of a stream: the next commit goes on where the last ended.
pub async fn appends_at_the_next_revision(store: &Store) {
    append(store, plain("next", ANY, events(2))).await;
    let commit = plain("next", exactly(1), vec![event(2), event(3)]);
    let receipt = append(store, commit.clone()).await;
    assert_eq!(receipt.streams[0].revision, Revision::new(3).into());
    assert_recorded(store, &commit, &receipt).await;
    let recorded = whole_stream(store, &stream("next"), usize::MAX).await;
    assert_eq!(data_of(&recorded), data_from(0..4));
}

/// Guards the log against a driver that forgets a field or changes a byte: empty data, NUL, text of
/// four bytes per letter, no UTF-8 at all, and every part of the origin.
pub async fn keeps_every_field_byte_for_byte(store: &Store) {
    let data: [&'static [u8]; 5] =
        [b"", b"\0", "{\"a\":\"\u{1f600}\0\"}".as_bytes(), b"\xff\xfe", b" {} "];
    let events = data.into_iter().zip(1..).map(|(data, version)| NewEvent {
        id: Some(EventId::new(Uuid::from_u128(u128::MAX - u128::from(version)))),
        event_type: EventType::new("kept").unwrap(),
        schema_version: SchemaVersion(u32::MAX - version),
        content_type: ContentType::from("application/octet-stream"),
        data: Bytes::from_static(data),
        metadata: Bytes::from_static("{\"note\":\"\u{1f600}\"}".as_bytes()),
    });
    let id = "\u{1f600} with.every:thing*that#is|allowed";
    let commit = Commit {
        origin: Arc::new(Origin {
            correlation_id: Some(CorrelationId::new("a~correlation!id").unwrap()),
            causation_id: Some(CausationId::new(Uuid::from_u128(u128::MAX))),
            principal: Some(Arc::from("ada@example.org \u{1f600}")),
        }),
        ..plain(id, ExpectedRevision::NoStream, events.collect())
    };
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
}

/// Guards ids of plain appends: readers tell a repeat by them.
pub async fn gives_each_event_without_an_id_one_of_its_own(store: &Store) {
    for id in ["ids-1", "ids-2"] {
        append(store, plain(id, ANY, events(3))).await;
        append(store, plain(id, ANY, events(2))).await;
    }
    let mut ids = Vec::new();
    for id in ["ids-1", "ids-2"] {
        let recorded = whole_stream(store, &stream(id), usize::MAX).await;
        assert_eq!(recorded, whole_stream(store, &stream(id), 2).await);
        ids.extend(recorded.into_iter().map(|event| event.id));
    }
    let distinct: HashSet<EventId> = ids.iter().copied().collect();
    assert_eq!((ids.len(), distinct.len()), (10, 10));
}

/// Guards against empty frames: a commit needs an event or a command, and refusing it creates
/// nothing.
pub async fn refuses_a_commit_without_event_and_command(store: &Store) {
    for expected in [ANY, ExpectedRevision::NoStream, exactly(0)] {
        assert_refused(store, plain("empty", expected, Vec::new()), &AppendError::Empty).await;
    }
    assert_refused(store, commit_of(Vec::new()), &AppendError::Empty).await;
    let nothing = StreamInfo {
        partition: partition_of(store, "empty"),
        revision: ActualRevision::NO_EVENT,
        commands_count: 0,
    };
    assert_eq!(store.stream_info(&stream("empty")).await.unwrap(), nothing);
}

/// Guards the meaning of a commit: which of two expectations of one stream would count?
pub async fn refuses_a_stream_named_twice(store: &Store) {
    let error = AppendError::Invalid { what: "a stream is named twice" };
    let commit = commit_of(vec![
        part("twice", ANY, events(1)),
        part("other", ANY, events(1)),
        part("twice", ANY, Vec::new()),
    ]);
    assert_refused(store, commit, &error).await;
}

/// Guards R8, the matrix: each expectation against no event, one event and three.
pub async fn meets_or_refuses_each_expectation(store: &Store) {
    for events_count in [0, 1, 3] {
        let expectations = [
            (ANY, true),
            (ExpectedRevision::NoStream, events_count == 0),
            (ExpectedRevision::StreamExists, events_count > 0),
            (exactly(0), events_count == 1),
            (exactly(1), false),
            (exactly(2), events_count == 3),
            (exactly(3), false),
            (exactly(u64::MAX), false),
        ];
        for (index, (expected, is_met)) in expectations.into_iter().enumerate() {
            let id = format!("matrix-{events_count}-{index}");
            if events_count > 0 {
                append(store, plain(&id, ANY, events(events_count))).await;
            }
            let commit = plain(&id, expected, vec![event(9)]);
            if is_met {
                let receipt = append(store, commit.clone()).await;
                let revision = Revision::new(events_count).into();
                assert_eq!(receipt.streams[0].revision, revision, "{expected}");
                assert_recorded(store, &commit, &receipt).await;
            } else {
                let error = wrong_revision(&id, expected, events_count);
                assert_refused(store, commit, &error).await;
            }
        }
    }
}

/// Guards the caller's retry: it needs both what it believed and what is true.
pub async fn rejects_wrong_expected_revision_and_reports_actual(store: &Store) {
    append(store, plain("stale", ANY, events(3))).await;
    let commit = plain("stale", exactly(1), vec![event(9)]);
    assert_refused(store, commit, &wrong_revision("stale", exactly(1), 3)).await;
}

/// Guards against a driver that creates what it looks at.
pub async fn refuses_an_unknown_stream_expected_at_a_revision(store: &Store) {
    for number in [0, 4] {
        let commit = plain("unknown", exactly(number), events(1));
        assert_refused(store, commit, &wrong_revision("unknown", exactly(number), 0)).await;
    }
    assert_eq!(whole_stream(store, &stream("unknown"), 10).await, []);
}

/// Guards the first events of a stream against a second creator.
pub async fn a_second_create_does_not_overwrite(store: &Store) {
    let create = ExpectedRevision::NoStream;
    append(store, plain("second", create, events(2))).await;
    let before = whole_stream(store, &stream("second"), 10).await;
    let commit = plain("second", create, vec![event(8), event(9)]);
    assert_refused(store, commit, &wrong_revision("second", create, 2)).await;
    assert_eq!(whole_stream(store, &stream("second"), 10).await, before);
}

/// Guards the answer to a caller with several wrong beliefs: the first in the commit's order.
pub async fn reports_the_first_expectation_that_is_not_met(store: &Store) {
    append(store, plain("first", ANY, events(1))).await;
    let commit = commit_of(vec![
        part("fine", ANY, events(1)),
        part("first", ExpectedRevision::NoStream, events(1)),
        part("later", ExpectedRevision::StreamExists, events(1)),
    ]);
    let error = wrong_revision("first", ExpectedRevision::NoStream, 1);
    assert_refused(store, commit, &error).await;
}

/// Guards atomicity across streams: one false expectation and no stream is written.
pub async fn writes_all_streams_or_none(store: &Store) {
    let streams = |last| {
        commit_of(vec![
            part("all-1", ExpectedRevision::NoStream, events(2)),
            part("all-2", ANY, events(1)),
            part("all-3", last, events(3)),
        ])
    };
    let error = wrong_revision("all-3", exactly(0), 0);
    assert_refused(store, streams(exactly(0)), &error).await;
    let commit = streams(ExpectedRevision::NoStream);
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
}

/// Guards the order within a commit: its streams' events follow each other along a partition.
pub async fn records_events_in_the_order_of_the_commits_streams(store: &Store) {
    let ids = ["order-3", "order-1", "order-2"];
    let parts = ids.map(|id| part(id, ANY, events(2)));
    let receipt = append(store, commit_of(parts.into())).await;
    let mut ends = HashSet::new();
    for partition in partitions(store) {
        let mut last = None;
        for (id, receipt) in ids.iter().zip(&receipt.streams) {
            if partition_of(store, id) == partition {
                let range = receipt.events.unwrap();
                assert!(last.is_none_or(|last| last < range.first_position));
                last = Some(range.last_position);
                ends.insert(*id);
            }
        }
    }
    assert_eq!(ends.len(), ids.len());
}

/// Guards decisions that rest on another stream: it is expected, and neither written nor created.
pub async fn expects_something_of_streams_it_does_not_write(store: &Store) {
    append(store, plain("read", ANY, events(2))).await;
    let commit = |expected| {
        commit_of(vec![
            part("read", expected, Vec::new()),
            part("written", ANY, events(1)),
            part("absent", ExpectedRevision::NoStream, Vec::new()),
        ])
    };
    assert_refused(store, commit(exactly(0)), &wrong_revision("read", exactly(0), 2)).await;
    let receipt = append(store, commit(exactly(1))).await;
    let written = receipt.streams[1].events;
    let expected = Receipt {
        recorded_at: receipt.recorded_at,
        streams: vec![
            StreamReceipt { revision: Revision::new(1).into(), events: None },
            StreamReceipt { revision: Revision::FIRST.into(), events: written },
            StreamReceipt { revision: ActualRevision::NO_EVENT, events: None },
        ],
    };
    assert!(written.is_some());
    assert_eq!(receipt, expected);
    let absent = store.stream_info(&stream("absent")).await.unwrap();
    assert_eq!(absent.revision, ActualRevision::NO_EVENT);
}

/// Guards R7: a clock that goes back moves no event before an older one.
pub async fn moves_time_forward_to_its_latest(store: &Store) {
    let mut times = Vec::new();
    for ms in [5, 3, 5, 7] {
        let commit = Commit { recorded_at: after_now(ms), ..plain("time", ANY, events(1)) };
        times.push(append(store, commit).await.recorded_at);
    }
    assert_eq!(times, [5, 5, 5, 7].map(after_now));
    let recorded = whole_stream(store, &stream("time"), 10).await;
    let recorded: Vec<_> = recorded.iter().map(|event| event.recorded_at).collect();
    assert_eq!(recorded, times);
}

/// Guards the clock of the log: a commit that was refused, at whatever step, has not moved it.
pub async fn a_refused_commit_does_not_move_time(store: &Store) {
    let claim = |id| Claim {
        scope: Arc::from("append"),
        key: Arc::from("time"),
        stream: stream(id),
        expires_at: None,
    };
    let mut holder = plain("holder", ANY, events(1));
    holder.claims.push(claim("holder"));
    append(store, holder).await;

    let stale = plain("refused", exactly(0), events(1));
    let mut claiming = plain("refused", ANY, events(1));
    claiming.claims.push(claim("refused"));
    for refused in [stale, claiming] {
        let refused = Commit { recorded_at: after_now(9), ..refused };
        assert!(store.append(refused).await.is_err());
    }
    let commit = Commit { recorded_at: after_now(3), ..plain("refused", ANY, events(1)) };
    assert_eq!(append(store, commit).await.recorded_at, after_now(3));
}

/// Guards the host's own streams: they are streams like others.
pub async fn appends_to_streams_of_the_host(store: &Store) {
    let system = StreamId::parse("$plugins/bank").unwrap();
    let commit = Commit::plain(system.clone(), exactly(0), events(1), after_now(0));
    let error = AppendError::WrongExpectedRevision {
        stream: system.clone(),
        expected: exactly(0),
        actual: ActualRevision::NO_EVENT,
    };
    assert_refused(store, commit, &error).await;
    let commit = Commit::plain(system, ExpectedRevision::NoStream, events(1), after_now(0));
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
}

/// Guards the documented order of the checks, by a commit that breaks a rule of each kind and is
/// mended one rule at a time.
pub async fn checks_limits_then_ids_then_expectations_then_claims(store: &Store) {
    let claim = |id| Claim {
        scope: Arc::from("order"),
        key: Arc::from("of-checks"),
        stream: stream(id),
        expires_at: None,
    };
    let mut holder = decided("checks", 1, events(1));
    holder.claims.push(claim("holder"));
    append(store, holder).await;

    let mut commit = decided("checks", 1, events(1));
    commit.streams[0].expected = ExpectedRevision::NoStream;
    commit.streams[0].events[0].metadata = Bytes::from(vec![b' '; METADATA_BYTES_MAX + 1]);
    commit.claims.push(claim("checks"));
    let too_large = AppendError::TooLarge {
        what: SizeLimit::MetadataBytes,
        size: METADATA_BYTES_MAX + 1,
        max: METADATA_BYTES_MAX,
    };
    assert_refused(store, commit.clone(), &too_large).await;

    commit.streams[0].events[0].metadata = Bytes::new();
    let decided_before =
        AppendError::AlreadyDecided { stream: stream("checks"), command: command_id(1) };
    assert_refused(store, commit.clone(), &decided_before).await;

    commit.command = None;
    let stale = wrong_revision("checks", ExpectedRevision::NoStream, 1);
    assert_refused(store, commit.clone(), &stale).await;

    commit.streams[0].events = vec![event_with_id(1)];
    commit.streams[0].expected = exactly(0);
    let held = AppendError::ClaimHeld {
        scope: Arc::from("order"),
        key: Arc::from("of-checks"),
        holder: stream("holder"),
    };
    assert_refused(store, commit, &held).await;
}
