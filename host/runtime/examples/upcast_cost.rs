//! What upcasting costs: the state of an account with 10 000 events, stored as they are read or as the
//! bank's first program had them. `cargo run --release -p annals-runtime --example upcast_cost`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an example measures time, prints it, and may stop at any fault"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals_bus_local::LocalBus;
use annals_core::commit::Commit;
use annals_core::event::{NewEvent, SchemaVersion};
use annals_core::id::{IdGenerator, StoreId};
use annals_core::name::{EventType, PluginName};
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::stream::StreamId;
use annals_core::time::{Clock, Timestamp};
use annals_engine::{Engine, EngineOptions, Ports};
use annals_runtime::{RuntimeLimits, RuntimeOptions, WasmtimeRuntime};
use annals_store_memory::{MemoryBlobStore, MemoryEventStore, MemoryStateStores};
use uuid::Uuid;

const EVENTS: u64 = 10_000;
const ROUNDS: usize = 15;

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0)
    }
}

#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl IdGenerator for Counted {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u64_pair(1, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::main]
async fn main() {
    let cached = bank(EngineOptions::default()).await;
    let uncached =
        bank(EngineOptions { upcast_cache_bytes_max: 0, ..EngineOptions::default() }).await;
    for engine in [&cached, &uncached] {
        write(engine, "new", "funds-deposited", 1, "cents").await;
        write(engine, "old", "balance-changed", 2, "by_cents").await;
    }
    let first = load(&cached, "old").await;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let runs = [(&uncached, "new"), (&uncached, "old"), (&cached, "old")];
        for (times, (engine, id)) in times.iter_mut().zip(runs) {
            times.push(load(engine, id).await);
        }
    }
    let [new, old, old_cached] = times.map(median);
    let ratio = |time: Duration| time.as_secs_f64() / new.as_secs_f64();
    println!("{EVENTS} events, median of {ROUNDS} loads in turns:");
    println!("as they are stored          {new:?}");
    println!("upcast, without cache       {old:?}, {:.2} times as long", ratio(old));
    println!("upcast, the cache is cold   {first:?}, {:.2} times as long (once)", ratio(first));
    println!("upcast, from the cache      {old_cached:?}, {:.2} times as long", ratio(old_cached));
    for engine in [cached, uncached] {
        engine.stop().await;
    }
}

async fn bank(options: EngineOptions) -> Engine {
    let runtime = WasmtimeRuntime::new(RuntimeOptions {
        limits: RuntimeLimits::default().into(),
        compile_cache: None,
        clock: Arc::new(Stopped),
    });
    let ports = Ports {
        store: Arc::new(MemoryEventStore::new(StoreId::new(Uuid::nil()))),
        states: Arc::new(MemoryStateStores::new()),
        blobs: Arc::new(MemoryBlobStore::new()),
        bus: Arc::new(LocalBus::new()),
        runtime: Arc::new(runtime.unwrap()),
        clock: Arc::new(Stopped),
        ids: Arc::new(Counted::default()),
    };
    let engine = Engine::start(ports, options).await.unwrap();
    for plugin in [annals_components::account(), annals_components::first_accounts()] {
        engine.install(None, plugin.to_vec().into(), None).await.unwrap();
    }
    engine
}

async fn write(engine: &Engine, id: &str, event_type: &str, version: u32, field: &str) {
    let stream = StreamId::parse(&format!("account/{id}")).unwrap();
    for start in (0..EVENTS).step_by(1_000) {
        let event = |cents| NewEvent {
            schema_version: SchemaVersion(version),
            ..NewEvent::json(
                EventType::new(event_type).unwrap(),
                format!("{{\"{field}\":{cents}}}"),
            )
        };
        let events = (start..start + 1_000).map(event).collect();
        let commit =
            Commit::plain(stream.clone(), ExpectedRevision::Any, events, Timestamp::from_ms(0));
        engine.store().append(commit).await.unwrap().durability.wait().await.unwrap();
    }
}

/// How long it takes to read and fold all events of an account.
async fn load(engine: &Engine, id: &str) -> Duration {
    let account = PluginName::new("account").unwrap();
    let start = Instant::now();
    let last = Revision::new(EVENTS - 1);
    let state = engine.state_at(&account, id, last).await.unwrap();
    let spent = start.elapsed();
    let sum = format!("\"balance_cents\":{}", (0..EVENTS).sum::<u64>());
    assert!(String::from_utf8_lossy(&state.data).contains(&sum), "the sum is another");
    spent
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
