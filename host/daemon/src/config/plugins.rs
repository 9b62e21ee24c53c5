//! The areas `[plugins.NAME]`: limits of single plugins, in place of those of `[limits]`.

use std::collections::BTreeMap;

use annals_core::name::PluginName;
use annals_engine::PluginOptions;

use super::area::Area;
use super::{BadValue, Config, Engine, Limits, Projections};

/// The keys that single plugins have values of their own for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginAreas(BTreeMap<PluginName, BTreeMap<&'static str, String>>);

impl PluginAreas {
    /// The table that the areas are in.
    pub const TABLE: &str = "plugins";

    /// The keys of other areas than `[limits]` that a plugin may have of its own, by area.
    const FURTHER_KEYS: [(&str, &str); 3] = [
        ("engine", "residents_max"),
        ("engine", "decision_events_max"),
        ("projections", "batch_writes_max"),
    ];

    /// Every key that a plugin may have of its own.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        let keys = Limits::default().entries().into_iter().map(|entry| entry.key);
        keys.chain(Self::FURTHER_KEYS.map(|(_, key)| key)).collect()
    }

    /// Sets a key of one plugin; `None` when there is no such key.
    pub(super) fn set(
        &mut self,
        plugin: &PluginName,
        key: &str,
        text: &str,
    ) -> Option<Result<(), BadValue>> {
        // Set where it would hold for all, to see whether it is a value, and how it is written.
        let mut checked = Config::default();
        let further = Self::FURTHER_KEYS.iter().find(|(_, known)| *known == key);
        let area: &mut dyn Area = match further {
            Some(("engine", _)) => &mut checked.engine,
            Some(_) => &mut checked.projections,
            None => &mut checked.limits,
        };
        if let Err(bad) = area.set(key, text)? {
            return Some(Err(bad));
        }
        let entry = area.entries().into_iter().find(|entry| entry.key == key)?;
        self.0.entry(plugin.clone()).or_default().insert(entry.key, entry.toml);
        Some(Ok(()))
    }

    /// The plugins with keys of their own, each with its keys and their values in TOML.
    pub fn iter(&self) -> impl Iterator<Item = (&PluginName, &BTreeMap<&'static str, String>)> {
        self.0.iter()
    }

    /// What the plugin `name` may use, where `general` holds for all.
    #[must_use]
    pub fn limits_of(&self, name: &PluginName, general: &Limits) -> Limits {
        let mut limits = general.clone();
        self.apply(name, &mut limits);
        limits
    }

    /// What the plugins with keys of their own may do beside their limits.
    #[must_use]
    pub fn options(&self) -> BTreeMap<PluginName, PluginOptions> {
        let of = |name: &PluginName| {
            let (mut engine, mut projections) = (Engine::default(), Projections::default());
            self.apply(name, &mut engine);
            self.apply(name, &mut projections);
            let has = |key| self.0.get(name).is_some_and(|keys| keys.contains_key(key));
            PluginOptions {
                residents_max: has("residents_max").then_some(engine.residents_max),
                decision_events_max: has("decision_events_max")
                    .then_some(engine.decision_events_max),
                batch_writes_max: has("batch_writes_max").then_some(projections.batch_writes_max),
            }
        };
        self.0.keys().map(|name| (name.clone(), of(name))).collect()
    }

    /// Sets those keys of `area` that the plugin `name` has of its own.
    fn apply(&self, name: &PluginName, area: &mut dyn Area) {
        for (key, toml) in self.0.get(name).into_iter().flatten() {
            // What was set once is a value; a key of another area is passed over.
            let is_set = area.set(key, toml.trim_matches('"'));
            debug_assert!(!matches!(is_set, Some(Err(_))), "`{key}` was checked");
        }
    }
}
