//! `EventStore::read_commits`: the log as it was recorded, rejected commands included.

use std::sync::Arc;

use annals_core::commit::{Claim, Commit, Receipt, RecordedCommit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::{CausationId, CorrelationId};
use annals_core::invariants::{commands_are_distinct, feed_holds_commits};
use annals_core::limits::{PAYLOAD_BYTES_MAX, READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use annals_core::stream::StreamId;
use bytes::Bytes;
use uuid::Uuid;

use crate::support::{
    NOW, Store, after_now, all_commits, all_feeds, append, command, commit_of, decided, event,
    event_with_id, events, exactly, part, partition_of, partitions, plain, refused_by_domain,
    stream, whole_commits, whole_stream,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards exports of a new store: no partition has a commit.
pub async fn a_partition_without_commits_has_none(store: &Store) {
    for partition in partitions(store) {
        for (from, limit) in [(0, usize::MAX), (1, 1), (u64::MAX, usize::MAX), (0, 0)] {
            assert_eq!(store.read_commits(partition, from, limit).await.unwrap(), []);
        }
    }
}

/// Guards places in the log: numbers begin at 0 and have no hole, whatever kind of commit it is.
pub async fn commits_are_numbered_from_zero_without_a_hole(store: &Store) {
    let mut appended = 0;
    for number in 0..12_u128 {
        let commit = match number % 4 {
            0 => plain("numbers", ANY, events(2)),
            1 => decided("numbers", number, events(1)),
            2 => decided("numbers", number, Vec::new()),
            _ => commit_of(vec![part("numbers", ANY, events(1)), part("more", ANY, events(1))]),
        };
        append(store, commit).await;
        appended += 1;
    }
    assert_eq!(check_numbers(store).await, appended);
}

/// Guards restored stores, which must refuse a repeated command too: a rejected one is a commit.
pub async fn a_rejected_command_is_a_commit(store: &Store) {
    append(store, plain("rejected", ANY, events(1))).await;
    let commit = Commit {
        streams: vec![part("rejected", ANY, Vec::new())],
        ..refused_by_domain("rejected", 1)
    };
    append(store, commit.clone()).await;
    append(store, plain("rejected", ANY, events(1))).await;
    let recorded = all_of(store, "rejected").await;
    assert_eq!(recorded.len(), 3);
    let expected = Commit { streams: vec![part("rejected", exactly(0), Vec::new())], ..commit };
    assert_eq!(recorded[1].commit, expected);
}

/// Guards numbers: a commit that was refused, or repeated an append, has none.
pub async fn refused_and_repeated_commits_are_not_recorded(store: &Store) {
    let repeated = plain("not-recorded", ANY, vec![event_with_id(1)]);
    append(store, repeated.clone()).await;
    append(store, decided("not-recorded", 1, events(1))).await;
    append(store, repeated).await;
    for refused in [
        plain("not-recorded", ExpectedRevision::NoStream, events(1)),
        plain("not-recorded", ANY, Vec::new()),
        decided("not-recorded", 1, events(1)),
        plain("not-recorded", ANY, vec![event_with_id(1), event_with_id(2)]),
    ] {
        assert!(store.append(refused).await.is_err());
    }
    append(store, plain("not-recorded", ANY, events(1))).await;
    assert_eq!(check_numbers(store).await, 3);
}

/// Guards the order of an export: that in which the commits were accepted.
pub async fn commits_are_in_the_order_of_their_acceptance(store: &Store) {
    for number in 0..20 {
        let id = format!("order-{}", number % 3);
        store.append(plain(&id, ANY, vec![event(number)])).await.unwrap();
    }
    store.flush().await.unwrap();
    for partition in partitions(store) {
        let recorded = all_commits(store, partition).await;
        let numbers = recorded.iter().map(|it| number_of(&it.commit.streams[0].events[0]));
        assert!(numbers.is_sorted_by(|number, next| number < next));
    }
    assert_eq!(check_numbers(store).await, 20);
}

/// Guards what is recorded of expectations: where each stream was, whatever was believed of it.
pub async fn each_stream_is_recorded_as_expected_exactly_where_it_was(store: &Store) {
    append(store, plain("was-1", ANY, events(3))).await;
    let streams = |expected: [ExpectedRevision; 4]| {
        vec![
            part("was-1", expected[0], events(1)),
            part("was-2", expected[1], events(2)),
            part("was-3", expected[2], Vec::new()),
            part("was-1-only-expected", expected[3], Vec::new()),
        ]
    };
    append(store, plain("was-1-only-expected", ANY, events(2))).await;
    let commit = commit_of(streams([ExpectedRevision::StreamExists, ANY, ANY, ANY]));
    append(store, commit).await;
    let recorded = all_of(store, "was-1").await;
    let mut recorded = recorded.last().unwrap().commit.clone();
    forget_ids(&mut recorded);
    let none = ExpectedRevision::NoStream;
    assert_eq!(recorded, commit_of(streams([exactly(2), none, none, exactly(1)])));
}

/// Guards what is recorded of time: that of the receipt, not that the commit came with.
pub async fn a_commit_is_recorded_at_the_time_of_its_receipt(store: &Store) {
    let mut times = Vec::new();
    for ms in [5, 3, 7] {
        let commit = Commit { recorded_at: after_now(ms), ..plain("times", ANY, events(1)) };
        times.push(append(store, commit).await.recorded_at);
    }
    let rejected = Commit { recorded_at: NOW, ..refused_by_domain("times", 1) };
    times.push(append(store, rejected).await.recorded_at);
    let recorded = all_of(store, "times").await;
    let recorded: Vec<_> = recorded.iter().map(|it| it.commit.recorded_at).collect();
    assert_eq!(
        (recorded, times),
        ([5, 5, 7, 7].map(after_now).to_vec(), [5, 5, 7, 7].map(after_now).to_vec())
    );
}

/// Guards what is recorded of ids: each event of a plain append with its id, given or made; those of
/// a command's events are derived and not kept.
pub async fn events_of_a_plain_append_are_recorded_with_their_ids(store: &Store) {
    append(store, plain("ids", ANY, vec![event_with_id(7), event_with_id(8)])).await;
    append(store, plain("ids", ANY, events(3))).await;
    append(store, decided("ids", 1, events(2))).await;
    let recorded = all_of(store, "ids").await;
    let recorded = recorded.iter().flat_map(|it| &it.commit.streams[0].events);
    let recorded: Vec<_> = recorded.map(|event| event.id).collect();
    let events = whole_stream(store, &stream("ids"), usize::MAX).await;
    let mut expected: Vec<_> = events.iter().map(|event| Some(event.id)).collect();
    expected[5..].fill(None);
    assert_eq!(recorded, expected);
}

/// Guards exports against a driver that forgets a field or changes a byte: the whole of a plain
/// append with claims and releases, and of a command.
pub async fn a_commit_is_recorded_with_every_field(store: &Store) {
    let origin = Arc::new(Origin {
        correlation_id: Some(CorrelationId::new("a~correlation!id").unwrap()),
        causation_id: Some(CausationId::new(Uuid::from_u128(u128::MAX))),
        principal: Some(Arc::from("ada \u{1f600}")),
    });
    let new = NewEvent {
        schema_version: SchemaVersion(u32::MAX),
        content_type: ContentType::from("application/octet-stream"),
        data: Bytes::from_static(b"\0\xff"),
        metadata: Bytes::from_static(b"{\"note\":1}"),
        ..event_with_id(9)
    };
    let create = ExpectedRevision::NoStream;
    let append_of = Commit {
        origin: Arc::clone(&origin),
        claims: vec![claim("a", None), claim("b", Some(9))],
        releases: vec![release("c"), release("a")],
        ..plain("fields", create, vec![new])
    };
    let command = Commit {
        origin,
        command: Some(command("fields", 1)),
        claims: vec![claim("b", None)],
        releases: vec![release("never-held")],
        ..plain("fields", exactly(0), vec![event(1)])
    };
    append(store, append_of.clone()).await;
    append(store, command.clone()).await;
    let recorded = all_of(store, "fields").await.into_iter().map(|it| it.commit);
    assert_eq!(recorded.collect::<Vec<_>>(), [append_of, command]);
}

/// Guards positions of commits: that of the first event; without events, that of the next event.
pub async fn tells_the_position_of_the_first_event_or_what_it_would_be(store: &Store) {
    let commits = [
        refused_by_domain("positions", 1),
        plain("positions", ANY, events(3)),
        decided("positions", 2, Vec::new()),
        refused_by_domain("positions", 3),
        decided("positions", 4, events(1)),
        plain("positions", ANY, events(1)),
    ];
    let mut expected = Vec::new();
    for commit in commits {
        let receipt = append(store, commit).await;
        expected.push(first_position(&receipt));
    }
    // A commit without events is where the next event is.
    for index in (0..expected.len()).rev() {
        expected[index] = expected[index].or_else(|| expected[index + 1]);
    }
    let told = all_of(store, "positions").await.into_iter();
    assert_eq!(told.map(|it| Some(it.first_position)).collect::<Vec<_>>(), expected);
}

/// Guards restored stores: the events of the commits are those of the feed, in the same order.
pub async fn commits_hold_the_events_of_the_feed(store: &Store) {
    for number in 0..30 {
        let ids = [format!("feed-{}", number % 3), format!("feed-{}", 3 + number % 2)];
        let commit = match number % 3 {
            0 => commit_of(ids.iter().map(|id| part(id, ANY, events(2))).collect()),
            1 => decided(&ids[0], u128::from(number), vec![event(number)]),
            _ => plain(&ids[1], ANY, vec![event(number)]),
        };
        append(store, commit).await;
    }
    let feeds = all_feeds(store).await;
    let mut events_count = 0;
    for partition in partitions(store) {
        let commits = all_commits(store, partition).await;
        assert!(commands_are_distinct(&commits));
        let mut next_position = Position::new(0);
        for recorded in &commits {
            assert!(recorded.first_position >= next_position);
            for (its, feed) in partitions(store).zip(&feeds) {
                let own = check_events(store, &recorded.commit, (its, feed));
                let is_first = its == partition;
                if let Some((first, last)) = own.first().zip(own.last()).filter(|_| is_first) {
                    assert_eq!(first.position, recorded.first_position);
                    next_position = Position::new(last.position.get() + 1);
                }
                events_count += own.len();
            }
        }
        if feeds.len() == 1 {
            assert!(feed_holds_commits(&feeds[0], &commits));
        }
    }
    assert_eq!(events_count, 10 * (4 + 1 + 1));
    assert_eq!(events_count, feeds.iter().map(Vec::len).sum::<usize>());
}

/// Guards pages: from a number (inclusive), limits short, exact, over and zero, from past the end.
pub async fn reads_commits_from_a_number_inclusive(store: &Store) {
    for number in 0..5 {
        append(store, plain("from", ANY, vec![event(number)])).await;
    }
    let partition = partition_of(store, "from");
    let all = all_commits(store, partition).await;
    let cases = [
        (0, 10, 0..5),
        (0, 5, 0..5),
        (0, 4, 0..4),
        (2, 2, 2..4),
        (4, usize::MAX, 4..5),
        (5, 1, 5..5),
        (6, usize::MAX, 5..5),
        (u64::MAX, usize::MAX, 5..5),
        (0, 0, 0..0),
        (3, 0, 0..0),
    ];
    for (from, limit, expected) in cases {
        let page = store.read_commits(partition, from, limit).await.unwrap();
        assert_eq!(page, all[expected], "from {from}, limit {limit}");
    }
    for limit in [1, 2, 3, 4, 6] {
        assert_eq!(whole_commits(store, partition, 0, limit).await, all);
    }
}

/// Guards memory, and pages of a driver's own: a read of many small commits has an end, and all of
/// them are read without a repeat or a hole.
pub async fn limits_the_commits_of_a_page(store: &Store) {
    let commits_count = READ_EVENTS_MAX + 10;
    for number in 0..commits_count {
        let number = u64::try_from(number).unwrap();
        let commit = match number % 2 {
            0 => refused_by_domain("many", u128::from(number)),
            _ => plain("many", ANY, vec![event(number)]),
        };
        store.append(commit).await.unwrap();
    }
    store.flush().await.unwrap();
    let partition = partition_of(store, "many");
    for limit in [READ_EVENTS_MAX, READ_EVENTS_MAX + 1, usize::MAX] {
        let page = store.read_commits(partition, 1, limit).await.unwrap();
        let numbers = page.iter().map(|it| it.number);
        assert!(numbers.eq((1..).take(READ_EVENTS_MAX)));
    }
    assert_eq!(check_numbers(store).await, u64::try_from(commits_count).unwrap());
    let recorded = all_commits(store, partition).await;
    let events = recorded.iter().flat_map(|it| &it.commit.streams).flat_map(|it| &it.events);
    let odd = (0..u64::try_from(commits_count).unwrap()).filter(|number| number % 2 == 1);
    assert!(events.map(number_of).eq(odd));
}

/// Guards memory: a page ends after the commit with which the data of events and commands reaches
/// the limit, not before.
pub async fn limits_the_bytes_of_a_page_of_commits(store: &Store) {
    let data = |bytes| Bytes::from(vec![b' '; bytes]);
    // Commit 0 is one byte short of the others, so that it takes one more to reach the limit.
    for number in 0..u64::try_from(READ_BYTES_MAX / PAYLOAD_BYTES_MAX + 3).unwrap() {
        let bytes = if number == 0 { PAYLOAD_BYTES_MAX - 1 } else { PAYLOAD_BYTES_MAX };
        let mut commit = decided("large", u128::from(number), Vec::new());
        if number % 2 == 0 {
            commit.command.as_mut().unwrap().data = data(bytes);
        } else {
            let large = NewEvent { data: data(bytes), ..event(0) };
            commit = plain("large", ANY, vec![large]);
        }
        store.append(commit).await.unwrap();
    }
    store.flush().await.unwrap();
    let partition = partition_of(store, "large");
    let commits_count = u64::try_from(READ_BYTES_MAX / PAYLOAD_BYTES_MAX).unwrap();
    for (from, last) in [(0, commits_count), (1, commits_count)] {
        let page = store.read_commits(partition, from, usize::MAX).await.unwrap();
        assert!(page.iter().map(|it| it.number).eq(from..=last), "from {from}");
    }
    assert_eq!(check_numbers(store).await, commits_count + 3);
}

/// Guards readers of the log beside writers: each read goes on where the last ended, and a commit
/// that was shown never changes.
pub async fn commits_read_while_writers_run_have_no_hole(store: &Store) {
    let writers = (0..4).map(|number| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for round in 0..40 {
                let id = format!("writer-{number}");
                let commit = match round % 3 {
                    0 => refused_by_domain(&id, round),
                    _ => decided(&id, round, events(1)),
                };
                store.append(commit).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut seen: Vec<Vec<RecordedCommit>> = Vec::new();
    let count = |seen: &[Vec<RecordedCommit>]| seen.iter().map(Vec::len).sum::<usize>();
    while count(&seen) < 4 * 40 {
        for (index, partition) in partitions(store).enumerate() {
            seen.resize_with(seen.len().max(index + 1), Vec::new);
            let from = u64::try_from(seen[index].len()).unwrap();
            for (number, recorded) in (from..).zip(whole_commits(store, partition, from, 7).await) {
                assert_eq!(recorded.number, number);
                seen[index].push(recorded);
            }
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for (partition, seen) in partitions(store).zip(seen) {
        assert_eq!(seen, all_commits(store, partition).await);
    }
}

/// Asserts that the numbers of every partition are 0, 1, 2 …, and counts the commits of all.
async fn check_numbers(store: &Store) -> u64 {
    let mut commits_count = 0;
    for partition in partitions(store) {
        let recorded = all_commits(store, partition).await;
        let count = u64::try_from(recorded.len()).unwrap();
        assert!(recorded.iter().map(|it| it.number).eq(0..count));
        commits_count += count;
    }
    commits_count
}

/// Asserts that a commit's events of a partition follow each other in its feed, as they were
/// appended, and returns them.
fn check_events<'feed>(
    store: &Store,
    commit: &Commit,
    (partition, feed): (Partition, &'feed [RecordedEvent]),
) -> &'feed [RecordedEvent] {
    let capabilities = store.capabilities();
    let parts = commit.streams.iter();
    let parts = parts.filter(|part| capabilities.partition_of(&part.stream) == partition);
    let new: Vec<_> = parts.flat_map(places_of).collect();
    let Some((first, _)) = new.first() else {
        return &[];
    };
    let place = |event: &RecordedEvent| (event.stream.clone(), event.revision);
    let start = feed.iter().position(|event| place(event) == *first).unwrap();
    let recorded = &feed[start..start + new.len()];
    for ((its_place, new), event) in new.iter().zip(recorded) {
        assert_eq!(place(event), *its_place);
        assert_eq!((&event.event_type, &event.data), (&new.event_type, &new.data));
        assert_eq!(new.id.unwrap_or(event.id), event.id);
        assert_eq!(event.recorded_at, commit.recorded_at);
    }
    recorded
}

/// The events of one stream's part of a recorded commit, with their places.
fn places_of(part: &StreamAppend) -> impl Iterator<Item = ((StreamId, Revision), &NewEvent)> {
    let before = match part.expected {
        ExpectedRevision::Exactly(revision) => ActualRevision::from(revision),
        _ => ActualRevision::NO_EVENT,
    };
    let places = (0..).map(move |ordinal| (part.stream.clone(), before.next().plus(ordinal)));
    places.zip(&part.events)
}

/// All commits of the partition of a stream.
async fn all_of(store: &Store, id: &str) -> Vec<RecordedCommit> {
    all_commits(store, partition_of(store, id)).await
}

/// Takes the ids away that the store made.
fn forget_ids(commit: &mut Commit) {
    for event in commit.streams.iter_mut().flat_map(|part| &mut part.events) {
        assert!(event.id.take().is_some());
    }
}

fn first_position(receipt: &Receipt) -> Option<Position> {
    receipt.streams.first()?.events.map(|range| range.first_position)
}

/// The number that an event of [`event`] says.
fn number_of(event: &NewEvent) -> u64 {
    let text = std::str::from_utf8(&event.data).unwrap();
    text.trim_start_matches("{\"number\":").trim_end_matches('}').parse().unwrap()
}

fn claim(key: &str, expires: Option<u64>) -> Claim {
    Claim {
        scope: Arc::from("commits"),
        key: Arc::from(key),
        stream: stream("fields"),
        expires_at: expires.map(after_now),
    }
}

fn release(key: &str) -> Release {
    Release { scope: Arc::from("commits"), key: Arc::from(key), stream: stream("fields") }
}
