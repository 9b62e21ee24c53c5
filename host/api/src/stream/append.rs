//! Appending without a plugin: `POST /v1/streams/{category}/{id}`.

use std::borrow::Cow;
use std::sync::Arc;

use annals_core::commit::{Commit, Receipt};
use annals_core::event::{ContentType, NewEvent, SchemaVersion};
use annals_core::id::{CommandId, CorrelationId, EventId, IdGenerator};
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, Partition, Position, Revision};
use annals_core::stream::StreamId;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::stream_of;
use crate::Api;
use crate::answer::json_response;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::query::Query;
use crate::request::{body, headers};

/// Appends events without asking a plugin.
#[utoipa::path(
    post,
    operation_id = "append_events",
    path = "/v1/streams/{category}/{id}",
    tag = "streams",
    params(
        ("category" = String, Path, description = "The category; those of the host are not written."),
        ("id" = String, Path, description = "The id part of the stream."),
        ("if-revision" = Option<String>, Header, description = "What the sender believes: `any`, `no-stream`, `stream-exists` or a revision."),
        ("idempotency-key" = Option<String>, Header, description = "A UUID from which the ids of the events are derived, so that a repeat is recognised; not beside ids in the body."),
        ("x-correlation-id" = Option<String>, Header, description = "Shared by everything one outside request led to; made when absent."),
        ("x-causation-id" = Option<String>, Header, description = "The id (a UUID) of the event or of the command that the events are the answer to."),
    ),
    request_body = AppendBody<'static>,
    responses(
        (status = 200, description = "Recorded, all of them.", body = AppendedJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn append(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    let stream = stream_of(&parts.uri)?;
    if stream.is_system() {
        return Err(Problem::new(
            Code::SystemCategory,
            "Categories that start with `$` are written by the host alone. Choose another name.",
        ));
    }
    let expected = headers::if_revision(&parts.headers)?;
    let mut origin = headers::origin(&parts.headers)?;
    let key = headers::idempotency_key(&parts.headers)?;
    let whole = body::read_json(&api, &parts.headers, body).await?;
    // The headers are parts of the connection's buffer, which is read into again meanwhile.
    drop(parts);
    let events = new_events(&whole.bytes, &stream, key)?;
    let made = || correlation_of(key, &events, &**api.engine.ids());
    let correlation_id = origin.correlation_id.get_or_insert_with(made).clone();
    let now = api.engine.clock().now();
    let mut commit = Commit::plain(stream.clone(), expected, events, now);
    commit.origin = Arc::new(origin);
    let receipt = durably(&api, commit).await?;
    drop(whole);
    let partition = api.engine.store().capabilities().partition_of(&stream);
    json_response(&AppendedJson::new((&stream, &correlation_id), partition, &receipt))
}

/// The correlation id of an append whose client gave none: the same when it is repeated with the same
/// ids.
fn correlation_of(
    key: Option<CommandId>,
    events: &[NewEvent],
    ids: &dyn IdGenerator,
) -> CorrelationId {
    let first = events.first().and_then(|event| event.id).map(|id| CommandId::new(id.uuid()));
    key.or(first).unwrap_or_else(|| CommandId::new(ids.next_uuid())).into()
}

/// Appends and waits until it is durable.
async fn durably(api: &Api, commit: Commit) -> Result<Receipt, Problem> {
    let appended = async {
        let accepted = api.engine.store().append(commit).await?;
        accepted.durability.wait().await?;
        Ok(accepted.receipt)
    };
    tokio::time::timeout(api.options.outcome_wait_max, appended).await.unwrap_or_else(|_| {
        Err(Problem::new(
            Code::Deadline,
            "The append was not durable in time, and may be or not. Append the events again with \
             the same ids, which is safe and tells.",
        ))
    })
}

/// Events to record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppendBody<'a> {
    /// The events, in order; all are recorded or none.
    #[serde(borrow)]
    events: Vec<AppendEvent<'a>>,
}

/// An event to record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppendEvent<'a> {
    /// What happened, in kebab-case.
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    /// What the event says.
    #[serde(borrow)]
    #[schema(value_type = serde_json::Value)]
    data: &'a RawValue,
    /// Shape of the data; 1 when absent.
    schema_version: Option<u32>,
    /// The id by which a repeat is recognised; for all events or none.
    #[schema(value_type = Option<String>, format = "uuid")]
    id: Option<Uuid>,
    /// A JSON object to keep beside the data.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<&'a RawValue>,
}

