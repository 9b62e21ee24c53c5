//! `annals bench projection`: how fast a projection catches up, from the log to its rows, and what
//! commands wait beside it.
//!
//! ```text
//!  fill the log │ commands at a rate, alone │ install │ … and beside the projection │
//!                                                     ├───────── measured ──────────┤ caught up
//! ```

mod fill;
mod report;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_daemon::{Assembly, Config};
use annals_engine::Engine;
use annals_engine::plugins::PluginStatus;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::load::{self, Load, Until};
use super::machine::{Machine, Usage};
use super::rate::{Answered, Rate};
use super::target::Target;
use super::{component, config_in, folder_in, threads};
use crate::demo::checkout;
use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::tasks;
use fill::fill;
use report::{Beside, Calls, Configuration, Cpu, Report};

/// Measure how fast a projection catches up
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It fills a store with the events of bank accounts, each a commit of its own, installs the projection, and
measures until it has caught up. What counts is events per CPU second of the projection: of its thread,
and of those that write its view. Use a release build.

With --beside-commands, accounts of their own are deposited into at that rate, first alone and then while
the projection catches up. Latency is from sending a command to its answer.

Examples:
  annals bench projection
  annals bench projection --projection account-totals --events 10000000
  annals bench projection --beside-commands 2000")]
pub(crate) struct ProjectionArgs {
    /// Project so many events
    #[arg(long, value_name = "COUNT", default_value = "1000000", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    events: u64,

    /// Spread them over so many streams
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    streams: u64,

    /// Send so many commands per second meanwhile
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    beside_commands: Option<u64>,

    /// Give the projection at most so many events at once, instead of the default of a daemon
    #[arg(long, value_name = "COUNT")]
    batch_events: Option<NonZeroUsize>,

    /// Keep the data in a new folder inside this one, which is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Build this projection of the bank from a checkout: rows per account, or totals alone
    #[arg(long, value_name = "NAME", value_enum, default_value_t = BankProjection::AccountBalances)]
    projection: BankProjection,

    /// Use this projection instead
    #[arg(long, value_name = "FILE", conflicts_with = "projection")]
    component: Option<PathBuf>,

    /// Use this component of the bank's `account`, instead of building it from a checkout
    #[arg(long, value_name = "FILE", requires = "beside_commands")]
    account: Option<PathBuf>,
}

/// The projections of the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BankProjection {
    AccountBalances,
    AccountTotals,
}

/// For how long commands are sent alone.
const ALONE: Duration = Duration::from_secs(3);

/// How often it is looked whether the projection has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How many streams the commands are sent to.
const COMMAND_STREAMS: u64 = 1_000;

/// The threads whose time is that of the projection; the second also writes the host's own state, which
/// nearly nothing does meanwhile.
const PROJECTION_THREAD: &str = "annals-projection-";
const WRITER_THREAD: &str = "annals-state-writer";

/// Runs the command.
pub(super) fn run(args: &ProjectionArgs, output: &mut Output) -> Result<(), Failure> {
    let projection = match (&args.component, args.projection) {
        (Some(path), _) => component(Some(path))?,
        (None, BankProjection::AccountBalances) => checkout::build_account_balances()?,
        (None, BankProjection::AccountTotals) => checkout::build_account_totals()?,
    };
    let account = args.beside_commands.map(|_| component(args.account.as_deref())).transpose()?;
    let folder = folder_in(args.data.as_deref(), output)?;
    let components = (projection, account);
    let report = tasks::run(measure(args, components, folder.path(), output))?;
    if output.is_json() { output.json(&report) } else { report.print(output) }
}

async fn measure(
    args: &ProjectionArgs,
    (projection, account): (Vec<u8>, Option<Vec<u8>>),
    folder: &Path,
    output: &mut Output,
) -> Result<Report, Failure> {
    let mut config: Config = config_in(folder);
    if let Some(events_max) = args.batch_events {
        config.projections.batch_events_max = events_max;
    }
    let assembly = Assembly::open(&config).await?;
    let engine = Arc::clone(assembly.engine());
    output.note(format_args!("filling the log …"));
    fill(&engine, (args.events, args.streams), output).await?;
    let commands = match (args.beside_commands, account) {
        (Some(per_second), Some(account)) => {
            let target = Target::engine(&engine, &account).await?;
            let rate = Rate { per_second, streams_count: COMMAND_STREAMS };
            Some((target, rate))
        }
        _ => None,
    };
    let projected = match &commands {
        None => catch_up(&engine, projection, output).await.map(|done| (done, None)),
        Some((target, rate)) => beside(&engine, projection, (target, *rate), output).await,
    };
    let report = projected.map(|(done, beside)| Report {
        machine: Machine::this(),
        configuration: Configuration {
            events: args.events,
            streams: args.streams,
            batch_events_max: config.projections.batch_events_max.get(),
            is_release_build: !cfg!(debug_assertions),
        },
        done,
        beside,
    });
    drop((commands, engine));
    assembly.close(&config).await;
    report
}

