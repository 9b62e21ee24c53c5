//! `annals store`: tools for the store of a data folder, or of tables on DynamoDB.
//!
//! ```text
//! create.rs  describe.rs  delete.rs    the tables
//! verify.rs  backup.rs  restore.rs     copies and checks
//! repair.rs  rewrite.rs                changes to what was recorded, with the consent of consent.rs
//! export.rs  import.rs                 a store as text
//! ```

mod backup;
mod consent;
mod create;
mod delete;
mod describe;
mod export;
mod import;
pub(crate) mod progress;
mod rename_event;
mod repair;
mod replace_event;
mod restore;
mod rewrite;
mod tables;
mod verify;

use std::path::{Path, PathBuf};

use annals_daemon::config::{ConfigSource, Environment, Loaded, Store, StoreDriver};
use annals_daemon::maintenance::ToolError;
use annals_daemon::{Config, StartError};

use crate::failure::{Failure, Fault};
use crate::output::Output;

/// Look after a store
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    Create(create::CreateArgs),
    Describe(describe::DescribeArgs),
    Delete(delete::DeleteArgs),
    Verify(verify::VerifyArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Repair(repair::RepairArgs),
    RenameEvent(rename_event::RenameEventArgs),
    ReplaceEvent(replace_event::ReplaceEventArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
}

/// Runs the command.
pub(crate) fn run(command: StoreCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        StoreCommand::Create(args) => create::run(&args, output),
        StoreCommand::Describe(args) => describe::run(&args, output),
        StoreCommand::Delete(args) => delete::run(&args, output),
        StoreCommand::Verify(args) => verify::run(&args, output),
        StoreCommand::Backup(args) => backup::run(&args, output),
        StoreCommand::Restore(args) => restore::run(&args, output),
        StoreCommand::Repair(args) => repair::run(&args, output),
        StoreCommand::RenameEvent(args) => rename_event::run(args, output),
        StoreCommand::ReplaceEvent(args) => replace_event::run(args, output),
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
    /// The settings of a daemon with the same flags, whatever its driver. Not `memory`, of which nothing
    /// is left when the tool ends.
    fn config(&self, output: &mut Output) -> Result<Config, Failure> {
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
        if self.data.is_some() && config.store.driver == StoreDriver::Dynamodb {
            let text =
                "`--data` names a folder, and these settings say that everything is on DynamoDB";
            return Err(Failure::yours(text).with_hint(
                "leave `--data` away for the tables, or set `ANNALS_STORE_DRIVER=local` for the folder",
            ));
        }
        Ok(config)
    }

    /// The data folder, and how its log is kept, of a daemon with the same settings and flags.
    fn settings(&self, output: &mut Output) -> Result<Store, Failure> {
        let config = self.config(output)?;
        if config.store.driver == StoreDriver::Dynamodb {
            let text =
                "with these settings everything is kept on DynamoDB, there is no data folder";
            return Err(Failure::yours(text).with_hint(
                "`annals store export`, `import`, `create`, `describe` and `delete` work on tables; \
                 for a folder name another `--config`",
            ));
        }
        Ok(config.store)
    }
}

/// A data folder that cannot be opened, with a hint for one that a daemon has open.
fn unopened(error: StartError, when_in_use: &str) -> Failure {
    let is_in_use = error.is_in_use();
    let failure = Failure::from(error);
    if is_in_use { failure.with_hint(when_in_use) } else { failure }
}

/// What to do when a tool needs a folder that a daemon has open.
const STOP_THE_DAEMON: &str =
    "stop the daemon, with Ctrl-C or SIGTERM, and run the same command again";

/// A tool that did not do what it was asked to.
fn failed(error: &ToolError) -> Failure {
    let fault = if error.is_the_users() { Fault::Yours } else { Fault::Ours };
    let hint = if error.is_in_use() { Some(STOP_THE_DAEMON.to_owned()) } else { error.hint() };
    let failure = Failure::of(fault, error);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// A path as a shell reads it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '@' | ':');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A count with what is counted: `1 event`, `2 events`.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", crate::text::thousands(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_commands_can_be_pasted_into_a_shell() {
        // Guards the next steps that are printed, for folders of any name.
        let words = ["annals-data", "/var/lib/annals@1", "my data", "it's", "$HOME"];
        let words = words.map(|word| shell_word(Path::new(word)));
        let expected = ["annals-data", "/var/lib/annals@1", "'my data'", r"'it'\''s'", "'$HOME'"];
        assert_eq!(words, expected);
        assert_eq!(
            [0, 1, 1_200].map(|count| counted(count, "event")),
            ["0 events", "1 event", "1 200 events"]
        );
    }
}
