//! `annals store import`: an export read into a store.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use annals_core::stream::StreamId;
use annals_daemon::config::StoreDriver;
use annals_daemon::transfer::{ExportFile, ImportError, Imported};
use annals_daemon::{Config, OpenStores, WhenAbsent, open_stores};
use bytes::Bytes;
use tokio::io::{AsyncBufRead, BufReader};

use super::progress::{Reporter, Transfer};
use super::{FolderArgs, counted, unopened};
use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::tasks;
use crate::text::thousands;

/// Import an export into a new store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The store must be new or empty, or hold what an import of the same export left that ended early: run
again, it goes on where it ended. Revisions, times, ids, commands and claims are those of the store
that was exported, and so are positions if the numbers of partitions are the same. At the end the
store is read again and compared with the export. The daemon must be stopped.

Until the import has ended, no daemon serves the store. If the rest of an export is lost for good, run
it with `--accept-partial`: it fails as before, and what is there may be served.

Plugins are not part of an export: take them along with `--plugins`, or install them again. Views are
built anew by themselves.

Examples:
  annals store import export.ndjson --data new-data --plugins annals-data/plugins
  gunzip --stdout export.ndjson.gz | annals store import - --data new-data
  annals store import export.ndjson --config dynamodb.toml --plugins annals-data/plugins
  annals store export --data annals-data | annals store import - --config dynamodb.toml")]
pub(crate) struct ImportArgs {
    /// The export, or `-` for standard input
    #[arg(value_name = "FILE")]
    from: PathBuf,

    #[command(flatten)]
    folder: FolderArgs,

    /// Take along the plugins in this folder: `plugins` of the old data folder
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,

    /// Let a daemon serve what is there, even if the import does not come to its end
    #[arg(long)]
    accept_partial: bool,
}

/// What to do when an import is interrupted.
const WHEN_INTERRUPTED: &str = "run the same command again: it goes on where it ended. Until it has \
                                ended, no daemon serves the store";

/// What to do about a folder that is in use.
const WHEN_IN_USE: &str = "stop the daemon, with Ctrl-C or SIGTERM, or import into a new folder";

/// Bytes of the export that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Where the host records which plugins are installed.
const PLUGIN_REGISTRY: &str = "$plugins/registry";

/// Runs the command.
pub(crate) fn run(args: &ImportArgs, output: &mut Output) -> Result<(), Failure> {
    let config = args.folder.config(output)?;
    let is_stdin = args.from.as_os_str() == "-";
    let imported = tasks::run_until_interrupted(WHEN_INTERRUPTED, async {
        if is_stdin {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned();
            let stdin =
                stdin.map_err(|error| Failure::ours(format!("no standard input: {error}")))?;
            let stdin = tokio::fs::File::from_std(File::from(stdin));
            let mut from = BufReader::with_capacity(READ_BYTES, stdin);
            return args.import(&mut from, None, &config, output).await;
        }
        let unread = |error| Failure::file("read", &args.from, &error);
        let file = tokio::fs::File::open(&args.from).await.map_err(unread)?;
        let bytes_total = file.metadata().await.map_err(unread)?.len();
        let mut from = BufReader::with_capacity(READ_BYTES, file);
        args.import(&mut from, Some(bytes_total), &config, output).await
    });
    let imported = imported?;
    if output.is_json() {
        return output.json(&imported);
    }
    let Imported { export, appended_count, store_partitions_count, times_moved_count } = &imported;
    let (commits, events) = (thousands(export.commits_count), thousands(export.events_count));
    let found_count = export.commits_count.saturating_sub(*appended_count);
    let found = match found_count {
        0 => String::new(),
        count => format!(", of which {} commits were there already", thousands(count)),
    };
    output.line(format_args!(
        "imported {commits} commits with {events} events into {}{found}",
        config.store_place()
    ))?;
    let partitions_count = u32::try_from(export.partitions.len()).unwrap_or(u32::MAX);
    if partitions_count == *store_partitions_count {
        return output.line("the store was read again and is the same");
    }
    output.line(format_args!(
        "the store was read again and has the same in every stream; positions are others, in \
         {} instead of {partitions_count}",
        counted(u64::from(*store_partitions_count), "partition")
    ))?;
    if *times_moved_count > 0 {
        output.line(format_args!(
            "{} have the later time of a commit before them in their partition",
            counted(*times_moved_count, "commit")
        ))?;
    }
    Ok(())
}

impl ImportArgs {
    async fn import(
        &self,
        from: &mut (dyn AsyncBufRead + Send + Unpin),
        bytes_total: Option<u64>,
        config: &Config,
        output: &mut Output,
    ) -> Result<Imported, Failure> {
        // Before the store: a file that is no export makes no folder.
        let file = ExportFile::open(from).await.map_err(failed)?;
        let stores = open_stores(config, WhenAbsent::Create).await;
        let stores = stores.map_err(|error| unopened(error, WHEN_IN_USE))?;
        let stores = stores.ok_or_else(|| Failure::ours("the store was not made"))?;
        if let Some(folder) = &self.plugins {
            let count = take_plugins(&stores, folder).await?;
            output.note(format!("took {} along", counted(count, "plugin")));
        }
        let mut reporter = Reporter::new(output);
        let mut transfer = Transfer::new(bytes_total);
        let mut tell = |progress| transfer.tell(progress, &mut reporter);
        let imported = file.import_into(&*stores.events, &*stores.states, &mut tell).await;
        drop(reporter);
        if imported.is_err() && self.accept_partial {
            let accepted = stores.accept_half_import().await;
            accepted.map_err(|error| Failure::of(Fault::Ours, &error))?;
            output.warning("the import did not come to its end; a daemon may serve what is there");
        }
        let imported = imported.map_err(failed)?;
        let needs_plugins =
            has_plugins(&*stores.events).await.map_err(|error| Failure::of(Fault::Ours, &error))?;
        let is_local = config.store.driver == StoreDriver::Local;
        let has_them = is_local && config.store.data.join("plugins").exists();
        if needs_plugins && self.plugins.is_none() && !has_them {
            output.warning(
                "the store says which plugins are installed, and may not have them: import again \
                 with `--plugins` and the folder `plugins` of the old data folder, or install them \
                 again",
            );
        }
        // Closing joins threads.
        tokio::task::block_in_place(|| drop(stores));
        Ok(imported)
    }
}

/// Keeps every component of a folder, by its content.
async fn take_plugins(stores: &OpenStores, folder: &Path) -> Result<u64, Failure> {
    let unread = |error: std::io::Error| Failure::file("read", folder, &error);
    let mut count = 0;
    let mut entries = tokio::fs::read_dir(folder).await.map_err(unread)?;
    while let Some(entry) = entries.next_entry().await.map_err(unread)? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let bytes = tokio::fs::read(&path).await;
        let bytes = bytes.map_err(|error| Failure::file("read", &path, &error))?;
        let kept = stores.blobs.put(Bytes::from(bytes)).await;
        kept.map_err(|error| Failure::of(Fault::Ours, &error))?;
        count += 1;
    }
    Ok(count)
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
