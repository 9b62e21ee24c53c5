//! `annals store export`: everything a store knows, as text.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use annals_core::port::EventStore;
use annals_daemon::transfer::{ExportError, Exported, export};
use annals_daemon::{WhenAbsent, open_stores};
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::io::AsyncWrite;

use super::progress::{Reporter, Transfer};
use super::{FolderArgs, unopened};
use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::tasks;
use crate::text::{bytes, thousands};

/// Export every event, command and claim of a store as lines of JSON
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is a CloudEvent 1.0 in its JSON format. The last line has a digest of the others, so that a
file that was cut off or changed is recognised. Plugins are not part of an export, only which were
installed: keep the folder `plugins`.

The daemon of a data folder must be stopped. Nothing is changed, except that an unfinished end of the
log, after a crash, is cut as at every start. On DynamoDB daemons may go on: the export holds every
commit that was there when it began.

To move a store, import the export into another one, of whatever driver: through a file, or a pipe.

Examples:
  annals store export --data annals-data --to export.ndjson
  annals store export --data annals-data --to export.ndjson --overwrite
  annals store export --data annals-data | gzip > export.ndjson.gz
  annals store export --config dynamodb.toml --to export.ndjson
  annals store export --data annals-data | annals store import - --config dynamodb.toml
  annals store export --data annals-data | jq 'select(.subject == \"account/a1\")'")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    folder: FolderArgs,

    /// Write to this file, or with `-` to standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    to: PathBuf,

    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
}

/// What is said at the end.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    /// None: standard output.
    file: Option<&'a Path>,
    #[serde(flatten)]
    exported: &'a Exported,
}

/// What to do about a folder that is in use.
const WHEN_IN_USE: &str =
    "stop the daemon, with Ctrl-C or SIGTERM, or restore a backup elsewhere and export that";

/// Runs the command.
pub(crate) fn run(args: &ExportArgs, output: &mut Output) -> Result<(), Failure> {
    let config = args.folder.config(output)?;
    let file = (args.to.as_os_str() != "-").then_some(args.to.as_path());
    if let Some(file) = file.filter(|file| !args.overwrite && file.exists()) {
        return Err(exists(file));
    }
    let exported = tasks::run(async {
        let stores = open_stores(&config, WhenAbsent::Leave).await;
        let stores = stores.map_err(|error| unopened(error, WHEN_IN_USE))?.ok_or_else(|| {
            Failure::yours(format!("there is no store in {}", config.store_place()))
                .with_hint("name the data folder of a daemon with `--data`")
        })?;
        let exported = match file {
            Some(file) => args.to_file(&*stores.events, file, output).await,
            None => to_stdout(&*stores.events, output).await,
        };
        // Closing joins threads.
        tokio::task::block_in_place(|| drop(stores));
        exported
    })?;
    say(&Summary { file, exported: &exported }, output)
}

fn exists(file: &Path) -> Failure {
    Failure::yours(format!("`{}` is there already", file.display()))
        .with_hint("choose another name, or replace it with `--overwrite`")
}

impl ExportArgs {
    /// Writes beside the file and renames at the end, so that no part of an export is taken for one.
    async fn to_file(
        &self,
        store: &dyn EventStore,
        file: &Path,
        output: &mut Output,
    ) -> Result<Exported, Failure> {
        let unwritten = |error: io::Error| Failure::file("write", file, &error);
        let folder = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let unfinished =
            NamedTempFile::with_prefix_in(".annals-export-", folder).map_err(unwritten)?;
        let mut to = tokio::fs::File::from_std(unfinished.reopen().map_err(unwritten)?);
        let exported = write(store, &mut to, Reporter::new(output)).await?;
        to.sync_all().await.map_err(unwritten)?;
        let renamed = if self.overwrite {
            unfinished.persist(file).map(drop)
        } else {
            unfinished.persist_noclobber(file).map(drop)
        };
        renamed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(file),
            _ => unwritten(error.error),
        })?;
        // The name is durable when the folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritten)?;
        Ok(exported)
    }
}

async fn to_stdout(store: &dyn EventStore, output: &mut Output) -> Result<Exported, Failure> {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let stdout = stdout.map_err(|error| Failure::ours(format!("no standard output: {error}")))?;
    let stdout = File::from(stdout);
    let is_pipe = stdout.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    let mut to = tokio::fs::File::from_std(stdout);
    // Two lines of progress, of both ends of a pipe, would overwrite each other.
    let reporter = if is_pipe { Reporter::hidden(output) } else { Reporter::new(output) };
    write(store, &mut to, reporter).await
}

async fn write(
    store: &dyn EventStore,
    to: &mut (dyn AsyncWrite + Send + Unpin),
    mut reporter: Reporter<'_>,
) -> Result<Exported, Failure> {
    let mut transfer = Transfer::new(None);
    let mut tell = |progress| transfer.tell(progress, &mut reporter);
    let exported = export(store, to, &mut tell).await;
    exported.map_err(|error| match error {
        ExportError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Failure::nobody_reads()
        }
        ExportError::Write(_) => Failure::of(Fault::Yours, &error),
        error => {
            let failure = Failure::of(Fault::Ours, &error);
            match error.hint() {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        }
    })
}

/// Says what was exported: on standard error when standard output has the export itself.
fn say(summary: &Summary<'_>, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return match summary.file {
            Some(_) => output.json(summary),
            None => {
                let text = serde_json::to_string(summary);
                let no_form = |error| Failure::ours(format!("the data has no JSON form: {error}"));
                output.note(text.map_err(no_form)?);
                Ok(())
            }
        };
    }
    let Exported { commits_count, events_count, bytes_count, sha256, .. } = summary.exported;
    let (commits, events) = (thousands(*commits_count), thousands(*events_count));
    let text = format!("exported {commits} commits with {events} events, {}", bytes(*bytes_count));
    match summary.file {
        Some(file) => {
            output.line(format_args!("{text}, to `{}`", file.display()))?;
            output.line(format_args!("sha256 of all lines but the last: {sha256}"))
        }
        None => {
            output.note(text);
            Ok(())
        }
    }
}
