//! The feed as an event stream: catches up, then follows.
//!
//! ```text
//! id: 41                       the position: what `last-event-id` goes on from; where an event was
//!                              upcast to several, only the last has it
//! data: {"id":"…",…}           the event
//!
//! event: caught-up             when the head is reached: the first time, and after having fallen behind
//! data: {"partition":0,"position":41}
//!
//! event: fell-behind           after `caught-up`, when too much came since; it goes on
//! data: {"partition":0,"position":41,"reason":"behind","head":90000}
//!
//! event: fell-behind           when the client took nothing for too long; the last message
//! data: {"partition":0,"position":41,"reason":"stalled"}
//!
//! : heartbeat                  while nothing happens
//! ```
//!
//! A page is read from the store only when the client has taken the one before: a slow client costs
//! one page of memory, whatever happens meanwhile, and is given every event. One that took nothing for
//! [`event_stream_stalled_max`](crate::ApiOptions::event_stream_stalled_max) is told so if it comes
//! back, with the `id` to resume from; one that does not is cut off by the daemon.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{FeedFilter, FeedPage};
use annals_engine::upcast::UpcastEvent;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::Api;
use crate::event::EventJson;
use crate::json;
use crate::problem::{Code, Problem, ProblemBody};
use crate::request::query::Query;
use crate::request::{RequestId, headers};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The parameters of an event stream.
const KNOWN: [&str; 6] = ["partition", "after", "category", "type", "stream_prefix", "upcast"];

/// Answers with an event stream.
pub(super) async fn follow(api: Arc<Api>, request: Request) -> Result<Response, Problem> {
    let query = Query::parse(request.uri(), &KNOWN)?;
    let partition = query.partition(api.engine.store().capabilities().partitions_count)?;
    let after = query.number("after")?.map(Position::new);
    let after = headers::last_event_id(request.headers())?.or(after);
    super::not_ahead(&api, partition, after).await?;
    let filter = query.feed_filter()?;
    let permit = Arc::clone(&api.event_streams).try_acquire_owned().map_err(|_| {
        let streams_max = api.options.event_streams_max;
        Problem::new(
            Code::Busy,
            format!("{streams_max} event streams are open already. Try again in a moment."),
        )
    })?;
    let follower = Follower {
        request_id: request.extensions().get::<RequestId>().cloned(),
        partition,
        read_up_to: after,
        told_up_to: after,
        is_caught_up: false,
        is_at_head: false,
        given_at: None,
        is_over: false,
        filter,
        is_upcast: query.flag("upcast")?,
        api,
        _permit: permit,
    };
    let pieces = futures_util::stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), follower))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    headers.insert(header::CACHE_CONTROL, NO_CACHE);
    Ok(response)
}

