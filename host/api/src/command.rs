//! Running one command: `POST /v1/aggregates/{aggregate}/{id}/{command}`.

pub(crate) mod waiter;

use std::sync::Arc;

use annals_core::id::{CommandId, EventId};
use annals_core::name::{CommandName, PluginName};
use annals_core::place::{ActualRevision, Partition, Position, Revision};
use annals_engine::command::{CommandError, CommandOutcome, CommandRequest, OutcomeEvent, Verdict};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::event::Time;
use crate::json::RawJson;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Member, Problem, outcome_unknown};
use crate::request::query::Query;
use crate::request::{body, headers, path};
use waiter::{Decided, WaitedFor, Waiter};

/// Runs one command and waits until its outcome is durable.
#[utoipa::path(
    post,
    operation_id = "run_command",
    path = "/v1/aggregates/{aggregate}/{id}/{command}",
    tag = "commands",
    params(
        ("aggregate" = String, Path, description = "The aggregate that decides."),
        ("id" = String, Path, description = "The id part of the stream."),
        ("command" = String, Path, description = "What is wished for."),
        ("idempotency-key" = Option<String>, Header, description = "The command id (a UUID) by which a repeat is recognised; made when absent."),
        ("wait_for" = Option<String>, Query, description = "Answer when the view of this projection has the command's last event, or `wait_ms` is over; `waited_for` in the answer says which."),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for it; 5000 when absent."),
        ("if-revision" = Option<String>, Header, description = "What the sender believes: `any`, `no-stream`, `stream-exists` or a revision."),
        ("x-correlation-id" = Option<String>, Header, description = "Shared by everything one outside request led to; the command id when absent."),
        ("x-causation-id" = Option<String>, Header, description = "The id (a UUID) of the event or of the command that this command is the answer to."),
    ),
    request_body(content = Option<serde_json::Value>, description = "The command's data; an empty body counts as `{}`."),
    responses(
        (status = 200, description = "Accepted.", body = CommandAccepted<'static>),
        (status = 422, description = "The domain said no: `rejection` has its code and text.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn run(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(&parts.uri, &["wait_for", "wait_ms"])?;
    let waiter = Waiter::new(query.text("wait_for"), query.number("wait_ms")?, &api)?;
    let [aggregate, id, command] = path::segments(&parts.uri, 2)?;
    let mut wish = CommandRequest {
        aggregate: PluginName::new(&aggregate)?,
        id: id.into_owned(),
        command: CommandName::new(&command)?,
        data: bytes::Bytes::new(),
        command_id: headers::idempotency_key(&parts.headers)?,
        id_is_new: false,
        expected: headers::if_revision(&parts.headers)?,
        origin: headers::origin(&parts.headers)?,
    };
    let whole = body::read_json(&api, &parts.headers, body).await?;
    wish.data = whole.bytes.clone();
    // The headers are parts of the connection's buffer, which is read into again meanwhile.
    drop(parts);
    let outcome = decide(&api, wish).await?;
    drop(whole);
    let decided = waiter::wait(&api, waiter, outcome).await;
    json_response(&CommandAccepted::new(&decided)?)
}

/// Runs a command; a rejection is a problem.
pub(crate) async fn decide(api: &Api, mut wish: CommandRequest) -> Result<CommandOutcome, Problem> {
    // Made here when the client gave none, so that a failure can name the id to repeat it with.
    wish.id_is_new = wish.command_id.is_none();
    let command_id =
        *wish.command_id.get_or_insert_with(|| CommandId::new(api.engine.ids().next_uuid()));
    let data = wish.data.clone();
    let executed = api.engine.execute(wish);
    let Ok(outcome) = tokio::time::timeout(api.options.outcome_wait_max, executed).await else {
        return Err(too_late(api, command_id));
    };
    match outcome {
        Ok(outcome) => Ok(outcome),
        Err(CommandError::Malformed { command, message, pointer, expected }) => {
            Err(body::malformed_json(&data).unwrap_or_else(|| {
                CommandError::Malformed { command, message, pointer, expected }.into()
            }))
        }
        Err(error) => Err(error.into()),
    }
}

fn too_late(api: &Api, command_id: CommandId) -> Problem {
    let wait_ms = api.options.outcome_wait_max.as_millis();
    let unknown = outcome_unknown(&command_id.to_string());
    unknown.instead(
        Code::Deadline,
        format!(
            "There was no outcome within {wait_ms} ms. Send it again with `command_id` as \
             `idempotency-key`, which is safe and tells."
        ),
    )
}

/// An accepted command.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandAccepted<'a> {
    /// The command's id.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// Shared by everything that its request led to, to look for with `/v1/correlations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    /// The stream it was decided on, as `category/id`.
    stream: &'a str,
    /// `accepted`.
    outcome: &'static str,
    /// Where the stream ended after it; null when it has no event.
    #[schema(value_type = Option<u64>)]
    revision: ActualRevision,
    /// The revision of its first event; null when it has none.
    #[schema(value_type = Option<u64>)]
    first_revision: Option<Revision>,
    /// The revision of its last event; null when it has none.
    #[schema(value_type = Option<u64>)]
    last_revision: Option<Revision>,
    /// The partition of the feed that the stream is in.
    #[schema(value_type = u32)]
    partition: Partition,
    /// The position of its last event in the partition, to read views with; null when it has none.
    #[schema(value_type = Option<u64>)]
    position: Option<Position>,
    /// When it was recorded (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    recorded_at: Time,
    /// Whether it was decided before, and nothing happened now.
    is_repeat: bool,
    /// Its events.
    #[schema(value_type = Vec<CommandEvent<'static>>)]
    events: CommandEvents<'a>,
    /// Whether the view asked for by `wait_for` has its last event; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_for: Option<&'a WaitedFor>,
}

impl<'a> CommandAccepted<'a> {
    /// The form of an outcome, or the problem a rejection is.
    pub(crate) fn new(decided: &'a Decided) -> Result<Self, Problem> {
        let Decided { outcome, waited_for } = decided;
        let events = match &outcome.verdict {
            Verdict::Accepted(events) => events.as_slice(),
            Verdict::Rejected(rejection) => return Err(rejected(outcome, rejection)),
        };
        Ok(Self {
            command_id: outcome.command_id,
            correlation_id: outcome.correlation_id.as_ref().map(|id| id.as_str()),
            stream: outcome.stream.as_str(),
            outcome: "accepted",
            revision: outcome.revision,
            first_revision: events.first().map(|event| event.revision),
            last_revision: events.last().map(|event| event.revision),
            partition: outcome.partition,
            position: outcome.position,
            recorded_at: Time(outcome.recorded_at),
            is_repeat: outcome.is_repeat,
            events: CommandEvents(events),
            waited_for: waited_for.as_ref(),
        })
    }
}

/// An event a command led to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandEvent<'a> {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    id: EventId,
    /// Its type.
    r#type: &'a str,
    /// Shape of its data.
    schema_version: u32,
    /// Its place in the stream.
    #[schema(value_type = u64)]
    revision: Revision,
    /// What it says.
    #[schema(value_type = serde_json::Value)]
    data: RawJson<'a>,
}

