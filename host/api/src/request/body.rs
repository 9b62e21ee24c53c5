//! Reading bodies: bounded in size, in time, and all together.

use std::sync::Arc;

use annals_core::json;
use axum::body::Body;
use axum::body::HttpBody as _;
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::Api;
use crate::options::ApiOptions;
use crate::problem::{Code, Problem};
use crate::request::headers;

/// Bodies up to this size, in bytes, are bounded by the number of requests; larger ones also by
/// [`ApiOptions::bodies_bytes_max`].
const SMALL_BODY_BYTES: usize = 64 << 10;

/// The unit in which memory for large bodies is given out, in bytes.
const BUDGET_UNIT_BYTES: usize = 64 << 10;

/// How many units there are.
pub(crate) fn budget_units(options: &ApiOptions) -> usize {
    (options.bodies_bytes_max / BUDGET_UNIT_BYTES).min(tokio::sync::Semaphore::MAX_PERMITS)
}

/// A whole body. Its share of the memory for bodies is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct WholeBody {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Reads a body of at most `bytes_max` bytes.
pub(crate) async fn read(
    api: &Api,
    mut body: Body,
    bytes_max: usize,
) -> Result<WholeBody, Problem> {
    let announced = body.size_hint().lower();
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let mut budget = Budget { api, bytes_max, share: None };
    budget.reserve(announced)?;
    let Some(first) = next(api, &mut body).await? else {
        return Ok(WholeBody { bytes: Bytes::new(), _share: budget.share });
    };
    budget.reserve(first.len())?;
    let mut more = next(api, &mut body).await?;
    if more.is_none() {
        return Ok(WholeBody { bytes: unpinned(first), _share: budget.share });
    }
    // Announced by the client, and not more than `bytes_max`, or it would have been refused.
    let mut whole = BytesMut::with_capacity(announced.max(first.len()));
    whole.extend_from_slice(&first);
    drop(first);
    while let Some(data) = more {
        budget.reserve(whole.len().saturating_add(data.len()))?;
        whole.extend_from_slice(&data);
        more = next(api, &mut body).await?;
    }
    Ok(WholeBody { bytes: whole.freeze(), _share: budget.share })
}

/// Data up to this size, in bytes, is copied out of the connection's buffer, which is larger than
/// it by far: a slice would keep the buffer from being used for the next request.
const COPIED_BYTES_MAX: usize = 8 << 10;

/// The same bytes without a hold on a much larger buffer.
pub(crate) fn unpinned(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPIED_BYTES_MAX { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// The next part of a body; `None` at its end.
pub(crate) async fn next(api: &Api, body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        let frame = tokio::time::timeout(api.options.body_idle_max, body.frame()).await;
        let frame = frame.map_err(|_| {
            let idle_ms = api.options.body_idle_max.as_millis();
            Problem::new(
                Code::BodyTooSlow,
                format!("Nothing of the body came for {idle_ms} ms. Send it without pauses."),
            )
        })?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        let frame = frame.map_err(|_| {
            Problem::new(Code::IncompleteBody, "The body ended early. Send the request again.")
        })?;
        // Trailers say nothing here.
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
}

struct Budget<'a> {
    api: &'a Api,
    bytes_max: usize,
    share: Option<OwnedSemaphorePermit>,
}

impl Budget<'_> {
    /// Makes sure that `bytes` in all may be held.
    fn reserve(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        if bytes <= SMALL_BODY_BYTES {
            return Ok(());
        }
        let held = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(BUDGET_UNIT_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.api.body_budget).try_acquire_many_owned(missing);
        let more = more.map_err(|_| {
            Problem::new(
                Code::Busy,
                "The host holds as many large bodies as it may. Try again in a moment.",
            )
        })?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        Ok(())
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("The body has more than {bytes_max} bytes. Send less at once."),
    )
    .with("bytes_max", bytes_max)
}

/// Reads a JSON body; an empty one counts as `{}`.
pub(crate) async fn read_json(
    api: &Api,
    headers: &HeaderMap,
    body: Body,
) -> Result<WholeBody, Problem> {
    let mut whole = read(api, body, api.options.body_bytes_max).await?;
    if whole.bytes.is_empty() {
        whole.bytes = Bytes::from_static(b"{}");
    } else {
        headers::media_type(headers, &["application/json"])?;
    }
    Ok(whole)
}

/// Parses a JSON body.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        malformed_json(bytes).unwrap_or_else(|| {
            Problem::new(
                Code::MalformedBody,
                format!("The body does not fit: {error}. Send the shape that /openapi.json tells."),
            )
            .with("line", error.line())
            .with("column", error.column())
        })
    })
}

/// What is wrong with bytes that should be JSON; `None` when they are.
pub(crate) fn malformed_json(bytes: &[u8]) -> Option<Problem> {
    let (what, line, column) = match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        Err(error) => (error.to_string(), error.line(), error.column()),
        Ok(_) => {
            json::check(bytes).err()?;
            let text = String::from_utf8_lossy(bytes);
            let before = text.split('\u{fffd}').next().unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().len() + 1;
            (format!("not UTF-8 at line {line} column {column}"), line, column)
        }
    };
    let problem = Problem::new(
        Code::MalformedJson,
        format!("The body is not JSON: {what}. Send one JSON value."),
    );
    Some(problem.with("line", line).with("column", column))
}
