//! The headers that carry meaning.

use annals_core::event::Origin;
use annals_core::id::{CausationId, CommandId, CorrelationId};
use annals_core::place::{ExpectedRevision, Position};
use axum::http::{HeaderMap, header};

use crate::problem::{Code, Problem};

/// Id by which a repeat is recognised.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// What the sender believes about the stream.
const IF_REVISION: &str = "if-revision";
/// Shared by everything one outside request led to.
const CORRELATION_ID: &str = "x-correlation-id";
/// Id of the message that directly caused this one.
const CAUSATION_ID: &str = "x-causation-id";
/// Where an event stream was left.
const LAST_EVENT_ID: &str = "last-event-id";

/// The command id a client gave.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| {
        Problem::new(
            Code::BadIdempotencyKey,
            "`idempotency-key` is not a UUID. Send a new one for each command, such as \
             `0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10`.",
        )
    })
}

/// What the sender believes; `any` without the header.
pub(crate) fn if_revision(headers: &HeaderMap) -> Result<ExpectedRevision, Problem> {
    let Some(value) = headers.get(IF_REVISION) else {
        return Ok(ExpectedRevision::Any);
    };
    let expected = value.to_str().ok().and_then(|text| text.parse().ok());
    expected.ok_or_else(bad_if_revision)
}

pub(crate) fn bad_if_revision() -> Problem {
    Problem::new(
        Code::BadIfRevision,
        "`if-revision` is not an expected revision. Use `any`, `no-stream`, `stream-exists` or the \
         revision of the last event you know.",
    )
}

/// Who and what led to the request.
pub(crate) fn origin(headers: &HeaderMap) -> Result<Origin, Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    origin_of(text(CORRELATION_ID), text(CAUSATION_ID))
}

/// An origin as a client says it.
pub(crate) fn origin_of(
    correlation_id: Option<&str>,
    causation_id: Option<&str>,
) -> Result<Origin, Problem> {
    let correlation_id = correlation_id.map(CorrelationId::new).transpose();
    let causation_id = causation_id.map(str::parse::<CausationId>).transpose();
    Ok(Origin {
        correlation_id: correlation_id.map_err(|_| bad_correlation_id())?,
        causation_id: causation_id.map_err(|_| bad_causation_id())?,
        principal: None,
    })
}

pub(crate) fn bad_correlation_id() -> Problem {
    Problem::new(
        Code::BadCorrelationId,
        "The correlation id is not valid. Use 1 to 128 visible ASCII characters.",
    )
}

fn bad_causation_id() -> Problem {
    Problem::new(
        Code::BadCausationId,
        "The causation id is not a UUID. Send the id of the event or of the command that this is the \
         answer to, or leave it away.",
    )
}

/// Where an event stream was left.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(|number| Some(Position::new(number))).ok_or_else(|| {
        Problem::new(
            Code::BadLastEventId,
            "`last-event-id` is not a position. Send the `id` of the last event you were given.",
        )
    })
}

/// Whether the client wants a stream of events.
pub(crate) fn wants_event_stream(headers: &HeaderMap) -> bool {
    let wanted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    wanted.flat_map(|value| value.split(',')).any(|media| is_essence(media, "text/event-stream"))
}

/// Checks that the body is of one of the media types `allowed`.
pub(crate) fn media_type(headers: &HeaderMap, allowed: &[&str]) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_allowed = value.is_some_and(|media| allowed.iter().any(|one| is_essence(media, one)));
    if is_allowed {
        return Ok(());
    }
    let problem = Problem::new(
        Code::UnsupportedMediaType,
        format!(
            "This call does not take such a body. Send `content-type: {}`.",
            allowed.join("` or `")
        ),
    );
    Err(problem.with("allowed", allowed))
}

fn is_essence(media: &str, essence: &str) -> bool {
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(essence))
}
