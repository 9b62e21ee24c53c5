//! The relay: how far the bus's copies of events are.

use std::sync::Arc;

use annals_core::place::{Partition, Position};
use annals_engine::relay::{RelayPhase, RelayProgress};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::Problem;
use crate::request::query::Query;

/// Shows how far this host has handed events to the bus. Empty when the bus keeps no copies.
#[utoipa::path(
    get,
    operation_id = "read_relay",
    path = "/v1/relay",
    tag = "events",
    responses(
        (status = 200, description = "How far each partition is.", body = RelayJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let partitions = api.engine.relay_progress().iter();
    let partitions = partitions.map(|progress| RelayPartitionJson::new(&progress.borrow()));
    json_response(&RelayJson { partitions: partitions.collect() })
}

/// How far the copies are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Relay)]
pub(crate) struct RelayJson {
    /// In order of partition.
    partitions: Vec<RelayPartitionJson>,
}

/// How far the copies of a partition are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelayPartition)]
pub(crate) struct RelayPartitionJson {
    /// The partition.
    #[schema(value_type = u32)]
    partition: Partition,
    /// The position of the last event that the bus has; null before its first answer, and when it has
    /// none.
    #[schema(value_type = Option<u64>)]
    published: Option<Position>,
    /// How many events come after it.
    lag_events_count: u64,
    /// `catching-up`, `caught-up`, or `failing`: why, is in the log.
    phase: &'static str,
    /// How often it failed in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
}

impl RelayPartitionJson {
    fn new(progress: &RelayProgress) -> Self {
        let RelayProgress { partition, published, lag_events_count, phase } = progress;
        let (phase, attempts) = match phase {
            RelayPhase::CatchingUp => ("catching-up", None),
            RelayPhase::CaughtUp => ("caught-up", None),
            RelayPhase::Failing { attempts, .. } => ("failing", Some(*attempts)),
        };
        Self {
            partition: *partition,
            published: *published,
            lag_events_count: *lag_events_count,
            phase,
            attempts,
        }
    }
}
