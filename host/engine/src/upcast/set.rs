//! Who takes which events, and what leads where, as far as upcasters declare it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::id::Digest;
use annals_core::name::{EventType, PluginName};
use annals_core::plugin::Description;
use annals_core::port::guest::GuestPlugin;

use super::Limits;
use super::cache::Cache;
use super::upcaster::Upcaster;
use crate::catalog::EventIndexes;

/// What a reader takes as it is.
pub(crate) trait Reader {
    /// Whether it reads events of this type in this version.
    fn reads(&self, event_type: &EventType, version: SchemaVersion) -> bool;
}

impl Reader for EventIndexes {
    fn reads(&self, event_type: &EventType, version: SchemaVersion) -> bool {
        self.get(event_type, version).is_some()
    }
}

/// Reads nothing, so that every event goes to the end of its chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToTheEnd;

impl Reader for ToTheEnd {
    fn reads(&self, _: &EventType, _: SchemaVersion) -> bool {
        false
    }
}

/// The upcasters that are active at one time.
#[derive(Debug)]
pub(crate) struct UpcastSet {
    /// In order of name.
    upcasters: Vec<Arc<Upcaster>>,
    /// Per event type and version, who takes it: index into `upcasters`.
    takers: HashMap<EventType, Vec<(SchemaVersion, usize)>>,
    /// Counts changes of the set.
    generation: u64,
    pub(super) cache: Arc<Cache>,
    pub(super) limits: Limits,
}

impl UpcastSet {
    pub(super) fn new(
        upcasters: Vec<Arc<Upcaster>>,
        generation: u64,
        cache: Arc<Cache>,
        limits: Limits,
    ) -> Self {
        let mut takers: HashMap<EventType, Vec<(SchemaVersion, usize)>> = HashMap::new();
        for (index, upcaster) in upcasters.iter().enumerate() {
            for event in &upcaster.description().events {
                let versions = takers.entry(event.name.clone()).or_default();
                // Two take the same only while a host follows others that made one replace the
                // other: the first counts until it is told of the other half.
                if versions.iter().all(|(version, _)| *version != event.schema_version) {
                    versions.push((event.schema_version, index));
                }
            }
        }
        Self { upcasters, takers, generation, cache, limits }
    }

    /// The set with `plugin` as the version of the upcaster `name`, or with `None` without it.
    pub(crate) fn with(&self, name: &PluginName, plugin: Option<Arc<dyn GuestPlugin>>) -> Self {
        let mut upcasters: BTreeMap<PluginName, Arc<Upcaster>> =
            self.upcasters().map(|upcaster| (upcaster.name().clone(), upcaster)).collect();
        match plugin {
            Some(plugin) => upcasters.insert(name.clone(), Arc::new(Upcaster::new(plugin))),
            None => upcasters.remove(name),
        };
        let upcasters = upcasters.into_values().collect();
        let generation = self.generation.saturating_add(1);
        Self::new(upcasters, generation, Arc::clone(&self.cache), self.limits)
    }

    /// Whether a plugin that wants the events of `wanted` reads what is stored as `event_type` of
    /// `version`: because it lists exactly that, or because upcasters lead from there to something
    /// that it lists. These do not declare which of their shapes they make of which event: `false` is
    /// certain, `true` is what they promise.
    pub(crate) fn reads(
        &self,
        wanted: &Description,
        event_type: &EventType,
        version: SchemaVersion,
    ) -> bool {
        self.leads(event_type, version, &|event_type, version| {
            wanted.events.iter().any(|e| e.name == *event_type && e.schema_version == version)
        })
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn upcasters(&self) -> impl Iterator<Item = Arc<Upcaster>> {
        self.upcasters.iter().map(Arc::clone)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.takers.is_empty()
    }

    /// The upcaster with this index.
    pub(super) fn upcaster(&self, index: usize) -> Option<&Arc<Upcaster>> {
        self.upcasters.get(index)
    }

    /// Who takes an event, as an index.
    pub(super) fn taker_index(
        &self,
        event_type: &EventType,
        version: SchemaVersion,
    ) -> Option<usize> {
        let versions = self.takers.get(event_type)?;
        versions.iter().find(|(taken, _)| *taken == version).map(|(_, index)| *index)
    }

    /// Who takes an event.
    pub(crate) fn taker(
        &self,
        event_type: &EventType,
        version: SchemaVersion,
    ) -> Option<&Arc<Upcaster>> {
        self.upcaster(self.taker_index(event_type, version)?)
    }

    /// Whether an event is wanted, or leads to one that is.
    pub(super) fn leads(
        &self,
        event_type: &EventType,
        version: SchemaVersion,
        is_wanted: &dyn Fn(&EventType, SchemaVersion) -> bool,
    ) -> bool {
        let mut seen = HashSet::from([(event_type, version)]);
        let mut next = vec![(event_type, version)];
        while let Some((event_type, version)) = next.pop() {
            if is_wanted(event_type, version) {
                return true;
            }
            let Some(taker) = self.taker(event_type, version) else { continue };
            for made in &taker.description().produces {
                let shape = (&made.name, made.schema_version);
                if seen.insert(shape) {
                    next.push(shape);
                }
            }
        }
        false
    }

    /// The upcasters that lead to something wanted, perhaps through each other.
    fn leading_to(&self, is_wanted: &dyn Fn(&EventType, SchemaVersion) -> bool) -> BTreeSet<usize> {
        let mut leading = BTreeSet::new();
        loop {
            let before = leading.len();
            for (index, upcaster) in self.upcasters.iter().enumerate() {
                let leads = upcaster.description().produces.iter().any(|made| {
                    let taker = self.taker_index(&made.name, made.schema_version);
                    is_wanted(&made.name, made.schema_version)
                        || taker.is_some_and(|taker| leading.contains(&taker))
                });
                if leads {
                    leading.insert(index);
                }
            }
            if leading.len() == before {
                return leading;
            }
        }
    }

    /// What stands for the upcasters that lead to events of `reader`: it differs whenever one of
    /// them does. `None`: there are none.
    pub(crate) fn tag(&self, reader: &EventIndexes) -> Option<Digest> {
        let leading = self.leading_to(&|event_type, version| reader.reads(event_type, version));
        let mut text = String::new();
        for upcaster in leading.iter().filter_map(|index| self.upcaster(*index)) {
            text.push_str(&format!("{} {}\n", upcaster.name(), upcaster.digest()));
        }
        (!text.is_empty()).then(|| Digest::of(text.as_bytes()))
    }

    /// The types of stored events that can become events of these types, beside those themselves.
    pub(crate) fn types_leading_to(&self, wanted: &HashSet<EventType>) -> HashSet<EventType> {
        let leading = self.leading_to(&|event_type, _| wanted.contains(event_type));
        let upcasters = leading.iter().filter_map(|index| self.upcaster(*index));
        upcasters
            .flat_map(|upcaster| upcaster.description().events.iter())
            .map(|event| event.name.clone())
            .collect()
    }
}
