//! What a call into a resident entity costs, and loading a component: `cargo bench -p annals-runtime`,
//! with further components to load, if wanted: `cargo bench -p annals-runtime -- FILE …`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures time and prints it"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench may stop at any fault")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_components::misbehaving::LOOP_FOREVER;
use annals_core::columns::History;
use annals_core::place::Revision;
use annals_core::plugin::Context;
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestPlugin, GuestRuntime as _};
use annals_core::time::{Clock, Timestamp};
use annals_runtime::{CompileCacheOptions, RuntimeLimits, RuntimeOptions, WasmtimeRuntime};

const ROUNDS: u32 = 300_000;

/// A clock that costs what the daemon's does: every call is timed.
#[derive(Debug)]
struct Running(Instant);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0)
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap()
    }
}

fn main() {
    let runtime = WasmtimeRuntime::new(RuntimeOptions {
        limits: RuntimeLimits::default().into(),
        compile_cache: None,
        clock: Arc::new(Running(Instant::now())),
    })
    .unwrap();
    let bytes = annals_components::account();
    let start = Instant::now();
    let account = runtime.load(bytes).unwrap();
    println!("load, {} bytes: {:?}", bytes.len(), start.elapsed());
    load_from_cache("account", bytes);
    for path in std::env::args().skip(1).filter(|argument| argument.ends_with(".wasm")) {
        load_from_cache(&path, &std::fs::read(&path).unwrap());
    }
    let start = Instant::now();
    let mut guest = account.aggregate().unwrap();
    println!("make a sandbox: {:?}", start.elapsed());
    let entity = opened(account.as_ref(), guest.as_mut());
    decide_and_evolve(account.as_ref(), guest.as_mut(), entity);
    decide_only(account.as_ref(), guest.as_mut(), entity);
    evolve_in_bulk(account.as_ref(), guest.as_mut());
    create_and_remove(guest.as_mut());
    run_out_of_fuel(&runtime);
}

/// Loads a component as a daemon does that starts again.
fn load_from_cache(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = || {
        let options = RuntimeOptions {
            limits: RuntimeLimits::default().into(),
            compile_cache: Some(CompileCacheOptions {
                folder: folder.path().to_owned(),
                fresh_key: [7; 32],
            }),
            clock: Arc::new(Running(Instant::now())),
        };
        WasmtimeRuntime::new(options).unwrap()
    };
    runtime().load(bytes).unwrap();
    let again = runtime();
    let start = Instant::now();
    again.load(bytes).unwrap();
    println!("load {name} from the cache, {} bytes: {:?}", bytes.len(), start.elapsed());
}

fn opened(plugin: &dyn GuestPlugin, guest: &mut dyn AggregateGuest) -> EntityHandle {
    let entity = guest.create("account/a1").unwrap();
    let data = br#"{"owner":"Ada","initial_cents":0}"#;
    let mut history = History::starting_at(Revision::new(0));
    history.push(event_index(plugin, "account-opened"), Timestamp::from_ms(1), data).unwrap();
    guest.evolve(entity, &history).unwrap();
    entity
}

fn decide_and_evolve(
    plugin: &dyn GuestPlugin,
    guest: &mut dyn AggregateGuest,
    entity: EntityHandle,
) {
    let (context, deposit) = (context(), command_index(plugin, "deposit-funds"));
    let mut revision = Revision::new(1);
    let spent = measured("decide and evolve one deposit", ROUNDS, || {
        let decided = guest.decide(entity, &context, deposit, br#"{"cents":1}"#);
        let Ok(Ok(decision)) = decided else { panic!("{decided:?}") };
        let mut history = History::starting_at(revision);
        for event in &decision.events {
            history.push(event.event_type, Timestamp::from_ms(1), &event.data).unwrap();
            revision = revision.next();
        }
        guest.evolve(entity, &history).unwrap();
    });
    assert!(spent > Duration::ZERO);
}

fn decide_only(plugin: &dyn GuestPlugin, guest: &mut dyn AggregateGuest, entity: EntityHandle) {
    let (context, deposit) = (context(), command_index(plugin, "deposit-funds"));
    measured("decide one deposit", ROUNDS, || {
        let decided = guest.decide(entity, &context, deposit, br#"{"cents":1}"#);
        assert!(matches!(decided, Ok(Ok(_))));
    });
}

fn evolve_in_bulk(plugin: &dyn GuestPlugin, guest: &mut dyn AggregateGuest) {
    let entity = opened(plugin, guest);
    let deposited = event_index(plugin, "funds-deposited");
    let mut history = History::starting_at(Revision::new(1));
    for _ in 0..1_000 {
        history.push(deposited, Timestamp::from_ms(1), br#"{"cents":1}"#).unwrap();
    }
    measured("evolve 1 000 deposits", ROUNDS / 1_000, || {
        guest.evolve(entity, &history).unwrap();
    });
}

fn create_and_remove(guest: &mut dyn AggregateGuest) {
    measured("create and remove an entity", ROUNDS, || {
        let entity = guest.create("account/a2").unwrap();
        guest.remove(entity).unwrap();
    });
}

fn run_out_of_fuel(runtime: &WasmtimeRuntime) {
    let plugin = runtime.load(annals_components::misbehaving()).unwrap();
    let command = command_index(plugin.as_ref(), LOOP_FOREVER);
    measured("loop until the fuel of a decision is gone", 5, || {
        let mut guest = plugin.aggregate().unwrap();
        let entity = guest.create("misbehaving/m1").unwrap();
        assert!(guest.decide(entity, &context(), command, b"{}").is_err());
    });
}

fn measured(what: &str, rounds: u32, mut round: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        round();
    }
    let spent = start.elapsed();
    println!("{what}: {:?}", spent / rounds);
    spent
}

fn context() -> Context {
    Context {
        message_id: uuid::Uuid::from_u128(0x2a),
        correlation_id: Arc::from("4bf92f35-77b3-4da6-a3ce-929d0e0e4736"),
        now: Timestamp::from_ms(1_795_167_000_000),
        seed: (1, 2),
        namespace: Arc::from("default"),
        principal: None,
    }
}

fn command_index(plugin: &dyn GuestPlugin, name: &str) -> u32 {
    let commands = &plugin.description().commands;
    let index = commands.iter().position(|ty| ty.name.as_str() == name);
    u32::try_from(index.unwrap()).unwrap()
}

fn event_index(plugin: &dyn GuestPlugin, name: &str) -> u32 {
    let events = &plugin.description().events;
    let index = events.iter().position(|ty| ty.name.as_str() == name);
    u32::try_from(index.unwrap()).unwrap()
}
