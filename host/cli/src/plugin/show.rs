//! `annals plugin show`: a plugin of a running daemon, what it uses, and what it is refused for.

use serde::Deserialize;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// Show a plugin of a running daemon, with what it uses
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The figures are of this daemon, since the plugin was loaded. Streams in quarantine made the plugin
fail again and again; their commands are refused until the time beside them.

Examples:
  annals plugin show account
  annals plugin show account --output json    With commands, events and their JSON Schemas")]
pub(crate) struct ShowArgs {
    /// The plugin
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
    version: String,
    summary: String,
    kind: String,
    digest: String,
    component_bytes: u64,
    contract_version: String,
    installed_at: String,
    usage: Usage,
    quarantine: Quarantine,
}

#[derive(Debug, Deserialize)]
struct Usage {
    memory_bytes: u64,
    memory_bytes_high: u64,
    entities_count: u64,
    handlers: Vec<Handler>,
}

#[derive(Debug, Deserialize)]
struct Handler {
    handler: String,
    calls_count: u64,
    fuel: u64,
    time_us: u64,
    input_bytes: u64,
    output_bytes: u64,
    traps_count: u64,
    limits_count: u64,
    breaches_count: u64,
}

#[derive(Debug, Deserialize)]
struct Quarantine {
    streams_count: usize,
    streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    stream: String,
    failures_count: u32,
    cause: String,
    retry_at: String,
}

/// Runs the command.
pub(super) fn run(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    let call = Call::get(ApiPath::new("/v1/plugins").join(&args.name));
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let plugin: Plugin = answer.json()?;
    print_facts(&plugin, output)?;
    print_usage(&plugin.usage, output)?;
    print_quarantine(&plugin.quarantine, output)
}

fn print_facts(plugin: &Plugin, output: &mut Output) -> Result<(), Failure> {
    output.heading(format_args!("{} {}", plugin.name, plugin.version))?;
    if !plugin.summary.is_empty() {
        output.line(format_args!("  {}", plugin.summary))?;
    }
    let contract = format!("annals:plugin@{}", plugin.contract_version);
    let memory = format!(
        "{}, one sandbox had {}",
        text::bytes(plugin.usage.memory_bytes),
        text::bytes(plugin.usage.memory_bytes_high)
    );
    let rows = [
        ("kind", plugin.kind.clone()),
        ("size", text::bytes(plugin.component_bytes)),
        ("contract", contract),
        ("digest", plugin.digest.clone()),
        ("installed", plugin.installed_at.clone()),
        ("memory", memory),
        ("entities", text::thousands(plugin.usage.entities_count)),
    ];
    rows.into_iter().try_for_each(|(name, value)| output.line(format_args!("  {name:<9} {value}")))
}

fn print_usage(usage: &Usage, output: &mut Output) -> Result<(), Failure> {
    let head = ["call", "calls", "mean time", "mean fuel", "bytes in", "bytes out", "failures"];
    let row = |handler: &Handler| {
        let calls_count = handler.calls_count.max(1);
        let failures = [
            (handler.traps_count, "trapped"),
            (handler.limits_count, "at a limit"),
            (handler.breaches_count, "against the contract"),
        ];
        let failures = failures.into_iter().filter(|(count, _)| *count > 0);
        let failures: Vec<_> =
            failures.map(|(count, how)| format!("{} {how}", text::thousands(count))).collect();
        vec![
            handler.handler.clone(),
            text::thousands(handler.calls_count),
            format!("{} us", text::thousands(handler.time_us / calls_count)),
            text::thousands(handler.fuel / calls_count),
            text::bytes(handler.input_bytes),
            text::bytes(handler.output_bytes),
            if failures.is_empty() { "none".to_owned() } else { failures.join(", ") },
        ]
    };
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(usage.handlers.iter().map(row));
    output.line("")?;
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

fn print_quarantine(quarantine: &Quarantine, output: &mut Output) -> Result<(), Failure> {
    if quarantine.streams_count == 0 {
        return Ok(());
    }
    output.line("")?;
    output.heading(format_args!("streams in quarantine: {}", quarantine.streams_count))?;
    for stream in &quarantine.streams {
        output.line(format_args!(
            "  {}: {} failures, the last: {}; tried again at {}",
            stream.stream, stream.failures_count, stream.cause, stream.retry_at
        ))?;
    }
    Ok(())
}
