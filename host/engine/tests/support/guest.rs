//! Native guests: a tally that adds numbers and misbehaves on request, and a projection of it.
//!
//! The "component" is a line of JSON, so that tests can make versions at will.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use annals_core::columns::{EventBatch, History};
use annals_core::event::{ContentType, SchemaVersion};
use annals_core::id::Digest;
use annals_core::name::{CommandName, EventType, PluginName, TableName};
use annals_core::plugin::{
    Context, Decision, Description, GuestClaim, GuestEvent, GuestRowKey, GuestWrite, MessageType,
    PluginKind, ProjectFailure, QueryRefusal, Refusal,
};
use annals_core::port::GuestRuntime;
use annals_core::port::guest::{
    AggregateGuest, EntityHandle, GuestFailure, GuestPlugin, Inspection, LoadError,
    ProcessManagerGuest, ProjectionGuest, UpcasterGuest, ViewReader,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manager::{Adder, Mood};
use super::upcaster::{self, NativeUpcaster, Rule};

/// Counts what guests were asked.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub(crate) decided: AtomicU64,
    pub(crate) evolved_events: AtomicU64,
    pub(crate) restored: AtomicU64,
    pub(crate) sandboxes: AtomicU64,
    /// While not 0, the projection fails and counts down.
    pub(crate) projection_failures: AtomicU64,
    /// What the projection cannot handle: events of this amount.
    pub(crate) poison: Mutex<Option<(i64, Poison)>>,
    /// How often it was given such an event.
    pub(crate) refusals: AtomicU64,
    /// How many rows more the projection writes for each batch.
    pub(crate) more_rows: AtomicU64,
    /// Partition and number of events of each batch the projection was given.
    pub(crate) batches: Mutex<Vec<(u32, usize)>>,
    /// First revision and number of events of each history the aggregate was given.
    pub(crate) histories: Mutex<Vec<(u64, usize)>>,
    /// Revisions and positions of all events the projection was given.
    pub(crate) places: Mutex<Vec<(u64, u64)>>,
    /// How many events upcasters were given.
    pub(crate) upcast_events: AtomicU64,
    /// While set, no upcaster can be loaded.
    pub(crate) upcasters_do_not_load: AtomicBool,
    /// How often upcasters were called.
    pub(crate) upcast_calls: AtomicU64,
    /// Of the process manager.
    pub(crate) mood: Arc<Mood>,
}

impl Probe {
    pub(crate) fn take(counter: &AtomicU64) -> u64 {
        counter.swap(0, Ordering::Relaxed)
    }
}

/// What happens when the projection is given an event that it cannot handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    /// It says that trying again may help.
    Retry,
    /// It says that trying again does not help.
    Park,
    /// It traps, and so does not say which event it was.
    Trap,
    /// The host ends before there is an answer.
    Crash,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Recipe {
    name: String,
    kind: PluginKind,
    version: String,
    event_schema: u32,
    rules: Vec<Rule>,
    #[serde(default)]
    quirk: Quirk,
}

/// How a version of the tally differs from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Quirk {
    /// Not at all.
    #[default]
    None,
    /// Keeps 1 of each amount for itself.
    Fee,
    /// Rejects more than 10.
    Limit,
    /// Rejects in other words.
    Words,
    /// Adds what is in an event twice.
    DoubledState,
    /// The same state under another state schema.
    OtherStateSchema,
    /// Traps when it evolves or decides 13.
    Superstitious,
    /// Decides something else each time.
    Moody,
    /// Claims nothing.
    Modest,
    /// Has no command `look`; as a process manager, sends nothing.
    Blind,
    /// Traps when it writes a state.
    Mute,
    /// Projection: writes rows over the limit.
    Greedy,
    /// Projection: may begin after the first event.
    Forgetful,
}

fn recipe(name: &str, kind: PluginKind, version: &str, event_schema: u32) -> Bytes {
    component(name, kind, version, (event_schema, Quirk::None))
}

fn component(
    name: &str,
    kind: PluginKind,
    version: &str,
    (event_schema, quirk): (u32, Quirk),
) -> Bytes {
    let (name, version) = (name.to_owned(), version.to_owned());
    let recipe = Recipe { name, kind, version, event_schema, rules: Vec::new(), quirk };
    serde_json::to_vec(&recipe).unwrap().into()
}

