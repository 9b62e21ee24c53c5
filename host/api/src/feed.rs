//! The feed of all events: `GET /v1/events`, page by page or as an event stream.

mod sse;

use std::sync::Arc;
use std::time::Duration;

use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{FeedFilter, FeedPage};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_bytes;
use crate::event::{EventJson, Events};
use crate::json;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::headers;
use crate::request::query::Query;
use crate::stream::PAGE_EVENTS;

/// Reads the feed of all events; with `accept: text/event-stream` it catches up, then follows.
#[utoipa::path(
    get,
    operation_id = "read_events",
    path = "/v1/events",
    tag = "events",
    params(
        ("partition" = Option<u32>, Query, description = "Which partition of the feed; may be absent when the store has one."),
        ("after" = Option<u64>, Query, description = "The position in the partition after which to begin (exclusive); the first event when absent."),
        ("category" = Option<String>, Query, description = "Only these categories, separated by commas. Absent: all but the host's own."),
        ("type" = Option<String>, Query, description = "Only these event types, separated by commas."),
        ("stream_prefix" = Option<String>, Query, description = "Only streams whose `category/id` starts with this."),
        ("upcast" = Option<bool>, Query, description = "`true`: as the installed upcasters make them, to the end of each chain; one stored event may be several, with one position. `type` is that of stored events. Absent: as they are stored."),
        ("limit" = Option<u64>, Query, description = "Most stored events to return; 100 when absent. Not for event streams."),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for an event when there is none. Not for event streams."),
        ("last-event-id" = Option<String>, Header, description = "Event streams: the position of the last event received; goes before `after`."),
    ),
    responses(
        (status = 200, description = "A page of events, or an event stream: `id` is the position, `data` the event; `event: caught-up` tells that the head was reached, `event: fell-behind` that the client is too slow, and where it is; `data` has `partition`, `position`, `reason` (`behind`: it goes on; `stalled`: it ends) and `head`.",
            content((FeedPageJson<'static> = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    if headers::wants_event_stream(request.headers()) {
        return sse::follow(api, request).await;
    }
    let known =
        ["partition", "after", "category", "type", "stream_prefix", "upcast", "limit", "wait_ms"];
    let query = Query::parse(request.uri(), &known)?;
    let partition = query.partition(api.engine.store().capabilities().partitions_count)?;
    let after = query.number("after")?.map(Position::new);
    let limit = query.limit(PAGE_EVENTS, api.options.page_events_max)?;
    let filter = query.feed_filter()?;
    let is_upcast = query.flag("upcast")?;
    let wait = query.wait(Duration::ZERO, api.options.wait_max)?;
    not_ahead(&api, partition, after).await?;
    let page = page(&api, (partition, after), &filter, limit, wait).await?;
    let upcast = match is_upcast {
        true => Some(api.engine.upcast(page.events.clone()).await?),
        false => None,
    };
    let events = Events::of(&page.events, upcast.as_deref());
    let mut body = Vec::with_capacity(events.json_bytes());
    let (read_up_to, is_at_head) = (page.read_up_to, page.is_at_head);
    json::write(&mut body, &FeedPageJson { partition, events, read_up_to, is_at_head })?;
    Ok(json_bytes(body))
}

/// Refuses a position that no event has yet: whoever waits there would miss the events up to it.
async fn not_ahead(
    api: &Api,
    partition: Partition,
    after: Option<Position>,
) -> Result<(), Problem> {
    let Some(after) = after else { return Ok(()) };
    let head = api.engine.store().head(partition).await?;
    if Some(after) <= head {
        return Ok(());
    }
    let newest = match head {
        Some(head) => format!("whose newest event is at {head}"),
        None => "which has no event there".to_owned(),
    };
    Err(Problem::new(
        Code::PositionAhead,
        format!(
            "Position {after} of partition {partition} is ahead of the store, {newest}. It may be \
             another store, or one restored from a backup: forget what was made of events that are \
             gone, and begin again from a position that is there."
        ),
    )
    .with("partition", Some(u64::from(partition.0)))
    .with("position", Some(after.get()))
    .with("head", head.map(Position::get)))
}

/// A page with at least one event, or what there was after waiting for one.
async fn page(
    api: &Api,
    (partition, after): (Partition, Option<Position>),
    filter: &FeedFilter,
    limit: usize,
    wait: Duration,
) -> Result<FeedPage, Problem> {
    let store = api.engine.store();
    let deadline = Instant::now() + wait;
    let mut after = after;
    loop {
        let page = store.read_feed(partition, after, filter, limit).await?;
        let is_late = Instant::now() >= deadline || api.lifecycle.is_stopping();
        if !page.events.is_empty() || is_late {
            return Ok(page);
        }
        after = page.read_up_to;
        if !page.is_at_head {
            // The filter held everything back: others get a turn before the next page.
            tokio::task::yield_now().await;
            continue;
        }
        let news = async {
            tokio::select! {
                news = store.wait_for_news(partition, after) => news,
                () = api.lifecycle.stopped() => Ok(()),
            }
        };
        // Whether there was news or not, the next read tells.
        if let Ok(Err(error)) = timeout_at(deadline, news).await {
            return Err(error.into());
        }
    }
}

/// Some events of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeedPage)]
pub(crate) struct FeedPageJson<'a> {
    /// The partition of the feed.
    #[schema(value_type = u32)]
    partition: Partition,
    /// The events, in order of position.
    #[schema(value_type = Vec<EventJson<'static>>)]
    events: Events<'a>,
    /// The `after` of the next page: every event up to here that fits was returned.
    #[schema(value_type = Option<u64>)]
    read_up_to: Option<Position>,
    /// Whether no event was after `read_up_to`.
    is_at_head: bool,
}
