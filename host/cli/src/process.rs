//! `annals process`: process managers and their instances, and what to do about those that are parked.
//!
//! `status.rs` is what a daemon says of them, as far as it is printed.

mod list;
mod show;
mod status;
mod unpark;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// See what process managers do, and look after their instances
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
An instance that cannot handle what comes is parked: what comes later waits in order, other instances go
on. So is a stream with an event of which nobody can tell whom it concerns. See the cause with `show`,
mend it, then `replay`.")]
pub(crate) enum ProcessCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Replay(unpark::ReplayArgs),
    Discard(unpark::DiscardArgs),
}

/// Runs the command.
pub(crate) fn run(command: ProcessCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        ProcessCommand::List(args) => list::run(&args, output),
        ProcessCommand::Show(args) => show::run(&args, output),
        ProcessCommand::Replay(args) => unpark::replay(&args, output),
        ProcessCommand::Discard(args) => unpark::discard(&args, output),
    }
}

fn path(name: &str) -> ApiPath {
    ApiPath::new("/v1/processes").join(name)
}

fn send(server: &ServerArgs, call: Call) -> Result<Answer, Failure> {
    tasks::run_here(async { Client::connect(server).await?.send(call).await })
}

#[derive(Debug, Deserialize)]
struct InstancePage {
    instances: Vec<Box<RawValue>>,
    next_page: Option<String>,
}

/// At most `limit` instances that are so, and whether there may be more.
async fn instances(
    client: &mut Client,
    (name, state): (&str, &str),
    limit: usize,
) -> Result<(Vec<Box<RawValue>>, bool), Failure> {
    let (mut all, mut next_page) = (Vec::new(), None);
    loop {
        let path = path(name).join("instances");
        let path = path.query("state", Some(state)).query("page", next_page.as_ref());
        let page: InstancePage = client.send(Call::get(path)).await?.json()?;
        all.extend(page.instances);
        next_page = page.next_page;
        if next_page.is_none() || all.len() > limit {
            let has_more = next_page.is_some() || all.len() > limit;
            all.truncate(limit);
            return Ok((all, has_more));
        }
    }
}

#[derive(Debug, Deserialize)]
struct StreamPage {
    parked: Vec<status::ParkedStream>,
    next_page: Option<String>,
}

/// The streams that wait.
async fn streams(client: &mut Client, name: &str) -> Result<Vec<status::ParkedStream>, Failure> {
    let (mut all, mut next_page) = (Vec::new(), None);
    loop {
        let path = path(name).join("parked-streams").query("page", next_page.as_ref());
        let page: StreamPage = client.send(Call::get(path)).await?.json()?;
        all.extend(page.parked);
        next_page = page.next_page;
        if next_page.is_none() {
            return Ok(all);
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, Failure> {
    serde_json::from_str(json.get())
        .map_err(|error| Failure::ours(format!("an instance does not fit: {error}")))
}