/// A tally that differs.
pub(crate) fn tally_with(version: &str, quirk: Quirk) -> Bytes {
    component("tally", PluginKind::Aggregate, version, (1, quirk))
}

/// An upcaster with rules.
pub(crate) fn upcaster(name: &str, version: &str, rules: &[Rule]) -> Bytes {
    let (name, version) = (name.to_owned(), version.to_owned());
    let (kind, rules) = (PluginKind::Upcaster, rules.to_vec());
    let recipe = Recipe { name, kind, version, event_schema: 1, rules, quirk: Quirk::None };
    serde_json::to_vec(&recipe).unwrap().into()
}

/// The aggregate `tally`.
pub(crate) fn tally(version: &str) -> Bytes {
    recipe("tally", PluginKind::Aggregate, version, 1)
}

/// A tally that knows only another schema version of its events.
pub(crate) fn tally_with_other_events(version: &str) -> Bytes {
    recipe("tally", PluginKind::Aggregate, version, 2)
}

/// A projection `tallies` that knows only another schema version of the events.
pub(crate) fn tallies_with_other_events(version: &str) -> Bytes {
    recipe("tallies", PluginKind::Projection, version, 2)
}

/// The projection `tallies`: a row per tally, and a counter of events.
pub(crate) fn tallies(version: &str) -> Bytes {
    recipe("tallies", PluginKind::Projection, version, 1)
}

/// A projection `tallies` that differs.
pub(crate) fn tallies_with(version: &str, quirk: Quirk) -> Bytes {
    component("tallies", PluginKind::Projection, version, (1, quirk))
}

/// The process manager `adder`.
pub(crate) fn adder(version: &str) -> Bytes {
    recipe("adder", PluginKind::ProcessManager, version, 1)
}

/// A process manager `adder` that differs.
pub(crate) fn adder_with(version: &str, quirk: Quirk) -> Bytes {
    component("adder", PluginKind::ProcessManager, version, (1, quirk))
}

/// A plugin of any name and kind.
pub(crate) fn other(name: &str, kind: PluginKind) -> Bytes {
    recipe(name, kind, "1.0.0", 1)
}

#[derive(Debug)]
pub(crate) struct NativeRuntime {
    pub(crate) probe: Arc<Probe>,
}

impl GuestRuntime for NativeRuntime {
    fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        let recipe: Recipe = serde_json::from_slice(bytes)
            .map_err(|error| LoadError::NotAComponent { cause: error.to_string() })?;
        Ok(Inspection {
            kind: recipe.kind,
            has_queries: recipe.kind == PluginKind::Projection,
            contract_version: "0.1.0".to_owned(),
            imports: Vec::new(),
            exports: Vec::new(),
            component_bytes: bytes.len(),
            digest: Digest::of(bytes),
        })
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn GuestPlugin>, LoadError> {
        let inspection = self.inspect(bytes)?;
        let recipe: Recipe = serde_json::from_slice(bytes).unwrap();
        let do_not_load = self.probe.upcasters_do_not_load.load(Ordering::Relaxed);
        if recipe.kind == PluginKind::Upcaster && do_not_load {
            return Err(LoadError::Compile { cause: "told to".to_owned() });
        }
        let commands = ["add", "add-many", "look", "claim", "trap", "misbehave"];
        let is_aggregate = recipe.kind == PluginKind::Aggregate;
        let mut sent = vec![("add", "tally"), ("trap", "tally"), ("add", "nobody")];
        sent.truncate(if recipe.quirk == Quirk::Blind { 0 } else { 3 });
        sent.retain(|_| recipe.kind == PluginKind::ProcessManager);
        let targets = sent.iter().map(|(_, target)| PluginName::new(target).unwrap()).collect();
        let description = Description {
            name: PluginName::new(&recipe.name).unwrap(),
            version: recipe.version,
            summary: String::new(),
            commands: commands
                .iter()
                .filter(|command| {
                    is_aggregate && (**command != "look" || recipe.quirk != Quirk::Blind)
                })
                .copied()
                .chain(sent.iter().map(|(command, _)| *command))
                .map(|command| message(CommandName::new(command).unwrap(), 1))
                .collect(),
            events: match recipe.kind {
                PluginKind::Upcaster => upcaster::takes(&recipe.rules),
                _ => vec![message(EventType::new("added").unwrap(), recipe.event_schema)],
            },
            targets,
            tables: ["rows", "counts"].map(|table| TableName::new(table).unwrap()).to_vec(),
            produces: upcaster::produces(&recipe.rules),
            begins_later: recipe.quirk == Quirk::Forgetful,
            state_schema: if recipe.quirk == Quirk::OtherStateSchema { "2" } else { "1" }
                .to_owned(),
        };
        let probe = Arc::clone(&self.probe);
        let (description, rules, quirk) = (Arc::new(description), recipe.rules, recipe.quirk);
        Ok(Arc::new(NativePlugin { inspection, description, probe, rules, quirk }))
    }
}

