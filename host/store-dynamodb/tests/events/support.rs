//! Commits and reads of the tests.

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome};
use annals_core::commit::Commit;
use annals_core::event::{ContentType, NewEvent, RecordedEvent};
use annals_core::id::{CommandId, Digest};
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ExpectedRevision, Partition, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{Direction, FeedFilter};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_167_000_000);

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::parse(&format!("account/{id}")).unwrap()
}

pub(crate) fn event(number: u64) -> NewEvent {
    let data = format!("{{\"number\":{number}}}");
    NewEvent::json(EventType::new("counted").unwrap(), data)
}

/// A plain append of one event without an id.
pub(crate) fn counted(id: &str, number: u64) -> Commit {
    Commit::plain(stream(id), ExpectedRevision::Any, vec![event(number)], NOW)
}

/// A commit of an accepted command with one event of about `data_bytes` bytes.
pub(crate) fn command_of(id: &str, number: u128, data_bytes: usize) -> Commit {
    let text = "x".repeat(data_bytes);
    let data = Bytes::from(format!("{{\"cents\":{number},\"text\":\"{text}\"}}"));
    let record = CommandRecord {
        id: CommandId::new(Uuid::from_u128(number)),
        name: CommandName::new("deposit-funds").unwrap(),
        stream: stream(id),
        content_type: ContentType::Json,
        data: Bytes::from(format!("{{\"cents\":{number}}}")),
        decided_at: NOW,
        seed: (1, u64::MAX),
        plugin: Digest::of(b"a plugin"),
        outcome: Outcome::Accepted,
    };
    let event = NewEvent::json(EventType::new("funds-deposited").unwrap(), data);
    let origin = annals_core::event::Origin {
        correlation_id: Some(CommandId::new(Uuid::from_u128(number)).into()),
        ..Default::default()
    };
    Commit {
        command: Some(record),
        origin: Arc::new(origin),
        ..Commit::plain(stream(id), ExpectedRevision::Any, vec![event], NOW)
    }
}

/// A commit of an accepted command with one small event.
pub(crate) fn command(id: &str, number: u128) -> Commit {
    command_of(id, number, 10)
}

/// The data of a stream's events.
pub(crate) async fn stream_data(store: &dyn EventStore, id: &str) -> Vec<String> {
    let (mut data, mut next) = (Vec::new(), Some(Revision::FIRST));
    while let Some(from) = next {
        let page = store.read_stream(&stream(id), from, 1_000, Direction::Forwards).await.unwrap();
        data.extend(
            page.events.iter().map(|event| String::from_utf8(event.data.to_vec()).unwrap()),
        );
        next = page.next;
    }
    data
}

/// The events of all feeds, partition by partition. Asserts that their positions are dense.
pub(crate) async fn feed(store: &dyn EventStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    for partition in (0..store.capabilities().partitions_count).map(Partition) {
        let (mut after, mut expected) = (None, 0);
        loop {
            let filter = FeedFilter::default();
            let page = store.read_feed(partition, after, &filter, 1_000).await.unwrap();
            for event in &page.events {
                assert_eq!(event.position.get(), expected);
                expected += 1;
            }
            after = page.read_up_to;
            events.extend(page.events);
            if page.is_at_head {
                break;
            }
        }
    }
    events
}