#[derive(Debug)]
struct CommandEvents<'a>(&'a [OutcomeEvent]);

impl Serialize for CommandEvents<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|event| CommandEvent {
            id: event.id,
            r#type: event.event_type.as_str(),
            schema_version: event.schema_version.0,
            revision: event.revision,
            data: RawJson(&event.data),
        }))
    }
}

/// What the domain said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rejection)]
pub(crate) struct RejectionJson<'a> {
    /// Stable and kebab-case.
    code: &'a str,
    /// A sentence for people.
    message: &'a str,
    /// More than a sentence, when the domain has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    detail: Option<RawJson<'a>>,
}

impl<'a> RejectionJson<'a> {
    pub(crate) fn new(rejection: &'a annals_core::command::Rejection) -> Self {
        let has_detail = !rejection.detail.is_empty();
        Self {
            code: &rejection.code,
            message: &rejection.message,
            detail: has_detail.then_some(RawJson(&rejection.detail)),
        }
    }
}

fn rejected(outcome: &CommandOutcome, rejection: &annals_core::command::Rejection) -> Problem {
    let said = match crate::json::to_vec(&RejectionJson::new(rejection)) {
        Ok(said) => Member::Raw(said.into()),
        Err(problem) => return problem,
    };
    let problem = Problem::new(Code::Rejected, rejection.message.to_string())
        .with("rejection", said)
        .with("command_id", outcome.command_id.to_string())
        .with("stream", outcome.stream.as_str())
        .with("revision", outcome.revision.0.map(Revision::get))
        .with("is_repeat", outcome.is_repeat);
    match &outcome.correlation_id {
        Some(id) => problem.with("correlation_id", id.as_str()),
        None => problem,
    }
}