pub(super) fn message<N>(name: N, schema_version: u32) -> MessageType<N> {
    MessageType {
        name,
        schema_version: SchemaVersion(schema_version),
        content_type: ContentType::Json,
        schema: json!({
            "type": "object",
            "properties": {"amount": {"type": "integer"}},
            "required": ["amount"],
        })
        .to_string(),
    }
}

#[derive(Debug)]
struct NativePlugin {
    inspection: Inspection,
    description: Arc<Description>,
    probe: Arc<Probe>,
    rules: Vec<Rule>,
    quirk: Quirk,
}

impl GuestPlugin for NativePlugin {
    fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    fn description(&self) -> &Arc<Description> {
        &self.description
    }

    fn aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        self.probe.sandboxes.fetch_add(1, Ordering::Relaxed);
        let (probe, quirk) = (Arc::clone(&self.probe), self.quirk);
        Ok(Box::new(Tally { probe, quirk, ..Tally::default() }))
    }

    fn projection(&self) -> Result<Box<dyn ProjectionGuest>, GuestFailure> {
        Ok(Box::new(Tallies { probe: Arc::clone(&self.probe), quirk: self.quirk }))
    }

    fn process_manager(&self) -> Result<Box<dyn ProcessManagerGuest>, GuestFailure> {
        if self.inspection.kind != PluginKind::ProcessManager {
            return Err(self.is_not(PluginKind::ProcessManager));
        }
        Ok(Box::new(Adder { mood: Arc::clone(&self.probe.mood) }))
    }

    fn upcaster(&self) -> Result<Box<dyn UpcasterGuest>, GuestFailure> {
        Ok(Box::new(NativeUpcaster::new(Arc::clone(&self.probe), self.rules.clone())))
    }
}

/// The sum of a stream's numbers, per entity.
#[derive(Debug, Default)]
struct Tally {
    probe: Arc<Probe>,
    quirk: Quirk,
    entities: HashMap<u64, i64>,
    next: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Added {
    pub(super) amount: i64,
}

fn trap(call: &'static str) -> GuestFailure {
    GuestFailure::Trap { plugin: "tally".to_owned(), call, cause: "told to".to_owned() }
}

fn added(amount: i64) -> GuestEvent {
    GuestEvent { event_type: 0, data: serde_json::to_vec(&Added { amount }).unwrap() }
}

fn rejected(code: &str) -> Refusal {
    Refusal::Rejected { code: code.to_owned(), message: "no".to_owned(), detail: None }
}

impl Tally {
    fn insert(&mut self, sum: i64) -> EntityHandle {
        self.next += 1;
        self.entities.insert(self.next, sum);
        EntityHandle(self.next)
    }

    fn misbehave(how: i64) -> Decision {
        let event = |event_type, data: Vec<u8>| Decision {
            events: vec![GuestEvent { event_type, data }],
            ..Decision::default()
        };
        match how {
            0 => event(1, b"{}".to_vec()),
            1 => event(0, b"{".to_vec()),
            2 => event(0, vec![b' '; (256 << 10) + 1]),
            _ => Decision { events: vec![added(1); 1_001], ..Decision::default() },
        }
    }
}

impl AggregateGuest for Tally {
    fn create(&mut self, _: &str) -> Result<EntityHandle, GuestFailure> {
        Ok(self.insert(0))
    }

    fn restore(
        &mut self,
        _: &str,
        snapshot: &[u8],
    ) -> Result<Result<EntityHandle, String>, GuestFailure> {
        self.probe.restored.fetch_add(1, Ordering::Relaxed);
        let parsed = serde_json::from_slice(snapshot).map_err(|error| error.to_string());
        Ok(parsed.map(|sum| self.insert(sum)))
    }

