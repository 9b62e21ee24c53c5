//! Probes: is the process alive, and may it be sent requests?

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem, STOPPING};

/// Tells that the process answers.
#[utoipa::path(
    get,
    operation_id = "check_live",
    path = "/health/live",
    tag = "health",
    responses((status = 200, description = "It answers.", body = Health)),
)]
pub(crate) async fn live() -> Result<Response, Problem> {
    json_response(&Health { status: "live" })
}

/// Tells whether requests are served: not while stopping, and not when the store takes no more
/// events.
#[utoipa::path(
    get,
    operation_id = "check_ready",
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, description = "Requests are served.", body = Health),
        (status = 503, description = "They are not.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    if api.lifecycle.is_stopping() {
        return Err(Problem::new(Code::Stopping, STOPPING));
    }
    let flushed = tokio::time::timeout(api.options.ready_wait_max, api.engine.store().flush());
    match flushed.await {
        Ok(Ok(())) => json_response(&Health { status: "ready" }),
        Ok(Err(lost)) => Err(not_ready().caused_by(&lost)),
        Err(late) => Err(not_ready().caused_by(&late)),
    }
}

fn not_ready() -> Problem {
    Problem::new(
        Code::Unavailable,
        "The event store takes no more events. Tell the operator, with the request id.",
    )
}

/// The answer of a probe.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    status: &'static str,
}