fn new_events(
    bytes: &Bytes,
    stream: &StreamId,
    key: Option<CommandId>,
) -> Result<Vec<NewEvent>, Problem> {
    let body: AppendBody<'_> = body::parse(bytes)?;
    let mut events: Vec<NewEvent> = Vec::with_capacity(body.events.len());
    for (ordinal, event) in (0_u32..).zip(body.events) {
        let same = events.last().filter(|last| last.event_type.as_str() == event.r#type);
        let event_type = match same {
            Some(last) => last.event_type.clone(),
            None => EventType::new(&event.r#type)?,
        };
        let id = match (event.id, key) {
            (Some(_), Some(_)) => return Err(both_ids()),
            (Some(id), None) => Some(EventId::new(id)),
            (None, Some(key)) => Some(EventId::derive(key, stream, ordinal)),
            (None, None) => None,
        };
        events.push(NewEvent {
            id,
            event_type,
            schema_version: event.schema_version.map_or(SchemaVersion::FIRST, SchemaVersion),
            content_type: ContentType::Json,
            data: part_of(bytes, event.data),
            metadata: event
                .metadata
                .map_or(Ok(Bytes::new()), |metadata| object(bytes, metadata))?,
        });
    }
    Ok(events)
}

/// The bytes of a value that was parsed from `bytes` by borrowing.
fn part_of(bytes: &Bytes, value: &RawValue) -> Bytes {
    bytes.slice_ref(value.get().as_bytes())
}

fn object(bytes: &Bytes, value: &RawValue) -> Result<Bytes, Problem> {
    if value.get().starts_with('{') {
        return Ok(part_of(bytes, value));
    }
    Err(Problem::new(
        Code::MalformedBody,
        "The metadata of an event is not a JSON object. Send an object, or leave it away.",
    ))
}

fn both_ids() -> Problem {
    Problem::new(
        Code::MalformedAppend,
        "The events have ids and there is an `idempotency-key`. Send one of the two.",
    )
}

/// Where appended events went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Appended)]
pub(crate) struct AppendedJson<'a> {
    /// The stream, as `category/id`.
    stream: &'a str,
    /// Shared by everything that its request led to, to look for with `/v1/correlations`. Of a repeat, that
    /// of the first append is recorded.
    correlation_id: &'a str,
    /// Where the stream ended after the append.
    #[schema(value_type = Option<u64>)]
    revision: ActualRevision,
    /// The revision of the first event.
    #[schema(value_type = Option<u64>)]
    first_revision: Option<Revision>,
    /// The revision of the last event.
    #[schema(value_type = Option<u64>)]
    last_revision: Option<Revision>,
    /// The partition of the feed that the stream is in.
    #[schema(value_type = u32)]
    partition: Partition,
    /// The position of the last event in the partition, to read views with.
    #[schema(value_type = Option<u64>)]
    position: Option<Position>,
    /// When they were recorded (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    recorded_at: Time,
}

impl<'a> AppendedJson<'a> {
    fn new(
        (stream, correlation_id): (&'a StreamId, &'a CorrelationId),
        partition: Partition,
        receipt: &Receipt,
    ) -> Self {
        let first = receipt.streams.first();
        let range = first.and_then(|stream| stream.events);
        Self {
            stream: stream.as_str(),
            correlation_id: correlation_id.as_str(),
            revision: first.map_or(ActualRevision::NO_EVENT, |stream| stream.revision),
            first_revision: range.map(|range| range.first_revision),
            last_revision: range.map(|range| range.last_revision),
            partition,
            position: range.map(|range| range.last_position),
            recorded_at: Time(receipt.recorded_at),
        }
    }
}
