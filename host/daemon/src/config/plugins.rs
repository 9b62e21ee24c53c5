//! The areas `[plugins.NAME]`: limits of single plugins, in place of those of `[limits]`.

use std::collections::BTreeMap;

use annals_core::name::PluginName;

use super::area::Area as _;
use super::{BadValue, Limits};

/// The keys that single plugins have values of their own for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginAreas(BTreeMap<PluginName, BTreeMap<&'static str, String>>);

impl PluginAreas {
    /// The table that the areas are in.
    pub const TABLE: &str = "plugins";

    /// Sets a key of one plugin; `None` when there is no such key.
    pub(super) fn set(
        &mut self,
        plugin: &PluginName,
        key: &str,
        text: &str,
    ) -> Option<Result<(), BadValue>> {
        let mut limits = Limits::default();
        if let Err(bad) = limits.set(key, text)? {
            return Some(Err(bad));
        }
        let entry = limits.entries().into_iter().find(|entry| entry.key == key)?;
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
        for (key, toml) in self.0.get(name).into_iter().flatten() {
            // What was set once is a key and a value.
            let text = toml.trim_matches('"');
            debug_assert!(matches!(limits.set(key, text), Some(Ok(()))), "`{key}` was checked");
            drop(limits.set(key, text));
        }
        limits
    }
}
