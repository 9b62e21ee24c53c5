//! `annals store`: tools for the store of a data folder, while no daemon has it open.

mod export;
mod import;
mod progress;

use std::path::PathBuf;

use annals_daemon::config::{ConfigSource, Environment, Loaded, StoreDriver};
use annals_daemon::{Config, StartError};

use crate::failure::Failure;
use crate::output::Output;

/// Work on the store of a data folder while the daemon is stopped
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    Export(export::ExportArgs),
    Import(import::ImportArgs),
}

/// Runs the command.
pub(crate) fn run(command: StoreCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        StoreCommand::Export(args) => export::run(&args, output),
        StoreCommand::Import(args) => import::run(&args, output),
    }
}

/// Which data folder to work on.
#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// Work on the store in this folder; that of the settings when absent
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Read settings from this file
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG")]
    config: Option<PathBuf>,
}

impl FolderArgs {
    /// The data folder that a daemon with the same settings and flags has.
    fn folder(&self, output: &mut Output) -> Result<PathBuf, Failure> {
        let data = self.data.as_ref().map(|data| data.display().to_string());
        let flags = data.map(|data| ("--data", "store", "data", data));
        let source = ConfigSource {
            file: self.config.clone(),
            environment: Environment::of_process(),
            flags: flags.into_iter().collect(),
        };
        let Loaded { config, warnings, .. } = Config::load(&source)?;
        warnings.iter().for_each(|warning| output.warning(warning));
        if config.store.driver == StoreDriver::Memory {
            let text = "with these settings everything is kept in memory, there is no data folder";
            return Err(Failure::yours(text).with_hint("name a folder with another `--config`"));
        }
        Ok(config.store.data)
    }
}

/// A data folder that cannot be opened, with a hint for one that a daemon has open.
fn unopened(error: StartError, when_in_use: &str) -> Failure {
    let is_in_use = error.is_in_use();
    let failure = Failure::from(error);
    if is_in_use { failure.with_hint(when_in_use) } else { failure }
}
