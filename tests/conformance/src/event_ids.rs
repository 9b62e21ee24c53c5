//! Event ids that the client of a plain append gives: the same ids again are the same append.

use std::sync::Arc;

use annals_core::commit::{Claim, Commit, Release};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::EventId;
use annals_core::name::EventType;
use annals_core::place::ExpectedRevision;
use annals_core::port::event_store::{AppendError, CommandIdsRemembered};
use bytes::Bytes;
use uuid::Uuid;

use crate::support::{
    Store, after_now, append, assert_recorded, assert_refused, commit_of, contents, decided, event,
    event_with_id, events, exactly, part, plain, stream,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// How many commits must not make a store forget that remembers all ids.
const COMMITS_UNFORGOTTEN: u64 = 1_100;

/// Guards R8, the lost reply: whatever the client expects and whatever happened since, the same ids
/// are a success with the first receipt, and nothing is written.
pub async fn the_same_ids_again_succeed_with_the_first_receipt(store: &Store) {
    let create = ExpectedRevision::NoStream;
    let commit = |expected| plain("again", expected, vec![event_with_id(1), event_with_id(2)]);
    let receipt = append(store, commit(create)).await;
    append(store, plain("again", ANY, events(2))).await;
    append(store, decided("again", 1, events(1))).await;
    for expected in [create, ANY, ExpectedRevision::StreamExists, exactly(0), exactly(99)] {
        let before = contents(store, &commit(expected)).await;
        assert_eq!(append(store, commit(expected)).await, receipt, "{expected}");
        assert_eq!(contents(store, &commit(expected)).await, before);
    }
    assert_recorded(store, &commit(create), &receipt).await;
}

/// Guards repeats across streams: the first stream remembers the ids of all, its own or not, and the
/// receipt is that of all streams.
pub async fn the_same_ids_again_succeed_for_several_streams(store: &Store) {
    append(store, plain("expected", ANY, events(1))).await;
    let commit = commit_of(vec![
        part("expected", exactly(0), Vec::new()),
        part("several-1", ExpectedRevision::NoStream, vec![event_with_id(11)]),
        part("several-2", ANY, vec![event_with_id(12), event_with_id(13)]),
    ]);
    let receipt = append(store, commit.clone()).await;
    append(store, plain("expected", ANY, events(1))).await;
    let before = contents(store, &commit).await;
    assert_eq!(append(store, commit.clone()).await, receipt);
    assert_eq!(contents(store, &commit).await, before);
    assert_recorded(store, &commit, &receipt).await;
}

/// Guards claims against a repeat: one that was released since is not taken again.
pub async fn the_same_ids_again_take_no_claim(store: &Store) {
    let commit = Commit {
        claims: vec![Claim {
            scope: Arc::from("event-ids"),
            key: Arc::from("claim"),
            stream: stream("claims"),
            expires_at: None,
        }],
        ..plain("claims", ANY, vec![event_with_id(21)])
    };
    let receipt = append(store, commit.clone()).await;
    let mut release = plain("claims", ANY, events(1));
    release.releases.push(Release {
        scope: Arc::from("event-ids"),
        key: Arc::from("claim"),
        stream: stream("claims"),
    });
    append(store, release).await;
    assert_eq!(append(store, commit.clone()).await, receipt);
    let holder = store.claim_holder("event-ids", "claim", commit.recorded_at);
    assert_eq!(holder.await.unwrap(), None);
}

/// Guards R8, the other repeats: some of the ids, ids beside them, another order, ids of two
/// commits. The first given id that is there is named.
pub async fn refuses_ids_that_are_recorded_otherwise(store: &Store) {
    let commit =
        |ids: &[u128]| plain("otherwise", ANY, ids.iter().copied().map(event_with_id).collect());
    append(store, commit(&[31, 32, 33])).await;
    append(store, commit(&[34])).await;
    let cases: [(&[u128], u128); 7] = [
        (&[31, 32], 31),
        (&[33], 33),
        (&[31, 32, 33, 39], 31),
        (&[39, 32], 32),
        (&[32, 31, 33], 32),
        (&[34, 31, 32, 33], 34),
        (&[33, 34], 33),
    ];
    for (ids, reused) in cases {
        let error = AppendError::EventIdsReused {
            stream: stream("otherwise"),
            event: EventId::new(Uuid::from_u128(reused)),
        };
        assert_refused(store, commit(ids), &error).await;
    }
    let fresh = commit(&[39, 38]);
    let receipt = append(store, fresh.clone()).await;
    assert_recorded(store, &fresh, &receipt).await;
}

/// Guards repeats across streams: the same ids in other streams, or fewer of them, are no repeat.
pub async fn refuses_ids_that_are_recorded_in_other_streams(store: &Store) {
    let commit = |second: &str, ids: [&[u128]; 2]| {
        let [first_ids, second_ids] =
            ids.map(|ids| ids.iter().copied().map(event_with_id).collect());
        commit_of(vec![part("streams-1", ANY, first_ids), part(second, ANY, second_ids)])
    };
    let first = commit("streams-2", [&[61], &[62, 63]]);
    let receipt = append(store, first.clone()).await;
    let cases = [
        (commit("streams-3", [&[61], &[62, 63]]), 61),
        (commit("streams-2", [&[61, 62], &[63]]), 61),
        (commit("streams-2", [&[], &[62, 63]]), 62),
        (commit("streams-2", [&[69], &[62, 63]]), 62),
        (plain("streams-1", ANY, vec![event_with_id(63)]), 63),
    ];
    for (commit, reused) in cases {
        let error = AppendError::EventIdsReused {
            stream: stream("streams-1"),
            event: EventId::new(Uuid::from_u128(reused)),
        };
        assert_refused(store, commit, &error).await;
    }
    assert_eq!(append(store, first).await, receipt);
}

/// Guards R8, the false repeat: the same ids with another type, schema version, content type, data or
/// metadata are another append, whichever event it is.
pub async fn refuses_the_same_ids_with_other_events(store: &Store) {
    let first = plain("other-events", ANY, vec![event_with_id(71), event_with_id(72)]);
    let receipt = append(store, first.clone()).await;
    let changes: [fn(&mut NewEvent); 5] = [
        |event| event.event_type = EventType::new("counted-otherwise").unwrap(),
        |event| event.schema_version = SchemaVersion(2),
        |event| event.content_type = ContentType::from("text/plain"),
        |event| event.data = Bytes::from_static(b"{\"number\":7 }"),
        |event| event.metadata = Bytes::from_static(b"{}"),
    ];
    for change in changes {
        for index in 0..2 {
            let mut commit = first.clone();
            change(&mut commit.streams[0].events[index]);
            let error = AppendError::EventIdsReused {
                stream: stream("other-events"),
                event: EventId::new(Uuid::from_u128(71)),
            };
            assert_refused(store, commit, &error).await;
        }
    }
    assert_eq!(append(store, first).await, receipt);
}

/// Guards R8, the false repeat across streams: the same events beside a stream that the first append
/// did not name, or without one that it named, are another append.
pub async fn refuses_the_same_events_with_other_streams(store: &Store) {
    let parts = |ids: &[&str]| {
        let only_expected = ids.iter().map(|id| part(id, ANY, Vec::new()));
        let written = part("other-streams", ANY, vec![event_with_id(81)]);
        commit_of([written].into_iter().chain(only_expected).collect())
    };
    let receipt = append(store, parts(&["beside-1", "beside-2"])).await;
    for ids in [&[] as &[&str], &["beside-1"], &["beside-2", "beside-1"], &["beside-1", "new"]] {
        let error = AppendError::EventIdsReused {
            stream: stream("other-streams"),
            event: EventId::new(Uuid::from_u128(81)),
        };
        assert_refused(store, parts(ids), &error).await;
    }
    assert_eq!(append(store, parts(&["beside-1", "beside-2"])).await, receipt);
}

/// Guards R8: what tells a repeat is streams and events alone, not who asks for it and when.
pub async fn a_repeat_may_come_later_and_from_elsewhere(store: &Store) {
    let first = plain("elsewhere", ANY, vec![event_with_id(91)]);
    let receipt = append(store, first.clone()).await;
    let later = Commit {
        recorded_at: after_now(9),
        origin: Arc::new(Origin { principal: Some(Arc::from("ada")), ..Origin::default() }),
        ..first.clone()
    };
    let before = contents(store, &first).await;
    assert_eq!(append(store, later).await, receipt);
    assert_eq!(contents(store, &first).await, before);
    // Nor has the repeat moved time.
    let next = append(store, plain("elsewhere", ANY, events(1))).await;
    assert_eq!(next.recorded_at, first.recorded_at);
}

/// Guards the order of the checks: reused ids are told before expectations and claims that would be
/// refused as well.
pub async fn refuses_reused_ids_before_expectations_and_claims(store: &Store) {
    let claim = |id| Claim {
        scope: Arc::from("event-ids"),
        key: Arc::from("order"),
        stream: stream(id),
        expires_at: None,
    };
    let first = Commit { claims: vec![claim("holder")], ..plain("holder", ANY, events(1)) };
    append(store, first).await;
    append(store, plain("checks", ANY, vec![event_with_id(95)])).await;
    let commit = Commit {
        claims: vec![claim("checks")],
        ..plain("checks", exactly(7), vec![event_with_id(95), event_with_id(96)])
    };
    let error = AppendError::EventIdsReused {
        stream: stream("checks"),
        event: EventId::new(Uuid::from_u128(95)),
    };
    assert_refused(store, commit, &error).await;
}

/// Guards against ids that tell half of a repeat, and against two events of one id.
pub async fn refuses_ids_that_contradict_themselves(store: &Store) {
    let invalid = |what| AppendError::Invalid { what };
    let some = plain("contradict", ANY, vec![event_with_id(41), event(1)]);
    let error = invalid("some events have ids and others have not");
    assert_refused(store, some, &error).await;

    let twice = plain("contradict", ANY, vec![event_with_id(41), event_with_id(41)]);
    assert_refused(store, twice, &invalid("an event id is given twice")).await;

    let across_streams = commit_of(vec![
        part("contradict", ANY, vec![event_with_id(41)]),
        part("contradict-2", ANY, vec![event_with_id(41)]),
    ]);
    assert_refused(store, across_streams, &invalid("an event id is given twice")).await;

    let of_a_command = decided("contradict", 1, vec![event_with_id(41)]);
    let error = invalid("ids of a command's events are derived");
    assert_refused(store, of_a_command, &error).await;
}

/// Guards late repeats: ids are remembered as long as the capabilities say, and no longer is
/// promised.
pub async fn remembers_event_ids_as_its_capabilities_say(store: &Store) {
    let first = plain("late", ANY, vec![event_with_id(51)]);
    let receipt = append(store, first.clone()).await;
    let (is_forgetful, commits_count) = match store.capabilities().command_ids_remembered {
        CommandIdsRemembered::All => (false, COMMITS_UNFORGOTTEN),
        // The first commit is itself one of the last.
        CommandIdsRemembered::LastCommits(count) => (true, count - 1),
    };
    for number in 0..commits_count {
        store.append(plain("late", ANY, vec![event(number)])).await.unwrap();
    }
    assert_eq!(append(store, first.clone()).await, receipt);
    if is_forgetful {
        append(store, plain("late", ANY, events(1))).await;
        assert_ne!(append(store, first).await, receipt);
    }
}
