//! `annals plugin rollback`: activates a version again that is kept.

use serde::Deserialize;
use serde_json::json;

use super::changes::{self, Change, Unread};
use super::force::ForceArgs;
use super::history::History;
use super::show::{self, Plugin};
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Activate an earlier version of a plugin again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without `--to` it is the version that was active before; of a removed plugin, the one that was active
then. Versions that are kept are listed by `annals plugin show`. Like an installation it happens between
two commands, and is refused when the version does not read what was recorded since.

Examples:
  annals plugin rollback account
  annals plugin rollback account --to 1.0.0
  annals plugin rollback account --to 50dfe170cf1c")]
pub(crate) struct RollbackArgs {
    /// The plugin, e.g. `account`
    name: String,

    /// Activate this one: its version, its digest, or at least 8 characters of that
    #[arg(long, value_name = "VERSION|DIGEST")]
    to: Option<String>,

    #[command(flatten)]
    force: ForceArgs,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct RolledBack {
    outcome: String,
    plugin: Active,
    changes: Vec<Change>,
    unread: Vec<Unread>,
}

#[derive(Debug, Deserialize)]
struct Active {
    name: String,
    version: String,
    kind: String,
}

/// Length of a digest, in characters.
const DIGEST_CHARS: usize = 64;

/// Shortest beginning of a digest that names it, in characters: `9` is rather a version that is not there.
const DIGEST_PREFIX_CHARS_MIN: usize = 8;

/// Runs the command.
pub(super) fn run(args: &RollbackArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let digest = match &args.to {
            Some(to) => Some(find(&mut client, &args.name, to).await?),
            None => None,
        };
        let path = ApiPath::new("/v1/plugins").join(&args.name).join("rollback");
        let body = json!({ "digest": digest }).to_string();
        client.send(Call::post(args.force.add_to(path), body)).await
    })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let RolledBack { outcome, plugin, changes, unread } = answer.json()?;
    let Active { name, version, kind } = plugin;
    output.line(match outcome.as_str() {
        "unchanged" => format!("the {kind} `{name}` {version} is active already"),
        _ => format!("the {kind} `{name}` {version} is active again"),
    })?;
    changes::print(&changes, output)?;
    changes::warn_of(&unread, output);
    Ok(())
}

/// What is known of a plugin's versions: number and digest of each, once.
async fn versions(client: &mut Client, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut versions = match client.send(show::call(name)).await {
        Ok(plugin) => {
            let plugin: Plugin = plugin.json()?;
            plugin.versions.into_iter().map(|it| (it.version, it.digest)).collect::<Vec<_>>()
        }
        // It may have been removed; its history remains.
        Err(_) => {
            let path = ApiPath::new("/v1/plugins").join(name).join("history");
            let history: History = client.send(Call::get(path)).await?.json()?;
            let entries = history.entries.into_iter();
            entries.filter_map(|entry| entry.version.zip(entry.digest)).collect()
        }
    };
    versions.sort();
    versions.dedup();
    Ok(versions)
}

/// The digest of the version that is meant.
async fn find(client: &mut Client, name: &str, to: &str) -> Result<String, Failure> {
    if to.len() == DIGEST_CHARS {
        return Ok(to.to_owned());
    }
    let versions = versions(client, name).await?;
    let is_prefix = to.len() >= DIGEST_PREFIX_CHARS_MIN;
    let is_meant = |it: &&(String, String)| it.0 == to || (is_prefix && it.1.starts_with(to));
    let mut meant = versions.iter().filter(is_meant);
    let hint = format!("see which ones were installed with `annals plugin history {name}`");
    match (meant.next(), meant.next()) {
        (Some((_, digest)), None) => Ok(digest.clone()),
        (None, _) => {
            Err(Failure::yours(format!("no version `{to}` of `{name}` is kept")).with_hint(hint))
        }
        (Some(_), Some(_)) => Err(Failure::yours(format!("`{to}` is not one version of `{name}`"))
            .with_hint("name it by its digest, or more of it")),
    }
}
