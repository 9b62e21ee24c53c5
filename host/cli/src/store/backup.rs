//! `annals store backup`: a copy of a data folder, while the daemon may run on it.

use std::path::{Path, PathBuf};

use annals_daemon::maintenance::{BackedUp, backup};
use serde::Serialize;

use super::progress::{Reporter, of_files};
use super::{FolderArgs, counted, failed};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::bytes;

/// Copy a data folder while the daemon runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon may run. The backup holds every commit that was durable when the log was copied, views
and snapshots that are not ahead of it, and the components of plugins. Every file is in it with
its digest.

DEST must be empty, or not there yet. It is a backup when BACKUP.json is in it, which is written
last: one that was interrupted is neither opened nor restored, and can be removed. No daemon opens
a backup: restore it to a folder of its own.

Examples:
  annals store backup /backup/annals-2026-01-31 --data annals-data
  annals store verify --data /backup/annals-2026-01-31
  annals store restore /backup/annals-2026-01-31 --data restored")]
pub(crate) struct BackupArgs {
    /// The folder to copy to, empty or not there yet
    #[arg(value_name = "DEST")]
    to: PathBuf,

    #[command(flatten)]
    folder: FolderArgs,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    data: &'a Path,
    backup: &'a Path,
    commits_count: u64,
    events_count: u64,
    files_count: usize,
    bytes_count: u64,
}

/// Runs the command.
pub(crate) fn run(args: &BackupArgs, output: &mut Output) -> Result<(), Failure> {
    let folder = args.folder.settings(output)?.data;
    let mut reporter = Reporter::new(output);
    let made = backup(&folder, &args.to, &mut |progress| {
        reporter.tell(|| of_files("copied", progress));
    });
    drop(reporter);
    let BackedUp { commits_count, events_count, files_count, bytes_count } =
        made.map_err(|error| failed(&error))?;
    if output.is_json() {
        let (data, backup) = (folder.as_path(), args.to.as_path());
        return output.json(&Summary {
            data,
            backup,
            commits_count,
            events_count,
            files_count,
            bytes_count,
        });
    }
    let (commits, events) = (counted(commits_count, "commit"), counted(events_count, "event"));
    let files = counted(u64::try_from(files_count).unwrap_or(u64::MAX), "file");
    let (from, to) = (folder.display(), args.to.display());
    output.line(format_args!(
        "copied {commits} with {events} of `{from}` to `{to}`: {files}, {}",
        bytes(bytes_count)
    ))
}
