//! The active plugins in the shape the hot path needs: names already resolved to indexes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use annals_core::event::SchemaVersion;
use annals_core::id::Digest;
use annals_core::name::{CommandName, EventType, PluginName};
use annals_core::plugin::Description;
use annals_core::port::guest::{AggregateGuest, GuestFailure, GuestPlugin};
use jsonschema::Validator;
use tokio::sync::watch;

use crate::shard::Pace;
use crate::snapshot::Build;
use crate::upcast::{UpcastSet, Upcasts};

/// One active version of an aggregate.
#[derive(Debug)]
pub(crate) struct ActiveAggregate {
    pub(crate) plugin: Arc<dyn GuestPlugin>,
    pub(crate) description: Arc<Description>,
    pub(crate) digest: Digest,
    /// Counts activations of all plugins, rolling back included; the largest of a name is the newest.
    /// Other upcasters that lead to its events are an activation too: its residents were made of what
    /// the old ones said.
    pub(crate) generation: u64,
    /// What shows it its events.
    pub(crate) upcasts: Arc<UpcastSet>,
    /// Stands for the upcasters that lead to its events; `None` when there are none.
    pub(crate) upcasts_tag: Option<Digest>,
    /// Sandboxes made before the version was activated, so that its first commands do not wait.
    fresh: Mutex<Vec<Box<dyn AggregateGuest>>>,
    /// How fast it decides.
    pub(crate) pace: Pace,
    commands: HashMap<CommandName, u32>,
    events: EventIndexes,
    // Made on the first malformed command of a type; `None` inside: the schema is not usable.
    validators: Vec<OnceLock<Option<Validator>>>,
}

impl ActiveAggregate {
    pub(crate) fn new(
        plugin: Arc<dyn GuestPlugin>,
        upcasts: Arc<UpcastSet>,
        generation: u64,
        fresh: Vec<Box<dyn AggregateGuest>>,
    ) -> Self {
        let description = Arc::clone(plugin.description());
        let names = description.commands.iter().map(|command| command.name.clone());
        let events = EventIndexes::new(&description);
        Self {
            commands: names.zip(0..).collect(),
            upcasts_tag: upcasts.tag(&events),
            upcasts,
            events,
            validators: description.commands.iter().map(|_| OnceLock::new()).collect(),
            digest: plugin.inspection().digest,
            plugin,
            description,
            generation,
            fresh: Mutex::new(fresh),
            pace: Pace::default(),
        }
    }

    /// A fresh sandbox: one that was made before, or a new one.
    pub(crate) fn guest(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).pop();
        fresh.map_or_else(|| self.plugin.aggregate(), Ok)
    }

    pub(crate) fn command_index(&self, name: &CommandName) -> Option<u32> {
        self.commands.get(name).copied()
    }

    /// What it reads, by index.
    pub(crate) const fn events(&self) -> &EventIndexes {
        &self.events
    }

    /// The build that its snapshots are of.
    pub(crate) fn build(&self) -> Build<'_> {
        Build {
            plugin: self.digest,
            state_schema: &self.description.state_schema,
            upcasts: self.upcasts_tag,
        }
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

    /// Whether the plugin lists the event type, in whatever version.
    pub(crate) fn wants(&self, event_type: &EventType) -> bool {
        self.0.contains_key(event_type)
    }

    pub(crate) fn event_types(&self) -> impl Iterator<Item = &EventType> {
        self.0.keys()
    }
}

/// The active aggregates by name, and the upcasters that show them their events.
#[derive(Debug)]
pub(crate) struct Catalog {
    aggregates: RwLock<HashMap<PluginName, Arc<ActiveAggregate>>>,
    upcasts: Arc<Upcasts>,
    /// Sent after each change of `aggregates`.
    changes: watch::Sender<()>,
}

impl Catalog {
    pub(crate) fn new(upcasts: Arc<Upcasts>) -> Self {
        Self { aggregates: RwLock::default(), upcasts, changes: watch::Sender::new(()) }
    }

    pub(crate) const fn upcasts(&self) -> &Arc<Upcasts> {
        &self.upcasts
    }

    pub(crate) fn get(&self, name: &PluginName) -> Option<Arc<ActiveAggregate>> {
        self.aggregates.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    pub(crate) fn names(&self) -> Vec<PluginName> {
        let active = self.aggregates.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = active.keys().cloned().collect();
        names.sort();
        names
    }

    pub(crate) fn activate(
        &self,
        plugin: Arc<dyn GuestPlugin>,
        generation: u64,
        fresh: Vec<Box<dyn AggregateGuest>>,
    ) {
        let mut active = self.aggregates.write().unwrap_or_else(PoisonError::into_inner);
        let aggregate = ActiveAggregate::new(plugin, self.upcasts.current(), generation, fresh);
        active.insert(aggregate.description.name.clone(), Arc::new(aggregate));
        drop(active);
        self.changes.send_replace(());
    }

    pub(crate) fn remove(&self, name: &PluginName) {
        self.aggregates.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.changes.send_replace(());
    }

    /// Hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Makes `plugin` the active version of the upcaster `name`, or with `None` no version of it.
    /// Aggregates to whose events other upcasters lead than before are activated anew, so that no
    /// resident and no snapshot is used that was made of what the old ones said.
    pub(crate) fn set_upcaster(
        &self,
        name: &PluginName,
        plugin: Option<Arc<dyn GuestPlugin>>,
        generation: u64,
    ) {
        let mut active = self.aggregates.write().unwrap_or_else(PoisonError::into_inner);
        let upcasts = self.upcasts.set(name, plugin);
        for aggregate in active.values_mut() {
            let is_same = upcasts.tag(&aggregate.events) == aggregate.upcasts_tag;
            // All get the set, so that what is not read is told alike whatever came first.
            let generation = if is_same { aggregate.generation } else { generation };
            let (plugin, upcasts) = (Arc::clone(&aggregate.plugin), Arc::clone(&upcasts));
            let renewed = ActiveAggregate::new(plugin, upcasts, generation, Vec::new());
            *aggregate = Arc::new(renewed);
        }
        drop(active);
        self.changes.send_replace(());
    }
}
