//! `annals subscription`: makes and shows subscriptions, and does what their members do.

mod create;
mod members;
mod parked;
mod show;

use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Share events by name: each goes to one member at a time
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SubscriptionCommand {
    Create(create::CreateArgs),
    List(show::ListArgs),
    Show(show::ShowArgs),
    Delete(show::DeleteArgs),
    Lease(members::LeaseArgs),
    Ack(members::AckArgs),
    Retry(members::RetryArgs),
    Extend(members::ExtendArgs),
    Park(members::ParkArgs),
    Parked(parked::ParkedArgs),
    Replay(parked::ReplayArgs),
    Discard(parked::DiscardArgs),
}

/// Runs the command.
pub(crate) fn run(command: SubscriptionCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        SubscriptionCommand::Create(args) => create::run(&args, output),
        SubscriptionCommand::List(args) => show::list(&args, output),
        SubscriptionCommand::Show(args) => show::show(&args, output),
        SubscriptionCommand::Delete(args) => show::delete(&args, output),
        SubscriptionCommand::Lease(args) => members::lease(&args, output),
        SubscriptionCommand::Ack(args) => members::ack(&args, output),
        SubscriptionCommand::Retry(args) => members::retry(&args, output),
        SubscriptionCommand::Extend(args) => members::extend(&args, output),
        SubscriptionCommand::Park(args) => members::park(&args, output),
        SubscriptionCommand::Parked(args) => parked::list(&args, output),
        SubscriptionCommand::Replay(args) => parked::replay(&args, output),
        SubscriptionCommand::Discard(args) => parked::discard(&args, output),
    }
}

/// The path of a subscription.
fn path(name: &str) -> ApiPath {
    ApiPath::new("/v1/subscriptions").join(name)
}

fn ask(server: &ServerArgs, call: Call) -> Result<Answer, Failure> {
    tasks::run_here(async { Client::connect(server).await?.send(call).await })
}
