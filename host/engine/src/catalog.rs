//! The active plugins in the shape the hot path needs: names already resolved to indexes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use annals_core::event::{RecordedEvent, SchemaVersion};
use annals_core::id::Digest;
use annals_core::name::{CommandName, EventType, PluginName};
use annals_core::plugin::Description;
use annals_core::port::guest::GuestPlugin;
use jsonschema::Validator;

use crate::shard::Pace;

/// One active version of an aggregate.
#[derive(Debug)]
pub(crate) struct ActiveAggregate {
    pub(crate) plugin: Arc<dyn GuestPlugin>,
    pub(crate) description: Arc<Description>,
    pub(crate) digest: Digest,
    /// Counts activations; the largest of a name is the newest.
    pub(crate) generation: u64,
    /// How fast it decides.
    pub(crate) pace: Pace,
    commands: HashMap<CommandName, u32>,
    events: EventIndexes,
    // Made on the first malformed command of a type; `None` inside: the schema is not usable.
    validators: Vec<OnceLock<Option<Validator>>>,
}

impl ActiveAggregate {
    pub(crate) fn new(plugin: Arc<dyn GuestPlugin>, generation: u64) -> Self {
        let description = Arc::clone(plugin.description());
        let names = description.commands.iter().map(|command| command.name.clone());
        Self {
            commands: names.zip(0..).collect(),
            events: EventIndexes::new(&description),
            validators: description.commands.iter().map(|_| OnceLock::new()).collect(),
            digest: plugin.inspection().digest,
            plugin,
            description,
            generation,
            pace: Pace::default(),
        }
    }

    pub(crate) fn command_index(&self, name: &CommandName) -> Option<u32> {
        self.commands.get(name).copied()
    }

    pub(crate) fn event_index(&self, event: &RecordedEvent) -> Option<u32> {
        self.events.get(&event.event_type, event.schema_version)
    }

    /// The validator of a command's declared schema, when it has a usable one.
    pub(crate) fn validator(&self, command_index: u32) -> Option<&Validator> {
        let index = usize::try_from(command_index).ok()?;
        let schema = &self.description.commands.get(index)?.schema;
        let make = || {
            let schema = serde_json::from_str(schema).ok()?;
            jsonschema::validator_for(&schema).ok()
        };
        self.validators.get(index)?.get_or_init(make).as_ref()
    }
}

/// From event type and schema version to the plugin's own index.
#[derive(Debug)]
pub(crate) struct EventIndexes(HashMap<EventType, Vec<(SchemaVersion, u32)>>);

impl EventIndexes {
    pub(crate) fn new(description: &Description) -> Self {
        let mut indexes: HashMap<EventType, Vec<(SchemaVersion, u32)>> = HashMap::new();
        for (event, index) in description.events.iter().zip(0..) {
            indexes.entry(event.name.clone()).or_default().push((event.schema_version, index));
        }
        Self(indexes)
    }

    pub(crate) fn get(&self, event_type: &EventType, version: SchemaVersion) -> Option<u32> {
        let versions = self.0.get(event_type)?;
        versions.iter().find(|(known, _)| *known == version).map(|(_, index)| *index)
    }

    pub(crate) fn event_types(&self) -> impl Iterator<Item = &EventType> {
        self.0.keys()
    }
}

/// The active aggregates by name.
#[derive(Debug, Default)]
pub(crate) struct Catalog(RwLock<HashMap<PluginName, Arc<ActiveAggregate>>>);

impl Catalog {
    pub(crate) fn get(&self, name: &PluginName) -> Option<Arc<ActiveAggregate>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    pub(crate) fn names(&self) -> Vec<PluginName> {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = active.keys().cloned().collect();
        names.sort();
        names
    }

    pub(crate) fn activate(&self, aggregate: ActiveAggregate) {
        let mut active = self.0.write().unwrap_or_else(PoisonError::into_inner);
        active.insert(aggregate.description.name.clone(), Arc::new(aggregate));
    }
}
