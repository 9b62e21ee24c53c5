//! `annals stream read`: the events of a stream, or the commands it decided.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Event;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{input, tasks};

/// Read the events of a stream, or the commands it has decided
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals stream read account/a1
  annals stream read account/a1 --backwards --limit 1   The last event
  annals stream read account/a1 --commands              What was asked, and what became of it
  annals stream read account/a1 --upcast                As the installed upcasters make them")]
pub(crate) struct ReadArgs {
    /// The stream, as `category/id`
    stream: String,

    /// Begin at this revision; with `--commands`, pass over so many
    #[arg(long, value_name = "REVISION")]
    from: Option<u64>,

    /// Read at most so many; all when absent
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,

    /// Read the newest first
    #[arg(long)]
    backwards: bool,

    /// Read events as the installed upcasters make them, instead of as they are stored. One stored
    /// event may be several, with one revision; `--limit` counts stored ones
    #[arg(long, conflicts_with = "commands")]
    upcast: bool,

    /// Read commands, rejected ones included, instead of events
    #[arg(long, conflicts_with = "backwards")]
    commands: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// Events or commands of one page.
const PAGE_MAX: u64 = 1_000;

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(alias = "commands")]
    events: Vec<Box<RawValue>>,
    #[serde(alias = "next_skip")]
    next: Option<u64>,
}

impl Page {
    /// How many events or commands it has.
    fn count(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    /// How many stored events its upcast ones were: those of one revision are one.
    fn stored_count(&self) -> Result<u64, Failure> {
        let mut revisions = Vec::new();
        for event in &self.events {
            revisions.push(Event::parse(event.get())?.revision);
        }
        revisions.dedup();
        Ok(u64::try_from(revisions.len()).unwrap_or(u64::MAX))
    }
}

#[derive(Debug, Deserialize)]
struct Command {
    command: String,
    recorded_at: String,
    outcome: String,
    rejection: Option<Rejection>,
    revision: Option<u64>,
    data: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Rejection {
    code: String,
    message: String,
}

/// Runs the command.
pub(crate) fn run(args: &ReadArgs, output: &mut Output) -> Result<(), Failure> {
    let (category, id) = input::stream(&args.stream)?;
    let path = ApiPath::new("/v1/streams").join(&category).join(&id);
    let (path, from_name) = if args.commands {
        (path.join("commands"), "skip")
    } else {
        let direction = args.backwards.then_some("backwards");
        let upcast = args.upcast.then_some("true");
        (path.query("direction", direction).query("upcast", upcast), "from")
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut from = args.from;
    tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        while left > 0 {
            let path = path.clone().query(from_name, from).query("limit", Some(left.min(PAGE_MAX)));
            let page: Page = client.send(Call::get(path)).await?.json()?;
            for one in &page.events {
                if output.is_json() {
                    output.line(one)?;
                } else if args.commands {
                    print_command(one, output)?;
                } else {
                    print_event(one, output)?;
                }
            }
            let count = if args.upcast { page.stored_count()? } else { page.count() };
            left = left.saturating_sub(count);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(())
    })
}

fn print_event(json: &RawValue, output: &mut Output) -> Result<(), Failure> {
    let event = Event::parse(json.get())?;
    let (Event { revision, recorded_at, r#type, .. }, data) = (&event, event.data());
    output.line(format_args!("{revision:>4}  {recorded_at}  {type}  {data}{}", event.stored()))
}

fn print_command(json: &RawValue, output: &mut Output) -> Result<(), Failure> {
    let command: Command = serde_json::from_str(json.get())
        .map_err(|error| Failure::ours(format!("a command does not fit: {error}")))?;
    let Command { command, recorded_at, outcome, rejection, revision, data } = command;
    let outcome = match (rejection, revision) {
        (Some(Rejection { code, message }), _) => format!("{outcome} ({code}: {message})"),
        (None, Some(revision)) => format!("{outcome}, then at revision {revision}"),
        (None, None) => outcome,
    };
    let data = data.map(|data| data.get().to_owned()).unwrap_or_default();
    output.line(format_args!("{recorded_at}  {command}  {data}  {outcome}"))
}
