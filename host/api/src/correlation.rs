//! What one outside request led to: `GET /v1/correlations/{correlation_id}`.

use std::sync::Arc;

use annals_core::command::Outcome;
use annals_core::commit::{Commit, RecordedCommit, StreamAppend};
use annals_core::id::{CausationId, CommandId, CorrelationId, EventId};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Revision};
use annals_core::time::Timestamp;
use annals_engine::correlation::{self, Look, LookPlace};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::command::RejectionJson;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::problem::Problem;
use crate::request::query::{Query, bad};
use crate::request::{headers, path};

/// Looks for all that was recorded with a correlation id.
#[utoipa::path(
    get,
    operation_id = "read_correlation",
    path = "/v1/correlations/{correlation_id}",
    tag = "correlations",
    params(
        ("correlation_id" = String, Path, description = "The id, as the answer to a command and every event say it."),
        ("since" = Option<String>, Query, description = "Pass over what was recorded before this time (RFC 3339 in UTC with milliseconds), as far as that is quick. When absent: an hour before the time in the id when it is a UUID of version 7, else the beginning."),
        ("from" = Option<String>, Query, description = "Go on where the page before ended: its `next`."),
    ),
    responses(
        (status = 200, description = "What was found in about a second; `next` says where to go on.", body = CorrelationPage<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn look(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["since", "from"])?;
    let [text] = path::segments(uri, 2)?;
    let id = CorrelationId::new(&text).map_err(|_| headers::bad_correlation_id())?;
    let since = query.text("since").map(since).transpose()?;
    let since = since.or_else(|| correlation::default_since(&id));
    let partitions_count = api.engine.store().capabilities().partitions_count;
    let from = query.text("from").map(|text| place(text, partitions_count)).transpose()?;
    let look = Look { id, since, from };
    let page = correlation::look(&**api.engine.store(), &look).await?;
    json_response(&CorrelationPage {
        correlation_id: look.id.as_str(),
        since: since.map(Time),
        commits: Commits(&page.commits),
        commits_looked_at: page.looked_at_count,
        next: page.next.map(|place| place.to_string()),
    })
}

fn since(text: &str) -> Result<Timestamp, Problem> {
    let expected = "a time like `2026-11-20T09:30:00.000Z`: in UTC, with milliseconds";
    text.parse().map_err(|_| bad("since", "is not a time", expected))
}

fn place(text: &str, partitions_count: u32) -> Result<LookPlace, Problem> {
    let place = text.parse().ok().filter(|place: &LookPlace| place.partition.0 < partitions_count);
    place.ok_or_else(|| bad("from", "is not a place", "the `next` of the page before"))
}

/// Some of what was recorded with a correlation id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorrelationPage<'a> {
    /// The id that was looked for.
    correlation_id: &'a str,
    /// Commits before this time were passed over, as far as that is quick (RFC 3339); null when none were.
    #[schema(value_type = Option<String>, format = "date-time")]
    since: Option<Time>,
    /// What was found, by partition, in the order in which it was recorded there. Nothing may be found
    /// before `next` is null.
    #[schema(value_type = Vec<CorrelatedCommit<'static>>)]
    commits: Commits<'a>,
    /// How many commits were looked at for this page.
    commits_looked_at: u64,
    /// The `from` of the next page; null when everything was looked at.
    next: Option<String>,
}

#[derive(Debug)]
struct Commits<'a>(&'a [(Partition, RecordedCommit)]);

impl Serialize for Commits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let commits = self.0.iter();
        serializer.collect_seq(commits.map(|(_, recorded)| CorrelatedCommit::new(&recorded.commit)))
    }
}

/// What was recorded together: a command with its events, or events of an append. Without data, which
/// their streams have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorrelatedCommit<'a> {
    /// When it was recorded (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    recorded_at: Time,
    /// The message that directly caused the command or the append.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    causation_id: Option<CausationId>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    /// The command that was decided; absent when events were appended without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CorrelatedCommand<'a>>,
    /// The events.
    #[schema(value_type = Vec<CorrelatedEvent<'static>>)]
    events: CorrelatedEvents<'a>,
}

/// A decided command, without its data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorrelatedCommand<'a> {
    /// The command's id.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// What was wished for.
    command: &'a str,
    /// The stream it was decided on, as `category/id`.
    stream: &'a str,
    /// `accepted` or `rejected`.
    outcome: &'static str,
    /// What the domain said, when it said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<RejectionJson<'a>>,
}

/// An event, without its data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorrelatedEvent<'a> {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    id: EventId,
    /// The stream it belongs to, as `category/id`.
    stream: &'a str,
    /// Its place in the stream.
    #[schema(value_type = u64)]
    revision: Revision,
    /// What happened.
    r#type: &'a str,
    /// Shape of its data.
    schema_version: u32,
}

impl<'a> CorrelatedCommit<'a> {
    fn new(commit: &'a Commit) -> Self {
        let command = commit.command.as_ref().map(|record| {
            let (outcome, rejection) = match &record.outcome {
                Outcome::Accepted => ("accepted", None),
                Outcome::Rejected(rejection) => ("rejected", Some(RejectionJson::new(rejection))),
            };
            CorrelatedCommand {
                command_id: record.id,
                command: record.name.as_str(),
                stream: record.stream.as_str(),
                outcome,
                rejection,
            }
        });
        Self {
            recorded_at: Time(commit.recorded_at),
            causation_id: commit.origin.causation_id,
            principal: commit.origin.principal.as_deref(),
            command,
            events: CorrelatedEvents(commit),
        }
    }
}

#[derive(Debug)]
struct CorrelatedEvents<'a>(&'a Commit);

impl Serialize for CorrelatedEvents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let command = self.0.command.as_ref().map(|record| record.id);
        serializer.collect_seq(self.0.streams.iter().flat_map(|part| events_of(part, command)))
    }
}

/// The events of one stream's part of a recorded commit.
fn events_of(
    part: &StreamAppend,
    command: Option<CommandId>,
) -> impl Iterator<Item = CorrelatedEvent<'_>> {
    // What is recorded expects each stream exactly where it was.
    let before = match part.expected {
        ExpectedRevision::Exactly(revision) => ActualRevision::from(revision),
        _ => ActualRevision::NO_EVENT,
    };
    let first = before.next();
    (0_u32..).zip(&part.events).map(move |(ordinal, event)| {
        let derived = || EventId::derive(command.unwrap_or(NO_COMMAND), &part.stream, ordinal);
        CorrelatedEvent {
            // Events of a plain append are recorded with their ids.
            id: event.id.unwrap_or_else(derived),
            stream: part.stream.as_str(),
            revision: first.plus(u64::from(ordinal)),
            r#type: event.event_type.as_str(),
            schema_version: event.schema_version.0,
        }
    })
}

/// Stands where no id is derived.
const NO_COMMAND: CommandId = CommandId::new(uuid::Uuid::nil());
