//! The state of an aggregate, now or as it was: `GET /v1/aggregates/{aggregate}/{id}`.

use std::sync::Arc;

use annals_core::name::PluginName;
use annals_core::place::{ActualRevision, Revision};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::json::RawJson;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::path;
use crate::request::query::Query;

/// Shows the state of an aggregate.
#[utoipa::path(
    get,
    operation_id = "read_aggregate",
    path = "/v1/aggregates/{aggregate}/{id}",
    tag = "aggregates",
    params(
        ("aggregate" = String, Path, description = "The aggregate."),
        ("id" = String, Path, description = "The id part of the stream."),
        ("revision" = Option<u64>, Query, description = "As it was after the event at this revision; now when absent."),
    ),
    responses(
        (status = 200, description = "The state.", body = StateJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn state(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["revision"])?;
    let revision = query.number("revision")?.map(Revision::new);
    let [aggregate, id] = path::segments(uri, 2)?;
    let aggregate = PluginName::new(&aggregate)?;
    let folded = async {
        match revision {
            None => api.engine.state(&aggregate, &id).await,
            Some(revision) => api.engine.state_at(&aggregate, &id, revision).await,
        }
    };
    let Ok(state) = tokio::time::timeout(api.options.outcome_wait_max, folded).await else {
        return Err(Problem::new(
            Code::Deadline,
            "The state was not there in time. Try again in a moment.",
        ));
    };
    let state = state?;
    json_response(&StateJson {
        stream: state.stream.as_str(),
        revision: state.revision,
        state: RawJson(&state.data),
    })
}

/// The state of an aggregate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AggregateState)]
pub(crate) struct StateJson<'a> {
    /// The stream, as `category/id`.
    stream: &'a str,
    /// The last event that is in the state.
    #[schema(value_type = u64)]
    revision: ActualRevision,
    /// The state, as its plugin writes it.
    #[schema(value_type = serde_json::Value)]
    state: RawJson<'a>,
}