/// What it took to catch up.
#[derive(Debug)]
struct Done {
    projection: String,
    /// How many events were handled, of those that the projection wants.
    events_count: u64,
    time: Duration,
    cpu: Cpu,
    calls: Calls,
    memory_before_bytes: u64,
    memory_bytes_max: u64,
}

/// Measures from installing the projection until it has handled what is there.
async fn catch_up(
    engine: &Engine,
    projection: Vec<u8>,
    output: &mut Output,
) -> Result<Done, Failure> {
    let heads = heads(engine).await?;
    let installed = engine.install(None, Bytes::from(projection), None).await;
    let (_, plugin) = installed.map_err(|error| Failure::of(Fault::Yours, &error))?;
    let name = plugin.description.name.clone();
    // Without the installing: compiling takes longer than many events do.
    let (begin, before) = (Instant::now(), status(engine, &name)?);
    let usage_before = Usage::now();
    // Where the system cannot forget it, the most until now is of filling the log.
    let memory_before_bytes = if threads::forget_peak_memory() {
        Usage::now().peak_memory_bytes
    } else {
        usage_before.peak_memory_bytes
    };
    let writers_before = threads::cpu_of(WRITER_THREAD).unwrap_or_default();
    output.note(format_args!("projecting …"));
    let after = loop {
        let status = status(engine, &name)?;
        if has_reached(&status, &heads) {
            break status;
        }
        sleep(LOOK_EVERY).await;
    };
    let (time, usage) = (begin.elapsed(), Usage::now());
    let handled = |status: &PluginStatus| status.progress.as_ref().map_or(0, |it| it.events_count);
    let writers = threads::cpu_of(WRITER_THREAD);
    Ok(Done {
        projection: name.to_string(),
        events_count: handled(&after).saturating_sub(handled(&before)),
        time,
        cpu: Cpu {
            projection: threads::cpu_of(PROJECTION_THREAD),
            writer: writers.map(|after| after.saturating_sub(writers_before)),
            process: usage.since(usage_before).cpu,
        },
        calls: Calls::of(&after.usage),
        memory_before_bytes,
        memory_bytes_max: usage.peak_memory_bytes,
    })
}

/// The newest position of each partition, which `Progress` has in the same order.
async fn heads(engine: &Engine) -> Result<Vec<Option<Position>>, Failure> {
    let store = engine.store();
    let mut heads = Vec::new();
    for partition in (0..store.capabilities().partitions_count).map(Partition) {
        let head = store.head(partition).await;
        heads.push(head.map_err(|error| Failure::of(Fault::Ours, &error))?);
    }
    Ok(heads)
}

fn status(engine: &Engine, name: &PluginName) -> Result<PluginStatus, Failure> {
    engine.plugin(name).ok_or_else(|| Failure::ours(format!("`{name}` is gone")))
}

fn has_reached(status: &PluginStatus, heads: &[Option<Position>]) -> bool {
    let Some(progress) = &status.progress else { return false };
    progress.checkpoints.iter().zip(heads).all(|(checkpoint, head)| checkpoint >= head)
}

/// Sends commands alone for a while, and goes on while the projection catches up.
async fn beside(
    engine: &Engine,
    projection: Vec<u8>,
    (target, rate): (&Target, Rate),
    output: &mut Output,
) -> Result<(Done, Option<Beside>), Failure> {
    let opening = Load {
        streams_count: rate.streams_count,
        in_flight: 256,
        until: Until::Count(rate.streams_count),
    };
    opening.run(target, load::Kind::Open).await?;
    output.note("depositing …");
    let end = Instant::now() + ALONE;
    let alone = latencies(rate, target, |due| due < end).await?;
    let (stop, stopped) = watch::channel(false);
    let (done, beside) = tokio::join!(
        async {
            let done = catch_up(engine, projection, output).await;
            stop.send_replace(true);
            done
        },
        latencies(rate, target, |_| !*stopped.borrow())
    );
    let (alone, beside) = (alone, beside?);
    Ok((done?, Some(Beside::new(rate.per_second, &alone, &beside))))
}

/// Sends commands, and waits for all answers; what they took, in microseconds.
async fn latencies(
    rate: Rate,
    target: &Target,
    goes_on: impl Fn(Instant) -> bool,
) -> Result<Histogram<u64>, Failure> {
    let (answers, mut answered) = mpsc::unbounded_channel::<Answered>();
    rate.send(target, answers, goes_on).await?;
    let mut latencies = load::histogram()?;
    while let Some(answer) = answered.recv().await {
        let answer = answer?;
        let us = (answer.answered - answer.sent).as_micros();
        let recorded = latencies.record(u64::try_from(us).unwrap_or(u64::MAX));
        recorded.map_err(|error| Failure::ours(format!("a latency does not fit: {error}")))?;
    }
    Ok(latencies)
}
