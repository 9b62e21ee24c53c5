//! `annals stream append`: appends an event without asking a plugin.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{input, tasks};

/// Append an event to a stream without asking an aggregate
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An aggregate that reads the stream takes the event as it is: no rule is asked. To keep the rules, use
`annals command`.

Examples:
  annals stream append note/n1 note-taken '{\"text\": \"milk\"}'
  annals stream append note/n1 note-taken '{\"text\": \"eggs\"}' --expected 0")]
pub(crate) struct AppendArgs {
    /// The stream, as `category/id`
    stream: String,

    /// What happened, in the past tense, e.g. `note-taken`
    #[arg(value_name = "TYPE")]
    event_type: String,

    /// What the event says: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    data: String,

    /// Refuse unless the stream is there: `any`, `no-stream`, `stream-exists` or a revision
    #[arg(long, value_name = "REVISION")]
    expected: Option<String>,

    /// Use this id (a UUID), by which a repeat is recognised
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,

    /// Give it this correlation id, which all that it leads to will have; made when absent
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,

    /// Say that this event or command caused it
    #[arg(long, value_name = "UUID")]
    causation_id: Option<Uuid>,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    events: [NewEvent<'a>; 1],
}

#[derive(Debug, Serialize)]
struct NewEvent<'a> {
    r#type: &'a str,
    data: &'a RawValue,
}

#[derive(Debug, Deserialize)]
struct Appended {
    stream: String,
    revision: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(args: &AppendArgs, output: &mut Output) -> Result<(), Failure> {
    let (category, id) = input::stream(&args.stream)?;
    let data = input::json(&args.data)?;
    let body = Body { events: [NewEvent { r#type: &args.event_type, data: &data }] };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Failure::ours(format!("the event has no JSON form: {error}")))?;
    let key = args.id.map(|id| id.to_string());
    let cause = args.causation_id.map(|id| id.to_string());
    let call = Call::post(ApiPath::new("/v1/streams").join(&category).join(&id), body)
        .with("idempotency-key", key.as_deref())
        .with("if-revision", args.expected.as_deref())
        .with("x-correlation-id", args.correlation_id.as_deref())
        .with("x-causation-id", cause.as_deref());
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Appended { stream, revision } = answer.json()?;
    let place =
        revision.map_or_else(|| "has no event".to_owned(), |at| format!("is at revision {at}"));
    output.line(format_args!("{stream} {place}"))
}
