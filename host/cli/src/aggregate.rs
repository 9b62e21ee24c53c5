//! `annals aggregate`: shows the state of an aggregate, now or as it was.

use serde::Deserialize;
use serde_json::Value;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Look at aggregates
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AggregateCommand {
    Show(ShowArgs),
}

/// Show the state of an aggregate, now or as it was at a revision
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals aggregate show account a1
  annals aggregate show account a1 --revision 0      As it was after its first event")]
pub(crate) struct ShowArgs {
    /// The aggregate, e.g. `account`
    aggregate: String,

    /// Which one, e.g. `a1`
    id: String,

    /// Show it as it was after the event at this revision
    #[arg(long, value_name = "REVISION")]
    revision: Option<u64>,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct State {
    stream: String,
    revision: u64,
    state: Value,
}

/// Runs the command.
pub(crate) fn run(command: AggregateCommand, output: &mut Output) -> Result<(), Failure> {
    let AggregateCommand::Show(args) = command;
    let path = ApiPath::new("/v1/aggregates")
        .join(&args.aggregate)
        .join(&args.id)
        .query("revision", args.revision);
    let answer = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        client.send(Call::get(path)).await
    })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let State { stream, revision, state } = answer.json()?;
    output.heading(format_args!("{stream} at revision {revision}"))?;
    output.line(format_args!("{state:#}"))
}
