//! `annals store import`: an export read into a store.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use annals_core::stream::StreamId;
use annals_daemon::config::Store;
use annals_daemon::transfer::{ExportFile, ImportError, Imported};
use annals_daemon::{WhenAbsent, open_event_store};
use tokio::io::{AsyncBufRead, BufReader};

use super::progress::{Reporter, of_transfer};
use super::{FolderArgs, unopened};
use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::tasks;
use crate::text::thousands;

/// Import an export into a new store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The folder must be new or empty, or hold what an import of the same export left that ended early: run
again, it goes on where it ended. Positions, revisions, times, ids, commands and claims are those of
the store that was exported. At the end the store is read again and compared with the export. The
daemon must be stopped.

Plugins are not part of an export: copy the folder `plugins` of the old data folder into the new one
before the daemon starts, or install the plugins again. Views are built anew by themselves.

Examples:
  annals store import export.ndjson --data new-data
  gunzip --stdout export.ndjson.gz | annals store import - --data new-data
  cp -r annals-data/plugins new-data/")]
pub(crate) struct ImportArgs {
    /// The export, or `-` for standard input
    #[arg(value_name = "FILE")]
    from: PathBuf,

    #[command(flatten)]
    folder: FolderArgs,
}

/// What to do about a folder that is in use.
const WHEN_IN_USE: &str = "stop the daemon, with Ctrl-C or SIGTERM, or import into a new folder";

/// Bytes of the export that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Where the host records which plugins are installed.
const PLUGIN_REGISTRY: &str = "$plugins/registry";

/// Runs the command.
pub(crate) fn run(args: &ImportArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = args.folder.settings(output)?;
    let is_stdin = args.from.as_os_str() == "-";
    let imported = tasks::run(async {
        if is_stdin {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned();
            let stdin =
                stdin.map_err(|error| Failure::ours(format!("no standard input: {error}")))?;
            let stdin = tokio::fs::File::from_std(File::from(stdin));
            let mut from = BufReader::with_capacity(READ_BYTES, stdin);
            return import(&mut from, None, &settings, output).await;
        }
        let unread = |error| Failure::file("read", &args.from, &error);
        let file = tokio::fs::File::open(&args.from).await.map_err(unread)?;
        let bytes_total = file.metadata().await.map_err(unread)?.len();
        let mut from = BufReader::with_capacity(READ_BYTES, file);
        import(&mut from, Some(bytes_total), &settings, output).await
    })?;
    if output.is_json() {
        return output.json(&imported);
    }
    let Imported { export, appended_count } = &imported;
    let (commits, events) = (thousands(export.commits_count), thousands(export.events_count));
    let found_count = export.commits_count.saturating_sub(*appended_count);
    let found = match found_count {
        0 => String::new(),
        count => format!(", of which {} commits were there already", thousands(count)),
    };
    let folder = settings.data.display();
    output.line(format_args!(
        "imported {commits} commits with {events} events into `{folder}`{found}"
    ))?;
    output.line("the store was read again and is the same")
}

async fn import(
    from: &mut (dyn AsyncBufRead + Send + Unpin),
    bytes_total: Option<u64>,
    settings: &Store,
    output: &mut Output,
) -> Result<Imported, Failure> {
    // Before the store: a file that is no export makes no folder.
    let file = ExportFile::open(from).await.map_err(failed)?;
    let store = tokio::task::block_in_place(|| open_event_store(settings, WhenAbsent::Create));
    let store = store.map_err(|error| unopened(error, WHEN_IN_USE))?;
    let store = store.ok_or_else(|| Failure::ours("the store was not made"))?;
    let mut reporter = Reporter::new(output);
    let mut tell = |progress| reporter.tell(|| of_transfer(progress, bytes_total));
    let imported = file.import_into(&*store, &mut tell).await;
    drop(reporter);
    let imported = imported.map_err(failed)?;
    let needs_plugins =
        has_plugins(&*store).await.map_err(|error| Failure::of(Fault::Ours, &error))?;
    if needs_plugins && !settings.data.join("plugins").exists() {
        output.warning(
            "the store says which plugins are installed, and does not have them: copy the folder \
             `plugins` of the old data folder into the new one, or install them again",
        );
    }
    // Closing joins threads.
    tokio::task::block_in_place(|| drop(store));
    Ok(imported)
}

async fn has_plugins(store: &dyn EventStore) -> Result<bool, ReadError> {
    let Ok(registry) = StreamId::parse(PLUGIN_REGISTRY) else {
        return Ok(false);
    };
    Ok(store.stream_info(&registry).await?.revision.0.is_some())
}

fn failed(error: ImportError) -> Failure {
    let fault = if error.is_the_users() { Fault::Yours } else { Fault::Ours };
    let failure = Failure::of(fault, &error);
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
