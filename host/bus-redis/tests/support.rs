//! What the tests share: a Redis of their own, buses on it, events, and waiting with a deadline.

mod events;
mod host;
mod logs;
mod server;

use std::sync::Arc;
use std::time::Duration;

use annals_bus_redis::{RedisBus, RedisOptions};
use annals_core::id::StoreId;
use annals_core::place::{Partition, Position};
use annals_core::port::Bus;
use annals_core::port::bus::BusError;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

pub(crate) use events::{event, events, text_event};
pub(crate) use host::Host;
pub(crate) use logs::Logs;
pub(crate) use server::{Server, Setup};

/// The store that all events are from.
pub(crate) const STORE_ID: StoreId = StoreId::new(Uuid::from_u128(0xa11a15));

/// The key of the stream of partition 0.
pub(crate) const KEY: &str = "annals:{default:0}";

/// Longest that a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the conformance suite opens.
pub(crate) async fn open_empty() -> (Arc<dyn Bus>, Server) {
    let server = Server::start().await;
    (Arc::new(server.bus()), server)
}

/// Options for tests: what is waited for comes soon.
pub(crate) fn options(url: &str) -> RedisOptions {
    RedisOptions {
        connect_wait_max: Duration::from_secs(20),
        response_wait_max: Duration::from_secs(20),
        reconnect_wait: Duration::from_millis(10),
        reconnect_wait_max: Duration::from_millis(50),
        ..RedisOptions::new(url)
    }
}

pub(crate) fn connect(options: &RedisOptions) -> RedisBus {
    logs::install();
    RedisBus::connect(options, STORE_ID, 7).unwrap()
}

/// Tries until it succeeds, and gives what it is then.
#[track_caller]
pub(crate) fn eventually<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let from = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + DEADLINE;
        let mut last = None;
        // Looked at as well: an attempt that fails at once is never too late for a timer.
        while Instant::now() < deadline {
            match timeout_at(deadline, attempt()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(error)) => last = Some(error),
                Err(_) => break,
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("not within {DEADLINE:?}, waited for at {from}; last: {last:?}")
    }
}

/// Publishes as a publisher of a store with `count` events does: goes on after what is there, and
/// asks again after every error. Returns how often it had to.
pub(crate) async fn publish_all(bus: &RedisBus, count: u64) -> u64 {
    let mut errors_count = 0;
    eventually(|| {
        let attempt = publish_rest(bus, count);
        errors_count += 1;
        attempt
    })
    .await;
    errors_count - 1
}

async fn publish_rest(bus: &RedisBus, count: u64) -> Result<(), BusError> {
    let last = bus.last_published(Partition::ZERO).await?;
    let first = last.map_or(0, |last| last.get() + 1);
    bus.publish(&events(first, count.saturating_sub(first))).await
}

/// What an error says, with its causes.
pub(crate) fn told(error: &BusError) -> String {
    annals_core::error::ErrorChain(error).to_string()
}

pub(crate) fn position(number: u64) -> Option<Position> {
    Some(Position::new(number))
}