/// One open event stream.
struct Follower {
    api: Arc<Api>,
    request_id: Option<RequestId>,
    filter: FeedFilter,
    partition: Partition,
    read_up_to: Option<Position>,
    // The last position the client knows as an `id`.
    told_up_to: Option<Position>,
    is_caught_up: bool,
    is_at_head: bool,
    // When the last piece was handed to the connection.
    given_at: Option<Instant>,
    is_over: bool,
    is_upcast: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// What to send next; `None` when the host is stopping or the feed failed.
    async fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_over {
            return None;
        }
        let api = Arc::clone(&self.api);
        // The connection asks for the next piece when it has passed on the one before.
        let taken_after = self.given_at.map_or(Duration::ZERO, |at| at.elapsed());
        let piece = tokio::select! {
            biased;
            () = api.lifecycle.stopped() => return None,
            () = std::future::ready(()), if taken_after > api.options.event_stream_stalled_max => {
                self.stalled()
            }
            piece = self.piece() => piece,
        };
        self.given_at = Some(Instant::now());
        Some(piece)
    }

    /// The next page with something to tell, or a heartbeat.
    async fn piece(&mut self) -> Vec<u8> {
        let heartbeat = tokio::time::sleep(self.api.options.heartbeat);
        tokio::pin!(heartbeat);
        loop {
            let told = async {
                if self.is_at_head {
                    let store = self.api.engine.store();
                    store.wait_for_news(self.partition, self.read_up_to).await?;
                }
                self.page().await
            };
            let told = tokio::select! {
                biased;
                told = told => told,
                () = &mut heartbeat => return self.heartbeat(),
            };
            match told {
                // The filter held everything back: others get a turn before the next page.
                Ok(piece) if piece.is_empty() => tokio::task::yield_now().await,
                Ok(piece) => return piece,
                Err(problem) => return self.fail(&problem),
            }
        }
    }

    /// Reads one page and writes what it has to tell, which may be nothing.
    async fn page(&mut self) -> Result<Vec<u8>, Problem> {
        let limit = self.api.options.event_stream_page_events_max;
        let store = self.api.engine.store();
        let after = self.read_up_to;
        let page = store.read_feed(self.partition, after, &self.filter, limit).await?;
        let upcast = match self.is_upcast {
            true => Some(self.api.engine.upcast(page.events.clone()).await?),
            false => None,
        };
        let mut piece = self.written(&page, upcast.as_deref())?;
        self.read_up_to = page.read_up_to.or(self.read_up_to);
        self.is_at_head = page.is_at_head;
        if self.is_caught_up && !self.is_at_head {
            self.tell_if_behind(&mut piece).await?;
        }
        Ok(piece)
    }

    /// Says that the client fell behind, if it did: once, until it has caught up again.
    async fn tell_if_behind(&mut self, piece: &mut Vec<u8>) -> Result<(), Problem> {
        let head = self.api.engine.store().head(self.partition).await?;
        // Positions have no hole, so the difference counts the events between.
        let count = |place: Option<Position>| place.map_or(0, |it| it.get().saturating_add(1));
        let behind_count = count(head).saturating_sub(count(self.read_up_to));
        if behind_count > self.api.options.event_stream_behind_events_max {
            self.is_caught_up = false;
            self.write_fell_behind(piece, "behind", head)?;
        }
        Ok(())
    }

    /// Says that the client took nothing for too long, and ends.
    fn stalled(&mut self) -> Vec<u8> {
        self.is_over = true;
        let mut out = Vec::new();
        match self.write_fell_behind(&mut out, "stalled", None) {
            Ok(()) => out,
            Err(problem) => self.fail(&problem),
        }
    }

    fn write_fell_behind(
        &mut self,
        out: &mut Vec<u8>,
        reason: &'static str,
        head: Option<Position>,
    ) -> Result<(), Problem> {
        write_id(out, self.read_up_to)?;
        out.extend_from_slice(b"event: fell-behind\ndata: ");
        let (partition, position) = (self.partition, self.read_up_to);
        json::write(out, &FellBehind { partition, position, reason, head })?;
        out.extend_from_slice(b"\n\n");
        self.told_up_to = self.read_up_to;
        Ok(())
    }

    fn written(
        &mut self,
        page: &FeedPage,
        upcast: Option<&[UpcastEvent]>,
    ) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        let mut tell = |position, event: &EventJson<'_>| {
            write_id(&mut out, position)?;
            out.extend_from_slice(b"data: ");
            json::write(&mut out, event)?;
            out.extend_from_slice(b"\n\n");
            Ok::<_, Problem>(())
        };
        if let Some(upcast) = upcast {
            for one in upcast {
                // Only the last of what became of an event has its position: who breaks off before
                // it is given all of them again.
                let position = one.is_last.then_some(one.event.position);
                tell(position, &EventJson::upcast(one))?;
            }
        } else {
            for event in &page.events {
                tell(Some(event.position), &EventJson::new(event))?;
            }
        }
        self.told_up_to = page.events.last().map(|event| event.position).or(self.told_up_to);
        if page.is_at_head && !self.is_caught_up {
            self.is_caught_up = true;
            write_id(&mut out, page.read_up_to)?;
            out.extend_from_slice(b"event: caught-up\ndata: ");
            let (partition, position) = (self.partition, page.read_up_to);
            json::write(&mut out, &CaughtUp { partition, position })?;
            out.extend_from_slice(b"\n\n");
            self.told_up_to = page.read_up_to;
        }
        Ok(out)
    }

    /// A comment; with the position reached, when the filter held back everything since the last.
    fn heartbeat(&mut self) -> Vec<u8> {
        let mut out = b": heartbeat\n".to_vec();
        if self.told_up_to != self.read_up_to && write_id(&mut out, self.read_up_to).is_ok() {
            self.told_up_to = self.read_up_to;
        }
        out.push(b'\n');
        out
    }

    /// Tells the problem and ends; the client comes back with `last-event-id`.
    fn fail(&mut self, problem: &Problem) -> Vec<u8> {
        self.is_over = true;
        let request_id = self.request_id.as_ref().map(RequestId::as_str);
        problem.log(request_id.unwrap_or_default());
        let mut out = b"event: problem\ndata: ".to_vec();
        if json::write(&mut out, &ProblemBody { problem, request_id }).is_err() {
            return Vec::new();
        }
        out.extend_from_slice(b"\n\n");
        out
    }
}

/// Where the head was.
#[derive(Serialize)]
struct CaughtUp {
    partition: Partition,
    position: Option<Position>,
}

/// How far the client is, and why it is told.
#[derive(Serialize)]
struct FellBehind {
    partition: Partition,
    position: Option<Position>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Position>,
}

fn write_id(out: &mut Vec<u8>, position: Option<Position>) -> Result<(), Problem> {
    let Some(position) = position else {
        return Ok(());
    };
    out.extend_from_slice(b"id: ");
    json::write(out, &position)?;
    out.push(b'\n');
    Ok(())
}
