//! `annals command`: runs one command of an aggregate.

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{input, tasks};

/// Run a command of an aggregate and wait until its outcome is durable
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A command with an id that was sent before is not decided again: the first outcome is printed. Exit
code 1 means that nothing happened, unless the domain rejected the command, which is recorded. A view
that is waited for and does not come in time is said on standard error: the command has succeeded.

Examples:
  annals command account a1 open-account '{\"owner\": \"Athena\", \"initial_cents\": 10}'
  annals command account a1 deposit-funds '{\"cents\": 190}' --expected 0
  annals command account a1 close-account
  annals command account a1 deposit-funds '{\"cents\": 1}' --wait-for account-balances
  annals command account a1 deposit-funds '{\"cents\": 1}' --correlation-id order-4711

`annals trace` shows what a command led to, by its correlation id.")]
pub(crate) struct CommandArgs {
    /// The aggregate that decides, e.g. `account`
    aggregate: String,

    /// Which one, e.g. `a1`
    id: String,

    /// What is wished for, e.g. `deposit-funds`
    command: String,

    /// Its data: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    data: String,

    /// Refuse unless the stream is there: `any`, `no-stream`, `stream-exists` or a revision
    #[arg(long, value_name = "REVISION")]
    expected: Option<String>,

    /// Use this id (a UUID), by which a repeat is recognised
    #[arg(long = "id", id = "command_id", value_name = "UUID")]
    command_id: Option<Uuid>,

    /// Give it this correlation id, which all that it leads to will have; its own id when absent
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,

    /// Say that this event or command caused it
    #[arg(long, value_name = "UUID")]
    causation_id: Option<Uuid>,

    /// Return when the view of this projection has what happened
    #[arg(long, value_name = "PROJECTION")]
    wait_for: Option<String>,

    /// Wait for it at most so many milliseconds; 5000 when absent
    #[arg(long, value_name = "MS", requires = "wait_for")]
    wait_ms: Option<u64>,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    stream: String,
    revision: Option<u64>,
    is_repeat: bool,
    events: Vec<Event>,
    waited_for: Option<WaitedFor>,
}

#[derive(Debug, Deserialize)]
struct WaitedFor {
    projection: String,
    is_reached: bool,
    phase: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Event {
    r#type: String,
    revision: u64,
    data: Box<RawValue>,
}

/// Runs the command.
pub(crate) fn run(args: CommandArgs, output: &mut Output) -> Result<(), Failure> {
    let data = input::json(&args.data)?;
    let path =
        ApiPath::new("/v1/aggregates").join(&args.aggregate).join(&args.id).join(&args.command);
    let path = path.query("wait_for", args.wait_for).query("wait_ms", args.wait_ms);
    let id = args.command_id.map(|id| id.to_string());
    let cause = args.causation_id.map(|id| id.to_string());
    let call = Call::post(path, data.get().to_owned())
        .with("idempotency-key", id.as_deref())
        .with("if-revision", args.expected.as_deref())
        .with("x-correlation-id", args.correlation_id.as_deref())
        .with("x-causation-id", cause.as_deref());
    let answer = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        client.send(call).await
    })?;
    let accepted: Accepted = answer.json()?;
    if accepted.is_repeat {
        output.note("this command was decided before; nothing happened now");
    }
    if let Some(WaitedFor { projection, is_reached: false, phase }) = &accepted.waited_for {
        let phase = phase.as_deref().map_or(String::new(), |phase| format!(", which is {phase}"));
        output.note(format_args!(
            "the command has succeeded, but is not in the view of `{projection}` yet{phase}"
        ));
    }
    if output.is_json() {
        return output.line(answer.text());
    }
    let place =
        accepted.revision.map_or("has no event".to_owned(), |at| format!("is at revision {at}"));
    output.heading(format_args!("{} {place}", accepted.stream))?;
    if accepted.events.is_empty() {
        output.note("accepted, without an event");
    }
    for Event { r#type, revision, data } in &accepted.events {
        output.line(format_args!("{revision:>4}  {type}  {data}"))?;
    }
    Ok(())
}
