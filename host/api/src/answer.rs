//! Making responses.

use annals_core::place::{Partition, Position};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use serde::Serialize;

use crate::json;
use crate::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How far a view was when it was read, in the partition that the header beside it names.
const CHECKPOINT: HeaderName = HeaderName::from_static("annals-checkpoint");
const PARTITION: HeaderName = HeaderName::from_static("annals-partition");

/// 200 with `value` as JSON.
pub(crate) fn json_response<T: Serialize>(value: &T) -> Result<Response, Problem> {
    Ok(json_bytes(json::to_vec(value)?))
}

/// 200 with bytes that are JSON.
pub(crate) fn json_bytes(bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Adds how far a view was in a partition.
pub(crate) fn with_checkpoint(
    mut response: Response,
    partition: Partition,
    checkpoint: Option<Position>,
) -> Response {
    let headers = response.headers_mut();
    headers.insert(PARTITION, HeaderValue::from(partition.0));
    if let Some(position) = checkpoint {
        headers.insert(CHECKPOINT, HeaderValue::from(position.get()));
    }
    response
}
