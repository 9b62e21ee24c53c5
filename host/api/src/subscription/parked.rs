//! Parked events: listed, delivered again, or given up.

use std::sync::Arc;

use annals_core::place::Revision;
use annals_core::stream::StreamId;
use annals_engine::subscription::Release;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::ToSchema;

use super::document::{ParkedEventJson, ParkedEventsJson, ReleasedJson};
use super::name_of;
use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem, bad_stream_id};
use crate::request::query::{Query, bad};
use crate::request::{body, path};

/// Parked events of a page when the client does not say.
const PAGE_EVENTS: usize = 100;

/// Most streams that one request releases by name.
const RELEASED_STREAMS_MAX: usize = 1_000;

/// Lists parked events and those that wait behind them.
#[utoipa::path(
    get,
    operation_id = "list_parked_events",
    path = "/v1/subscriptions/{name}/parked",
    tag = "subscriptions",
    params(
        ("name" = String, Path, description = "The subscription."),
        ("limit" = Option<u64>, Query, description = "Most events to return; 100 when absent."),
        ("page" = Option<String>, Query, description = "The `next_page` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of events, in order of stream and revision.", body = ParkedEventsJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["limit", "page"])?;
    let limit = query.limit(PAGE_EVENTS, api.options.page_rows_max)?;
    let from = query.text("page").map(read_token).transpose()?;
    let [name] = path::segments(uri, 2)?;
    let name = annals_core::name::SubscriptionName::new(&name)?;
    let page = api.engine.subscriptions().parked(&name, from, limit).await?;
    json_response(&ParkedEventsJson {
        parked: page.events.iter().map(ParkedEventJson::new).collect(),
        next_page: page.next.map(|(stream, revision)| token(&stream, revision)),
    })
}

/// The text that stands for the place where a page begins.
fn token(stream: &StreamId, revision: Revision) -> String {
    URL_SAFE_NO_PAD.encode(format!("{revision}/{stream}"))
}

fn read_token(token: &str) -> Result<(StreamId, Revision), Problem> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (revision, stream) = text.split_once('/')?;
        Some((StreamId::parse(stream).ok()?, Revision::new(revision.parse().ok()?)))
    };
    read().ok_or_else(|| {
        bad("page", "is not a token of this host", "the `next_page` of the page before")
    })
}

/// Which parked events are meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ParkedStreams)]
pub(crate) struct ParkedStreamsBody {
    /// Those of these streams, each as `category/id`, at most 1000; all when absent.
    streams: Option<Vec<String>>,
}

/// Delivers parked events again, and then what waits behind them.
#[utoipa::path(
    post,
    operation_id = "replay_parked_events",
    path = "/v1/subscriptions/{name}/parked/replay",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body(content = Option<ParkedStreamsBody>, description = "An empty body counts as `{}`: all."),
    responses(
        (status = 200, description = "How many streams go on.", body = ReleasedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    release(&api, request, Release::Replay).await
}

/// Gives parked events up, and delivers what waits behind them.
#[utoipa::path(
    post,
    operation_id = "discard_parked_events",
    path = "/v1/subscriptions/{name}/parked/discard",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body(content = Option<ParkedStreamsBody>, description = "An empty body counts as `{}`: all."),
    responses(
        (status = 200, description = "How many streams go on.", body = ReleasedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn discard(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    release(&api, request, Release::Discard).await
}

async fn release(api: &Api, request: Request, release: Release) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let name = name_of(&parts.uri)?;
    let whole = body::read_json(api, &parts.headers, body).await?;
    let streams = body::parse::<ParkedStreamsBody>(&whole.bytes)?.streams()?;
    let released = api.engine.subscriptions().release(&name, streams.as_deref(), release).await?;
    json_response(&ReleasedJson { streams_count: released })
}

impl ParkedStreamsBody {
    /// The streams that are meant; `None`: all.
    pub(crate) fn streams(&self) -> Result<Option<Vec<StreamId>>, Problem> {
        let Some(streams) = &self.streams else { return Ok(None) };
        if streams.len() > RELEASED_STREAMS_MAX {
            let text = format!(
                "`streams` has {} entries. Give at most {RELEASED_STREAMS_MAX}, or leave it away for all.",
                streams.len()
            );
            return Err(Problem::new(Code::MalformedBody, text).with("field", "streams"));
        }
        let parsed = streams.iter().map(|stream| StreamId::parse(stream));
        parsed.collect::<Result<_, _>>().map(Some).map_err(|error| bad_stream_id(&error))
    }
}
