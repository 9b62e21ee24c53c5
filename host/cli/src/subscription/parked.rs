//! `annals subscription parked`, `replay` and `discard`.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{ask, path};
use crate::args::ServerArgs;
use crate::client::{Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// List parked events, and those that wait behind them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: stream, revision, type, and why it is parked.

Examples:
  annals subscription parked mail
  annals subscription parked mail --output json")]
pub(crate) struct ParkedArgs {
    /// The subscription
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Which parked events.
#[derive(Debug, clap::Args)]
struct Streams {
    /// The subscription
    name: String,

    /// Only of these streams, each as `category/id`; all unless said
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Deliver parked events again, and then what waits behind them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals subscription replay mail               All
  annals subscription replay mail account/a1    Those of one stream")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    streams: Streams,
}

/// Give parked events up for good, and deliver what waits behind them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals subscription discard mail account/a1")]
pub(crate) struct DiscardArgs {
    #[command(flatten)]
    streams: Streams,
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
    cause: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Released {
    streams_count: u64,
}

/// Lists them.
pub(super) fn list(args: &ParkedArgs, output: &mut Output) -> Result<(), Failure> {
    let path = path(&args.name).join("parked");
    tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let mut next_page = None;
        loop {
            let call = Call::get(path.clone().query("page", next_page.as_ref()));
            let page: Page = client.send(call).await?.json()?;
            for parked in page.parked {
                print(&parked, output)?;
            }
            next_page = page.next_page;
            if next_page.is_none() {
                return Ok(());
            }
        }
    })
}

fn print(parked: &RawValue, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(parked);
    }
    let Parked { stream, revision, event_type, cause } = serde_json::from_str(parked.get())
        .map_err(|error| Failure::ours(format!("a parked event does not fit: {error}")))?;
    let why = cause.unwrap_or_else(|| "(waits)".to_owned());
    output.line(format_args!("{stream}  {revision}  {event_type}  {why}"))
}

/// Delivers them again.
pub(super) fn replay(args: &ReplayArgs, output: &mut Output) -> Result<(), Failure> {
    release(&args.streams, "replay", output)
}

/// Gives them up.
pub(super) fn discard(args: &DiscardArgs, output: &mut Output) -> Result<(), Failure> {
    release(&args.streams, "discard", output)
}

fn release(args: &Streams, call: &str, output: &mut Output) -> Result<(), Failure> {
    let body = match args.streams.as_slice() {
        [] => json!({}),
        streams => json!({"streams": streams}),
    };
    let path = path(&args.name).join("parked").join(call);
    let answer = ask(&args.server, Call::post(path, body.to_string()))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Released { streams_count } = answer.json()?;
    output.note(format_args!("{streams_count} streams go on"));
    Ok(())
}
