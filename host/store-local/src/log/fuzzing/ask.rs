//! Asking a log everything that makes it decode something.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use annals_core::id::CommandId;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::{Partition, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{Direction, FeedFilter};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use uuid::Uuid;

use super::sample::{KEYS, SCOPE, STREAMS, commit};
use crate::log::store::LocalEventStore;

/// Asks, and has no use for the answers: all that counts is that there are some.
pub(super) fn ask_everything(store: &LocalEventStore) {
    let _ = now(store.event_type_counts());
    for from in [0, 1, 5] {
        let _ = now(store.read_commits(Partition::ZERO, from, READ_EVENTS_MAX));
    }
    let category = FeedFilter {
        categories: Some(["account".into()].into_iter().collect()),
        ..FeedFilter::default()
    };
    for filter in [FeedFilter::default(), category] {
        let _ = now(store.read_feed(Partition::ZERO, None, &filter, READ_EVENTS_MAX));
    }
    for stream in STREAMS.iter().filter_map(|name| StreamId::parse(name).ok()) {
        let _ = now(store.stream_info(&stream));
        let _ = now(store.read_commands(&stream, 0, READ_EVENTS_MAX));
        for direction in [Direction::Forwards, Direction::Backwards] {
            let from = Revision::new(2);
            let _ = now(store.read_stream(&stream, from, READ_EVENTS_MAX, direction));
        }
        for id in 0..4 {
            let _ = now(store.find_command(&stream, CommandId::new(Uuid::from_u128(id))));
        }
    }
    for key in KEYS {
        let _ = now(store.claim_holder(SCOPE, key, Timestamp::from_ms(0)));
    }
    // Repeats, claims and expectations are looked up, too; it is never written.
    for number in 0..6 {
        let _ = now(store.append(commit(number)));
    }
}

/// The answer, when there is nothing to wait for; otherwise the log waits for a writer that never
/// comes, which is an answer, too.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
