//! `annals plugin show`: a plugin of a running daemon, its versions, what it uses, and what it is refused
//! for.

use serde::Deserialize;

use super::list::short;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// Show a plugin of a running daemon, with its versions and what it uses
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The figures are of this daemon, since the plugin was loaded. Streams in quarantine made the plugin
fail again and again; their commands are refused until the time beside them.

Examples:
  annals plugin show account
  annals plugin show account --output json    With commands, events and their JSON Schemas")]
pub(crate) struct ShowArgs {
    /// The plugin, e.g. `account`
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// A plugin, as far as it is printed.
#[derive(Debug, Deserialize)]
pub(super) struct Plugin {
    name: String,
    version: String,
    summary: String,
    kind: String,
    digest: String,
    activated_at: String,
    force_reason: Option<String>,
    pub(super) versions: Vec<Version>,
    commands: Vec<Message>,
    events: Vec<Message>,
    tables: Vec<String>,
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

/// A version that is kept.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) version: String,
    pub(super) digest: String,
    component_bytes: u64,
    installed_at: String,
    installed_by: Option<String>,
    is_active: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    name: String,
    schema_version: u32,
}

/// Asks a daemon for a plugin.
pub(super) fn call(name: &str) -> Call {
    Call::get(ApiPath::new("/v1/plugins").join(name))
}

/// Runs the command.
pub(super) fn run(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    let call = call(&args.name);
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let plugin: Plugin = answer.json()?;
    output.heading(format_args!("{} {} ({})", plugin.name, plugin.version, plugin.kind))?;
    let names = |messages: &[Message]| {
        let names = messages.iter().map(|message| message.name.clone());
        names.collect::<Vec<_>>().join(", ")
    };
    let shapes =
        plugin.events.iter().map(|event| format!("{} v{}", event.name, event.schema_version));
    let memory = format!(
        "{}, one sandbox had {}",
        text::bytes(plugin.usage.memory_bytes),
        text::bytes(plugin.usage.memory_bytes_high)
    );
    let rows = [
        ("summary", plugin.summary),
        ("content", plugin.digest),
        ("active since", plugin.activated_at),
        ("forced", plugin.force_reason.unwrap_or_default()),
        ("commands", names(&plugin.commands)),
        ("events", shapes.collect::<Vec<_>>().join(", ")),
        ("tables", plugin.tables.join(", ")),
        ("memory", memory),
        ("entities", text::thousands(plugin.usage.entities_count)),
    ];
    let said = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let rows: Vec<_> = said.map(|(name, value)| vec![name.to_owned(), value]).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))?;
    output.heading("\nversions")?;
    let row = |it: Version| {
        let state = if it.is_active { "active" } else { "kept" };
        let (size, digest) = (text::bytes(it.component_bytes), short(&it.digest));
        let who = it.installed_by.unwrap_or_else(|| "-".to_owned());
        vec![it.version, state.to_owned(), size, digest, it.installed_at, who]
    };
    let rows: Vec<_> = plugin.versions.into_iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))?;
    print_usage(&plugin.usage, output)?;
    print_quarantine(&plugin.quarantine, output)
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
