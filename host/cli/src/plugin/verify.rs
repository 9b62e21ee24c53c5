//! `annals plugin verify`: what the history says of another version, before it is installed.

mod verdict;

use std::path::PathBuf;

use annals_core::plugin::PluginKind;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::component::{CacheArgs, Component};
use super::install::component_of;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client, Lines, problem};
use crate::failure::Failure;
use crate::output::Output;
use crate::store::progress::{Reporter, bar};
use crate::tasks;
use crate::text::thousands;
use verdict::{Outcome, Verdict};

/// Compare another version of an aggregate with the history of the active one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is installed, and the daemon keeps serving. Every stream is folded with both versions, and
every recorded command is decided again, with the time and the seed it had:

  identical   every command is decided as it was recorded, and every state is the same
  compatible  so are the commands; states could not be compared, or rejections have other words
  drift       a command is decided otherwise, or a state differs
  broken      a stream cannot be folded: an event is not read, or the plugin fails

Exit codes: 0 identical or compatible, 1 drift or broken, 2 the daemon failed.

Examples:
  annals plugin verify
  annals plugin verify shop-cart/shop-cart.wasm --sample 1000
  annals plugin verify shop-cart --output json | jq .command_examples")]
pub(crate) struct VerifyArgs {
    /// The component, or the folder of the plugin that was built
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    from: PathBuf,

    #[command(flatten)]
    sample: SampleArgs,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    server: ServerArgs,
}

/// How much of the history to look at.
#[derive(Debug, clap::Args)]
struct SampleArgs {
    /// Look only at so many streams, the same at each time and spread over all
    #[arg(long, value_name = "STREAMS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: Option<u32>,
}

/// Whether to verify before installing.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyFirstArgs {
    /// Verify it first, and do not install it when the history drifts or breaks
    #[arg(long)]
    verify: bool,

    /// Install it although commands are decided otherwise or states differ
    #[arg(long, requires = "verify")]
    accept_drift: bool,

    /// Look only at so many streams, the same at each time and spread over all
    #[arg(long, value_name = "STREAMS", requires = "verify", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: Option<u32>,
}

/// One line of the answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress(Progress),
    Verdict(Box<RawValue>),
    Problem(Box<RawValue>),
}

#[derive(Debug, Deserialize)]
struct Progress {
    step: String,
    events_count: u64,
    commands_count: u64,
    done_count: u64,
    total_count: u64,
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs, output: &mut Output) -> Result<(), Failure> {
    let component = Component::load(&component_of(&args.from)?, &args.cache)?;
    let json = verify(&args.server, &component, args.sample.sample, output)?;
    let verdict = parse(&json)?;
    if output.is_json() {
        output.line(json.get())?;
    } else {
        verdict.lines().into_iter().try_for_each(|line| output.line(line))?;
    }
    verdict.failure().map_or(Ok(()), Err)
}

/// Verifies before an installation, when that was asked for. The verdict goes beside the data.
pub(super) fn before_install(
    args: &VerifyFirstArgs,
    component: &Component,
    server: &ServerArgs,
    output: &mut Output,
) -> Result<(), Failure> {
    if !args.verify {
        return Ok(());
    }
    let (kind, name) = (component.kind(), component.name());
    if kind != PluginKind::Aggregate {
        output
            .note(format_args!("the {kind} `{name}` decides nothing: there is nothing to verify"));
        return Ok(());
    }
    match active_digest(server, name)? {
        None => {
            output.note(format_args!("`{name}` has no active version: there is nothing to verify"));
            return Ok(());
        }
        Some(active) if active == component.facts().digest() => {
            output.note(format_args!("it is active already: there is nothing to verify"));
            return Ok(());
        }
        Some(_) => {}
    }
    let verdict = parse(&verify(server, component, args.sample, output)?)?;
    verdict.lines().into_iter().for_each(|line| output.note(line));
    match verdict.failure() {
        Some(_) if args.accept_drift && verdict.outcome() == Outcome::Drift => Ok(()),
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// The content of the version of a plugin that is active, as its digest.
fn active_digest(server: &ServerArgs, name: &str) -> Result<Option<String>, Failure> {
    #[derive(Deserialize)]
    struct Active {
        digest: String,
    }
    let call = Call::get(ApiPath::new("/v1/plugins").join(name));
    let (status, body) =
        tasks::run_here(async { Client::connect(server).await?.exchange(call).await })?;
    match status {
        StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => {
            let active: Active = serde_json::from_slice(&body)
                .map_err(|error| Failure::ours(format!("the answer does not fit: {error}")))?;
            Ok(Some(active.digest))
        }
        status => Err(problem::failure(status, &body)),
    }
}

/// The verdict of the daemon as it came. Shows how far it is meanwhile.
fn verify(
    server: &ServerArgs,
    component: &Component,
    sample: Option<u32>,
    output: &mut Output,
) -> Result<Box<RawValue>, Failure> {
    let path = ApiPath::new("/v1/plugins").join(component.name()).join("verify");
    let call = Call::post_component(path.query("streams_max", sample), component.bytes.clone());
    let mut reporter = Reporter::new(output);
    tasks::run_here(async {
        let mut client = Client::connect(server).await?;
        let mut lines = Lines::new(client.stream(call).await?);
        let started = Instant::now();
        while let Some(line) = lines.next().await? {
            let line: Line = serde_json::from_slice(&line)
                .map_err(|error| Failure::ours(format!("a line does not fit: {error}")))?;
            match line {
                Line::Progress(progress) => {
                    let elapsed_ms = started.elapsed().as_millis();
                    reporter.tell(|| of_verification(&progress, elapsed_ms));
                }
                Line::Verdict(verdict) => return Ok(verdict),
                Line::Problem(body) => {
                    let status = StatusCode::INTERNAL_SERVER_ERROR;
                    return Err(problem::failure(status, body.get().as_bytes()));
                }
            }
        }
        Err(Failure::ours("the answer ended without a verdict")
            .with_hint("is the daemon still running? verify again"))
    })
}

fn parse(json: &RawValue) -> Result<Verdict, Failure> {
    serde_json::from_str(json.get()).map_err(|error| {
        Failure::ours(format!("the verdict does not fit: {error}"))
            .with_hint("are the daemon and this program of the same version?")
    })
}

/// How far a verification is, for whoever looks.
fn of_verification(progress: &Progress, elapsed_ms: u128) -> String {
    let Progress { step, events_count, commands_count, done_count, total_count } = progress;
    let bar = bar(*done_count, *total_count);
    if step == "choosing" {
        return format!("{bar}choosing streams");
    }
    let (commands, events) = (thousands(*commands_count), thousands(*events_count));
    let rate = (u128::from(*events_count) * 1_000).checked_div(elapsed_ms).unwrap_or(0);
    let rate = thousands(u64::try_from(rate).unwrap_or(u64::MAX));
    format!("{bar}{commands} commands, {events} events, {rate}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_said_with_its_rate() {
        // Guards what is seen while a long history is folded.
        let progress = |step: &str| Progress {
            step: step.to_owned(),
            events_count: 23_456,
            commands_count: 12_345,
            done_count: 25,
            total_count: 100,
        };
        assert_eq!(
            of_verification(&progress("verifying"), 2_000),
            "[=====               ]  25 % 12 345 commands, 23 456 events, 11 728/s"
        );
        assert_eq!(
            of_verification(&progress("choosing"), 2_000),
            "[=====               ]  25 % choosing streams"
        );
    }
}