    fn evolve(&mut self, entity: EntityHandle, events: &History) -> Result<(), GuestFailure> {
        let count = u64::try_from(events.events_count()).unwrap();
        self.probe.evolved_events.fetch_add(count, Ordering::Relaxed);
        let history = (events.first_revision.get(), events.events_count());
        self.probe.histories.lock().unwrap().push(history);
        let mut start = 0;
        for end in events.data.ends() {
            let end = usize::try_from(*end).unwrap();
            let event: Added = serde_json::from_slice(&events.data.bytes()[start..end]).unwrap();
            if self.quirk == Quirk::Superstitious && event.amount == 13 {
                return Err(trap("evolve"));
            }
            let factor = if self.quirk == Quirk::DoubledState { 2 } else { 1 };
            *self.entities.get_mut(&entity.0).unwrap() += factor * event.amount;
            start = end;
        }
        Ok(())
    }

    fn decide(
        &mut self,
        entity: EntityHandle,
        context: &Context,
        command_type: u32,
        data: &[u8],
    ) -> Result<Result<Decision, Refusal>, GuestFailure> {
        let decided = self.probe.decided.fetch_add(1, Ordering::Relaxed);
        assert!(self.entities.contains_key(&entity.0), "an entity of another sandbox");
        let Ok(Added { amount }) = serde_json::from_slice(data) else {
            return Ok(Err(Refusal::Malformed("no amount".to_owned())));
        };
        // Without `look` the indexes after it are others.
        let command_type = command_type + u32::from(self.quirk == Quirk::Blind && command_type > 1);
        let events = match command_type {
            0 if amount < 0 && self.quirk == Quirk::Words => {
                return Ok(Err(Refusal::Rejected {
                    code: "negative".to_owned(),
                    message: "never".to_owned(),
                    detail: None,
                }));
            }
            0 if amount < 0 => return Ok(Err(rejected("negative"))),
            0 if amount == 13 && self.quirk == Quirk::Superstitious => return Err(trap("decide")),
            0 if amount > 10 && self.quirk == Quirk::Limit => {
                return Ok(Err(rejected("too-large")));
            }
            0 if self.quirk == Quirk::Fee => vec![added(amount - 1)],
            0 if self.quirk == Quirk::Moody => {
                vec![added(amount + i64::try_from(decided).unwrap())]
            }
            0 => vec![added(amount)],
            1 => vec![added(1); usize::try_from(amount).unwrap()],
            2 => Vec::new(),
            3 => {
                let key = amount.to_string();
                let claim = GuestClaim { scope: "number".to_owned(), key, expires_at: None };
                let claims = if self.quirk == Quirk::Modest { Vec::new() } else { vec![claim] };
                return Ok(Ok(Decision { claims, events: vec![added(0)], releases: Vec::new() }));
            }
            4 => return Err(trap("decide")),
            _ => return Ok(Ok(Self::misbehave(amount))),
        };
        assert_ne!(context.seed, (0, 0));
        Ok(Ok(Decision { events, ..Decision::default() }))
    }

    fn snapshot(&mut self, entity: EntityHandle) -> Result<Vec<u8>, GuestFailure> {
        if self.quirk == Quirk::Mute {
            return Err(trap("snapshot"));
        }
        Ok(self.entities[&entity.0].to_string().into_bytes())
    }

    fn remove(&mut self, entity: EntityHandle) -> Result<(), GuestFailure> {
        self.entities.remove(&entity.0).map(drop).ok_or_else(|| trap("remove"))
    }

    fn memory_bytes(&self) -> usize {
        self.entities.len()
    }

