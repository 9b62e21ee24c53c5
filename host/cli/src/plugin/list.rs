//! `annals plugin list`: the plugins of a running daemon.

use serde::Deserialize;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// List the plugins of a running daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: name, version, kind, size, content, since when it is active, and who installed it.

Examples:
  annals plugin list
  annals plugin list --output json    With commands, events and their JSON Schemas")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Plugins {
    plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
    version: String,
    kind: String,
    digest: String,
    component_bytes: u64,
    installed_by: Option<String>,
    activated_at: String,
}

/// How much of a digest tells one content from another, in characters.
const DIGEST_CHARS: usize = 12;

/// The beginning of a digest, for people.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(DIGEST_CHARS).collect()
}

/// Runs the command.
pub(super) fn run(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let call = Call::get(ApiPath::new("/v1/plugins"));
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Plugins { plugins } = answer.json()?;
    if plugins.is_empty() {
        output.note("no plugin is installed; install one with `annals plugin install`");
    }
    let row = |plugin: Plugin| {
        let (digest, size) = (short(&plugin.digest), text::bytes(plugin.component_bytes));
        let who = plugin.installed_by.unwrap_or_else(|| "-".to_owned());
        vec![plugin.name, plugin.version, plugin.kind, size, digest, plugin.activated_at, who]
    };
    let rows: Vec<_> = plugins.into_iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}
