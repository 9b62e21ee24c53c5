//! Process managers: how far they are. `process/instances.rs` shows their instances, `process/parked.rs`
//! what waits behind something that cannot be handled, `process/document.rs` and `process/message.rs` are
//! their JSON.

mod document;
pub(crate) mod instances;
mod message;
pub(crate) mod parked;

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_engine::figures::Lag;
use annals_engine::plugins::PluginStatus;
use annals_engine::process::ProcessProgress;
use annals_engine::projection::Phase;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::Problem;
use crate::projection::{heads, phase_of};
use crate::request::path;
use crate::request::query::Query;

/// Lists the process managers, in order of name.
#[utoipa::path(
    get,
    operation_id = "list_processes",
    path = "/v1/processes",
    tag = "processes",
    responses(
        (status = 200, description = "The process managers.", body = ProcessesJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let heads = heads(&api).await?;
    let all = api.engine.processes();
    let mut found = Vec::with_capacity(all.len());
    for (name, progress) in &all {
        // One that is removed meanwhile is left away.
        let Some(plugin) = api.engine.plugin(name) else { continue };
        let lag = api.engine.lag_after(&progress.checkpoints).await?;
        found.push((plugin, progress, lag));
    }
    let processes = found.iter().map(|(plugin, progress, lag)| {
        let place = (heads.as_slice(), *lag);
        ProcessJson::new(plugin, progress, place)
    });
    json_response(&ProcessesJson { processes: processes.collect() })
}

/// Shows a process manager.
#[utoipa::path(
    get,
    operation_id = "read_process",
    path = "/v1/processes/{name}",
    tag = "processes",
    params(("name" = String, Path, description = "The process manager.")),
    responses(
        (status = 200, description = "The process manager.", body = ProcessJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let [name] = path::segments(request.uri(), 2)?;
    let name = PluginName::new(&name)?;
    let progress = api.engine.process_progress(&name)?;
    let plugin = api.engine.plugin(&name).ok_or_else(|| crate::plugin::unknown(&api, &name))?;
    let heads = heads(&api).await?;
    let lag = api.engine.lag_after(&progress.checkpoints).await?;
    json_response(&ProcessJson::new(&plugin, &progress, (&heads, lag)))
}

/// The process managers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Processes)]
pub(crate) struct ProcessesJson<'a> {
    /// In order of name.
    processes: Vec<ProcessJson<'a>>,
}

/// A process manager.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Process)]
pub(crate) struct ProcessJson<'a> {
    /// Its name.
    name: &'a str,
    /// Its semantic version.
    version: &'a str,
    /// Content of its component (SHA-256).
    #[schema(value_type = String)]
    digest: Digest,
    /// How far it is, in order of partition.
    partitions: Vec<PartitionJson>,
    /// How many events of all partitions it has handled since the first.
    events_count: u64,
    /// How many events are after its checkpoints, of interest to it or not.
    lag_events: u64,
    /// Age of the oldest of them, in milliseconds; 0 when there is none.
    lag_ms: u64,
    /// `catching-up`, `caught-up`, `failing`, or `standing-by` while another host works on it.
    phase: &'static str,
    /// How often it failed in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Why it fails, where that comes of the plugin and the events; all else is in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    /// How many instances run.
    running_count: u64,
    /// How many instances are parked: a message came that they cannot handle.
    parked_count: u64,
    /// How many streams wait behind an event that cannot be correlated.
    parked_streams_count: usize,
    /// How many instances have a command on the way, as far as this host knows.
    sending_count: usize,
    /// How many instances did not get on for `processes.stuck_after` when this host last looked.
    stuck_count: u64,
}

/// How far a process manager is in a partition of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessPartition)]
pub(crate) struct PartitionJson {
    /// The partition.
    partition: u32,
    /// Every event of it up to here (inclusive) is handled; null before the first.
    checkpoint: Option<u64>,
    /// The position of its newest event; null when there is none.
    head: Option<u64>,
}

impl<'a> ProcessJson<'a> {
    fn new(
        plugin: &'a PluginStatus,
        progress: &'a ProcessProgress,
        (heads, lag): (&[Option<Position>], Lag),
    ) -> Self {
        let cause = match &progress.phase {
            Phase::Failing { cause, is_of_events: true, .. } => Some(cause.as_str()),
            _ => None,
        };
        let (phase, attempts) = phase_of(&progress.phase);
        Self {
            name: plugin.description.name.as_str(),
            version: &plugin.description.version,
            digest: plugin.digest,
            partitions: partitions(&progress.checkpoints, heads),
            events_count: progress.events_count,
            lag_events: lag.events_count,
            lag_ms: lag.age_ms,
            phase,
            attempts,
            cause,
            running_count: progress.running_count,
            parked_count: progress.parked_count,
            parked_streams_count: progress.parked_streams_count,
            sending_count: progress.sending_count,
            stuck_count: progress.stuck_count,
        }
    }
}

fn partitions(checkpoints: &[Option<Position>], heads: &[Option<Position>]) -> Vec<PartitionJson> {
    let checkpoints = checkpoints.iter().copied().chain(std::iter::repeat(None));
    let places = (0..).map(Partition).zip(heads.iter().zip(checkpoints));
    let partitions = places.map(|(partition, (head, checkpoint))| PartitionJson {
        partition: partition.0,
        checkpoint: checkpoint.map(Position::get),
        head: head.map(Position::get),
    });
    partitions.collect()
}
