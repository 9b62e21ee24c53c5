//! `annals bench`: measures commands, from the caller to the disk, projections, and process managers.
//!
//! ```text
//! load.rs        who sends what, how many at once, until when
//! rate.rs        commands at a steady rate
//! target.rs      to whom: the engine in this process, or a daemon over HTTP
//! disk.rs        how fast the disk alone is
//! machine.rs     what it runs on, and what it cost
//! threads.rs     what single threads cost
//! report.rs      the figures, as text and as JSON
//! swap.rs        another measurement: what commands wait while versions of a plugin swap
//! projection.rs  and another: how fast a projection catches up
//! transfers.rs   and another: how fast a process manager moves money
//! ```

mod disk;
mod load;
mod machine;
mod projection;
mod rate;
mod report;
mod swap;
mod target;
mod threads;
mod transfers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use annals_daemon::config::{LogFilter, Setting as _};
use annals_daemon::{Assembly, Config, Host};

use crate::args::duration;
use crate::demo::checkout;
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;
use load::{Load, Until};
use machine::{Machine, Usage};
use report::{Configuration, Report};
use target::Target;

/// Measure how fast this machine is
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    Commands(CommandsArgs),
    Swap(swap::SwapArgs),
    Projection(projection::ProjectionArgs),
    Transfers(transfers::TransfersArgs),
}

/// Measure commands of an aggregate, each answered when it is durable
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It opens bank accounts, then deposits one cent in each of them in turn. Latency is from sending a
command, or a batch, to its answer. Use a release build, and a folder on the disk that counts.

Examples:
  annals bench commands                                      In this process
  annals bench commands --http --in-flight 64                Over HTTP, with a daemon of its own
  annals bench commands --http http://127.0.0.1:7070 --batch 100")]
pub(crate) struct CommandsArgs {
    /// Call the engine in this process; the default
    #[arg(long, conflicts_with = "http")]
    in_process: bool,

    /// Send requests, to a daemon of its own when no URL is given
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    http: Option<String>,

    /// Keep so many commands, or over HTTP requests, unanswered
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,

    /// Send for so long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    duration: Duration,

    /// Send so many commands, instead of for a time
    #[arg(long, conflicts_with = "duration")]
    count: Option<u64>,

    /// Use so many streams
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    streams: u64,

    /// Send so many commands per request, as NDJSON
    #[arg(long, value_name = "COUNT", requires = "http", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: Option<u32>,

    /// Keep the data in a new folder inside this one, which is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Use this component of the bank's `account`, instead of building it from a checkout
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// How long the disk alone is measured, before and after.
const DISK_TIME: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) fn run(command: BenchCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        BenchCommand::Commands(args) => run_commands(&args, output),
        BenchCommand::Swap(args) => swap::run(&args, output),
        BenchCommand::Projection(args) => projection::run(&args, output),
        BenchCommand::Transfers(args) => transfers::run(&args, output),
    }
}

/// The component of the bank's account.
fn component(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    match file {
        Some(path) => std::fs::read(path).map_err(|error| Failure::file("read", path, &error)),
        None => checkout::build_account(),
    }
}

/// A new folder that is removed at the end.
fn folder_in(parent: Option<&Path>, output: &mut Output) -> Result<tempfile::TempDir, Failure> {
    if cfg!(debug_assertions) {
        output.warning("this is not a release build: the figures mean little");
    }
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
    tempfile::Builder::new()
        .prefix("annals-bench-")
        .tempdir_in(&parent)
        .map_err(|error| Failure::file("make a folder in", &parent, &error))
}

/// A daemon's settings for a measurement.
fn config_in(folder: &Path) -> Config {
    let mut config = Config::default();
    config.store.data = folder.join("data");
    config.server.listen.set_port(0);
    config.log.filter = LogFilter::parse("warn").unwrap_or_default();
    config
}

fn run_commands(args: &CommandsArgs, output: &mut Output) -> Result<(), Failure> {
    let component = component(args.component.as_deref())?;
    let folder = folder_in(args.data.as_deref(), output)?;
    let report = tasks::run(measure(args, &component, folder.path(), output))?;
    if output.is_json() { output.json(&report) } else { report.print(output) }
}

async fn measure(
    args: &CommandsArgs,
    component: &[u8],
    folder: &Path,
    output: &mut Output,
) -> Result<Report, Failure> {
    let config = config_in(folder);
    let syncs_before = disk::syncs_per_second(folder, DISK_TIME)?;
    let mut measured = match args.http.as_deref() {
        None => {
            let assembly = Assembly::open(&config).await?;
            let target = Target::engine(assembly.engine(), component).await?;
            let measured = send(args, &target, output).await;
            drop(target);
            assembly.close(&config).await;
            measured
        }
        Some("") => {
            let host = Host::start(&config).await?;
            let server = format!("http://{}", host.address());
            let target = Target::http(&server, component, args.batch).await?;
            let measured = send(args, &target, output).await;
            host.stop().await;
            measured
        }
        Some(server) => {
            send(args, &Target::http(server, component, args.batch).await?, output).await
        }
    }?;
    measured.syncs_per_second =
        report::Before { before: syncs_before, after: disk::syncs_per_second(folder, DISK_TIME)? };
    Ok(measured)
}

async fn send(
    args: &CommandsArgs,
    target: &Target,
    output: &mut Output,
) -> Result<Report, Failure> {
    let mut load = Load {
        streams_count: args.streams,
        in_flight: args.in_flight,
        until: Until::Count(args.streams),
    };
    output.note(format_args!("opening {} accounts …", args.streams));
    load.run(target, load::Kind::Open).await?;
    load.until = args.count.map_or(Until::Time(args.duration), Until::Count);
    output.note("depositing …");
    let before = Usage::now();
    let done = load.run(target, load::Kind::Deposit).await?;
    let cost = Usage::now().since(before);
    Ok(Report {
        machine: Machine::this(),
        configuration: Configuration {
            target: target.name(),
            in_flight: args.in_flight,
            streams: args.streams,
            batch: args.batch,
            is_durable: true,
            is_release_build: !cfg!(debug_assertions),
            event_data_bytes: target::EVENT_DATA_BYTES,
        },
        is_cost_of_all: args.http.as_deref().is_none_or(str::is_empty),
        done,
        cost,
        syncs_per_second: report::Before::default(),
    })
}
