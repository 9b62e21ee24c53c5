//! `annals plugin remove`: removes a plugin from a running daemon.

use serde::Deserialize;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Remove a plugin from a running daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Its commands are refused as those of an unknown aggregate, its view is not served any more. Its events
stay, and so do its versions: `annals plugin rollback` brings it back.

Examples:
  annals plugin remove account
  annals plugin remove account-balances --delete-view")]
pub(crate) struct RemoveArgs {
    /// The plugin, e.g. `account`
    name: String,

    /// Delete its view as well, also when it was removed before
    #[arg(long)]
    delete_view: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Removed {
    name: String,
    deleted_views_count: u64,
}

/// Runs the command.
pub(super) fn run(args: &RemoveArgs, output: &mut Output) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/plugins").join(&args.name);
    let call = Call::delete(path.query("delete_view", args.delete_view.then_some(true)));
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Removed { name, deleted_views_count } = answer.json()?;
    match deleted_views_count {
        0 => output.line(format_args!("removed `{name}`"))?,
        1 => output.line(format_args!("removed `{name}` and its view"))?,
        count => output.line(format_args!("removed `{name}` and its {count} views"))?,
    }
    output.note(format_args!(
        "\nIts events stay. Bring it back with:\n  annals plugin rollback {name}"
    ));
    Ok(())
}
