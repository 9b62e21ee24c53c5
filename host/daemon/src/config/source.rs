//! Where settings come from, and what is said when one is not right.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use annals_core::name::{InvalidName, PluginName};

use super::environment::{Environment, NO_COLOR};
use super::{BadValue, Config, PluginAreas, variable};

/// The file that is read when none is named, and there is one.
pub const CONFIG_FILE: &str = "annals.toml";

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Variables that begin like ours and are not settings of the daemon.
const OTHER_VARIABLES: [&str; 5] =
    ["ANNALS_COMPILE_CACHE", "ANNALS_CONFIG", "ANNALS_SERVER", "ANNALS_TOOLCHAIN", NO_COLOR];

/// What a name must have in common with another to be suggested, 0 to 1.
const NEAREST_MIN: f64 = 0.6;

/// Where to read settings from.
#[derive(Debug, Clone, Default)]
pub struct ConfigSource {
    /// The file; `None`: [`CONFIG_FILE`] of the current folder, if there is one.
    pub file: Option<PathBuf>,
    /// The variables.
    pub environment: Environment,
    /// The flags, each as the flag's name, area, key and value.
    pub flags: Vec<(&'static str, &'static str, &'static str, String)>,
}

/// A configuration, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What is strange but no error: variables that look like ours and are not.
    pub warnings: Vec<String>,
}

/// Where a setting was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File(PathBuf),
    /// In a variable.
    Variable(String),
    /// In a flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Variable(name) => write!(f, "the variable `{name}`"),
            Self::Flag(name) => write!(f, "the flag `{name}`"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("`{}` is not TOML: line {line}: {cause}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        cause: String,
    },
    /// There is no such key.
    #[error("unknown key `{key}` in {origin}")]
    UnknownKey {
        /// Where it is.
        origin: Origin,
        /// The key.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
    },
    /// An area is not written as a table.
    #[error("`{area}` in {origin} is not a table")]
    NotATable {
        /// Where it is.
        origin: Origin,
        /// The area.
        area: String,
    },
    /// An area is of a plugin that cannot be.
    #[error("`{area}` in {origin} is not the area of a plugin")]
    PluginName {
        /// Where it is.
        origin: Origin,
        /// The area.
        area: String,
        /// What is wrong with the name.
        source: InvalidName,
    },
    /// The value of a key is not one.
    #[error("`{key}` in {origin}: {cause}")]
    Value {
        /// Where it is.
        origin: Origin,
        /// The key.
        key: String,
        /// What is wrong, and what is right.
        cause: BadValue,
    },
}

