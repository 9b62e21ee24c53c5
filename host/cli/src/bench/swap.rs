//! `annals bench swap`: what commands wait while versions of a plugin take over from each other.
//!
//! ```text
//!  commands, at a rate      │││││││││││││││││││││││││││││││││││││││││││││││││││││
//!  install, roll back             ├──┤                      ├──┤
//!  counted as around a swap       ├──────────┤              ├──────────┤
//! ```
//! Commands are sent at their times whether or not others were answered, and their waits are counted from
//! these times, so that nobody who waits is left out.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use annals_core::name::PluginName;
use annals_daemon::Assembly;
use annals_engine::Engine;
use annals_engine::plugins::RollBackRequest;
use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::load::{self, Load, Until};
use super::rate::{Answer, Answered, Rate};
use super::target::Target;
use super::{component, config_in, folder_in};
use crate::args::duration;
use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::{tasks, text};

/// Measure what commands wait while versions of a plugin swap
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It opens bank accounts and deposits into them at a steady rate, in this process, while two builds of the
account take over from each other, by installing and by rolling back. What is counted as around a swap
begins with the call and ends 250 ms after its answer. Use a release build.

Examples:
  annals bench swap
  annals bench swap --rate 2000 --every 500ms --duration 30s")]
pub(crate) struct SwapArgs {
    /// Send so many commands per second
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,

    /// Swap so often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    every: Duration,

    /// Send for so long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    duration: Duration,

    /// Use so many streams
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    streams: u64,

    /// Keep the data in a new folder inside this one, which is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Use this component of the bank's `account`, instead of building it from a checkout
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,

    /// Use this other build of it, instead of the same with another digest
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,
}

/// How long after the answer a command still counts as around a swap: entities are loaded again.
const AFTERMATH: Duration = Duration::from_millis(250);

/// Most commands unanswered (inclusive), which is what the engine is told as well.
const IN_FLIGHT_MAX: usize = 65_536;

/// Waits of commands, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Waits {
    commands_count: u64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    rate_per_second: u64,
    streams: u64,
    is_release_build: bool,
    swaps_count: u64,
    /// How long the longest installation or roll back took.
    longest_swap_us: u64,
    quiet: Waits,
    around_swaps: Waits,
    /// How much longer the longest wait around a swap is than the longest one elsewhere.
    longest_extra_wait_us: u64,
}

/// Runs the command.
pub(super) fn run(args: &SwapArgs, output: &mut Output) -> Result<(), Failure> {
    let one = component(args.component.as_deref())?;
    let other = match &args.other {
        Some(path) => component(Some(path))?,
        // A custom section with a name of one letter: the same component with another content.
        None => [one.as_slice(), &[0, 2, 1, b'n']].concat(),
    };
    let folder = folder_in(args.data.as_deref(), output)?;
    let report = tasks::run(measure(args, (&one, other), folder.path(), output))?;
    if output.is_json() { output.json(&report) } else { report.print(output) }
}

async fn measure(
    args: &SwapArgs,
    (one, other): (&[u8], Vec<u8>),
    folder: &Path,
    output: &mut Output,
) -> Result<Report, Failure> {
    let mut config = config_in(folder);
    config.engine.commands_in_flight_max =
        NonZeroUsize::new(IN_FLIGHT_MAX).unwrap_or(NonZeroUsize::MIN);
    let assembly = Assembly::open(&config).await?;
    let engine = Arc::clone(assembly.engine());
    let target = Target::engine(&engine, one).await?;
    output.note(format_args!("opening {} accounts …", args.streams));
    let opening =
        Load { streams_count: args.streams, in_flight: 256, until: Until::Count(args.streams) };
    opening.run(&target, load::Kind::Open).await?;
    // Compiled before it counts, as on a host that has had both versions.
    let other = Bytes::from(other);
    swap(&engine, Some(&other)).await?;
    swap(&engine, None).await?;
    output.note("depositing and swapping …");
    let end = Instant::now() + args.duration;
    let rate = Rate { per_second: args.rate, streams_count: args.streams };
    let (answers, answered) = mpsc::unbounded_channel();
    let (sent, swaps) = tokio::join!(
        rate.send(&target, answers, |due| due < end),
        swap_until(end, args.every, &engine, &other)
    );
    sent?;
    let report = report(args, answered, &swaps?).await;
    drop((target, engine));
    assembly.close(&config).await;
    report
}