    fn memory_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// Keeps the sum of each tally as a row, read and written back, and a counter of all events.
#[derive(Debug)]
struct Tallies {
    probe: Arc<Probe>,
    quirk: Quirk,
}

impl Tallies {
    /// What is answered to a batch with an event that cannot be handled.
    #[expect(clippy::panic, reason = "the end of the host is what is wanted")]
    fn poisoned(
        &self,
        events: &EventBatch,
    ) -> Option<Result<Result<Vec<GuestWrite>, ProjectFailure>, GuestFailure>> {
        let (poison, kind) = (*self.probe.poison.lock().unwrap())?;
        let mut start = 0;
        let index = events.data.ends().iter().position(|end| {
            let end = usize::try_from(*end).unwrap();
            let event: Added = serde_json::from_slice(&events.data.bytes()[start..end]).unwrap();
            start = end;
            event.amount == poison
        })?;
        self.probe.refusals.fetch_add(1, Ordering::Relaxed);
        let index = u32::try_from(index).unwrap();
        let cause = "unheard of".to_owned();
        Some(match kind {
            Poison::Retry => Ok(Err(ProjectFailure::Retry(index, cause))),
            Poison::Park => Ok(Err(ProjectFailure::Park(index, cause))),
            Poison::Trap => {
                let (plugin, call) = ("tallies".to_owned(), "project");
                Err(GuestFailure::Trap { plugin, call, cause })
            }
            Poison::Crash => panic!("{cause}"),
        })
    }
}

impl ProjectionGuest for Tallies {
    fn project(
        &mut self,
        events: &EventBatch,
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<GuestWrite>, ProjectFailure>, GuestFailure> {
        let failures = &self.probe.projection_failures;
        if failures.load(Ordering::Relaxed) > 0 {
            failures.fetch_sub(1, Ordering::Relaxed);
            return Ok(Err(ProjectFailure::Retry(0, "not today".to_owned())));
        }
        if let Some(refused) = self.poisoned(events) {
            return refused;
        }
        let batch = (events.partition.0, events.events_count());
        self.probe.batches.lock().unwrap().push(batch);
        let places = events.revisions.iter().zip(&events.positions);
        let places = places.map(|(revision, position)| (revision.get(), position.get()));
        self.probe.places.lock().unwrap().extend(places);
        let keys: Vec<_> = events
            .streams
            .iter()
            .map(|stream| GuestRowKey { table: 0, key: stream.as_bytes().to_vec() })
            .collect();
        let rows = view.get_many(&keys).unwrap();
        let mut sums: Vec<i64> = rows
            .iter()
            .map(|row| row.as_ref().map_or(0, |row| serde_json::from_slice(row).unwrap()))
            .collect();
        let mut start = 0;
        for (end, stream) in events.data.ends().iter().zip(&events.stream_indexes) {
            let end = usize::try_from(*end).unwrap();
            let event: Added = serde_json::from_slice(&events.data.bytes()[start..end]).unwrap();
            let factor = if self.quirk == Quirk::DoubledState { 2 } else { 1 };
            sums[usize::try_from(*stream).unwrap()] += factor * event.amount;
            start = end;
        }
        if self.quirk == Quirk::Greedy {
            let key = GuestRowKey { table: 0, key: b"greedy".to_vec() };
            return Ok(Ok(vec![GuestWrite::Put(key, vec![b' '; (256 << 10) + 1])]));
        }
        let count = i64::try_from(events.events_count()).unwrap();
        let counter = GuestRowKey { table: 1, key: b"events".to_vec() };
        let rows = keys.into_iter().zip(sums);
        let mut writes: Vec<_> =
            rows.map(|(key, sum)| GuestWrite::Put(key, sum.to_string().into_bytes())).collect();
        writes.push(GuestWrite::Add(counter, count));
        let more = 0..self.probe.more_rows.load(Ordering::Relaxed);
        writes.extend(more.map(|number| {
            let key = GuestRowKey { table: 1, key: number.to_string().into_bytes() };
            GuestWrite::Put(key, b"1".to_vec())
        }));
        Ok(Ok(writes))
    }

    fn answer(
        &mut self,
        _: &Context,
        query: &str,
        parameters: &[u8],
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<u8>, QueryRefusal>, GuestFailure> {
        let parameters: Value = serde_json::from_slice(parameters).unwrap();
        match (query, parameters["limit"].as_u64()) {
            ("sums", Some(limit)) => {
                let rows = view.scan(0, b"", b"", u32::try_from(limit).unwrap()).unwrap();
                let sums: Vec<i64> =
                    rows.iter().map(|(_, sum)| serde_json::from_slice(sum).unwrap()).collect();
                Ok(Ok(serde_json::to_vec(&sums).unwrap()))
            }
            ("sums", None) => Ok(Err(QueryRefusal::Malformed("no limit".to_owned()))),
            _ => Ok(Err(QueryRefusal::Unknown)),
        }
    }
}
