//! The feed: `read_feed`, `head`, `wait_for_news` and `event_type_counts`.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::commit::{Commit, RecordedCommit};
use annals_core::event::{NewEvent, RecordedEvent, SchemaVersion};
use annals_core::invariants::{
    events_are_distinct, feed_agrees_with_streams, positions_increase, times_never_go_back,
};
use annals_core::limits::{COMMIT_EVENTS_MAX, PAYLOAD_BYTES_MAX, READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position};
use annals_core::port::event_store::{EventTypeCount, FeedFilter, FeedPage, ReadError};
use annals_core::stream::StreamId;

use crate::read_stream::append_large;
use crate::support::{
    NOW, Store, after_now, all_feeds, append, assert_same, commit_of, event, events, part,
    partition_of, partitions, plain, stream, whole_feed, whole_stream,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards a new store: no head, no events, and nothing to wait for in its pages.
pub async fn a_partition_without_events_has_no_head(store: &Store) {
    for partition in partitions(store) {
        assert_eq!(store.head(partition).await.unwrap(), None);
        let expected = FeedPage { events: Vec::new(), read_up_to: None, is_at_head: true };
        assert_eq!(read(store, partition, None, 10).await, expected);
    }
}

/// Guards the total order: positions increase strictly, revisions of each stream have no hole, times
/// never go back, and the feed holds exactly what the streams hold.
pub async fn the_feed_is_ordered_and_agrees_with_the_streams(store: &Store) {
    let ids: Vec<String> = (0..8).map(|number| format!("ordered-{number}")).collect();
    for round in 0..5_u64 {
        for (number, id) in (0..).zip(&ids) {
            let mut commit = plain(id, ANY, events(1 + (number + round) % 3));
            commit.recorded_at = after_now((number * 7 + round) % 5);
            append(store, commit).await;
        }
    }
    let all = ids.iter().map(|id| part(id, ANY, events(2))).collect();
    append(store, commit_of(all)).await;

    let mut of_feeds: Vec<RecordedEvent> = Vec::new();
    for feed in all_feeds(store).await {
        assert!(feed_agrees_with_streams(&feed));
        assert!(positions_increase(None, &feed));
        assert!(times_never_go_back(&feed));
        assert!(events_are_distinct(&feed));
        of_feeds.extend(feed);
    }
    let mut of_streams = Vec::new();
    for id in &ids {
        of_streams.extend(whole_stream(store, &stream(id), usize::MAX).await);
    }
    let by_stream = |event: &RecordedEvent| (event.stream.clone(), event.revision);
    of_feeds.sort_by_key(by_stream);
    assert_eq!(of_feeds, of_streams);
}

/// Guards checkpoints: going on after a position neither repeats its event nor skips the next.
pub async fn reads_after_a_position_exclusive(store: &Store) {
    append(store, plain("after", ANY, events(3))).await;
    append(store, plain("after", ANY, events(2))).await;
    let partition = partition_of(store, "after");
    let all = read(store, partition, None, 10).await.events;
    assert_eq!(all, whole_stream(store, &stream("after"), 10).await);
    let head = all[4].position;
    assert_eq!(store.head(partition).await.unwrap(), Some(head));
    for (index, event) in all.iter().enumerate() {
        let expected = FeedPage {
            events: all[index + 1..].to_vec(),
            read_up_to: Some(head),
            is_at_head: true,
        };
        let page = read(store, partition, Some(event.position), 10).await;
        assert_eq!(page, expected);
    }
}

/// Guards a checkpoint of another store, or of a lost tail: nothing is after it, and the reader is
/// not sent back.
pub async fn reads_nothing_after_a_position_past_the_head(store: &Store) {
    append(store, plain("past", ANY, events(2))).await;
    for partition in partitions(store) {
        let after = Some(Position::new(u64::MAX));
        let expected = FeedPage { events: Vec::new(), read_up_to: after, is_at_head: true };
        assert_eq!(read(store, partition, after, 10).await, expected);
    }
}

/// Guards the seam between pages, for many page sizes, with and without a filter.
pub async fn feed_pages_neither_repeat_nor_skip(store: &Store) {
    for number in 0..30 {
        let id = format!("seam-{}", number % 4);
        append(store, plain(&id, ANY, vec![event(number)])).await;
    }
    let filters = [
        FeedFilter::default(),
        FeedFilter { stream_prefix: Some(Arc::from("account/seam-3")), ..FeedFilter::default() },
    ];
    for (filter, events_count) in filters.iter().zip([30, 7]) {
        let mut found = 0;
        for partition in partitions(store) {
            let all = whole_feed(store, partition, filter, usize::MAX).await;
            found += all.len();
            for limit in [1, 2, 3, 7, 29, 30, 31] {
                assert_eq!(whole_feed(store, partition, filter, limit).await, all);
            }
        }
        assert_eq!(found, events_count);
    }
}

/// Guards the smallest limit: it does not move the reader.
pub async fn a_limit_of_zero_reads_no_feed(store: &Store) {
    append(store, plain("zero", ANY, events(2))).await;
    let partition = partition_of(store, "zero");
    let recorded = whole_stream(store, &stream("zero"), 10).await;
    let first = Some(recorded[0].position);
    let last = Some(recorded[1].position);
    for (after, is_at_head) in [(None, false), (first, false), (last, true)] {
        let expected = FeedPage { events: Vec::new(), read_up_to: after, is_at_head };
        assert_eq!(read(store, partition, after, 0).await, expected);
    }
}

/// Guards projections: each condition of a filter, all of them together, and the host's own events,
/// which only who asks for them gets.
pub async fn a_filter_lets_through_what_it_says(store: &Store) {
    let streams = ["account/a", "account/ab", "accounts/a", "transfer/a", "$plugins/a"];
    for id in streams {
        for event_type in ["opened", "closed"] {
            let new = NewEvent::json(EventType::new(event_type).unwrap(), "{}");
            let id = StreamId::parse(id).unwrap();
            let commit = Commit::plain(id, ANY, vec![new], NOW);
            append(store, commit).await;
        }
    }
    let categories = |names: &[&str]| Some(names.iter().copied().map(Arc::from).collect());
    let types = |names: &[&str]| {
        let names = names.iter().map(|name| EventType::new(name).unwrap());
        Some(names.collect::<HashSet<_>>())
    };
    let cases: [(FeedFilter, &[&str], &[&str]); 8] = [
        (filter(None, None, None), &streams[..4], &["opened", "closed"]),
        (filter(categories(&["account"]), None, None), &streams[..2], &["opened", "closed"]),
        (
            filter(categories(&["$plugins", "transfer"]), None, None),
            &streams[3..],
            &["opened", "closed"],
        ),
        (filter(None, types(&["closed"]), None), &streams[..4], &["closed"]),
        (filter(None, None, Some("account/a")), &streams[..2], &["opened", "closed"]),
        (filter(None, None, Some("$plugins/")), &[], &[]),
        (
            filter(categories(&["account"]), types(&["opened"]), Some("account/ab")),
            &streams[1..2],
            &["opened"],
        ),
        (filter(categories(&[]), None, None), &[], &[]),
    ];
    for (filter, streams, types) in cases {
        let mut found = HashSet::new();
        for partition in partitions(store) {
            for event in whole_feed(store, partition, &filter, 2).await {
                let (stream, kind) = (event.stream.to_string(), event.event_type.to_string());
                assert!(found.insert((stream, kind)));
            }
        }
        let expected = streams.iter().flat_map(|stream| {
            let pair = |kind: &&str| ((*stream).to_owned(), (*kind).to_owned());
            types.iter().map(pair)
        });
        assert_eq!(found, expected.collect(), "{filter:?}");
    }
}

/// Guards lag: a reader whose filter lets nothing through still reaches the head.
pub async fn reads_up_to_the_head_when_nothing_is_let_through(store: &Store) {
    append(store, plain("nothing", ANY, events(20))).await;
    let partition = partition_of(store, "nothing");
    let head = store.head(partition).await.unwrap();
    let nothing = filter(Some(HashSet::new()), None, None);
    let mut after = None;
    while after != head {
        let page = store.read_feed(partition, after, &nothing, 5).await.unwrap();
        assert_eq!(page.events, []);
        assert!(page.read_up_to > after, "the page leads nowhere");
        assert_eq!(page.is_at_head, page.read_up_to == head);
        after = page.read_up_to;
    }
    assert!(head.is_some());
}

/// Guards pages of a driver's own: many thousand events of many streams, of which a filter lets a few
/// through, are read whole with and without it, without a repeat or a hole.
pub async fn reads_a_long_feed_whole(store: &Store) {
    let mut number = 0;
    for commit_size in (1..COMMIT_EVENTS_MAX).step_by(60) {
        for id in [format!("long-{}", commit_size % 7), "long-rare".to_owned()] {
            let size = if id == "long-rare" { 1 } else { u64::try_from(commit_size).unwrap() };
            let commit = plain(&id, ANY, (number..number + size).map(event).collect());
            store.append(commit).await.unwrap();
            number += size;
        }
    }
    store.flush().await.unwrap();
    assert!(number > u64::try_from(READ_EVENTS_MAX).unwrap());
    let rare =
        FeedFilter { stream_prefix: Some(Arc::from("account/long-rare")), ..FeedFilter::default() };
    for partition in partitions(store) {
        let all = whole_feed(store, partition, &FeedFilter::default(), usize::MAX).await;
        assert!(feed_agrees_with_streams(&all));
        for limit in [999, 1_024] {
            let paged = whole_feed(store, partition, &FeedFilter::default(), limit).await;
            assert!(paged == all, "limit {limit}");
        }
        let mut of_rare = all.clone();
        of_rare.retain(|event| event.stream == stream("long-rare"));
        for limit in [1, 5, usize::MAX] {
            assert_eq!(whole_feed(store, partition, &rare, limit).await, of_rare);
        }
        number -= u64::try_from(all.len()).unwrap();
    }
    assert_eq!(number, 0);
}

/// Guards pages of a driver's own, in bytes: many megabytes of large events are read whole, without a
/// repeat or a hole.
pub async fn reads_a_feed_of_large_events_whole(store: &Store) {
    append_large(store, "heavy").await;
    append(store, plain("heavy", ANY, events(3))).await;
    let partition = partition_of(store, "heavy");
    let of_stream = whole_stream(store, &stream("heavy"), usize::MAX).await;
    assert_eq!(of_stream.len(), READ_BYTES_MAX / PAYLOAD_BYTES_MAX + 6);
    for limit in [7, usize::MAX] {
        let feed = whole_feed(store, partition, &FeedFilter::default(), limit).await;
        assert!(feed == of_stream, "limit {limit}");
    }
}

/// Guards pages of a driver's own, and memory: more events than any page are read whole, and a page
/// has an end whatever the caller asks for.
pub async fn limits_the_events_of_a_feed_page(store: &Store) {
    for _ in 0..=READ_EVENTS_MAX / COMMIT_EVENTS_MAX {
        let many = (0..COMMIT_EVENTS_MAX).map(|_| event(0));
        append(store, plain("many", ANY, many.collect())).await;
    }
    let partition = partition_of(store, "many");
    let all = whole_stream(store, &stream("many"), usize::MAX).await;
    for limit in [READ_EVENTS_MAX, READ_EVENTS_MAX + 1, usize::MAX] {
        let page = read(store, partition, None, limit).await;
        assert_eq!(page, full_page(&all[..READ_EVENTS_MAX]));
    }
    let filter = FeedFilter::default();
    assert_eq!(whole_feed(store, partition, &filter, usize::MAX).await, all);
}

/// Guards memory: a page ends after the event with which its data reaches the limit, not before.
pub async fn limits_the_bytes_of_a_feed_page(store: &Store) {
    append_large(store, "large").await;
    store.flush().await.unwrap();
    let partition = partition_of(store, "large");
    let all = whole_stream(store, &stream("large"), usize::MAX).await;
    // Event 0 is one byte short of the largest, so that it takes one more event to reach the limit.
    let large_count = READ_BYTES_MAX / PAYLOAD_BYTES_MAX;
    let page = read(store, partition, None, usize::MAX).await;
    assert_eq!(page, full_page(&all[..=large_count]));
    let page = read(store, partition, Some(all[0].position), usize::MAX).await;
    assert_eq!(page, full_page(&all[1..=large_count]));
}

/// Guards configuration: a partition the store has not is an error, not an empty feed.
pub async fn refuses_partitions_it_does_not_have(store: &Store) {
    for number in [store.capabilities().partitions_count, u32::MAX] {
        let partition = Partition(number);
        let error = ReadError::UnknownPartition { partition };
        let filter = FeedFilter::default();
        let page = store.read_feed(partition, None, &filter, 1).await;
        assert_same(&page, &Err::<FeedPage, _>(&error));
        assert_same(&store.head(partition).await, &Err::<Option<Position>, _>(&error));
        assert_same(&store.wait_for_news(partition, None).await, &Err::<(), _>(&error));
        let commits = store.read_commits(partition, 0, 1).await;
        assert_same(&commits, &Err::<Vec<RecordedCommit>, _>(&error));
    }
}

/// Guards readers at the head: they are told of the next event, whether it comes before or after
/// they begin to wait.
pub async fn waits_for_news(store: &Store) {
    let partition = partition_of(store, "news");
    let mut after = None;
    for number in 0..10 {
        let waiter = {
            let store = Arc::clone(store);
            tokio::spawn(async move { wait_for_event(&store, partition, after).await })
        };
        if number % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let receipt = append(store, plain("news", ANY, events(1))).await;
        let position = receipt.streams[0].events.map(|range| range.last_position);
        assert_eq!(waiter.await.unwrap(), position);
        // What is there already is news too.
        assert_eq!(wait_for_event(store, partition, after).await, position);
        after = position;
    }
}

/// Guards the catalogue of event types: every category, type and schema version, in order, the
/// host's own included.
pub async fn counts_events_by_category_type_and_schema_version(store: &Store) {
    assert_eq!(store.event_type_counts().await.unwrap(), []);
    let kinds = [
        ("$plugins/p", "deployed", 1, 1),
        ("account/a", "closed", 1, 2),
        ("account/b", "opened", 1, 3),
        ("account/b", "opened", 2, 1),
        ("account/b", "opened", 10, 2),
        ("accounts/a", "opened", 1, 1),
    ];
    for (id, event_type, schema_version, events_count) in kinds.into_iter().rev() {
        let new = NewEvent {
            schema_version: SchemaVersion(schema_version),
            ..NewEvent::json(EventType::new(event_type).unwrap(), "{}")
        };
        let id = StreamId::parse(id).unwrap();
        for _ in 0..events_count {
            let commit = Commit::plain(id.clone(), ANY, vec![new.clone()], NOW);
            append(store, commit).await;
        }
    }
    let expected = kinds.map(|(id, event_type, schema_version, events_count)| EventTypeCount {
        category: Arc::from(StreamId::parse(id).unwrap().category()),
        event_type: EventType::new(event_type).unwrap(),
        schema_version: SchemaVersion(schema_version),
        events_count,
    });
    assert_eq!(store.event_type_counts().await.unwrap(), expected);
}

/// Waits until the partition has an event after `after`, and returns its head.
async fn wait_for_event(
    store: &Store,
    partition: Partition,
    after: Option<Position>,
) -> Option<Position> {
    loop {
        store.wait_for_news(partition, after).await.unwrap();
        let head = store.head(partition).await.unwrap();
        if head > after {
            return head;
        }
    }
}

/// A page that a limit ended.
fn full_page(events: &[RecordedEvent]) -> FeedPage {
    FeedPage {
        events: events.to_vec(),
        read_up_to: events.last().map(|event| event.position),
        is_at_head: false,
    }
}

fn filter(
    categories: Option<HashSet<Arc<str>>>,
    event_types: Option<HashSet<EventType>>,
    stream_prefix: Option<&str>,
) -> FeedFilter {
    FeedFilter { categories, event_types, stream_prefix: stream_prefix.map(Arc::from) }
}

async fn read(
    store: &Store,
    partition: Partition,
    after: Option<Position>,
    limit: usize,
) -> FeedPage {
    let filter = FeedFilter::default();
    store.read_feed(partition, after, &filter, limit).await.unwrap()
}
