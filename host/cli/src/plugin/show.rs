//! `annals plugin show`: one plugin of a running daemon.

use serde::Deserialize;

use super::list::short;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// Show a plugin of a running daemon and the versions that are kept
#[derive(Debug, clap::Args)]
#[command(after_help = "\
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
    let rows = [
        ("summary", plugin.summary),
        ("content", plugin.digest),
        ("active since", plugin.activated_at),
        ("forced", plugin.force_reason.unwrap_or_default()),
        ("commands", names(&plugin.commands)),
        ("events", shapes.collect::<Vec<_>>().join(", ")),
        ("tables", plugin.tables.join(", ")),
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
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}
