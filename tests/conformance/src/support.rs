//! What checks share: short ways to make commits, and to read everything back.

pub(crate) mod state;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Accepted, Commit, Receipt, RecordedCommit, StreamAppend, StreamReceipt};
use annals_core::event::{ContentType, NewEvent, RecordedEvent};
use annals_core::id::{CommandId, Digest, EventId};
use annals_core::invariants::positions_increase;
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ExpectedRevision, Partition, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Direction, EventTypeCount, FeedFilter, StreamInfo,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

/// The store of an event store check.
pub(crate) type Store = Arc<dyn EventStore>;

/// The time of most commits.
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_167_000_000);

/// The time `ms` milliseconds after [`NOW`].
pub(crate) const fn after_now(ms: u64) -> Timestamp {
    Timestamp::from_ms(NOW.ms() + ms)
}

/// The stream `account/<id>`.
pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::parse(&format!("account/{id}")).unwrap()
}

/// An event `counted` without id that says `number`.
pub(crate) fn event(number: u64) -> NewEvent {
    let data = format!("{{\"number\":{number}}}");
    NewEvent::json(EventType::new("counted").unwrap(), data)
}

/// Events that say 0, 1, 2 …
pub(crate) fn events(count: u64) -> Vec<NewEvent> {
    (0..count).map(event).collect()
}

/// An event with an id given by the client.
pub(crate) fn event_with_id(id: u128) -> NewEvent {
    NewEvent { id: Some(EventId::new(Uuid::from_u128(id))), ..event(7) }
}

/// Expects the last event at revision `number`.
pub(crate) const fn exactly(number: u64) -> ExpectedRevision {
    ExpectedRevision::Exactly(Revision::new(number))
}

/// A plain append at [`NOW`].
pub(crate) fn plain(id: &str, expected: ExpectedRevision, events: Vec<NewEvent>) -> Commit {
    Commit::plain(stream(id), expected, events, NOW)
}

/// One stream's part of a commit.
pub(crate) fn part(id: &str, expected: ExpectedRevision, events: Vec<NewEvent>) -> StreamAppend {
    StreamAppend { stream: stream(id), expected, events }
}

/// A commit of several streams without a command.
pub(crate) fn commit_of(streams: Vec<StreamAppend>) -> Commit {
    Commit { streams, ..plain("unused", ExpectedRevision::Any, Vec::new()) }
}

/// The command id with this number.
pub(crate) const fn command_id(number: u128) -> CommandId {
    CommandId::new(Uuid::from_u128(number))
}

/// An accepted command on `account/<id>`.
pub(crate) fn command(id: &str, number: u128) -> CommandRecord {
    CommandRecord {
        id: command_id(number),
        name: CommandName::new("count").unwrap(),
        stream: stream(id),
        content_type: ContentType::Json,
        data: Bytes::from_static(b"{\"up_to\":3}"),
        decided_at: NOW,
        seed: (1, u64::MAX),
        plugin: Digest::of(b"a plugin"),
        outcome: Outcome::Accepted,
    }
}

/// The outcome of a command the domain refused.
pub(crate) fn rejected() -> Outcome {
    Outcome::Rejected(Rejection {
        code: Arc::from("too-many"),
        message: Arc::from("that is too many \u{1f600}"),
        detail: Bytes::from_static(b"{\"most\":2}"),
    })
}

/// A commit of an accepted command that appends to its own stream, whatever its revision.
pub(crate) fn decided(id: &str, number: u128, events: Vec<NewEvent>) -> Commit {
    Commit { command: Some(command(id, number)), ..plain(id, ExpectedRevision::Any, events) }
}

/// A commit of a rejected command.
pub(crate) fn refused_by_domain(id: &str, number: u128) -> Commit {
    let command = CommandRecord { outcome: rejected(), ..command(id, number) };
    Commit { command: Some(command), ..commit_of(Vec::new()) }
}

/// Appends and waits until it is durable.
pub(crate) async fn append(store: &Store, commit: Commit) -> Receipt {
    let Accepted { receipt, durability } = store.append(commit).await.unwrap();
    durability.wait().await.unwrap();
    receipt
}

/// Asserts that both print the same. Errors do not compare, since their causes do not.
#[track_caller]
pub(crate) fn assert_same(actual: &impl Debug, expected: &impl Debug) {
    assert_eq!(format!("{actual:?}"), format!("{expected:?}"));
}

