//! Probes: is the process alive, and may it be sent requests?

use std::sync::Arc;

use annals_core::place::Partition;
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
    let store = api.engine.store();
    // A log tells by its flush whether it takes events, a store elsewhere by an answer.
    let asked = async {
        store.flush().await.map_err(|lost| not_ready().caused_by(&lost))?;
        store.head(Partition::ZERO).await.map_err(|error| not_ready().caused_by(&error))
    };
    match tokio::time::timeout(api.options.ready_wait_max, asked).await {
        Ok(Ok(_)) => json_response(&Health { status: "ready" }),
        Ok(Err(problem)) => Err(problem),
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
