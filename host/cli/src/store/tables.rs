//! What `create`, `describe` and `delete` share: which tables, and requests that are not sent.

use std::path::{Path, PathBuf};

use annals_daemon::Config;
use annals_daemon::config::{
    ConfigSource, Dynamodb, Environment, Loaded, Setting as _, StoreDriver,
};
use annals_daemon::tables::{PlannedRequest, create_command};
use serde::Serialize;
use serde_json::Value;

use super::shell_word;
use crate::failure::Failure;
use crate::output::Output;

/// Which tables to work on.
#[derive(Debug, clap::Args)]
pub(super) struct TableArgs {
    /// The driver that keeps the store; that of the settings when absent
    #[arg(long, value_name = "DRIVER", value_parser = ["local", "memory", "dynamodb"])]
    driver: Option<String>,

    /// What the names of the tables begin with; that of the settings when absent
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// Read settings from this file
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG")]
    config: Option<PathBuf>,
}

impl TableArgs {
    /// The tables of a daemon with the same settings and flags.
    pub(super) fn settings(&self, output: &mut Output) -> Result<Dynamodb, Failure> {
        let driver = self.driver.clone().map(|it| ("--driver", "store", "driver", it));
        let prefix = self.prefix.clone().map(|it| ("--prefix", "dynamodb", "prefix", it));
        let source = ConfigSource {
            file: self.config.clone(),
            environment: Environment::of_process(),
            flags: driver.into_iter().chain(prefix).collect(),
        };
        let Loaded { config, warnings, .. } = Config::load(&source)?;
        warnings.iter().for_each(|warning| output.warning(warning));
        let kept = match config.store.driver {
            StoreDriver::Dynamodb => return Ok(config.dynamodb),
            StoreDriver::Local => "in a data folder, which `annals serve` makes",
            StoreDriver::Memory => "in memory",
        };
        let driver = config.store.driver.to_toml();
        let driver = driver.trim_matches('"');
        let text = format!("the driver `{driver}` needs no tables: it keeps the store {kept}");
        Err(Failure::yours(text).with_hint("for tables, pass `--driver dynamodb`"))
    }

    /// The command that makes the tables, to be pasted into a shell: with the file that was named, or
    /// else with what the settings say.
    pub(super) fn create_command(&self, settings: &Dynamodb) -> String {
        let Some(file) = &self.config else { return create_command(settings) };
        let driver = self.driver.as_ref().map(|driver| format!(" --driver {driver}"));
        let prefix = self.prefix.as_ref().map(|prefix| format!(" --prefix {prefix}"));
        let (driver, prefix) = (driver.unwrap_or_default(), prefix.unwrap_or_default());
        format!("annals store create{driver}{prefix} --config {}", shell_word(file))
    }

    /// The command that runs a daemon on the tables, to be pasted into a shell.
    pub(super) fn serve_command(&self, settings: &Dynamodb) -> String {
        let (mut variables, mut flags) = (String::new(), String::new());
        if let Some(file) = &self.config {
            flags = format!(" --config {}", shell_word(file));
        }
        // What a flag said is not in the file, and a daemon has no such flags.
        if self.config.is_none() || self.driver.is_some() {
            variables.push_str("ANNALS_STORE_DRIVER=dynamodb ");
        }
        if self.config.is_none() || self.prefix.is_some() {
            let prefix = settings.prefix.as_str();
            variables.push_str(&format!("ANNALS_DYNAMODB_PREFIX={prefix} "));
        }
        if self.config.is_none() {
            let region = settings.region.as_ref().map(|region| region.as_str());
            let endpoint = settings.endpoint.as_ref().map(|endpoint| endpoint.as_str());
            for (name, value) in [("REGION", region), ("ENDPOINT", endpoint)] {
                if let Some(value) = value {
                    let word = shell_word(Path::new(value));
                    variables.push_str(&format!("ANNALS_DYNAMODB_{name}={word} "));
                }
            }
        }
        format!("{variables}annals serve{flags}")
    }
}

/// A request that is printed and not sent.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    operation: &'a str,
    request: &'a Value,
}

/// Prints what would be sent.
pub(super) fn print(requests: &[PlannedRequest], output: &mut Output) -> Result<(), Failure> {
    for PlannedRequest { operation, body } in requests {
        let planned = Planned { operation, request: body };
        if output.is_json() {
            output.json(&planned)?;
            continue;
        }
        let text = serde_json::to_string_pretty(&planned)
            .map_err(|error| Failure::ours(format!("a request has no JSON form: {error}")))?;
        output.line(text)?;
    }
    output.note("nothing was sent");
    Ok(())
}
