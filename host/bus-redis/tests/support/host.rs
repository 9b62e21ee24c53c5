//! A host as the daemon makes one, but for plugins: a store in memory, the engine with its relay on
//! Redis, and the HTTP API on a port of its own.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annals_api::{ApiOptions, Lifecycle};
use annals_bus_redis::RedisOptions;
use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::id::{EventId, IdGenerator};
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::guest::{GuestPlugin, GuestRuntime, Inspection, LoadError};
use annals_core::stream::StreamId;
use annals_core::time::{Clock, Timestamp};
use annals_engine::relay::RelayPhase;
use annals_engine::{Engine, EngineOptions, Ports};
use annals_store_memory::{MemoryBlobStore, MemoryEventStore, MemoryStateStores};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::{DEADLINE, STORE_ID, connect};

/// A running host.
pub(crate) struct Host {
    pub(crate) engine: Arc<Engine>,
    pub(crate) url: String,
    events_count: AtomicU64,
    serving: JoinHandle<()>,
}

/// Runs no plugin.
#[derive(Debug)]
struct NoPlugins;

impl GuestRuntime for NoPlugins {
    fn inspect(&self, _: &[u8]) -> Result<Inspection, LoadError> {
        unreachable!("no test installs a plugin")
    }

    fn load(&self, _: &[u8]) -> Result<Arc<dyn GuestPlugin>, LoadError> {
        unreachable!("no test installs a plugin")
    }
}

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_795_167_000_000)
    }
}

#[derive(Debug, Default)]
struct CountedIds(AtomicU64);

impl IdGenerator for CountedIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

impl Host {
    pub(crate) async fn start(redis: &RedisOptions, partitions_count: u32) -> Self {
        let partitions_count = NonZeroU32::new(partitions_count).unwrap();
        let ports = Ports {
            store: Arc::new(MemoryEventStore::with_partitions(STORE_ID, partitions_count)),
            states: Arc::new(MemoryStateStores::new()),
            blobs: Arc::new(MemoryBlobStore::new()),
            bus: Arc::new(connect(redis)),
            runtime: Arc::new(NoPlugins),
            clock: Arc::new(StoppedClock),
            ids: Arc::new(CountedIds::default()),
        };
        let options = EngineOptions {
            relay_check_every: Duration::from_millis(50),
            relay_retry_wait: Duration::from_millis(5),
            relay_retry_wait_max: Duration::from_millis(50),
            ..EngineOptions::default()
        };
        let engine = Arc::new(Engine::start(ports, options).await.unwrap());
        let router =
            annals_api::router(Arc::clone(&engine), ApiOptions::default(), Lifecycle::new());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { engine, url, events_count: AtomicU64::new(0), serving }
    }

    /// Appends an event `funds-deposited` with this data to a stream.
    pub(crate) async fn append(&self, stream: &str, data: &str) {
        let number = self.events_count.fetch_add(1, Ordering::Relaxed);
        let id = Uuid::from_u128(0x0197_a4c2_0000_7000_8000_0000_0000_0000 + u128::from(number));
        let mut event =
            NewEvent::json(EventType::new("funds-deposited").unwrap(), data.as_bytes().to_vec());
        event.id = Some(EventId::new(id));
        let stream = StreamId::parse(stream).unwrap();
        let any = ExpectedRevision::Any;
        let commit = Commit::plain(stream, any, vec![event], StoppedClock.now());
        self.engine.store().append(commit).await.unwrap();
    }

    /// Waits until the relay has published everything.
    pub(crate) async fn caught_up(&self) {
        for (partition, progress) in (0..).map(Partition).zip(self.engine.relay_progress()) {
            let last = self.engine.store().head(partition).await.unwrap();
            let mut progress = progress.clone();
            let caught_up = progress
                .wait_for(|said| said.published == last && said.phase == RelayPhase::CaughtUp);
            let said = timeout(DEADLINE, caught_up).await.map(|said| said.map(|it| it.clone()));
            assert!(matches!(said, Ok(Ok(_))), "{:?}", self.engine.relay_progress());
        }
    }

    pub(crate) async fn stop(self) {
        self.engine.stop().await;
        self.serving.abort();
    }
}
