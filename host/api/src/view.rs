//! Views: rows, lists of rows, and named questions.

mod etag;
mod page_token;

use std::sync::Arc;

use annals_core::name::{PluginName, QueryName, TableName};
use annals_core::place::{Partition, Position};
use annals_core::port::state_store::Row;
use annals_engine::view::{ReadWhen, RowRange, ViewError, ViewTag, WaitFor};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::Api;
use crate::answer::{json_bytes, json_response, with_checkpoint};
use crate::json::RawJson;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::query::Query;
use crate::request::{body, path};

/// Rows of a page when the client does not say.
const PAGE_ROWS: usize = 100;

/// Reads one row of a view.
#[utoipa::path(
    get,
    operation_id = "read_row",
    path = "/v1/views/{projection}/{table}/{key}",
    tag = "views",
    params(
        ("projection" = String, Path, description = "The projection."),
        ("table" = String, Path, description = "One of its tables."),
        ("key" = String, Path, description = "The row's key; bytes that are not text are percent-encoded."),
        ("position" = Option<u64>, Query, description = "Wait until the view has reached this position of `partition`."),
        ("partition" = Option<u32>, Query, description = "The partition of `position`, and of `annals-checkpoint` in the answer; may be absent when the store has one."),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for it; 5000 when absent."),
        ("if-none-match" = Option<String>, Header, description = "The `etag` of an answer to the same request: 304 when the view is still as it was."),
    ),
    responses(
        (status = 200, description = "The row. `annals-checkpoint` is the position the view had reached in the partition that `annals-partition` names.", body = RowJson<'static>),
        (status = 304, description = "The view is as it was when it had the given `etag`."),
        (status = 504, description = "The view did not reach `position` in time.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn row(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["position", "partition", "wait_ms"])?;
    let (partition, wait) = query.wait_for(&api.options, partitions_count(&api))?;
    let [projection, table] = path::segments(uri, 2)?;
    let (projection, table) = (PluginName::new(&projection)?, TableName::new(&table)?);
    let key = path::segment_bytes(uri, 4);
    let known = etag::known(request.headers());
    let when = ReadWhen { wait, unless: &known };
    let reading = api.engine.view_row(&projection, &table, &key, when);
    let answer = match until_stop(&api, wait, reading).await {
        Ok(answer) => answer,
        Err(error) => return unread(error, partition),
    };
    let Some(value) = answer.value else {
        let problem = Problem::new(
            Code::UnknownRow,
            format!(
                "Table `{table}` of projection `{projection}` has no such row. Check the key, or \
                 give the `position` of the command that makes it."
            ),
        );
        let Some(partition) = partition else { return Err(problem) };
        let checkpoint = checkpoint(&answer.checkpoints, partition).map(Position::get);
        return Err(problem
            .with("partition", Some(u64::from(partition.0)))
            .with("checkpoint", checkpoint));
    };
    let response = json_response(&RowJson::new(&key, &value))?;
    Ok(of_view(response, partition, answer.tag, &answer.checkpoints))
}

/// Lists rows of a view.
#[utoipa::path(
    get,
    operation_id = "list_rows",
    path = "/v1/views/{projection}/{table}",
    tag = "views",
    params(
        ("projection" = String, Path, description = "The projection."),
        ("table" = String, Path, description = "One of its tables."),
        ("prefix" = Option<String>, Query, description = "Only rows whose key starts with this."),
        ("limit" = Option<u64>, Query, description = "Most rows to return; 100 when absent."),
        ("page" = Option<String>, Query, description = "The `next_page` of the page before."),
        ("position" = Option<u64>, Query, description = "Wait until the view has reached this position of `partition`."),
        ("partition" = Option<u32>, Query, description = "The partition of `position`, and of `annals-checkpoint` in the answer; may be absent when the store has one."),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for it; 5000 when absent."),
        ("if-none-match" = Option<String>, Header, description = "The `etag` of an answer to the same request: 304 when the view is still as it was."),
    ),
    responses(
        (status = 200, description = "A page of rows, in key order.", body = RowsPage<'static>),
        (status = 304, description = "The view is as it was when it had the given `etag`."),
        (status = 504, description = "The view did not reach `position` in time.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rows(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query =
        Query::parse(uri, &["prefix", "limit", "page", "position", "partition", "wait_ms"])?;
    let (partition, wait) = query.wait_for(&api.options, partitions_count(&api))?;
    let limit = query.limit(PAGE_ROWS, api.options.page_rows_max)?;
    let after = query.text("page").map(page_token::read).transpose()?;
    let [projection, table] = path::segments(uri, 2)?;
    let (projection, table) = (PluginName::new(&projection)?, TableName::new(&table)?);
    let prefix = query.text("prefix").unwrap_or_default().as_bytes();
    let range = RowRange { prefix, after: after.as_deref(), limit };
    let known = etag::known(request.headers());
    let when = ReadWhen { wait, unless: &known };
    let reading = api.engine.view_rows(&projection, &table, range, when);
    let answer = match until_stop(&api, wait, reading).await {
        Ok(answer) => answer,
        Err(error) => return unread(error, partition),
    };
    let response = json_response(&RowsPage {
        rows: Rows(&answer.value.rows),
        next_page: answer.value.next_after.map(|key| page_token::of(&key)),
    })?;
    Ok(of_view(response, partition, answer.tag, &answer.checkpoints))
}

/// Asks a projection a named question; the answer is what the projection says.
#[utoipa::path(
    post,
    operation_id = "ask_query",
    path = "/v1/views/{projection}/queries/{query}",
    tag = "views",
    params(
        ("projection" = String, Path, description = "The projection."),
        ("query" = String, Path, description = "The question."),
        ("position" = Option<u64>, Query, description = "Wait until the view has reached this position of `partition`."),
        ("partition" = Option<u32>, Query, description = "The partition of `position`, and of `annals-checkpoint` in the answer; may be absent when the store has one."),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for it; 5000 when absent."),
        ("if-none-match" = Option<String>, Header, description = "The `etag` of an answer to the same request with the same parameters: 304 when the view is still as it was."),
    ),
    request_body(content = Option<serde_json::Value>, description = "The parameters; an empty body counts as `{}`."),
    responses(
        (status = 200, description = "The answer.", body = serde_json::Value),
        (status = 304, description = "The view is as it was when it had the given `etag`."),
        (status = 504, description = "The view did not reach `position` in time.", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn query(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let parameters = Query::parse(&parts.uri, &["position", "partition", "wait_ms"])?;
    let (partition, wait) = parameters.wait_for(&api.options, partitions_count(&api))?;
    let [projection, _, question] = path::segments(&parts.uri, 2)?;
    let (projection, question) = (PluginName::new(&projection)?, QueryName::new(&question)?);
    let whole = body::read_json(&api, &parts.headers, body).await?;
    if let Some(problem) = body::malformed_json(&whole.bytes) {
        return Err(problem);
    }
    let known = etag::known(&parts.headers);
    let when = ReadWhen { wait, unless: &known };
    let asked = api.engine.view_query(&projection, &question, whole.bytes.clone(), when);
    let answer = match until_stop(&api, wait, asked).await {
        Ok(answer) => answer,
        Err(error) => return unread(error, partition),
    };
    Ok(of_view(json_bytes(answer.value), partition, answer.tag, &answer.checkpoints))
}

/// What a view answers; one that is waited for is not when the host stops.
async fn until_stop<T>(
    api: &Api,
    wait: Option<WaitFor>,
    reading: impl Future<Output = Result<T, ViewError>>,
) -> Result<T, ViewError> {
    tokio::select! {
        biased;
        answer = reading => answer,
        () = api.lifecycle.stopped(), if wait.is_some() => Err(ViewError::Stopping),
    }
}

fn partitions_count(api: &Api) -> u32 {
    api.engine.store().capabilities().partitions_count
}

/// 304 when the client knows the view as it is; otherwise why it was not read.
fn unread(error: ViewError, partition: Option<Partition>) -> Result<Response, Problem> {
    match error {
        ViewError::Unchanged { tag, checkpoints } => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            Ok(of_view(response, partition, tag, &checkpoints))
        }
        error => Err(error.into()),
    }
}

/// Adds the tag of what was read, and how far the view was in a partition if the client named one.
fn of_view(
    response: Response,
    partition: Option<Partition>,
    tag: ViewTag,
    checkpoints: &[Option<Position>],
) -> Response {
    let response = etag::with_tag(response, tag);
    match partition {
        Some(partition) => with_checkpoint(response, partition, checkpoint(checkpoints, partition)),
        None => response,
    }
}

/// The checkpoint of a partition among those of all.
pub(crate) fn checkpoint(
    checkpoints: &[Option<Position>],
    partition: Partition,
) -> Option<Position> {
    let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
    checkpoints.get(index).copied().flatten()
}

/// A row of a view.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
pub(crate) struct RowJson<'a> {
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// Its key in base64, when it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    value: Option<RawJson<'a>>,
    /// What it holds in base64, when it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl<'a> RowJson<'a> {
    fn new(key: &'a [u8], value: &'a [u8]) -> Self {
        let text = std::str::from_utf8(key).ok();
        // A guest wrote the value: only looking at it tells whether it is JSON.
        let is_json = annals_core::json::check(value).is_ok();
        Self {
            key: text,
            key_base64: text.is_none().then(|| STANDARD.encode(key)),
            value: is_json.then_some(RawJson(value)),
            value_base64: (!is_json).then(|| STANDARD.encode(value)),
        }
    }
}

/// Some rows of a view.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowsPage<'a> {
    /// The rows, in key order.
    #[schema(value_type = Vec<RowJson<'static>>)]
    rows: Rows<'a>,
    /// The `page` of the next page; null when this is the last.
    next_page: Option<String>,
}

#[derive(Debug)]
struct Rows<'a>(&'a [Row]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|row| RowJson::new(&row.key, &row.value)))
    }
}
