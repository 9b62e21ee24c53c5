//! The configuration: `annals.toml`, overridden by `ANNALS_…` variables, overridden by flags.
//!
//! ```text
//!   areas.rs        area.rs             value.rs
//!   the structs ◄── what a struct ◄──── what a value
//!   and defaults    of settings is      can be
//!        ▲
//!   source.rs: file, environment, flags; unknown keys and bad values are errors
//! ```
//!
//! [`reference()`] writes the page of the documentation, [`Config::to_toml`] what is in force.

mod area;
mod areas;
mod choice;
mod environment;
mod long_time;
mod plugins;
mod reference;
mod remote;
mod source;
mod value;
mod versions_kept;
mod web;

use std::fmt::Write as _;

pub use area::{Area, Entry, variable};
pub use areas::{
    Api, Bus, Dynamodb, Engine, Limits, Log, PORT, Plugins, Processes, Projections, Redis,
    Schedules, Server, Shutdown, Store, Web,
};
pub use choice::{BusDriver, LogFilter, LogFormat, ShardsCount, StoreDriver};
pub use environment::Environment;
pub use long_time::LongTime;
pub use plugins::PluginAreas;
pub use reference::reference;
pub use remote::{Endpoint, OperationWait, RedisUrl, RegionName, TablePrefix};
pub use source::{CONFIG_FILE, ConfigError, ConfigSource, Loaded, Origin};
pub use value::{BadValue, ByteCount, SegmentBytes, Setting, duration_text};
pub use versions_kept::VersionsKept;
pub use web::WebFolders;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Where the daemon listens.
    pub server: Server,
    /// What a client may ask for.
    pub api: Api,
    /// Where things are kept.
    pub store: Store,
    /// The tables on DynamoDB.
    pub dynamodb: Dynamodb,
    /// How news travels.
    pub bus: Bus,
    /// The Redis that it may travel over.
    pub redis: Redis,
    /// How commands are run.
    pub engine: Engine,
    /// How events become views.
    pub projections: Projections,
    /// What process managers may do.
    pub processes: Processes,
    /// Which commands are sent when their time has come.
    pub schedules: Schedules,
    /// Which plugins are kept, and where from they come.
    pub plugins: Plugins,
    /// What a plugin may use.
    pub limits: Limits,
    /// What single plugins may use instead.
    pub limits_of_plugins: PluginAreas,
    /// Which pages are served.
    pub web: Web,
    /// What the daemon says.
    pub log: Log,
    /// How long stopping takes.
    pub shutdown: Shutdown,
}

/// How many areas there are.
const AREAS_COUNT: usize = 15;

impl Config {
    /// All areas, in the order of the documentation.
    #[must_use]
    pub fn areas(&self) -> [&dyn Area; AREAS_COUNT] {
        [
            &self.server,
            &self.api,
            &self.store,
            &self.dynamodb,
            &self.bus,
            &self.redis,
            &self.engine,
            &self.projections,
            &self.processes,
            &self.schedules,
            &self.plugins,
            &self.limits,
            &self.web,
            &self.log,
            &self.shutdown,
        ]
    }

    fn areas_mut(&mut self) -> [&mut dyn Area; AREAS_COUNT] {
        [
            &mut self.server,
            &mut self.api,
            &mut self.store,
            &mut self.dynamodb,
            &mut self.bus,
            &mut self.redis,
            &mut self.engine,
            &mut self.projections,
            &mut self.processes,
            &mut self.schedules,
            &mut self.plugins,
            &mut self.limits,
            &mut self.web,
            &mut self.log,
            &mut self.shutdown,
        ]
    }

    /// Sets `area.key`; `None` when there is no such key.
    fn set(&mut self, area: &str, key: &str, text: &str) -> Option<Result<(), BadValue>> {
        self.areas_mut().into_iter().find(|known| known.name() == area)?.set(key, text)
    }

    /// Where the store is, for people.
    #[must_use]
    pub fn store_place(&self) -> String {
        let dynamodb = &self.dynamodb;
        match self.store.driver {
            StoreDriver::Local => format!("`{}`", self.store.data.display()),
            StoreDriver::Memory => "memory".to_owned(),
            StoreDriver::Dynamodb => {
                let prefix = dynamodb.prefix.as_str();
                let at = match (&dynamodb.endpoint, &dynamodb.region) {
                    (Some(endpoint), _) => format!(" at {}", endpoint.as_str()),
                    (None, Some(region)) => format!(" in {}", region.as_str()),
                    (None, None) => String::new(),
                };
                format!("the tables `{prefix}-…`{at}")
            }
        }
    }

    /// What is in force, as an `annals.toml`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for area in self.areas() {
            let separator = if text.is_empty() { "" } else { "\n" };
            // Writing to a string cannot fail.
            _ = writeln!(text, "{separator}[{}]", area.name());
            for entry in area.entries() {
                _ = writeln!(text, "{} = {}", entry.key, entry.toml);
            }
        }
        for (name, overrides) in self.limits_of_plugins.iter() {
            _ = writeln!(text, "\n[{}.{name}]", PluginAreas::TABLE);
            for (key, toml) in overrides {
                _ = writeln!(text, "{key} = {toml}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
