//! The commands a stream has decided, rejected ones included:
//! `GET /v1/streams/{category}/{id}/commands`.

use std::sync::Arc;

use annals_core::command::{Outcome, RecordedCommand};
use annals_core::id::{CausationId, CommandId, Digest};
use annals_core::place::{ActualRevision, Partition, Position, Revision};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{PAGE_EVENTS, stream_of};
use crate::Api;
use crate::answer::json_response;
use crate::command::RejectionJson;
use crate::event::{Data, Time};
use crate::json::RawJson;
use crate::openapi::ProblemDocument;
use crate::problem::{Problem, unknown_stream};
use crate::request::query::Query;

/// Reads the commands a stream has decided.
#[utoipa::path(
    get,
    operation_id = "read_stream_commands",
    path = "/v1/streams/{category}/{id}/commands",
    tag = "streams",
    params(
        ("category" = String, Path, description = "The category."),
        ("id" = String, Path, description = "The id part of the stream."),
        ("skip" = Option<u64>, Query, description = "How many of the oldest to pass over; 0 when absent."),
        ("limit" = Option<u64>, Query, description = "Most commands to return; 100 when absent."),
    ),
    responses(
        (status = 200, description = "A page of commands, oldest first.", body = CommandsPage<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["skip", "limit"])?;
    let stream = stream_of(uri)?;
    let limit = query.limit(PAGE_EVENTS, api.options.page_events_max)?;
    let skip = query.number("skip")?.unwrap_or(0);
    let store = api.engine.store();
    let info = store.stream_info(&stream).await?;
    if info.commands_count == 0 && info.revision == ActualRevision::NO_EVENT {
        return Err(unknown_stream(stream.as_str()));
    }
    let commands = store.read_commands(&stream, skip, limit).await?;
    let read = skip.saturating_add(u64::try_from(commands.len()).unwrap_or(u64::MAX));
    json_response(&CommandsPage {
        stream: stream.as_str(),
        next_skip: (!commands.is_empty() && read < info.commands_count).then_some(read),
        commands: Commands(&commands, info.partition),
    })
}

/// Some commands of one stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandsPage<'a> {
    /// The stream, as `category/id`.
    stream: &'a str,
    /// The commands, oldest first.
    #[schema(value_type = Vec<CommandJson<'static>>)]
    commands: Commands<'a>,
    /// The `skip` of the next page; null when there are no more.
    next_skip: Option<u64>,
}

#[derive(Debug)]
struct Commands<'a>(&'a [RecordedCommand], Partition);

impl Serialize for Commands<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|command| CommandJson::new(command, self.1)))
    }
}

/// A decided command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordedCommand)]
pub(crate) struct CommandJson<'a> {
    /// The command's id.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// What was wished for.
    command: &'a str,
    /// Media type of the data, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    /// The command's data, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<RawJson<'a>>,
    /// The command's data, in base64, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    /// `accepted` or `rejected`.
    outcome: &'static str,
    /// What the domain said, when it said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<RejectionJson<'a>>,
    /// Where the stream ended after it; null when it had no event.
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
    /// The position of its last event in the partition; null when it has none.
    #[schema(value_type = Option<u64>)]
    position: Option<Position>,
    /// When it was recorded (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    recorded_at: Time,
    /// The time its plugin was told (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    decided_at: Time,
    /// Content of the plugin that decided.
    #[schema(value_type = String)]
    plugin_digest: Digest,
    /// The message that directly caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    causation_id: Option<CausationId>,
    /// Shared by everything one outside request led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
}

impl<'a> CommandJson<'a> {
    fn new(command: &'a RecordedCommand, partition: Partition) -> Self {
        let record = &command.record;
        let data = Data::new(&record.content_type, &record.data);
        let (outcome, rejection) = match &record.outcome {
            Outcome::Accepted => ("accepted", None),
            Outcome::Rejected(rejection) => ("rejected", Some(RejectionJson::new(rejection))),
        };
        Self {
            command_id: record.id,
            command: record.name.as_str(),
            content_type: data.content_type,
            data: data.json,
            data_base64: data.base64,
            outcome,
            rejection,
            revision: command.revision,
            first_revision: command.events.map(|range| range.first_revision),
            last_revision: command.events.map(|range| range.last_revision),
            partition,
            position: command.events.map(|range| range.last_position),
            recorded_at: Time(command.recorded_at),
            decided_at: Time(record.decided_at),
            plugin_digest: record.plugin,
            causation_id: command.origin.causation_id,
            correlation_id: command.origin.correlation_id.as_ref().map(|id| id.as_str()),
            principal: command.origin.principal.as_deref(),
        }
    }
}