/// Asserts that the commit is refused with `expected` and that nothing of it can be seen.
pub(crate) async fn assert_refused(store: &Store, commit: Commit, expected: &AppendError) {
    let before = contents(store, &commit).await;
    let refused = store.append(commit.clone()).await.map(|it| it.receipt);
    assert_same(&refused, &Err::<Receipt, _>(expected));
    assert_eq!(contents(store, &commit).await, before);
}

/// The refusal of an expectation; `actual` counts the events of the stream.
pub(crate) fn wrong_revision(id: &str, expected: ExpectedRevision, actual: u64) -> AppendError {
    AppendError::WrongExpectedRevision {
        stream: stream(id),
        expected,
        actual: Revision::last_of(actual).map_or_else(Default::default, Into::into),
    }
}

/// All a commit could change: every feed, the counts, and what its streams and claims say.
#[derive(Debug, PartialEq)]
pub(crate) struct Contents {
    feeds: Vec<Vec<RecordedEvent>>,
    event_type_counts: Vec<EventTypeCount>,
    streams: Vec<StreamInfo>,
    holders: Vec<Option<StreamId>>,
}

/// Reads all that `commit` could change.
pub(crate) async fn contents(store: &Store, commit: &Commit) -> Contents {
    store.flush().await.unwrap();
    let mut streams = Vec::new();
    let command_stream = commit.command.as_ref().map(|command| &command.stream);
    for stream in commit.streams.iter().map(|it| &it.stream).chain(command_stream) {
        streams.push(store.stream_info(stream).await.unwrap());
    }
    let mut holders = Vec::new();
    for claim in &commit.claims {
        let holder = store.claim_holder(&claim.scope, &claim.key, commit.recorded_at);
        holders.push(holder.await.unwrap().map(|holder| holder.stream));
    }
    Contents {
        feeds: all_feeds(store).await,
        event_type_counts: store.event_type_counts().await.unwrap(),
        streams,
        holders,
    }
}

/// The partitions of the store.
pub(crate) fn partitions(store: &Store) -> impl Iterator<Item = Partition> + use<> {
    (0..store.capabilities().partitions_count).map(Partition)
}

/// The partition of `account/<id>`.
pub(crate) fn partition_of(store: &Store, id: &str) -> Partition {
    store.capabilities().partition_of(&stream(id))
}

/// The ids `<prefix>-…` of a few streams, each in a partition of its own while there are any.
pub(crate) fn ids_in_many_partitions(store: &Store, prefix: &str) -> Vec<String> {
    const IDS_COUNT: usize = 6;
    let mut free: HashSet<Partition> = partitions(store).collect();
    let mut ids = Vec::new();
    for number in 0.. {
        if ids.len() == IDS_COUNT {
            break;
        }
        let id = format!("{prefix}-{number}");
        if free.is_empty() || free.remove(&partition_of(store, &id)) {
            ids.push(id);
        }
    }
    ids
}

/// All durable events, partition by partition.
pub(crate) async fn all_feeds(store: &Store) -> Vec<Vec<RecordedEvent>> {
    let mut feeds = Vec::new();
    for partition in partitions(store) {
        let filter = FeedFilter::default();
        feeds.push(whole_feed(store, partition, &filter, usize::MAX).await);
    }
    feeds
}

/// All durable events of a partition that `filter` lets through, read in pages of `limit`. Asserts
/// what holds for each page.
pub(crate) async fn whole_feed(
    store: &Store,
    partition: Partition,
    filter: &FeedFilter,
    limit: usize,
) -> Vec<RecordedEvent> {
    let (mut events, mut after) = (Vec::new(), None);
    loop {
        let page = store.read_feed(partition, after, filter, limit).await.unwrap();
        assert!(page.events.len() <= limit);
        assert!(positions_increase(after, &page.events));
        let last = page.events.last().map(|event| event.position);
        assert!(page.read_up_to >= last.max(after));
        let is_stuck = page.read_up_to == after && !page.is_at_head;
        assert!(!is_stuck, "the page after {after:?} leads nowhere");
        after = page.read_up_to;
        events.extend(page.events);
        if page.is_at_head {
            return events;
        }
    }
}

/// All events of a stream, forwards, read in pages of `limit`.
pub(crate) async fn whole_stream(
    store: &Store,
    stream: &StreamId,
    limit: usize,
) -> Vec<RecordedEvent> {
    let (mut events, mut next) = (Vec::new(), Some(Revision::FIRST));
    while let Some(from) = next {
        let page = store.read_stream(stream, from, limit, Direction::Forwards);
        let page = page.await.unwrap();
        assert!(page.next.is_none_or(|next| next > from));
        events.extend(page.events);
        next = page.next;
    }
    events
}

