//! What `create`, `describe` and `delete` share: which tables, and requests that are not sent.

use std::path::PathBuf;

use annals_daemon::Config;
use annals_daemon::config::{
    ConfigSource, Dynamodb, Environment, Loaded, Setting as _, StoreDriver,
};
use annals_daemon::tables::PlannedRequest;
use serde::Serialize;
use serde_json::Value;

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
