//! `annals schedule`: commands that the daemon sends when their time has come.

mod add;
mod show;

use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Have commands sent at a time, after a while, or again and again
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ScheduleCommand {
    Add(add::AddArgs),
    List(show::ListArgs),
    Show(show::ShowArgs),
    Cancel(show::CancelArgs),
    Retry(show::RetryArgs),
}

/// Runs the command.
pub(crate) fn run(command: ScheduleCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        ScheduleCommand::Add(args) => add::run(&args, output),
        ScheduleCommand::List(args) => show::list(&args, output),
        ScheduleCommand::Show(args) => show::show(&args, output),
        ScheduleCommand::Cancel(args) => show::cancel(&args, output),
        ScheduleCommand::Retry(args) => show::retry(&args, output),
    }
}

fn schedules() -> ApiPath {
    ApiPath::new("/v1/schedules")
}

fn ask(server: &ServerArgs, call: Call) -> Result<Answer, Failure> {
    tasks::run_here(async { Client::connect(server).await?.send(call).await })
}
