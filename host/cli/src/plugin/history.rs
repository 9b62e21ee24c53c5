//! `annals plugin history`: who did what to a plugin, when and why.

use serde::Deserialize;

use super::list::short;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// Show what happened to a plugin, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Also of a plugin that was removed. Columns: when, what, version, content, who, and why if it was forced.

Examples:
  annals plugin history account
  annals plugin history account --limit 1000 --output json")]
pub(crate) struct HistoryArgs {
    /// The plugin, e.g. `account`
    name: String,

    /// Show at most so many entries
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,

    #[command(flatten)]
    server: ServerArgs,
}

/// What happened to a plugin.
#[derive(Debug, Deserialize)]
pub(super) struct History {
    pub(super) entries: Vec<Entry>,
    next: Option<u64>,
}

/// One thing that happened.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    at: String,
    principal: Option<String>,
    what: String,
    pub(super) version: Option<String>,
    pub(super) digest: Option<String>,
    force_reason: Option<String>,
    deletes_views: bool,
}

/// Runs the command.
pub(super) fn run(args: &HistoryArgs, output: &mut Output) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/plugins").join(&args.name).join("history");
    let call = Call::get(path.query("limit", Some(args.limit)));
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let History { entries, next } = answer.json()?;
    let row = |entry: Entry| {
        let what = if entry.deletes_views { "removed with views".to_owned() } else { entry.what };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let digest = or_none(entry.digest.as_deref().map(short));
        let reason = entry.force_reason.map(|reason| format!("forced: {reason}"));
        let who = or_none(entry.principal);
        vec![entry.at, what, or_none(entry.version), digest, who, reason.unwrap_or_default()]
    };
    let rows: Vec<_> = entries.into_iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))?;
    if next.is_some() {
        output.note("there is more; raise `--limit`");
    }
    Ok(())
}
