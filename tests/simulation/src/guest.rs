//! The plugins of the simulation, native: an aggregate that keeps a sum which never goes below zero,
//! under two names, a projection of all sums, and the process manager of `courier.rs`.
//!
//! The "component" is its kind and name as text. What an aggregate decides is a plain function, so
//! that the check can decide again.

use std::collections::HashMap;
use std::sync::Arc;

use annals_core::columns::{EventBatch, History};
use annals_core::event::{ContentType, SchemaVersion};
use annals_core::id::Digest;
use annals_core::name::{CommandName, EventType, PluginName, TableName};
use annals_core::place::{Partition, Position};
use annals_core::plugin::{
    Context, Decision, Description, GuestClaim, GuestEvent, GuestRowKey, GuestWrite, MessageType,
    PluginKind, ProjectFailure, QueryRefusal, Refusal,
};
use annals_core::port::GuestRuntime;
use annals_core::port::guest::{
    AggregateGuest, EntityHandle, GuestFailure, GuestPlugin, Inspection, LoadError,
    ProcessManagerGuest, ProjectionGuest, ViewReader,
};
use bytes::Bytes;

use crate::courier::{COURIER, Courier, Mood, SENT, TARGET};

/// The aggregates.
pub(crate) const AGGREGATES: [&str; 2] = ["wallet", "till"];

/// The projection.
pub(crate) const PROJECTION: &str = "sums";

/// Table of a row per stream: its sum.
pub(crate) const SUMS: &str = "sums";

/// Table of a row per event, by partition and position: how often it was handled.
pub(crate) const SEEN: &str = "seen";

/// The type of all events. The data of an event is the number that was added.
pub(crate) const ADDED: &str = "added";

/// The scope of all claims.
pub(crate) const SCOPE: &str = "number";

/// What can be asked of an aggregate, in the order of their indexes. The data is a number.
pub(crate) const COMMANDS: [&str; 6] = ["add", "split", "look", "claim", "free", "trap"];

/// The bytes of all plugins.
pub(crate) fn components() -> Vec<Bytes> {
    let aggregates = AGGREGATES.map(|name| Bytes::from(format!("aggregate {name}")));
    let others = [format!("projection {PROJECTION}"), format!("process-manager {COURIER}")];
    aggregates.into_iter().chain(others.map(Bytes::from)).collect()
}

/// What an aggregate with this sum decides.
pub(crate) fn decide(sum: i64, command: &str, number: i64) -> Result<Decision, Refusal> {
    let added = |number: i64| GuestEvent { event_type: 0, data: number.to_string().into_bytes() };
    let of_events = |events| Decision { events, ..Decision::default() };
    let (scope, key) = (SCOPE.to_owned(), number.to_string());
    match command {
        "add" if sum + number < 0 => Err(Refusal::Rejected {
            code: "overdrawn".to_owned(),
            message: format!("there is only {sum}"),
            detail: None,
        }),
        "add" => Ok(of_events(vec![added(number)])),
        "split" => Ok(of_events((0..number).map(|_| added(1)).collect())),
        "claim" => Ok(Decision {
            events: vec![added(0)],
            claims: vec![GuestClaim { scope, key, expires_at: None }],
            releases: Vec::new(),
        }),
        "free" => Ok(Decision {
            events: vec![added(0)],
            claims: Vec::new(),
            releases: vec![(scope, key)],
        }),
        _ => Ok(Decision::default()),
    }
}

/// The number that the data of a command or an event is.
pub(crate) fn number_of(data: &[u8]) -> Option<i64> {
    std::str::from_utf8(data).ok()?.parse().ok()
}

/// The key of an event's row in [`SEEN`].
pub(crate) fn place_key(partition: Partition, position: Position) -> Vec<u8> {
    [&partition.0.to_be_bytes()[..], &position.get().to_be_bytes()].concat()
}

/// Runs the plugins in here.
#[derive(Debug)]
pub(crate) struct NativeRuntime {
    pub(crate) mood: Arc<Mood>,
}

