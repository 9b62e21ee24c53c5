//! Building a view anew: starting, cutting over, cancelling, rolling back, and how it goes.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_core::time::Timestamp;
use annals_engine::plugins::InstallError;
use annals_engine::rebuild::{
    Comparison, CutsOver, DifferentRow, Differing, PreviousView, RebuildBegin, RebuildPhase,
    RebuildRequest, RebuildStatus,
};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{PartitionJson, ProjectionJson, answer, partitions, phase_of};
use crate::Api;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::query::{Query, bad};
use crate::request::{body, headers, path};

/// Begins to build the view of a projection anew, beside the one that serves.
#[utoipa::path(
    post,
    operation_id = "rebuild_projection",
    path = "/v1/projections/{name}/rebuild",
    tag = "projections",
    params(
        ("name" = String, Path, description = "The projection."),
        ("cut_over" = Option<String>, Query, description = "When it takes over: `when-equal` (the default), `when-caught-up` (the default with another component) or `on-request`."),
        ("from_position" = Option<u64>, Query, description = "Begin with the event at this position, if the projection allows it; only in a store with one partition."),
        ("from_time" = Option<String>, Query, description = "Begin with the first events that were recorded at this time (RFC 3339, UTC) or later, if the projection allows it."),
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component of another version; empty: the active one."),
    responses(
        (status = 200, description = "It is being built.", body = ProjectionJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn start(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(&parts.uri, &["cut_over", "from_position", "from_time"])?;
    let (cuts_over, begin) = (cuts_over(&query)?, begin(&query)?);
    let name = name_of(&parts.uri)?;
    let whole = body::read(&api, body, api.options.component_bytes_max).await?;
    let bytes = (!whole.bytes.is_empty()).then(|| whole.bytes.clone());
    if bytes.is_some() {
        headers::media_type(&parts.headers, &["application/wasm", "application/octet-stream"])?;
    }
    let request = RebuildRequest { name: name.clone(), bytes, cuts_over, begin, principal: None };
    let started = api.engine.start_rebuild(request).await;
    drop(whole);
    started.map_err(problem)?;
    answer(&api, &name).await
}

/// Lets the view that was built take over now, whatever differs.
#[utoipa::path(
    post,
    operation_id = "cut_over_projection",
    path = "/v1/projections/{name}/rebuild/cut-over",
    tag = "projections",
    params(("name" = String, Path, description = "The projection.")),
    responses(
        (status = 200, description = "The new view serves.", body = ProjectionJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cut_over(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let name = name_of(request.uri())?;
    api.engine.cut_over(&name, None).await.map_err(problem)?;
    answer(&api, &name).await
}

/// Ends a rebuild and deletes what was built.
#[utoipa::path(
    delete,
    operation_id = "cancel_rebuild",
    path = "/v1/projections/{name}/rebuild",
    tag = "projections",
    params(("name" = String, Path, description = "The projection.")),
    responses(
        (status = 200, description = "It is no longer built.", body = ProjectionJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let name = name_of(request.uri())?;
    api.engine.cancel_rebuild(&name, None).await.map_err(problem)?;
    answer(&api, &name).await
}

/// Lets the view of before the last cut-over serve again, at once.
#[utoipa::path(
    post,
    operation_id = "roll_back_projection",
    path = "/v1/projections/{name}/rollback",
    tag = "projections",
    params(("name" = String, Path, description = "The projection.")),
    responses(
        (status = 200, description = "The view of before serves.", body = ProjectionJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn roll_back(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let name = name_of(request.uri())?;
    api.engine.roll_back_view(&name, None).await.map_err(problem)?;
    answer(&api, &name).await
}

/// The projection in a path.
fn name_of(uri: &Uri) -> Result<PluginName, Problem> {
    let [name] = path::segments(uri, 2)?;
    Ok(PluginName::new(&name)?)
}

fn cuts_over(query: &Query<'_>) -> Result<Option<CutsOver>, Problem> {
    let Some(text) = query.text("cut_over") else { return Ok(None) };
    let meant = CutsOver::ALL.into_iter().find(|it| it.as_str() == text);
    meant.map(Some).ok_or_else(|| {
        let expected = CutsOver::ALL.map(|it| format!("`{}`", it.as_str())).join(" or ");
        bad("cut_over", "has a value it cannot have", &expected)
    })
}

/// `from_position` or `from_time`: where the view begins.
fn begin(query: &Query<'_>) -> Result<Option<RebuildBegin>, Problem> {
    const TIME: &str = "a time such as `2026-11-20T09:30:00Z`";
    let position = query.number("from_position")?.map(Position::new).map(RebuildBegin::Position);
    let Some(text) = query.text("from_time") else { return Ok(position) };
    if position.is_some() {
        return Err(bad("from_time", "is given beside `from_position`", "one of the two"));
    }
    // Whole seconds need no milliseconds.
    let seconds = text.strip_suffix('Z').filter(|seconds| !seconds.contains('.'));
    let time = seconds.map_or_else(|| text.to_owned(), |seconds| format!("{seconds}.000Z"));
    let time: Timestamp =
        time.parse().map_err(|_| bad("from_time", "has a value it cannot have", TIME))?;
    Ok(Some(RebuildBegin::Time(time)))
}

fn problem(error: InstallError) -> Problem {
    let is_unknown = matches!(error, InstallError::OutcomeUnknown(_));
    let problem = Problem::from(error);
    if !is_unknown {
        return problem;
    }
    let text = "Nobody knows whether it was recorded. Look at the projection, and ask for it again if \
                it was not.";
    problem.instead(Code::OutcomeUnknown, text)
}

/// A view that is built beside the one that serves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rebuild)]
pub(crate) struct RebuildJson {
    /// `building`, `failing`, `comparing`, `cutting-over`, `ready` (to be cut over), or `differs`: rows
    /// differ, and somebody must say what to do.
    #[schema(value_type = String)]
    phase: RebuildPhase,
    /// Semantic version of what builds.
    version: String,
    /// Content of its component (SHA-256).
    #[schema(value_type = String)]
    digest: Digest,
    /// Which of the views of that content it is.
    build: u32,
    /// When it was started (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    started_at: Time,
    /// Who started it; null when nobody was asked who they are.
    #[schema(value_type = Option<String>)]
    started_by: Option<Arc<str>>,
    /// When it takes over: `when-equal`, `when-caught-up` or `on-request`.
    #[schema(value_type = String)]
    cuts_over: CutsOver,
    /// In order of partition: only events after this position are in it; absent when all are.
    #[schema(value_type = Vec<Option<u64>>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    begins_after: Vec<Option<Position>>,
    /// How far it is, in order of partition.
    partitions: Vec<PartitionJson>,
    /// How many events of all partitions it has handled.
    events_count: u64,
    /// How many it handles in a second, while it is behind; null when that is not known here.
    events_per_second: Option<u64>,
    /// How often it failed in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// How it compares with the view that serves; null before it was compared.
    comparison: Option<ComparisonJson>,
}

impl RebuildJson {
    pub(super) fn new(status: RebuildStatus, heads: &[Option<Position>]) -> Self {
        let progress = status.progress.as_ref();
        let checkpoints = progress.map(|progress| &*progress.checkpoints).unwrap_or_default();
        Self {
            phase: status.phase,
            partitions: partitions(checkpoints, heads),
            events_count: progress.map_or(0, |progress| progress.events_count),
            attempts: progress.and_then(|progress| phase_of(&progress.phase).1),
            version: status.version,
            digest: status.digest,
            build: status.build,
            started_at: Time(status.started_at),
            started_by: status.started_by,
            cuts_over: status.cuts_over,
            begins_after: status.after,
            events_per_second: status.events_per_second,
            comparison: status.comparison.map(ComparisonJson::new),
        }
    }
}

/// The view that served before the last cut-over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviousView)]
pub(crate) struct PreviousJson {
    /// Semantic version of what made it.
    version: String,
    /// Content of its component (SHA-256).
    #[schema(value_type = String)]
    digest: Digest,
    /// Which of the views of that content it is.
    build: u32,
    /// Until then it can be restored at once (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    until: Time,
    /// How it compared with the view that serves now, before the cut-over.
    comparison: Option<ComparisonJson>,
}

impl PreviousJson {
    pub(super) fn new(previous: PreviousView) -> Self {
        Self {
            version: previous.version,
            digest: previous.digest,
            build: previous.build,
            until: Time(previous.until),
            comparison: previous.comparison.map(ComparisonJson::new),
        }
    }
}

/// How two views of a projection compare, row by row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comparison)]
pub(crate) struct ComparisonJson {
    /// When they were compared (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    compared_at: Time,
    /// How many rows the older view had.
    old_rows_count: u64,
    /// How many rows the newer view had.
    new_rows_count: u64,
    /// How many streams of the older view waited behind an event that could not be handled.
    old_parked_count: usize,
    /// The same of the newer view. With more than before it does not take over by itself.
    new_parked_count: usize,
    /// Rows that only the older view had.
    only_old: DifferingJson,
    /// Rows that only the newer view had.
    only_new: DifferingJson,
    /// Rows that both had, with other values.
    different: DifferingJson,
    /// Whether all that differs was looked at while both views had handled the same events. If not, rows
    /// that changed meanwhile may be among it.
    is_exact: bool,
}

impl ComparisonJson {
    fn new(comparison: Comparison) -> Self {
        Self {
            compared_at: Time(comparison.compared_at),
            old_rows_count: comparison.old_rows_count,
            new_rows_count: comparison.new_rows_count,
            old_parked_count: comparison.old_parked_count,
            new_parked_count: comparison.new_parked_count,
            only_old: DifferingJson::new(comparison.only_old),
            only_new: DifferingJson::new(comparison.only_new),
            different: DifferingJson::new(comparison.different),
            is_exact: comparison.is_exact,
        }
    }
}

/// Rows that differ in one way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DifferingRows)]
pub(crate) struct DifferingJson {
    /// How many.
    count: u64,
    /// The first ten of them.
    examples: Vec<DifferentRowJson>,
}

impl DifferingJson {
    fn new(differing: Differing) -> Self {
        let examples = differing.examples.into_iter().map(DifferentRowJson::new).collect();
        Self { count: differing.count, examples }
    }
}

/// A row that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DifferentRow)]
pub(crate) struct DifferentRowJson {
    /// Its table.
    #[schema(value_type = String)]
    table: Arc<str>,
    /// Its key; bytes that are no text are replaced, and a long one is cut.
    key: String,
    /// What the older view had; absent when it had no such row. A long value is cut to its beginning, as
    /// text.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    /// What the newer view had.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
}

impl DifferentRowJson {
    fn new(row: DifferentRow) -> Self {
        let DifferentRow { table, key, old, new } = row;
        Self { table, key, old, new }
    }
}