/// All commits of a partition that were accepted before, those without events too, which may have
/// been reported as durable early.
pub(crate) async fn all_commits(store: &Store, partition: Partition) -> Vec<RecordedCommit> {
    store.flush().await.unwrap();
    whole_commits(store, partition, 0, usize::MAX).await
}

/// All durable commits of a partition from number `from` on, read in pages of `limit`.
pub(crate) async fn whole_commits(
    store: &Store,
    partition: Partition,
    mut from: u64,
    limit: usize,
) -> Vec<RecordedCommit> {
    let mut commits = Vec::new();
    loop {
        let page = store.read_commits(partition, from, limit).await.unwrap();
        assert!(page.len() <= limit);
        let Some(last) = page.last() else {
            return commits;
        };
        from = last.number + 1;
        commits.extend(page);
    }
}

/// The events of `stream` in the partition's feed.
pub(crate) async fn feed_of_stream(store: &Store, stream: &StreamId) -> Vec<RecordedEvent> {
    let partition = store.capabilities().partition_of(stream);
    let filter = FeedFilter {
        categories: Some([Arc::from(stream.category())].into()),
        ..FeedFilter::default()
    };
    let mut events = whole_feed(store, partition, &filter, usize::MAX).await;
    events.retain(|event| event.stream == *stream);
    events
}

/// The number each event made by [`event`] says.
pub(crate) fn data_of(events: &[RecordedEvent]) -> Vec<String> {
    let text = |event: &RecordedEvent| String::from_utf8(event.data.to_vec()).unwrap();
    events.iter().map(text).collect()
}

/// The data of [`events`] with these numbers.
pub(crate) fn data_from(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let text = |number: u64| String::from_utf8(event(number).data.to_vec()).unwrap();
    numbers.into_iter().map(text).collect()
}

/// Asserts that a commit is recorded as the receipt says, every field of every event, in its streams
/// and in the feed.
pub(crate) async fn assert_recorded(store: &Store, commit: &Commit, receipt: &Receipt) {
    assert_eq!(receipt.streams.len(), commit.streams.len());
    for (append, receipt_of) in commit.streams.iter().zip(&receipt.streams) {
        let recorded = events_of(store, &append.stream, receipt_of).await;
        assert_eq!(recorded.len(), append.events.len());
        let partition = store.capabilities().partition_of(&append.stream);
        let feed = feed_of_stream(store, &append.stream).await;
        for (index, (new, event)) in append.events.iter().zip(&recorded).enumerate() {
            let ordinal = u32::try_from(index).unwrap();
            let derived = commit
                .command
                .as_ref()
                .map(|command| EventId::derive(command.id, &append.stream, ordinal));
            let first_revision = receipt_of.events.unwrap().first_revision;
            let expected = RecordedEvent {
                id: new.id.or(derived).unwrap_or(event.id),
                stream: append.stream.clone(),
                revision: first_revision.plus(u64::from(ordinal)),
                partition,
                position: event.position,
                event_type: new.event_type.clone(),
                schema_version: new.schema_version,
                content_type: new.content_type.clone(),
                data: new.data.clone(),
                metadata: new.metadata.clone(),
                recorded_at: receipt.recorded_at,
                command_id: commit.command.as_ref().map(|command| command.id),
                origin: Arc::clone(&commit.origin),
            };
            assert_eq!(event, &expected);
            assert!(feed.contains(&expected));
        }
    }
}

/// The events of one stream's part of a commit, as its receipt says.
async fn events_of(
    store: &Store,
    stream: &StreamId,
    receipt: &StreamReceipt,
) -> Vec<RecordedEvent> {
    let Some(range) = receipt.events else {
        return Vec::new();
    };
    let mut events = whole_stream(store, stream, usize::MAX).await;
    events.retain(|event| (range.first_revision..=range.last_revision).contains(&event.revision));
    let places = events.iter().map(|event| (event.revision, event.position));
    let first_and_last = (places.clone().next(), places.last());
    let told = (
        Some((range.first_revision, range.first_position)),
        Some((range.last_revision, range.last_position)),
    );
    assert_eq!(first_and_last, told);
    assert_eq!(receipt.revision, range.last_revision.into());
    events
}
