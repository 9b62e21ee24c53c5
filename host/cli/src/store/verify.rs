//! `annals store verify`: whether everything in a data folder is whole.

use std::path::Path;

use annals_daemon::maintenance::{Damage, InterruptedTask, Remedy, Verified, verify};
use serde::Serialize;

use super::progress::{Reporter, of_files};
use super::{FolderArgs, counted, failed, shell_word};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::bytes;

/// Check every byte of a data folder or a backup
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon may run. Nothing is changed. Read are the log with its indexes, views and snapshots,
and the components of plugins.

Each damage is named with its file, its place and what to do. An unfinished write at the end of
the log is no damage: a crash left it, or the daemon is writing it, and it was never acknowledged.

Exit codes: 0 everything is whole, 1 something is damaged, 2 a file cannot be read.

Examples:
  annals store verify --data annals-data
  annals store verify --data /backup/annals-2026-01-31
  annals store verify --data annals-data --output json | jq '.damages[].next'")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    folder: FolderArgs,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    data: &'a Path,
    is_whole: bool,
    store: Option<String>,
    segments_count: usize,
    commits_count: u64,
    events_count: u64,
    files_count: usize,
    bytes_count: u64,
    unfinished: Option<Unfinished<'a>>,
    damages: Vec<Found<'a>>,
}

/// The unfinished end of the log.
#[derive(Debug, Serialize)]
struct Unfinished<'a> {
    file: &'a Path,
    at_byte: u64,
    bytes_count: u64,
    what: &'a str,
}

/// A damage, and what to do about it.
#[derive(Debug, Serialize)]
struct Found<'a> {
    file: &'a Path,
    at_byte: Option<u64>,
    what: &'a str,
    remedy: &'static str,
    /// The next step, in words.
    advice: &'static str,
    /// The command of it.
    next: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, output: &mut Output) -> Result<(), Failure> {
    let folder = args.folder.settings(output)?.data;
    let mut reporter = Reporter::new(output);
    let verified = verify(&folder, &mut |progress| {
        reporter.tell(|| of_files("verified", progress));
    });
    drop(reporter);
    let verified = verified.map_err(|error| failed(&error))?;
    let damages: Vec<_> =
        verified.damages.iter().map(|damage| found(damage, &verified, &folder)).collect();
    let damages_count = u64::try_from(damages.len()).unwrap_or(u64::MAX);
    if output.is_json() {
        output.json(&summary(&folder, &verified, damages))?;
    } else {
        say(&folder, &verified, &damages, output)?;
    }
    if damages_count == 0 {
        return Ok(());
    }
    let places = counted(damages_count, "place");
    let text = format!("`{}` is damaged in {places}", folder.display());
    Err(Failure::yours(text).with_hint(
        "nothing was changed: keep a copy of the folder before you do anything about it",
    ))
}

fn summary<'a>(folder: &'a Path, verified: &'a Verified, damages: Vec<Found<'a>>) -> Summary<'a> {
    Summary {
        data: folder,
        is_whole: damages.is_empty(),
        store: verified.store.map(|store| store.to_string()),
        segments_count: verified.segments_count,
        commits_count: verified.commits_count,
        events_count: verified.events_count,
        files_count: verified.files_count,
        bytes_count: verified.bytes_count,
        unfinished: verified.unfinished.as_ref().map(|tail| Unfinished {
            file: &tail.path,
            at_byte: tail.offset,
            bytes_count: tail.bytes_count,
            what: &tail.what,
        }),
        damages,
    }
}

fn say(
    folder: &Path,
    verified: &Verified,
    damages: &[Found<'_>],
    output: &mut Output,
) -> Result<(), Failure> {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let folder = folder.display();
    let (commits, events) =
        (counted(verified.commits_count, "commit"), counted(verified.events_count, "event"));
    let segments = counted(wide(verified.segments_count), "segment");
    let read = counted(wide(verified.files_count), "file");
    let read = format!("{read} with {} read", bytes(verified.bytes_count));
    if let Some(tail) = &verified.unfinished {
        output.note(format_args!(
            "the log ends with an unfinished write of {}, which was never acknowledged: a crash left \
             it, or the daemon is writing it",
            bytes(tail.bytes_count)
        ));
    }
    if damages.is_empty() {
        return output.line(format_args!(
            "`{folder}` is whole: {commits} with {events} in {segments}, {read}"
        ));
    }
    for damage in damages {
        let place = damage.at_byte.map(|at| format!(" at byte {at}")).unwrap_or_default();
        let file = damage.file.display();
        output.line(format_args!("`{file}` is damaged{place}: {}", damage.what))?;
        output.line(format_args!("  {}", damage.advice))?;
        if let Some(next) = &damage.next {
            output.line(format_args!("  {next}"))?;
        }
    }
    output.line(format_args!("the log is whole up to its first {commits} with {events}; {read}"))
}

/// A damage with its next step.
fn found<'a>(damage: &'a Damage, verified: &Verified, folder: &Path) -> Found<'a> {
    let Damage { path, at_byte, what, remedy } = damage;
    let is_state = path.extension().is_some_and(|extension| extension == "sqlite");
    let (data, file) = (shell_word(folder), shell_word(path));
    let restore = "annals store restore BACKUP --data NEW".to_owned();
    let remove =
        if is_state { format!("rm -f {file} {file}-wal {file}-shm") } else { format!("rm {file}") };
    let repair = format!("annals store repair --to {} --data {data}", verified.commits_count);
    let (remedy, advice, next) = match remedy {
        Remedy::RestoreOrRepair => (
            "restore-or-repair",
            "restore a backup, or stop the daemon and cut the log off before the first damage:",
            Some(repair),
        ),
        Remedy::Remove => (
            "remove",
            "stop the daemon and remove the file, it is made again at the next start:",
            Some(remove),
        ),
        Remedy::Restore if is_state => (
            "remove",
            "stop the daemon and remove the file: it holds snapshots, which are made again:",
            Some(remove),
        ),
        Remedy::Restore => ("restore", "restore a backup into a new folder:", Some(restore)),
        Remedy::Install => (
            "install",
            "install the plugin again, from its component:",
            Some("annals plugin install COMPONENT".to_owned()),
        ),
        Remedy::Repeat(InterruptedTask::Repair) => {
            ("repeat", "do the repair again, to this commit or an earlier one:", Some(repair))
        }
        Remedy::Repeat(InterruptedTask::Restore) => (
            "repeat",
            "remove the folder, and restore the backup again:",
            Some(format!("annals store restore BACKUP --data {data}")),
        ),
        Remedy::Repeat(InterruptedTask::Backup) => (
            "repeat",
            "remove the folder, and make the backup again:",
            Some(format!("annals store backup {data} --data DIR")),
        ),
        Remedy::OtherBackup => {
            ("other-backup", "this backup is not whole: use another one, and make a new one", None)
        }
        _ => ("restore", "restore a backup into a new folder:", Some(restore)),
    };
    Found { file: path, at_byte: *at_byte, what, remedy, advice, next }
}