impl ConfigError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(nearest), .. } => {
                Some(format!("the nearest key is `{nearest}`"))
            }
            Self::UnknownKey { nearest: None, .. } => {
                Some("`annals serve --print-config` prints every key".to_owned())
            }
            Self::NotATable { area, .. } => Some(format!("write `[{area}]` above its keys")),
            Self::Read { .. }
            | Self::Syntax { .. }
            | Self::PluginName { .. }
            | Self::Value { .. } => None,
        }
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Each variant of [`ConfigError`].
    pub fn load(source: &ConfigSource) -> Result<Loaded, ConfigError> {
        let mut config = Self::default();
        let file = match &source.file {
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(CONFIG_FILE)).filter(|path| path.exists()),
        };
        if let Some(path) = &file {
            config.apply_file(path)?;
        }
        let warnings = config.apply_variables(&source.environment)?;
        for (flag, area, key, text) in &source.flags {
            let origin = Origin::Flag(flag);
            config.apply(&origin, area, key, text)?;
        }
        Ok(Loaded { config, file, warnings })
    }

    fn apply_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = read(path)?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start);
            let before = text.get(..offset).unwrap_or_default();
            ConfigError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                cause: error.message().to_owned(),
            }
        })?;
        let origin = Origin::File(path.to_owned());
        for (area, settings) in &table {
            if !self.areas().iter().any(|known| known.name() == area) {
                return Err(self.unknown(origin, area.clone()));
            }
            let toml::Value::Table(settings) = settings else {
                return Err(ConfigError::NotATable { origin, area: area.clone() });
            };
            for (key, value) in settings {
                // `[plugins]` has keys, and a table per plugin.
                if let (PluginAreas::TABLE, toml::Value::Table(own)) = (area.as_str(), value) {
                    self.apply_plugin(&origin, key, own)?;
                    continue;
                }
                let text = as_text(value);
                self.apply(&origin, area, key, &text)?;
            }
        }
        Ok(())
    }

    /// Applies a table `[plugins.NAME]`.
    fn apply_plugin(
        &mut self,
        origin: &Origin,
        name: &str,
        settings: &toml::Table,
    ) -> Result<(), ConfigError> {
        let area = format!("{}.{name}", PluginAreas::TABLE);
        let plugin = PluginName::new(name).map_err(|source| ConfigError::PluginName {
            origin: origin.clone(),
            area: area.clone(),
            source,
        })?;
        for (key, value) in settings {
            let path = format!("{area}.{key}");
            match self.limits_of_plugins.set(&plugin, key, &as_text(value)) {
                Some(Ok(())) => {}
                Some(Err(cause)) => {
                    return Err(ConfigError::Value { origin: origin.clone(), key: path, cause });
                }
                None => {
                    let keys = PluginAreas::keys().into_iter();
                    let nearest = nearest(&path, keys.map(|key| format!("{area}.{key}")));
                    let origin = origin.clone();
                    return Err(ConfigError::UnknownKey { origin, key: path, nearest });
                }
            }
        }
        Ok(())
    }

    fn apply_variables(&mut self, environment: &Environment) -> Result<Vec<String>, ConfigError> {
        let keys = self.keys();
        let mut warnings = Vec::new();
        for (name, text) in environment.iter() {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let known = keys.iter().find(|(area, key)| variable(area, key) == *name);
            let Some((area, key)) = known else {
                // A warning and no error: a cluster may set variables of such names by itself.
                let names = keys.iter().map(|(area, key)| variable(area, key));
                let nearest = nearest(name, names);
                let nearest = nearest.map(|it| format!("; the nearest is `{it}`"));
                let nearest = nearest.unwrap_or_default();
                warnings.push(format!("the variable `{name}` sets nothing{nearest}"));
                continue;
            };
            self.apply(&Origin::Variable(name.clone()), area, key, text)?;
        }
        Ok(warnings)
    }

    fn apply(
        &mut self,
        origin: &Origin,
        area: &str,
        key: &str,
        text: &str,
    ) -> Result<(), ConfigError> {
        let path = format!("{area}.{key}");
        match self.set(area, key, text) {
            Some(Ok(())) => Ok(()),
            Some(Err(cause)) => {
                Err(ConfigError::Value { origin: origin.clone(), key: path, cause })
            }
            None => Err(self.unknown(origin.clone(), path)),
        }
    }

    fn unknown(&self, origin: Origin, key: String) -> ConfigError {
        let names = self.areas().map(|area| area.name().to_owned());
        let keys = self.keys().into_iter().map(|(area, key)| format!("{area}.{key}"));
        let nearest = nearest(&key, names.into_iter().chain(keys));
        ConfigError::UnknownKey { origin, key, nearest }
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        let of_area = |area: &dyn super::Area| {
            let name = area.name();
            area.entries().into_iter().map(move |entry| (name, entry.key)).collect::<Vec<_>>()
        };
        self.areas().into_iter().flat_map(of_area).collect()
    }
}

/// A value of the file as text, as the settings read it.
fn as_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let text = format!("the file has {bytes} bytes, at most {FILE_BYTES_MAX} are allowed");
        return Err(failed(io::Error::other(text)));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The name that is most like `name`, if one is like it at all. A key that was written without its
/// area is compared with keys alone.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let score = |known: &str| {
        let key = known.rsplit_once('.').map_or(known, |(_, key)| key);
        let compared = if name.contains('.') { known } else { key };
        strsim::jaro_winkler(name, compared)
    };
    let scored = known.map(|known| (score(&known), known));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= NEAREST_MIN).map(|(_, known)| known)
}
