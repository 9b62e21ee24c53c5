//! What the tests share: a runtime, a clock that tests set, and short ways to call.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::columns::History;
use annals_core::id::seed_of;
use annals_core::place::Revision;
use annals_core::plugin::{Context, Decision, Refusal};
use annals_core::port::guest::{
    AggregateGuest, EntityHandle, GuestFailure, GuestPlugin, GuestRuntime as _, LoadError,
};
use annals_core::time::{Clock, Timestamp};
use annals_runtime::{
    CompileCacheOptions, PluginLimits, RuntimeLimits, RuntimeOptions, WasmtimeRuntime,
};
use uuid::Uuid;

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub(crate) struct SetClock(AtomicU64);

impl SetClock {
    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// A runtime with its own limits and clock. What is compiled is shared between tests and runs, which
/// is the compile cache at work; `cache.rs` tests it with folders of its own.
pub(crate) fn runtime_with(
    limits: impl Into<PluginLimits>,
    clock: Arc<dyn Clock>,
) -> WasmtimeRuntime {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile-cache");
    WasmtimeRuntime::new(RuntimeOptions {
        limits: limits.into(),
        compile_cache: Some(CompileCacheOptions { folder, fresh_key: [42; 32] }),
        clock,
    })
    .unwrap()
}

/// A runtime that compiles on every load.
pub(crate) fn runtime_without_cache() -> WasmtimeRuntime {
    WasmtimeRuntime::new(RuntimeOptions {
        limits: RuntimeLimits::default().into(),
        compile_cache: None,
        clock: Arc::new(SetClock::default()),
    })
    .unwrap()
}

pub(crate) fn runtime() -> WasmtimeRuntime {
    runtime_with(RuntimeLimits::default(), Arc::new(SetClock::default()))
}

pub(crate) fn load(bytes: &[u8]) -> Arc<dyn GuestPlugin> {
    runtime().load(bytes).unwrap()
}

pub(crate) fn load_with(bytes: &[u8], limits: RuntimeLimits) -> Arc<dyn GuestPlugin> {
    let runtime = runtime_with(limits, Arc::new(SetClock::default()));
    runtime.load(bytes).unwrap()
}

/// Why `bytes` are refused, with all causes.
#[track_caller]
pub(crate) fn refusal(bytes: &[u8]) -> String {
    refusal_with(bytes, RuntimeLimits::default())
}

#[track_caller]
pub(crate) fn refusal_with(bytes: &[u8], limits: impl Into<PluginLimits>) -> String {
    let runtime = runtime_with(limits, Arc::new(SetClock::default()));
    let error: LoadError = runtime.load(bytes).unwrap_err();
    annals_core::error::ErrorChain(&error).to_string()
}

/// The context of message `number`.
pub(crate) fn context(number: u128) -> Context {
    let message_id = Uuid::from_u128(number);
    Context {
        message_id,
        correlation_id: Arc::from("request-1"),
        now: Timestamp::from_ms(1_795_167_000_000),
        seed: seed_of(message_id),
        namespace: Arc::from("default"),
        principal: Some(Arc::from("athena")),
    }
}

/// One entity of an aggregate, by the names of its commands and events.
pub(crate) struct Resident {
    pub(crate) plugin: Arc<dyn GuestPlugin>,
    pub(crate) guest: Box<dyn AggregateGuest>,
    pub(crate) entity: EntityHandle,
    pub(crate) revision: Revision,
}

impl Resident {
    pub(crate) fn new(plugin: &Arc<dyn GuestPlugin>) -> Self {
        let mut guest = plugin.aggregate().unwrap();
        let stream = format!("{}/1", plugin.description().name);
        let entity = guest.create(&stream).unwrap();
        Self { plugin: Arc::clone(plugin), guest, entity, revision: Revision::new(0) }
    }

    pub(crate) fn decide(
        &mut self,
        command: &str,
        data: &str,
    ) -> Result<Result<Decision, Refusal>, GuestFailure> {
        let command = self.command_index(command);
        self.guest.decide(self.entity, &context(1), command, data.as_bytes())
    }

    /// Decides and evolves; returns the events as name and data.
    #[track_caller]
    pub(crate) fn accept(&mut self, command: &str, data: &str) -> Vec<(String, String)> {
        let decision = self.decide(command, data).unwrap().unwrap();
        let events: Vec<_> = decision
            .events
            .iter()
            .map(|event| {
                let name = self.event_name(event.event_type);
                (name, String::from_utf8(event.data.clone()).unwrap())
            })
            .collect();
        self.evolve(&decision).unwrap();
        events
    }

    pub(crate) fn evolve(&mut self, decision: &Decision) -> Result<(), GuestFailure> {
        let mut history = History::starting_at(self.revision);
        for event in &decision.events {
            let at = Timestamp::from_ms(1);
            history.push(event.event_type, at, &event.data).unwrap();
            self.revision = self.revision.next();
        }
        self.guest.evolve(self.entity, &history)
    }

    pub(crate) fn snapshot(&mut self) -> String {
        String::from_utf8(self.guest.snapshot(self.entity).unwrap()).unwrap()
    }

    pub(crate) fn command_index(&self, name: &str) -> u32 {
        let commands = &self.plugin.description().commands;
        index(commands.iter().map(|ty| ty.name.as_str()), name)
    }

    pub(crate) fn event_index(&self, name: &str) -> u32 {
        let events = &self.plugin.description().events;
        index(events.iter().map(|ty| ty.name.as_str()), name)
    }

    fn event_name(&self, index: u32) -> String {
        let events = &self.plugin.description().events;
        events[usize::try_from(index).unwrap()].name.as_str().to_owned()
    }
}

pub(crate) fn index<'a>(mut names: impl Iterator<Item = &'a str>, wanted: &str) -> u32 {
    let index = names.position(|name| name == wanted);
    u32::try_from(index.unwrap_or_else(|| panic!("there is no `{wanted}`"))).unwrap()
}

/// A failure as the text people see.
pub(crate) fn text<T: std::fmt::Debug>(result: Result<T, GuestFailure>) -> String {
    result.unwrap_err().to_string()
}

/// What every call to a guest that failed answers.
pub(crate) fn unusable(plugin: &str, call: &str) -> String {
    format!(
        "plugin `{plugin}` broke the contract in `{call}`: the sandbox is unusable after an earlier \
         failure"
    )
}
