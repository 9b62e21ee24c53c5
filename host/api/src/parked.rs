//! Parked events of projections: which there are, and what is to be done about them.

use std::sync::Arc;

use annals_core::id::EventId;
use annals_core::name::PluginName;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::parked::WaitingStream;
use annals_engine::projection::Unpark;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::problem::{Problem, bad_stream_id};
use crate::request::query::{Query, bad};
use crate::request::{body, path};
use crate::subscription::parked::ParkedStreamsBody;

/// Parked events of one page when nothing is said, and at most.
const PAGE_EVENTS: usize = 100;

/// Lists the parked events of a projection, in order of stream.
#[utoipa::path(
    get,
    operation_id = "list_parked",
    path = "/v1/projections/{name}/parked",
    tag = "projections",
    params(
        ("name" = String, Path, description = "The projection."),
        ("stream" = Option<String>, Query, description = "Only this stream, as `category/id`."),
        ("limit" = Option<u64>, Query, description = "Most parked events to return; 100 when absent."),
        ("page" = Option<String>, Query, description = "The `next_page` of the page before."),
    ),
    responses(
        (status = 200, description = "Parked events. The later events of their streams wait behind them.", body = ParkedPageJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::parse(request.uri(), &["stream", "limit", "page"])?;
    let [name] = path::segments(request.uri(), 2)?;
    let name = PluginName::new(&name)?;
    if let Some(stream) = query.text("stream") {
        let stream = StreamId::parse(stream).map_err(|error| bad_stream_id(&error))?;
        let found = api.engine.parked_of(&name, &stream).await?;
        let parked = found.iter().map(ParkedJson::new).collect();
        return json_response(&ParkedPageJson { parked, next_page: None });
    }
    let limit = query.limit(PAGE_EVENTS, PAGE_EVENTS)?;
    let after = query.text("page").map(stream_of_token).transpose()?;
    let page = api.engine.parked(&name, after.as_ref(), limit).await?;
    let next_page = page.next_after.map(|stream| URL_SAFE_NO_PAD.encode(stream.as_str()));
    let parked = page.events.iter().map(ParkedJson::new).collect();
    json_response(&ParkedPageJson { parked, next_page })
}

/// Gives parked events to the projection again, and then what waits behind them.
#[utoipa::path(
    post,
    operation_id = "replay_parked",
    path = "/v1/projections/{name}/parked/replay",
    tag = "projections",
    params(("name" = String, Path, description = "The projection.")),
    request_body(content = Option<ParkedStreamsBody>, description = "Which; all when absent."),
    responses(
        (status = 200, description = "Noted; it is done soon afterwards, in order. What fails again is parked again.", body = AskedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    unpark(&api, request, Unpark::Replay).await
}

/// Leaves parked events out for good, and gives the projection what waits behind them.
#[utoipa::path(
    post,
    operation_id = "discard_parked",
    path = "/v1/projections/{name}/parked/discard",
    tag = "projections",
    params(("name" = String, Path, description = "The projection.")),
    request_body(content = Option<ParkedStreamsBody>, description = "Which; all when absent."),
    responses(
        (status = 200, description = "Noted; it is done soon afterwards, in order.", body = AskedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn discard(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    unpark(&api, request, Unpark::Discard).await
}

async fn unpark(api: &Api, request: Request, asked: Unpark) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    let [name] = path::segments(&parts.uri, 2)?;
    let name = PluginName::new(&name)?;
    let whole = body::read_json(api, &parts.headers, body).await?;
    let streams = body::parse::<ParkedStreamsBody>(&whole.bytes)?.streams()?;
    let streams_count = api.engine.unpark(&name, streams.as_deref(), asked).await?;
    json_response(&AskedJson { streams_count })
}

pub(crate) fn stream_of_token(token: &str) -> Result<StreamId, Problem> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|it| String::from_utf8(it).ok());
    text.and_then(|text| StreamId::parse(&text).ok()).ok_or_else(|| {
        bad("page", "is not a token of this host", "the `next_page` of the page before")
    })
}

/// What was noted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectionParkedAsked)]
pub(crate) struct AskedJson {
    /// How many of the streams have a parked event.
    streams_count: usize,
}

/// Some parked events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectionParkedPage)]
pub(crate) struct ParkedPageJson<'a> {
    /// In order of stream.
    parked: Vec<ParkedJson<'a>>,
    /// The `page` of the next page; null when this is the last.
    next_page: Option<String>,
}

/// A parked event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectionParked)]
pub(crate) struct ParkedJson<'a> {
    /// Its stream, as `category/id`.
    stream: &'a str,
    /// Its place in the stream.
    revision: u64,
    /// The partition of the feed it is in.
    partition: u32,
    /// Its place in the partition.
    position: u64,
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    event_id: EventId,
    /// What happened.
    event_type: &'a str,
    /// Why it could not be handled, at last.
    cause: &'a str,
    /// How often it was given to the plugin.
    attempts: u32,
    /// When it was parked (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    parked_at: Time,
    /// What is being done about it: `replay`, `discard`, or null.
    #[schema(value_type = Option<String>)]
    asked: Option<Unpark>,
    /// How many later events its stream has.
    waiting_count: u64,
}

impl<'a> ParkedJson<'a> {
    fn new(waiting: &'a WaitingStream) -> Self {
        let parked = &waiting.parked;
        let parked_at: Timestamp = parked.parked_at;
        Self {
            stream: parked.stream.as_str(),
            revision: parked.revision.get(),
            partition: parked.partition.0,
            position: parked.position.get(),
            event_id: parked.event_id,
            event_type: parked.event_type.as_str(),
            cause: &parked.cause,
            attempts: parked.attempts,
            parked_at: Time(parked_at),
            asked: parked.asked,
            waiting_count: waiting.waiting_count,
        }
    }
}
