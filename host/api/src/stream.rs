//! Streams without a plugin: events, commands, and appending.

pub(crate) mod append;
pub(crate) mod commands;

use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::name::Category;
use annals_core::place::Revision;
use annals_core::port::event_store::Direction;
use annals_core::stream::StreamId;
use annals_engine::upcast::UpcastEvent;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_bytes;
use crate::event::{EventJson, Events};
use crate::json;
use crate::openapi::ProblemDocument;
use crate::problem::{Problem, bad_stream_id, unknown_stream};
use crate::request::path;
use crate::request::query::{Query, bad};

/// Events of a page when the client does not say.
pub(crate) const PAGE_EVENTS: usize = 100;

/// Reads the events of a stream.
#[utoipa::path(
    get,
    operation_id = "read_stream",
    path = "/v1/streams/{category}/{id}",
    tag = "streams",
    params(
        ("category" = String, Path, description = "The category; those of the host start with `$`."),
        ("id" = String, Path, description = "The id part of the stream."),
        ("from" = Option<u64>, Query, description = "The first revision (inclusive). Absent: the first event, or backwards the last."),
        ("limit" = Option<u64>, Query, description = "Most stored events to return; 100 when absent."),
        ("direction" = Option<String>, Query, description = "`forwards` (the default) or `backwards`."),
        ("upcast" = Option<bool>, Query, description = "`true`: as the installed upcasters make them, to the end of each chain; one stored event may be several, with one revision. Absent: as they are stored."),
    ),
    responses(
        (status = 200, description = "A page of events.", body = StreamPageJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["from", "limit", "direction", "upcast"])?;
    let stream = stream_of(uri)?;
    let limit = query.limit(PAGE_EVENTS, api.options.page_events_max)?;
    let direction = match query.text("direction") {
        None | Some("forwards") => Direction::Forwards,
        Some("backwards") => Direction::Backwards,
        Some(_) => {
            let fault = "has a value it cannot have";
            return Err(bad("direction", fault, "`forwards` or `backwards`"));
        }
    };
    let from = query.number("from")?.map(Revision::new).unwrap_or(match direction {
        Direction::Forwards => Revision::FIRST,
        Direction::Backwards => Revision::new(u64::MAX),
    });
    let store = api.engine.store();
    let page = store.read_stream(&stream, from, limit, direction).await?;
    if page.events.is_empty() && store.stream_info(&stream).await?.revision.0.is_none() {
        return Err(unknown_stream(stream.as_str()));
    }
    let upcast = match query.flag("upcast")? {
        true => Some(upcast(&api, &page.events, direction).await?),
        false => None,
    };
    let events = Events::of(&page.events, upcast.as_deref());
    let mut body = Vec::with_capacity(events.json_bytes());
    json::write(&mut body, &StreamPageJson { stream: stream.as_str(), events, next: page.next })?;
    Ok(json_bytes(body))
}

/// What becomes of events, in the same direction.
async fn upcast(
    api: &Api,
    events: &[RecordedEvent],
    direction: Direction,
) -> Result<Vec<UpcastEvent>, Problem> {
    let mut events = events.to_vec();
    if direction == Direction::Forwards {
        return Ok(api.engine.upcast(events).await?);
    }
    events.reverse();
    let mut upcast = api.engine.upcast(events).await?;
    upcast.reverse();
    Ok(upcast)
}

/// Some events of one stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StreamPage)]
pub(crate) struct StreamPageJson<'a> {
    /// The stream, as `category/id`.
    stream: &'a str,
    /// The events, in the direction asked for.
    #[schema(value_type = Vec<EventJson<'static>>)]
    events: Events<'a>,
    /// The `from` of the next page; null when the stream ends here.
    #[schema(value_type = Option<u64>)]
    next: Option<Revision>,
}

/// The stream of `/v1/streams/{category}/{id}`.
fn stream_of(uri: &Uri) -> Result<StreamId, Problem> {
    let [category, id] = path::segments(uri, 2)?;
    let category = Category::parse_any(&category)?;
    StreamId::new(&category, &id).map_err(|error| bad_stream_id(&error))
}
