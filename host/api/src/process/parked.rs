//! What a process manager cannot handle: streams that wait, and what is to be done about all of it.

use std::sync::Arc;

use annals_core::name::PluginName;
use annals_core::stream::StreamId;
use annals_engine::process::status::Parked;
use annals_engine::projection::Unpark;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document::{ParkedStreamJson, ParkedStreamsJson};
use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::parked::stream_of_token;
use crate::problem::{Code, Problem, bad_stream_id};
use crate::request::query::Query;
use crate::request::{body, path};

/// Parked streams of one page when nothing is said, and at most.
const PAGE_STREAMS: usize = 100;

/// Most instances and streams that one request names.
const NAMED_MAX: usize = 1_000;

/// Lists the streams with an event of which a process manager cannot tell whom it concerns.
#[utoipa::path(
    get,
    operation_id = "list_process_parked_streams",
    path = "/v1/processes/{name}/parked-streams",
    tag = "processes",
    params(
        ("name" = String, Path, description = "The process manager."),
        ("limit" = Option<u64>, Query, description = "Most streams to return; 100 when absent."),
        ("page" = Option<String>, Query, description = "The `next_page` of the page before."),
    ),
    responses(
        (status = 200, description = "Streams. Their later events wait.", body = ParkedStreamsJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn streams(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::parse(request.uri(), &["limit", "page"])?;
    let [name] = path::segments(request.uri(), 2)?;
    let name = PluginName::new(&name)?;
    let limit = query.limit(PAGE_STREAMS, PAGE_STREAMS)?;
    let after = query.text("page").map(stream_of_token).transpose()?;
    let mut found =
        api.engine.process_parked_streams(&name, after.as_ref(), limit.saturating_add(1)).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let named = found.iter().map(|it| Parked::Stream(it.event.stream.clone()));
    let asked = api.engine.process_asked(&name, &named.collect::<Vec<_>>()).await?;
    let last = found.last().filter(|_| has_more);
    let next_page = last.map(|it| URL_SAFE_NO_PAD.encode(it.event.stream.as_str()));
    let parked = found.iter().zip(asked).map(|(it, asked)| ParkedStreamJson::new(it, asked));
    json_response(&ParkedStreamsJson { parked: parked.collect(), next_page })
}

/// Tells parked instances and streams again what they could not handle, and then what waits.
#[utoipa::path(
    post,
    operation_id = "replay_process",
    path = "/v1/processes/{name}/replay",
    tag = "processes",
    params(("name" = String, Path, description = "The process manager.")),
    request_body(content = Option<ProcessParkedBody>, description = "Which; all that is parked when absent."),
    responses(
        (status = 200, description = "Noted; it is done soon afterwards, in order. What fails again is parked again.", body = AskedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    ask(&api, request, Unpark::Replay).await
}

/// Leaves out what parked instances and streams could not handle, and tells them what waits behind it.
#[utoipa::path(
    post,
    operation_id = "discard_process",
    path = "/v1/processes/{name}/discard",
    tag = "processes",
    params(("name" = String, Path, description = "The process manager.")),
    request_body(content = Option<ProcessParkedBody>, description = "Which; all that is parked when absent."),
    responses(
        (status = 200, description = "Noted; it is done soon afterwards, in order.", body = AskedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn discard(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    ask(&api, request, Unpark::Discard).await
}

async fn ask(api: &Api, request: Request, asked: Unpark) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    let [name] = path::segments(&parts.uri, 2)?;
    let name = PluginName::new(&name)?;
    let whole = body::read_json(api, &parts.headers, body).await?;
    let asked_count = match body::parse::<ProcessParkedBody>(&whole.bytes)?.named()? {
        None => api.engine.ask_process_all(&name, asked).await?,
        Some(named) => {
            // Whether there is such a process manager is told even if nothing is named.
            api.engine.process_progress(&name)?;
            let mut asked_count = 0;
            for parked in &named {
                let is_parked = api.engine.ask_process(&name, parked, asked).await?;
                asked_count += usize::from(is_parked);
            }
            asked_count
        }
    };
    json_response(&AskedJson { asked_count })
}

/// What is meant of what is parked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProcessParkedNames)]
pub(crate) struct ProcessParkedBody {
    /// These instances, by id. With `streams` at most 1000.
    instances: Option<Vec<String>>,
    /// These streams, each as `category/id`. With neither `instances` nor `streams`: all that is parked.
    streams: Option<Vec<String>>,
}

impl ProcessParkedBody {
    /// What is named; `None`: all.
    fn named(self) -> Result<Option<Vec<Parked>>, Problem> {
        if self.instances.is_none() && self.streams.is_none() {
            return Ok(None);
        }
        let (instances, streams) =
            (self.instances.unwrap_or_default(), self.streams.unwrap_or_default());
        let count = instances.len().saturating_add(streams.len());
        if count > NAMED_MAX {
            let text = format!(
                "`instances` and `streams` have {count} entries. Give at most {NAMED_MAX}, or leave \
                 both away for all."
            );
            return Err(Problem::new(Code::MalformedBody, text).with("field", "instances"));
        }
        let mut named: Vec<_> =
            instances.into_iter().map(|id| Parked::Instance(Arc::from(id))).collect();
        for stream in &streams {
            let stream = StreamId::parse(stream).map_err(|error| bad_stream_id(&error))?;
            named.push(Parked::Stream(stream));
        }
        Ok(Some(named))
    }
}

/// What was noted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessAsked)]
pub(crate) struct AskedJson {
    /// How many of the instances and streams are parked.
    asked_count: usize,
}
