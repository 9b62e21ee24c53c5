//! `EventStore::read_stream` and `stream_info`: pages of one stream, in both directions.

use annals_core::event::{NewEvent, RecordedEvent};
use annals_core::limits::{COMMIT_EVENTS_MAX, PAYLOAD_BYTES_MAX, READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::{Direction, StreamInfo, StreamPage};
use annals_core::stream::StreamId;
use bytes::Bytes;

use crate::support::{
    Store, append, commit_of, data_from, data_of, decided, event, events, part, partition_of,
    plain, stream, whole_stream,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;
const FORWARDS: Direction = Direction::Forwards;
const BACKWARDS: Direction = Direction::Backwards;

/// Guards C1: a stream that nobody wrote is empty, not an error.
pub async fn a_stream_without_events_is_empty(store: &Store) {
    append(store, plain("neighbour", ANY, events(3))).await;
    append(store, decided("only-commands", 1, Vec::new())).await;
    for id in ["absent", "only-commands"] {
        for direction in [FORWARDS, BACKWARDS] {
            for from in [0, 1, u64::MAX] {
                for limit in [0, 1, usize::MAX] {
                    let page = read(store, id, from, (limit, direction)).await;
                    assert_eq!(page, StreamPage::default());
                }
            }
        }
    }
}

/// Guards forward pages: first, middle, last, past the end; limits short, exact and over.
pub async fn reads_forwards_from_a_revision_inclusive(store: &Store) {
    append(store, plain("forwards", ANY, events(5))).await;
    let cases = [
        (0, 10, 0..5, None),
        (0, 5, 0..5, None),
        (0, 4, 0..4, Some(4)),
        (0, 1, 0..1, Some(1)),
        (2, 2, 2..4, Some(4)),
        (2, 3, 2..5, None),
        (4, 1, 4..5, None),
        (4, usize::MAX, 4..5, None),
        (5, 1, 5..5, None),
        (6, usize::MAX, 5..5, None),
        (u64::MAX, 1, 5..5, None),
    ];
    for (from, limit, revisions, next) in cases {
        let page = read(store, "forwards", from, (limit, FORWARDS)).await;
        let expected = (revisions.collect(), next);
        assert_eq!(revisions_of(&page), expected, "from {from}, limit {limit}");
    }
}

/// Guards backward pages: newest first, and from past the end the last event.
pub async fn reads_backwards_from_a_revision_inclusive(store: &Store) {
    append(store, plain("backwards", ANY, events(5))).await;
    let cases = [
        (4, 10, 0..5, None),
        (4, 5, 0..5, None),
        (4, 4, 1..5, Some(0)),
        (4, 1, 4..5, Some(3)),
        (2, 2, 1..3, Some(0)),
        (2, 3, 0..3, None),
        (0, 1, 0..1, None),
        (0, usize::MAX, 0..1, None),
        (5, 2, 3..5, Some(2)),
        (u64::MAX, 2, 3..5, Some(2)),
    ];
    for (from, limit, revisions, next) in cases {
        let page = read(store, "backwards", from, (limit, BACKWARDS)).await;
        let expected = (revisions.rev().collect(), next);
        assert_eq!(revisions_of(&page), expected, "from {from}, limit {limit}");
    }
}

/// Guards the smallest limit: no event, and the place where the read would have begun.
pub async fn a_limit_of_zero_gives_no_events(store: &Store) {
    append(store, plain("zero", ANY, events(3))).await;
    let cases = [
        (0, FORWARDS, Some(0)),
        (2, FORWARDS, Some(2)),
        (3, FORWARDS, None),
        (0, BACKWARDS, Some(0)),
        (2, BACKWARDS, Some(2)),
        (9, BACKWARDS, Some(2)),
    ];
    for (from, direction, next) in cases {
        let page = read(store, "zero", from, (0, direction)).await;
        assert_eq!(revisions_of(&page), (Vec::new(), next), "{from} {direction:?}");
    }
}

/// Guards the seam between pages, in both directions and for many page sizes.
pub async fn pages_neither_repeat_nor_skip(store: &Store) {
    for first in [0, 3, 4, 9] {
        let more = (first..first + 5).map(event);
        append(store, plain("pages", ANY, more.collect())).await;
    }
    let all = whole_stream(store, &stream("pages"), usize::MAX).await;
    assert_eq!(all.len(), 20);
    for limit in [1, 2, 3, 7, 19, 20, 21] {
        assert_eq!(whole_stream(store, &stream("pages"), limit).await, all);
        let mut backwards = whole_stream_backwards(store, "pages", limit).await;
        backwards.reverse();
        assert_eq!(backwards, all);
    }
}

/// Guards pages of a driver's own: many thousand small events, of commits of many sizes, are read
/// whole in both directions, without a repeat or a hole.
pub async fn reads_a_long_stream_whole_in_both_directions(store: &Store) {
    let mut events_count = 0;
    for commit_size in (1..COMMIT_EVENTS_MAX).step_by(90) {
        let end = events_count + u64::try_from(commit_size).unwrap();
        let commit = plain("long", ANY, (events_count..end).map(event).collect());
        store.append(commit).await.unwrap();
        events_count = end;
    }
    assert!(events_count > u64::try_from(READ_EVENTS_MAX).unwrap());
    for limit in [1_000, 1_023, usize::MAX] {
        let forwards = whole_stream(store, &stream("long"), limit).await;
        let mut backwards = whole_stream_backwards(store, "long", limit).await;
        backwards.reverse();
        assert_eq!(data_of(&forwards), data_from(0..events_count), "limit {limit}");
        assert_eq!(forwards, backwards);
    }
}

/// Guards pages of a driver's own, in bytes: many megabytes of large events are read whole in both
/// directions, without a repeat or a hole.
pub async fn reads_a_stream_of_large_events_whole_in_both_directions(store: &Store) {
    append_large(store, "heavy").await;
    append(store, plain("heavy", ANY, events(3))).await;
    let revisions = |events: &[RecordedEvent]| -> Vec<u64> {
        events.iter().map(|event| event.revision.get()).collect()
    };
    for limit in [7, usize::MAX] {
        let forwards = whole_stream(store, &stream("heavy"), limit).await;
        let mut backwards = whole_stream_backwards(store, "heavy", limit).await;
        backwards.reverse();
        let last = u64::try_from(READ_BYTES_MAX / PAYLOAD_BYTES_MAX).unwrap() + 5;
        assert_eq!(revisions(&forwards), (0..=last).collect::<Vec<_>>());
        assert!(forwards == backwards);
    }
}

/// Guards pages of a driver's own: a stream longer than any of them is read whole, and a read has an
/// end whatever the caller asks for.
pub async fn limits_the_events_of_a_read(store: &Store) {
    let commits_count = READ_EVENTS_MAX / COMMIT_EVENTS_MAX + 1;
    for _ in 0..commits_count {
        let many = (0..COMMIT_EVENTS_MAX).map(|_| event(0));
        store.append(plain("many", ANY, many.collect())).await.unwrap();
    }
    let events_max = u64::try_from(READ_EVENTS_MAX).unwrap();
    let last = u64::try_from(commits_count * COMMIT_EVENTS_MAX).unwrap() - 1;
    for limit in [READ_EVENTS_MAX, READ_EVENTS_MAX + 1, usize::MAX] {
        let page = read(store, "many", 1, (limit, FORWARDS)).await;
        let expected = ((1..=events_max).collect(), Some(events_max + 1));
        assert_eq!(revisions_of(&page), expected);

        let page = read(store, "many", u64::MAX, (limit, BACKWARDS)).await;
        let next = last - events_max;
        let expected = ((next + 1..=last).rev().collect(), Some(next));
        assert_eq!(revisions_of(&page), expected);
    }
    let all = whole_stream(store, &stream("many"), usize::MAX).await;
    let revisions: Vec<_> = all.iter().map(|event| event.revision.get()).collect();
    assert_eq!(revisions, (0..=last).collect::<Vec<_>>());
}

/// Guards memory: a page ends after the event with which its data reaches the limit, not before.
pub async fn limits_the_bytes_of_a_read(store: &Store) {
    append_large(store, "large").await;
    let large_count = u64::try_from(READ_BYTES_MAX / PAYLOAD_BYTES_MAX).unwrap();
    // Event 0 is one byte short of the largest, so that it takes one more event to reach the limit.
    let page = read(store, "large", 0, (usize::MAX, FORWARDS)).await;
    let expected = ((0..=large_count).collect(), Some(large_count + 1));
    assert_eq!(revisions_of(&page), expected);
    let page = read(store, "large", 1, (usize::MAX, FORWARDS)).await;
    let expected = ((1..=large_count).collect(), Some(large_count + 1));
    assert_eq!(revisions_of(&page), expected);
    let page = read(store, "large", large_count, (usize::MAX, BACKWARDS)).await;
    let expected = ((1..=large_count).rev().collect(), Some(0));
    assert_eq!(revisions_of(&page), expected);
}

/// Guards writers that read back: each commit is seen by the next read.
pub async fn reads_its_own_writes(store: &Store) {
    for number in 0..20 {
        store.append(plain("own", ANY, vec![event(number)])).await.unwrap();
        let recorded = whole_stream(store, &stream("own"), usize::MAX).await;
        assert_eq!(data_of(&recorded), data_from(0..=number));
    }
}

/// Guards keys that share a beginning or differ in case: each is a stream of its own.
pub async fn keeps_streams_of_similar_ids_apart(store: &Store) {
    let ids = [
        "account/a",
        "account/A",
        "account/a1",
        "account/a ",
        "account/a#1",
        "accounts/a",
        "accoun/ta",
        "$account/a",
        "account/\u{e4}",
        "account/a\u{308}",
    ];
    let ids = ids.map(|id| StreamId::parse(id).unwrap());
    for (number, id) in (0..).zip(&ids) {
        let mut commit = plain("unused", ExpectedRevision::NoStream, vec![event(number)]);
        commit.streams[0].stream = id.clone();
        append(store, commit).await;
    }
    for (number, id) in (0..).zip(&ids) {
        let recorded = whole_stream(store, id, usize::MAX).await;
        assert_eq!(data_of(&recorded), data_from([number]), "{id}");
    }
}

/// Guards the end of a stream: its revision counts events, its commands are counted beside them,
/// and its partition is that of its events.
pub async fn tells_where_a_stream_ends(store: &Store) {
    let info = |id| async move { store.stream_info(&stream(id)).await.unwrap() };
    let mut expected = StreamInfo {
        partition: partition_of(store, "ends"),
        revision: ActualRevision::NO_EVENT,
        commands_count: 0,
    };
    assert_eq!(info("ends").await, expected);
    append(store, plain("ends", ANY, events(1))).await;
    expected.revision = Revision::FIRST.into();
    assert_eq!(info("ends").await, expected);
    append(store, decided("ends", 1, events(2))).await;
    (expected.revision, expected.commands_count) = (Revision::new(2).into(), 1);
    assert_eq!(info("ends").await, expected);
    let both = vec![part("ends", ANY, Vec::new()), part("ends-2", ANY, events(1))];
    append(store, commit_of(both)).await;
    assert_eq!(info("ends").await, expected);
    for event in whole_stream(store, &stream("ends"), 10).await {
        assert_eq!(event.partition, expected.partition);
    }
}

/// Appends one event of [`PAYLOAD_BYTES_MAX`] less one byte and more of the largest than fit a page.
pub(crate) async fn append_large(store: &Store, id: &str) {
    let large = |data_bytes| NewEvent { data: Bytes::from(vec![b' '; data_bytes]), ..event(0) };
    let mut sizes = vec![PAYLOAD_BYTES_MAX - 1];
    sizes.resize(READ_BYTES_MAX / PAYLOAD_BYTES_MAX + 3, PAYLOAD_BYTES_MAX);
    for sizes in sizes.chunks(8) {
        let events = sizes.iter().copied().map(large);
        store.append(plain(id, ANY, events.collect())).await.unwrap();
    }
}

/// All events of a stream, backwards, read in pages of `limit`.
async fn whole_stream_backwards(store: &Store, id: &str, limit: usize) -> Vec<RecordedEvent> {
    let (mut events, mut next) = (Vec::new(), Some(u64::MAX));
    while let Some(from) = next {
        let page = read(store, id, from, (limit, BACKWARDS)).await;
        assert!(page.events.len() <= limit);
        assert!(page.next.is_none_or(|next| next.get() < from));
        next = page.next.map(Revision::get);
        events.extend(page.events);
    }
    events
}

async fn read(
    store: &Store,
    id: &str,
    from: u64,
    (limit, direction): (usize, Direction),
) -> StreamPage {
    let (stream, from) = (stream(id), Revision::new(from));
    let page = store.read_stream(&stream, from, limit, direction).await;
    page.unwrap()
}

/// The revisions of a page and where the next begins.
fn revisions_of(page: &StreamPage) -> (Vec<u64>, Option<u64>) {
    let revisions = page.events.iter().map(|event| event.revision.get());
    (revisions.collect(), page.next.map(Revision::get))
}
