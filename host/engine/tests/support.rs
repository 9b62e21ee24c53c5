//! What the engine's tests share: a host over memory drivers, clocks and ids that repeat.

pub(crate) mod dynamodb;
pub(crate) mod faults;
pub(crate) mod guest;
pub(crate) mod logs;
pub(crate) mod manager;
pub(crate) mod upcaster;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annals_bus_local::LocalBus;
use annals_core::command::Rejection;
use annals_core::event::Origin;
use annals_core::id::{CommandId, IdGenerator, StoreId};
use annals_core::name::{CommandName, PluginName, TableName};
use annals_core::place::ExpectedRevision;
use annals_core::port::{EventStore, StateStores};
use annals_core::time::{Clock, Timestamp};
use annals_engine::command::{CommandError, CommandOutcome, CommandRequest, Verdict};
use annals_engine::view::WaitFor;
use annals_engine::{Engine, EngineOptions, Placement, Ports};
use annals_store_memory::{MemoryBlobStore, MemoryEventStore, MemoryStateStores};
use bytes::Bytes;
use tokio::task::LocalSet;
use uuid::Uuid;

use guest::{NativeRuntime, Probe};

/// Time that stands still unless a test moves it.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}

/// Ids 1, 2, 3 …
#[derive(Debug, Default)]
pub(crate) struct CountingIds(AtomicU64);

impl IdGenerator for CountingIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Drivers that outlive engines, so that a test can restart one or run two.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) ports: Ports,
    pub(crate) probe: Arc<Probe>,
    pub(crate) options: EngineOptions,
}

impl World {
    pub(crate) fn new() -> Self {
        let store_id = StoreId::new(Uuid::from_u128(1));
        let probe = Arc::new(Probe::default());
        let ports = Ports {
            store: Arc::new(MemoryEventStore::new(store_id)),
            states: Arc::new(MemoryStateStores::default()),
            blobs: Arc::new(MemoryBlobStore::default()),
            bus: Arc::new(LocalBus::default()),
            runtime: Arc::new(NativeRuntime { probe: Arc::clone(&probe) }),
            clock: Arc::new(ManualClock(AtomicU64::new(1_000))),
            ids: Arc::new(CountingIds::default()),
        };
        let options = EngineOptions {
            shards_count: NonZeroUsize::MIN.saturating_add(1),
            placement: Placement::LocalTasks,
            ..EngineOptions::default()
        };
        Self { ports, probe, options }
    }

    /// A world whose store has many partitions.
    pub(crate) fn of_partitions(partitions_count: u32) -> Self {
        let store_id = StoreId::new(Uuid::from_u128(1));
        let count = NonZeroU32::new(partitions_count).unwrap();
        let store = MemoryEventStore::with_partitions(store_id, count);
        Self::new().with_store(|_| Arc::new(store))
    }

    pub(crate) fn with_store(
        mut self,
        wrap: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
    ) -> Self {
        self.ports.store = wrap(self.ports.store);
        self
    }

    pub(crate) fn with_states(
        mut self,
        wrap: impl FnOnce(Arc<dyn StateStores>) -> Arc<dyn StateStores>,
    ) -> Self {
        self.ports.states = wrap(self.ports.states);
        self
    }

    pub(crate) async fn start(&self) -> Engine {
        Engine::start(self.ports.clone(), self.options.clone()).await.unwrap()
    }

    /// An engine with the tally installed.
    pub(crate) async fn start_with_tally(&self) -> Engine {
        let engine = self.start().await;
        engine.install(None, guest::tally("1.0.0"), None).await.unwrap();
        engine
    }
}

/// Runs a test on one thread with paused time, as local tasks.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    logs::install();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

pub(crate) fn name(text: &str) -> PluginName {
    PluginName::new(text).unwrap()
}

pub(crate) fn request(id: &str, command: &str, data: &str) -> CommandRequest {
    CommandRequest {
        aggregate: name("tally"),
        id: id.to_owned(),
        command: CommandName::new(command).unwrap(),
        data: Bytes::copy_from_slice(data.as_bytes()),
        command_id: None,
        id_is_new: false,
        expected: ExpectedRevision::Any,
        origin: Origin::default(),
    }
}

pub(crate) fn with_id(mut request: CommandRequest, id: u128) -> CommandRequest {
    request.command_id = Some(CommandId::new(Uuid::from_u128(id)));
    request
}

pub(crate) async fn add(
    engine: &Engine,
    id: &str,
    amount: i64,
) -> Result<CommandOutcome, CommandError> {
    engine.execute(request(id, "add", &format!(r#"{{"amount":{amount}}}"#))).await
}

/// Waits until a view has the events of a command.
pub(crate) fn reaching(outcome: &CommandOutcome) -> Option<WaitFor> {
    let (partition, wait) = (outcome.partition, Duration::from_secs(5));
    outcome.position.map(|position| WaitFor { partition, position, wait })
}

pub(crate) fn table(text: &str) -> TableName {
    TableName::new(text).unwrap()
}

/// The row `<table>:<key>` of the view of the projection `tallies`.
pub(crate) async fn row(engine: &Engine, key: &str, wait: Option<WaitFor>) -> Option<String> {
    let (table_name, key) = key.split_once(':').unwrap();
    let answer =
        engine.view_row(&name("tallies"), &table(table_name), key.as_bytes(), wait).await.unwrap();
    answer.value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

pub(crate) async fn state(engine: &Engine, id: &str) -> (u64, String) {
    let state = engine.state(&name("tally"), id).await.unwrap();
    (state.revision.0.unwrap().get(), String::from_utf8(state.data.to_vec()).unwrap())
}

/// What an outcome says in short: the events' data, or the rejection.
pub(crate) fn said(outcome: &CommandOutcome) -> Result<Vec<String>, Rejection> {
    match &outcome.verdict {
        Verdict::Accepted(events) => Ok(events
            .iter()
            .map(|event| format!("{} {}", event.event_type, String::from_utf8_lossy(&event.data)))
            .collect()),
        Verdict::Rejected(rejection) => Err(rejection.clone()),
    }
}
