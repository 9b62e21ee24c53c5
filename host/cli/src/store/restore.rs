//! `annals store restore`: a data folder from a backup.

use std::path::{Path, PathBuf};

use annals_daemon::maintenance::{Restored, restore};
use serde::Serialize;

use super::progress::{Reporter, of_files};
use super::{FolderArgs, counted, failed};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::bytes;

/// Make a data folder from a backup
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The folder must be empty, or not there yet; nothing is ever written over. Every file is compared
with the digest that the backup has of it, and the log is read again at the end. A restore that
was interrupted leaves a folder that no daemon opens: remove it, and restore again.

No daemon needs to be stopped: one that runs on another folder does not matter. Do not let two
daemons serve the original and what was restored to the same clients: both are the same store, and
each gets events that the other does not have.

Examples:
  annals store restore /backup/annals-2026-01-31 --data restored
  annals serve --data restored")]
pub(crate) struct RestoreArgs {
    /// The folder that `annals store backup` wrote
    #[arg(value_name = "BACKUP")]
    from: PathBuf,

    #[command(flatten)]
    folder: FolderArgs,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    backup: &'a Path,
    data: &'a Path,
    store: String,
    commits_count: u64,
    events_count: u64,
    bytes_count: u64,
}

/// Runs the command.
pub(crate) fn run(args: &RestoreArgs, output: &mut Output) -> Result<(), Failure> {
    let folder = args.folder.settings(output)?.data;
    let mut reporter = Reporter::new(output);
    let restored = restore(&args.from, &folder, &mut |progress| {
        reporter.tell(|| of_files("copied and verified", progress));
    });
    drop(reporter);
    let Restored { store, commits_count, events_count, bytes_count } =
        restored.map_err(|error| failed(&error))?;
    if output.is_json() {
        return output.json(&Summary {
            backup: &args.from,
            data: &folder,
            store: store.to_string(),
            commits_count,
            events_count,
            bytes_count,
        });
    }
    let (commits, events) = (counted(commits_count, "commit"), counted(events_count, "event"));
    let (from, to) = (args.from.display(), folder.display());
    output.line(format_args!(
        "restored {commits} with {events} of `{from}` to `{to}`: {}, as they were backed up",
        bytes(bytes_count)
    ))
}