/// Installs `other`, or goes back to what was there before.
async fn swap(engine: &Engine, other: Option<&Bytes>) -> Result<(), Failure> {
    let failed = |error| Failure::of(Fault::Ours, &error);
    match other {
        Some(other) => engine.install(None, other.clone(), None).await.map(drop).map_err(failed),
        None => {
            let name = PluginName::new("account");
            let name = name.map_err(|error| Failure::of(Fault::Ours, &error))?;
            let request = RollBackRequest { name, digest: None, principal: None, force: None };
            engine.roll_back(request).await.map(drop).map_err(failed)
        }
    }
}

/// Swaps again and again; returns when each swap began and ended.
async fn swap_until(
    end: Instant,
    every: Duration,
    engine: &Engine,
    other: &Bytes,
) -> Result<Vec<(Instant, Instant)>, Failure> {
    let mut swaps = Vec::new();
    let mut next = Instant::now() + every;
    while next < end {
        sleep_until(next).await;
        let began = Instant::now();
        swap(engine, swaps.len().is_multiple_of(2).then_some(other)).await?;
        swaps.push((began, Instant::now()));
        next += every;
    }
    Ok(swaps)
}

async fn report(
    args: &SwapArgs,
    mut answered: mpsc::UnboundedReceiver<Answered>,
    swaps: &[(Instant, Instant)],
) -> Result<Report, Failure> {
    let mut quiet = load::histogram()?;
    let mut around = load::histogram()?;
    while let Some(answer) = answered.recv().await {
        let Answer { due, answered, .. } = answer?;
        // A command counts as around a swap if any of its wait was.
        let is_around =
            swaps.iter().any(|(began, ended)| answered >= *began && due <= *ended + AFTERMATH);
        let histogram = if is_around { &mut around } else { &mut quiet };
        let recorded = histogram.record(us(answered - due));
        recorded.map_err(|error| Failure::ours(format!("a wait does not fit: {error}")))?;
    }
    let longest_swap = swaps.iter().map(|(began, ended)| *ended - *began).max();
    Ok(Report {
        rate_per_second: args.rate,
        streams: args.streams,
        is_release_build: !cfg!(debug_assertions),
        swaps_count: u64::try_from(swaps.len()).unwrap_or(u64::MAX),
        longest_swap_us: us(longest_swap.unwrap_or_default()),
        longest_extra_wait_us: around.max().saturating_sub(quiet.max()),
        quiet: Waits::of(&quiet),
        around_swaps: Waits::of(&around),
    })
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Waits {
    fn of(waits: &Histogram<u64>) -> Self {
        Self {
            commands_count: waits.len(),
            p50_us: waits.value_at_quantile(0.5),
            p99_us: waits.value_at_quantile(0.99),
            p999_us: waits.value_at_quantile(0.999),
            max_us: waits.max(),
        }
    }
}

impl Report {
    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
        let waits = |it: &Waits| {
            format!(
                "p50 {}, p99 {}, p99.9 {}, max {}, of {} commands",
                ms(it.p50_us),
                ms(it.p99_us),
                ms(it.p999_us),
                ms(it.max_us),
                text::thousands(it.commands_count)
            )
        };
        let (rate, streams) =
            (text::thousands(self.rate_per_second), text::thousands(self.streams));
        let swaps = format!("{}, the longest took {}", self.swaps_count, ms(self.longest_swap_us));
        let rows = [
            ("load", format!("{rate} commands per second, {streams} streams, each durable")),
            ("swaps", swaps),
            ("quiet", waits(&self.quiet)),
            ("around", waits(&self.around_swaps)),
            ("extra", format!("{} more at the longest", ms(self.longest_extra_wait_us))),
        ];
        rows.into_iter()
            .try_for_each(|(name, value)| output.line(format_args!("{name:<9} {value}")))
    }
}
