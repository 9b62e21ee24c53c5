//! `annals parked`: events that projections could not handle.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{count, table};
use crate::{input, tasks};

/// Look after events that a projection could not handle
#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
An event that a projection cannot handle is tried some times and then parked: later events of its stream
wait behind it, all others go on. See the cause with `show`, mend it, then `replay`.")]
pub(crate) enum ParkedCommand {
    List(ListArgs),
    Show(ShowArgs),
    Replay(ReplayArgs),
    Discard(DiscardArgs),
}

/// List the parked events of a projection
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals parked list account-balances
  annals parked list account-balances --output json")]
pub(crate) struct ListArgs {
    /// The projection, e.g. `account-balances`
    projection: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Show a parked event with its cause
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals parked show account-balances account/a1")]
pub(crate) struct ShowArgs {
    /// The projection, e.g. `account-balances`
    projection: String,

    /// The stream that waits, as `category/id`
    stream: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Give parked events to the projection again, and then what waits behind them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It waits until the streams go on, or their event is parked again, and says so.

Examples:
  annals parked replay account-balances account/a1
  annals parked replay account-balances --all")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Leave parked events out for good, and give the projection what waits behind them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The view is then without what these events would have changed. They stay in the log.

Examples:
  annals parked discard account-balances account/a1")]
pub(crate) struct DiscardArgs {
    #[command(flatten)]
    which: WhichArgs,
}

#[derive(Debug, clap::Args)]
struct WhichArgs {
    /// The projection, e.g. `account-balances`
    projection: String,

    /// The streams that wait, as `category/id`
    #[arg(required_unless_present = "all")]
    streams: Vec<String>,

    /// All streams that wait
    #[arg(long, conflicts_with = "streams")]
    all: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Page {
    parked: Vec<Box<RawValue>>,
    next_page: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Parked {
    stream: String,
    revision: u64,
    event_type: String,
    cause: String,
    attempts: u32,
    parked_at: String,
    asked: Option<String>,
    waiting_count: u64,
}

impl Parked {
    fn parse(json: &RawValue) -> Result<Self, Failure> {
        serde_json::from_str(json.get())
            .map_err(|error| Failure::ours(format!("a parked event does not fit: {error}")))
    }

    fn row(&self) -> Vec<String> {
        // The rest of a cause is a backtrace.
        let cause = self.cause.lines().next().unwrap_or_default();
        let waiting = count(self.waiting_count, "event");
        vec![
            format!("{} {}", self.stream, self.revision),
            self.event_type.clone(),
            format!("{waiting} waiting"),
            cause.chars().take(80).collect(),
        ]
    }
}

/// Runs the command.
pub(crate) fn run(command: ParkedCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        ParkedCommand::List(args) => list(&args, output),
        ParkedCommand::Show(args) => show(&args, output),
        ParkedCommand::Replay(args) => unpark(&args.which, "replay", output),
        ParkedCommand::Discard(args) => unpark(&args.which, "discard", output),
    }
}

fn path(projection: &str) -> ApiPath {
    ApiPath::new("/v1/projections").join(projection).join("parked")
}

fn list(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let all = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        all(&mut client, &args.projection).await
    })?;
    if output.is_json() {
        return all.iter().try_for_each(|parked| output.line(parked));
    }
    if all.is_empty() {
        return output.line(format_args!("no event of `{}` is parked", args.projection));
    }
    let mut rows = Vec::with_capacity(all.len());
    for parked in &all {
        rows.push(Parked::parse(parked)?.row());
    }
    table(&rows).into_iter().try_for_each(|line| output.line(line))?;
    output.note(format_args!(
        "\nSee one with its cause:\n  annals parked show {} STREAM",
        args.projection
    ));
    Ok(())
}

async fn all(client: &mut Client, projection: &str) -> Result<Vec<Box<RawValue>>, Failure> {
    let (mut all, mut next_page) = (Vec::new(), None);
    loop {
        let call = Call::get(path(projection).query("page", next_page.as_ref()));
        let page: Page = client.send(call).await?.json()?;
        all.extend(page.parked);
        next_page = page.next_page;
        if next_page.is_none() {
            return Ok(all);
        }
    }
}

fn show(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    input::stream(&args.stream)?;
    let call = Call::get(path(&args.projection).query("stream", Some(&args.stream)));
    let page: Page =
        tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?.json()?;
    let Some(json) = page.parked.first() else {
        let text = format!("`{}` does not wait in `{}`", args.stream, args.projection);
        let hint = format!("see what does with `annals parked list {}`", args.projection);
        return Err(Failure::yours(text).with_hint(hint));
    };
    if output.is_json() {
        return output.line(json);
    }
    let parked = Parked::parse(json)?;
    let Parked { stream, revision, event_type, attempts, parked_at, asked, .. } = &parked;
    output.heading(format_args!("{event_type}, {stream} at revision {revision}"))?;
    output.line(format_args!(
        "  parked    {parked_at}, after {}",
        count(u64::from(*attempts), "attempt")
    ))?;
    output.line(format_args!("  waiting   {}", count(parked.waiting_count, "later event")))?;
    if let Some(asked) = asked {
        output.line(format_args!("  asked     {asked}"))?;
    }
    parked.cause.lines().enumerate().try_for_each(|(number, line)| {
        let name = if number == 0 { "cause" } else { "" };
        output.line(format_args!("  {name:<9} {line}"))
    })?;
    output.note(format_args!(
        "\nWhen it is mended:\n  annals parked replay {} {stream}",
        args.projection
    ));
    Ok(())
}

/// Time between two looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn unpark(args: &WhichArgs, what: &'static str, output: &mut Output) -> Result<(), Failure> {
    for stream in &args.streams {
        input::stream(stream)?;
    }
    let body = if args.all { json!({}) } else { json!({ "streams": args.streams }) };
    let (before, after) = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let before = meant(&mut client, args).await?;
        let call = Call::post(path(&args.projection).join(what), body.to_string());
        client.send(call).await?;
        loop {
            let left = meant(&mut client, args).await?;
            if left.iter().all(|parked| parked.asked.is_none()) {
                return Ok::<_, Failure>((before, left));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })?;
    let still: BTreeSet<_> = after.iter().map(|parked| parked.stream.as_str()).collect();
    let done = before.iter().filter(|parked| !still.contains(parked.stream.as_str()));
    let done: Vec<_> = done.map(|parked| parked.stream.as_str()).collect();
    if output.is_json() {
        return output.json(&json!({ "going_on": done, "parked": still }));
    }
    if before.is_empty() {
        return output.line("nothing of that is parked");
    }
    let done_what = if what == "replay" { "replayed" } else { "discarded" };
    done.iter()
        .try_for_each(|stream| output.line(format_args!("{done_what}, goes on: {stream}")))?;
    for parked in &after {
        output.line(format_args!("parked again: {} {}", parked.stream, parked.revision))?;
    }
    match after.first() {
        None => Ok(()),
        Some(parked) => {
            let hint = format!("annals parked show {} {}", args.projection, parked.stream);
            let text = format!(
                "{} still cannot be handled",
                count(still.len().try_into().unwrap_or(u64::MAX), "event")
            );
            Err(Failure::yours(text).with_hint(format!("see why with `{hint}`")))
        }
    }
}

/// The parked events that are meant.
async fn meant(client: &mut Client, args: &WhichArgs) -> Result<Vec<Parked>, Failure> {
    let mut meant = Vec::new();
    for json in all(client, &args.projection).await? {
        let parked = Parked::parse(&json)?;
        if args.all || args.streams.contains(&parked.stream) {
            meant.push(parked);
        }
    }
    Ok(meant)
}