impl NativeRuntime {
    fn parse(bytes: &[u8]) -> Option<(PluginKind, PluginName)> {
        let (kind, name) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        let kinds = [PluginKind::Aggregate, PluginKind::Projection, PluginKind::ProcessManager];
        let kind = kinds.into_iter().find(|it| it.as_str() == kind)?;
        Some((kind, PluginName::new(name).ok()?))
    }
}

impl GuestRuntime for NativeRuntime {
    fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        let not_a_component = || LoadError::NotAComponent { cause: "not of here".to_owned() };
        let (kind, _) = Self::parse(bytes).ok_or_else(not_a_component)?;
        Ok(Inspection {
            kind,
            has_queries: false,
            contract_version: "0.1.0".to_owned(),
            imports: Vec::new(),
            exports: Vec::new(),
            component_bytes: bytes.len(),
            digest: Digest::of(bytes),
        })
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn GuestPlugin>, LoadError> {
        let inspection = self.inspect(bytes)?;
        let not_a_component = || LoadError::NotAComponent { cause: "not of here".to_owned() };
        let (kind, name) = Self::parse(bytes).ok_or_else(not_a_component)?;
        let commands: &[&str] = match kind {
            PluginKind::Aggregate => &COMMANDS,
            PluginKind::ProcessManager => &SENT,
            _ => &[],
        };
        let sent = commands.iter().filter(|_| kind == PluginKind::ProcessManager);
        let targets = sent.filter_map(|_| PluginName::new(TARGET).ok()).collect();
        let tables = [SUMS, SEEN].into_iter().filter(|_| kind == PluginKind::Projection);
        let description = Description {
            name,
            version: "1.0.0".to_owned(),
            summary: String::new(),
            commands: commands
                .iter()
                .filter_map(|name| CommandName::new(name).ok())
                .map(number)
                .collect(),
            events: EventType::new(ADDED).ok().map(number).into_iter().collect(),
            targets,
            tables: tables.filter_map(|name| TableName::new(name).ok()).collect(),
            produces: Vec::new(),
            begins_later: false,
            state_schema: "1".to_owned(),
        };
        let mood = Arc::clone(&self.mood);
        Ok(Arc::new(NativePlugin { inspection, description: Arc::new(description), mood }))
    }
}

fn number<N>(name: N) -> MessageType<N> {
    MessageType {
        name,
        schema_version: SchemaVersion::FIRST,
        content_type: ContentType::Json,
        schema: String::new(),
    }
}

#[derive(Debug)]
struct NativePlugin {
    inspection: Inspection,
    description: Arc<Description>,
    mood: Arc<Mood>,
}

impl GuestPlugin for NativePlugin {
    fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    fn description(&self) -> &Arc<Description> {
        &self.description
    }

    fn aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        Ok(Box::new(Aggregate::default()))
    }

    fn projection(&self) -> Result<Box<dyn ProjectionGuest>, GuestFailure> {
        Ok(Box::new(Projection))
    }

    fn process_manager(&self) -> Result<Box<dyn ProcessManagerGuest>, GuestFailure> {
        Ok(Box::new(Courier { mood: Arc::clone(&self.mood) }))
    }
}

pub(crate) fn trap(call: &'static str, cause: &str) -> GuestFailure {
    GuestFailure::Trap { plugin: "native".to_owned(), call, cause: cause.to_owned() }
}

/// The numbers that the data of some events are.
pub(crate) fn numbers(ends: &[u32], bytes: &[u8]) -> Option<Vec<i64>> {
    let mut start = 0;
    let mut next = |end: &u32| {
        let end = usize::try_from(*end).ok()?;
        number_of(bytes.get(std::mem::replace(&mut start, end)..end)?)
    };
    ends.iter().map(&mut next).collect()
}

/// The sums of all entities.
#[derive(Debug, Default)]
struct Aggregate {
    sums: HashMap<u64, i64>,
    entities_count: u64,
}

impl Aggregate {
    fn insert(&mut self, sum: i64) -> EntityHandle {
        self.entities_count += 1;
        self.sums.insert(self.entities_count, sum);
        EntityHandle(self.entities_count)
    }
}

