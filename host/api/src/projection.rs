//! Projections: how far they are. `projection/rebuild.rs` builds their views anew.

pub(crate) mod rebuild;

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_engine::figures::Lag;
use annals_engine::plugins::PluginStatus;
use annals_engine::projection::{Phase, Progress};
use annals_engine::rebuild::ProjectionViews;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::try_join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::path;
use crate::request::query::Query;
use rebuild::{PreviousJson, RebuildJson};

/// Lists the projections, in order of name.
#[utoipa::path(
    get,
    operation_id = "list_projections",
    path = "/v1/projections",
    tag = "projections",
    responses(
        (status = 200, description = "The projections.", body = ProjectionsJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let heads = heads(&api).await?;
    let plugins = api.engine.plugins();
    let mut projections = Vec::new();
    for plugin in &plugins {
        // One that is removed meanwhile is left away.
        let Some(views) = api.engine.projection_views(&plugin.description.name).await else {
            continue;
        };
        let lag = lag(&api, plugin).await?;
        projections.extend(ProjectionJson::new(plugin, views, (&heads, lag)));
    }
    json_response(&ProjectionsJson { projections })
}

/// Shows a projection.
#[utoipa::path(
    get,
    operation_id = "read_projection",
    path = "/v1/projections/{name}",
    tag = "projections",
    params(("name" = String, Path, description = "The projection.")),
    responses(
        (status = 200, description = "The projection.", body = ProjectionJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let [name] = path::segments(request.uri(), 2)?;
    answer(&api, &PluginName::new(&name)?).await
}

/// A projection as it is now.
async fn answer(api: &Api, name: &PluginName) -> Result<Response, Problem> {
    let heads = heads(api).await?;
    let views = api.engine.projection_views(name).await;
    let plugin = api.engine.plugin(name);
    let lag = match &plugin {
        Some(plugin) => lag(api, plugin).await?,
        None => Lag::default(),
    };
    let projection = plugin
        .as_ref()
        .zip(views)
        .and_then(|(plugin, views)| ProjectionJson::new(plugin, views, (&heads, lag)));
    let Some(projection) = projection else {
        let known = api.engine.plugins();
        let known = known.iter().filter(|plugin| plugin.progress.is_some());
        let known: Vec<_> = known.map(|plugin| &plugin.description.name).collect();
        return Err(Problem::new(
            Code::UnknownProjection,
            format!("There is no projection `{name}`. Use one of `known`, or install its plugin."),
        )
        .with("known", known.as_slice()));
    };
    json_response(&projection)
}

/// How far a plugin's view is behind; nothing is of a plugin that is no projection.
async fn lag(api: &Api, plugin: &PluginStatus) -> Result<Lag, Problem> {
    match &plugin.progress {
        Some(progress) => Ok(api.engine.lag(progress).await?),
        None => Ok(Lag::default()),
    }
}

/// The heads of all partitions, in their order.
pub(crate) async fn heads(api: &Api) -> Result<Vec<Option<Position>>, Problem> {
    let store = api.engine.store();
    let partitions = (0..store.capabilities().partitions_count).map(Partition);
    Ok(try_join_all(partitions.map(|partition| store.head(partition))).await?)
}

/// The projections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Projections)]
pub(crate) struct ProjectionsJson<'a> {
    /// In order of name.
    projections: Vec<ProjectionJson<'a>>,
}

/// A projection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Projection)]
pub(crate) struct ProjectionJson<'a> {
    /// Its name.
    name: &'a str,
    /// Its semantic version.
    version: &'a str,
    /// Content of its component (SHA-256).
    #[schema(value_type = String)]
    digest: Digest,
    /// Which of the views of that content serves: 0 is the one that installing it began, rebuilds count
    /// on.
    build: u32,
    /// Its tables.
    tables: Vec<&'a str>,
    /// How far it is, in order of partition.
    partitions: Vec<PartitionJson>,
    /// How many events of all partitions it has handled since the first.
    events_count: u64,
    /// How many events are after its checkpoints, of interest to it or not.
    lag_events: u64,
    /// Age of the oldest of them, in milliseconds; 0 when there is none.
    lag_ms: u64,
    /// `catching-up`, `caught-up`, `failing`, or `standing-by` while another host works on the view.
    phase: &'static str,
    /// How often it failed in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// Why it fails, where that comes of the plugin and the events; all else is in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    /// How many streams wait behind an event that the plugin could not handle.
    parked_count: usize,
    /// The view that is built beside the one that serves; null when there is none.
    rebuild: Option<RebuildJson>,
    /// The view that served before the last cut-over, while it can be restored at once; null later.
    previous: Option<PreviousJson>,
}

/// How far a projection is in a partition of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectionPartition)]
pub(crate) struct PartitionJson {
    /// The partition.
    #[schema(value_type = u32)]
    partition: Partition,
    /// Every event of it up to here (inclusive) is in the view; null before the first.
    #[schema(value_type = Option<u64>)]
    checkpoint: Option<Position>,
    /// The position of its newest event; null when there is none.
    #[schema(value_type = Option<u64>)]
    head: Option<Position>,
}

impl<'a> ProjectionJson<'a> {
    /// `None` for a plugin that is no projection.
    fn new(
        status: &'a PluginStatus,
        views: ProjectionViews,
        (heads, lag): (&[Option<Position>], Lag),
    ) -> Option<Self> {
        let Progress { checkpoints, events_count, parked_count, phase } =
            status.progress.as_ref()?;
        let cause = match phase {
            Phase::Failing { cause, is_of_events: true, .. } => Some(cause.as_str()),
            _ => None,
        };
        let (phase, attempts) = phase_of(phase);
        Some(Self {
            name: status.description.name.as_str(),
            version: &status.description.version,
            digest: status.digest,
            build: views.build,
            tables: status.description.tables.iter().map(|table| table.as_str()).collect(),
            partitions: partitions(checkpoints, heads),
            events_count: *events_count,
            lag_events: lag.events_count,
            lag_ms: lag.age_ms,
            phase,
            attempts,
            cause,
            parked_count: *parked_count,
            rebuild: views.rebuild.map(|status| RebuildJson::new(status, heads)),
            previous: views.previous.map(PreviousJson::new),
        })
    }
}

/// How far a view is in each partition; of one that does not run here, nothing is known.
fn partitions(checkpoints: &[Option<Position>], heads: &[Option<Position>]) -> Vec<PartitionJson> {
    let checkpoints = checkpoints.iter().copied().chain(std::iter::repeat(None));
    let partitions = (0..).map(Partition).zip(heads.iter().zip(checkpoints));
    let partitions = partitions.map(|(partition, (head, checkpoint))| PartitionJson {
        partition,
        checkpoint,
        head: *head,
    });
    partitions.collect()
}

/// A phase as clients see it. A cause that is not of the plugin is in the log: it may name paths and
/// drivers.
pub(crate) fn phase_of(phase: &Phase) -> (&'static str, Option<u32>) {
    match phase {
        Phase::CatchingUp => ("catching-up", None),
        Phase::CaughtUp => ("caught-up", None),
        Phase::Failing { attempts, .. } => ("failing", Some(*attempts)),
        Phase::StandingBy => ("standing-by", None),
    }
}
