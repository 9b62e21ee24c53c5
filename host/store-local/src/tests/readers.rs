//! Readers that only wait, or are slow, cost a writer nothing.

use std::future::Future as _;
use std::task::Poll;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::FeedFilter;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use futures_util::future::join_all;

use crate::log::CountedIds;
use crate::{LocalEventStore, LogOptions, WhenMissing};

/// Longer than anything a test waits for takes.
const DEADLINE: Duration = Duration::from_secs(60);

fn open(folder: &tempfile::TempDir) -> LocalEventStore {
    let options = LogOptions { segment_bytes: 4 << 10, ..LogOptions::default() };
    LocalEventStore::open(folder.path(), WhenMissing::Create, &CountedIds::default(), options)
        .unwrap()
        .0
}

async fn append(store: &LocalEventStore, number: u64) {
    let stream = StreamId::parse(&format!("account/{}", number % 3)).unwrap();
    let event = NewEvent::json(EventType::new("opened").unwrap(), number.to_string());
    let any = ExpectedRevision::Any;
    let commit = Commit::plain(stream, any, vec![event], Timestamp::from_ms(1));
    store.append(commit).await.unwrap().durability.wait().await.unwrap();
}

#[tokio::test]
async fn ten_thousand_idle_subscribers_hear_of_one_event() {
    // Guards R10: whoever waits holds nothing but a place in a list, and is told once.
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    append(&store, 0).await;
    let after = Some(Position::new(0));
    let subscribers = (0..10_000).map(|_| store.wait_for_news(Partition::ZERO, after));
    let all = join_all(subscribers);
    tokio::pin!(all);
    // All of them wait before anything happens.
    let is_pending =
        std::future::poll_fn(|context| Poll::Ready(all.as_mut().poll(context).is_pending()));
    assert!(is_pending.await);
    append(&store, 1).await;
    let heard = tokio::time::timeout(DEADLINE, all).await.unwrap();
    assert!(heard.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_slow_reader_gets_every_event_and_holds_up_no_writer() {
    // Guards R10: one event now and then, while segments are begun and sealed: nothing is skipped, and
    // the writer is through long before the reader.
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let count = 600;
    let (mut after, mut read) = (None, Vec::new());
    let filter = FeedFilter::default();
    for number in 0..count {
        append(&store, number).await;
        if number.is_multiple_of(50) {
            let page = store.read_feed(Partition::ZERO, after, &filter, 1).await.unwrap();
            after = page.read_up_to;
            read.extend(page.events);
        }
    }
    assert_eq!(read.len(), 12);
    loop {
        let page = store.read_feed(Partition::ZERO, after, &filter, 7).await.unwrap();
        after = page.read_up_to;
        read.extend(page.events);
        if page.is_at_head {
            break;
        }
    }
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let data = read.iter().map(|event| String::from_utf8(event.data.to_vec()).unwrap());
    assert_eq!(data.collect::<Vec<_>>(), expected);
}