impl AggregateGuest for Aggregate {
    fn create(&mut self, _: &str) -> Result<EntityHandle, GuestFailure> {
        Ok(self.insert(0))
    }

    fn restore(
        &mut self,
        _: &str,
        snapshot: &[u8],
    ) -> Result<Result<EntityHandle, String>, GuestFailure> {
        let sum = number_of(snapshot).ok_or_else(|| "not a number".to_owned());
        Ok(sum.map(|sum| self.insert(sum)))
    }

    fn evolve(&mut self, entity: EntityHandle, events: &History) -> Result<(), GuestFailure> {
        let numbers = numbers(events.data.ends(), events.data.bytes());
        let sum = self.sums.get_mut(&entity.0);
        let (Some(sum), Some(numbers)) = (sum, numbers) else {
            return Err(trap("evolve", "no such entity, or no numbers"));
        };
        *sum += numbers.iter().sum::<i64>();
        Ok(())
    }

    fn decide(
        &mut self,
        entity: EntityHandle,
        _: &Context,
        command_type: u32,
        data: &[u8],
    ) -> Result<Result<Decision, Refusal>, GuestFailure> {
        let sum = self.sums.get(&entity.0).ok_or_else(|| trap("decide", "no such entity"))?;
        let command = usize::try_from(command_type).ok().and_then(|index| COMMANDS.get(index));
        match (command, number_of(data)) {
            (Some(&"trap"), _) => Err(trap("decide", "told to")),
            (Some(command), Some(number)) => Ok(decide(*sum, command, number)),
            _ => Ok(Err(Refusal::Malformed("not a number".to_owned()))),
        }
    }

    fn snapshot(&mut self, entity: EntityHandle) -> Result<Vec<u8>, GuestFailure> {
        let sum = self.sums.get(&entity.0).ok_or_else(|| trap("snapshot", "no such entity"))?;
        Ok(sum.to_string().into_bytes())
    }

    fn remove(&mut self, entity: EntityHandle) -> Result<(), GuestFailure> {
        let removed = self.sums.remove(&entity.0);
        removed.map(drop).ok_or_else(|| trap("remove", "no such entity"))
    }

    fn memory_bytes(&self) -> usize {
        self.sums.len()
    }

    fn memory_bytes_max(&self) -> usize {
        usize::MAX
    }
}

/// Reads the sum of each stream, writes the new one, and counts how often it sees each event.
#[derive(Debug)]
struct Projection;

impl ProjectionGuest for Projection {
    fn project(
        &mut self,
        events: &EventBatch,
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<GuestWrite>, ProjectFailure>, GuestFailure> {
        let row = |table, key: &[u8]| GuestRowKey { table, key: key.to_vec() };
        let keys: Vec<_> = events.streams.iter().map(|stream| row(0, stream.as_bytes())).collect();
        let rows = view.get_many(&keys).map_err(|error| trap("project", &error.0))?;
        let mut sums: Vec<i64> = Vec::new();
        for row in rows {
            let sum = row.map_or(Some(0), |row| number_of(&row));
            sums.push(sum.ok_or_else(|| trap("project", "a sum is not a number"))?);
        }
        let numbers = numbers(events.data.ends(), events.data.bytes());
        let numbers = numbers.ok_or_else(|| trap("project", "an event is not a number"))?;
        for (number, stream) in numbers.iter().zip(&events.stream_indexes) {
            let sum = usize::try_from(*stream).ok().and_then(|index| sums.get_mut(index));
            *sum.ok_or_else(|| trap("project", "no such stream"))? += number;
        }
        let sums = keys.into_iter().zip(sums);
        let mut writes: Vec<_> =
            sums.map(|(key, sum)| GuestWrite::Put(key, sum.to_string().into_bytes())).collect();
        let seen = events.positions.iter().map(|place| place_key(events.partition, *place));
        writes.extend(seen.map(|key| GuestWrite::Add(row(1, &key), 1)));
        Ok(Ok(writes))
    }

    fn answer(
        &mut self,
        _: &Context,
        _: &str,
        _: &[u8],
        _: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<u8>, QueryRefusal>, GuestFailure> {
        Ok(Err(QueryRefusal::Unknown))
    }
}
