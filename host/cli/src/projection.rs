//! `annals projection`: how far views are, and building them anew beside the ones that serve.
//!
//! `status.rs` is what a daemon says of a projection, as far as it is printed.

mod list;
mod rebuild;
mod show;
mod status;

use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;
use status::Projection;

/// See how far projections are, and rebuild their views
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProjectionCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Rebuild(rebuild::RebuildArgs),
    CutOver(CutOverArgs),
    Cancel(CancelArgs),
    Rollback(RollbackArgs),
}

/// Let the view that was rebuilt serve from now on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For a rebuild with `--on-request`, or one that found rows that differ. It must have caught up and been
compared. The view that served is followed further for an hour, or what `rollback_window` says.

Examples:
  annals projection cut-over account-balances")]
pub(crate) struct CutOverArgs {
    /// The projection, e.g. `account-balances`
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// End a rebuild and delete what it built
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The view that serves is not touched.

Examples:
  annals projection cancel account-balances")]
pub(crate) struct CancelArgs {
    /// The projection, e.g. `account-balances`
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Let the view of before the last cut-over serve again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It was followed all the time, so it serves at once and lacks nothing. What was rebuilt is deleted. When
the rebuild was of another version, the version of before is active again. Without a cut-over in the last
hour, or what `rollback_window` says, there is nothing to go back to.

Examples:
  annals projection rollback account-balances")]
pub(crate) struct RollbackArgs {
    /// The projection, e.g. `account-balances`
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) fn run(command: ProjectionCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        ProjectionCommand::List(args) => list::run(&args, output),
        ProjectionCommand::Show(args) => show::run(&args, output),
        ProjectionCommand::Rebuild(args) => rebuild::run(&args, output),
        ProjectionCommand::CutOver(args) => {
            let path = path(&args.name).join("rebuild").join("cut-over");
            let answer = send(&args.server, Call::post(path, ""))?;
            said(&answer, output, |it| {
                format!("`{}` {} serves the view that was rebuilt", it.name, it.version)
            })?;
            note_way_back(&args.name, output);
            Ok(())
        }
        ProjectionCommand::Cancel(args) => {
            let answer = send(&args.server, Call::delete(path(&args.name).join("rebuild")))?;
            said(&answer, output, |it| format!("the rebuild of `{}` is cancelled", it.name))
        }
        ProjectionCommand::Rollback(args) => {
            let path = path(&args.name).join("rollback");
            let answer = send(&args.server, Call::post(path, ""))?;
            said(&answer, output, |it| {
                format!("`{}` {} serves the view of before again", it.name, it.version)
            })
        }
    }
}

fn path(name: &str) -> ApiPath {
    ApiPath::new("/v1/projections").join(name)
}

fn send(server: &ServerArgs, call: Call) -> Result<Answer, Failure> {
    tasks::run_here(async { Client::connect(server).await?.send(call).await })
}

fn said(
    answer: &Answer,
    output: &mut Output,
    text: impl FnOnce(&Projection) -> String,
) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(answer.text());
    }
    output.line(text(&answer.json()?))
}

fn note_way_back(name: &str, output: &mut Output) {
    if !output.is_json() {
        output.note(format_args!("\nGo back with:\n  annals projection rollback {name}"));
    }
}
