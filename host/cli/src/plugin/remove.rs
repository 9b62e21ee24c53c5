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
Its commands are refused as those of an unknown aggregate, its view is not served any more, a process
manager takes no events and sends nothing. Its events stay, and so do its versions: `annals plugin rollback`
brings it back. A process manager then goes on where it was.

With `--delete-view` a process manager forgets its instances, their timers and the commands it has not sent.
Brought back, it begins with the first event: what it sends as it did before has no second effect, but what
it decides otherwise, or by a timer at another time, may have.

Examples:
  annals plugin remove account
  annals plugin remove account-balances --delete-view")]
pub(crate) struct RemoveArgs {
    /// The plugin, e.g. `account`
    name: String,

    /// Delete its view, or the instances of a process manager, as well; also when it was removed before
    #[arg(long)]
    delete_view: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Removed {
    name: String,
    deleted_views_count: u64,
    #[serde(default)]
    has_deleted_instances: bool,
}

/// Runs the command.
pub(super) fn run(args: &RemoveArgs, output: &mut Output) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/plugins").join(&args.name);
    let call = Call::delete(path.query("delete_view", args.delete_view.then_some(true)));
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Removed { name, deleted_views_count, has_deleted_instances } = answer.json()?;
    match deleted_views_count {
        _ if has_deleted_instances => {
            output.line(format_args!("removed `{name}` and its instances"))?;
        }
        0 => output.line(format_args!("removed `{name}`"))?,
        1 => output.line(format_args!("removed `{name}` and its view"))?,
        count => output.line(format_args!("removed `{name}` and its {count} views"))?,
    }
    output.note(format_args!(
        "\nIts events stay. Bring it back with:\n  annals plugin rollback {name}"
    ));
    Ok(())
}
