//! Scheduled commands: made, listed, shown, cancelled and tried again; `document.rs` is their JSON.

pub(crate) mod document;

use std::sync::Arc;

use annals_engine::schedule::{ScheduleId, ScheduleStatus};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::Problem;
use crate::request::query::{Query, bad};
use crate::request::{body, headers, path};
use document::{ScheduleBody, ScheduleJson, SchedulesJson};

/// Schedules of one page when nothing is said.
const PAGE_SCHEDULES: usize = 100;

/// Schedules a command; one that is there under the same id with the same content stays as it is.
#[utoipa::path(
    post,
    operation_id = "create_schedule",
    path = "/v1/schedules",
    tag = "schedules",
    params(
        ("idempotency-key" = Option<String>, Header, description = "A UUID that is the id of the schedule when the body has none."),
        ("x-correlation-id" = Option<String>, Header, description = "Shared by everything one outside request led to, a command that is due once among it."),
    ),
    request_body(content = ScheduleBody<'static>),
    responses(
        (status = 200, description = "The schedule.", body = ScheduleJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    let key = headers::idempotency_key(&parts.headers)?;
    let origin = headers::origin(&parts.headers)?;
    let whole = body::read_json(&api, &parts.headers, body).await?;
    let wanted: ScheduleBody<'_> = body::parse(&whole.bytes)?;
    let wanted = wanted.into_request(key, origin)?;
    json_response(&ScheduleJson::new(&api.engine.schedules().create(wanted).await?))
}

/// Lists schedules, in order of id, without the data of their commands.
#[utoipa::path(
    get,
    operation_id = "list_schedules",
    path = "/v1/schedules",
    tag = "schedules",
    params(
        ("status" = Option<String>, Query, description = "Only those that are `waiting`, `firing`, `parked`, `done`, `rejected` or `cancelled`."),
        ("limit" = Option<u64>, Query, description = "Most schedules to return; 100 when absent."),
        ("page" = Option<String>, Query, description = "The `next_page` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of schedules. With `status` a page may be empty and yet not be the last.", body = SchedulesJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::parse(request.uri(), &["status", "limit", "page"])?;
    let status = query.text("status").map(status_of).transpose()?;
    let limit = query.limit(PAGE_SCHEDULES, api.options.page_rows_max)?;
    let after = query.text("page").map(id_of_token).transpose()?;
    let page = api.engine.schedules().list(status, after.as_ref(), limit).await?;
    json_response(&SchedulesJson {
        schedules: page.schedules.iter().map(ScheduleJson::new).collect(),
        next_page: page.after.map(|id| URL_SAFE_NO_PAD.encode(id.as_str())),
    })
}

fn status_of(text: &str) -> Result<ScheduleStatus, Problem> {
    let status = ScheduleStatus::ALL.into_iter().find(|status| status.as_str() == text);
    status.ok_or_else(|| {
        let known = ScheduleStatus::ALL.map(ScheduleStatus::as_str).join("`, `");
        bad("status", "has a value it cannot have", &format!("one of `{known}`"))
    })
}

fn id_of_token(token: &str) -> Result<ScheduleId, Problem> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|text| String::from_utf8(text).ok());
    text.and_then(|text| ScheduleId::new(&text).ok()).ok_or_else(|| {
        bad("page", "is not a token of this host", "the `next_page` of the page before")
    })
}

/// Shows a schedule, with what became of its commands.
#[utoipa::path(
    get,
    operation_id = "read_schedule",
    path = "/v1/schedules/{id}",
    tag = "schedules",
    params(("id" = String, Path, description = "The schedule.")),
    responses(
        (status = 200, description = "The schedule.", body = ScheduleJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id_of(request.uri())?;
    json_response(&ScheduleJson::new(&api.engine.schedules().show(&id).await?))
}

/// Cancels a schedule: none of its commands is sent any more, but one that is on its way may still be
/// decided.
#[utoipa::path(
    delete,
    operation_id = "cancel_schedule",
    path = "/v1/schedules/{id}",
    tag = "schedules",
    params(("id" = String, Path, description = "The schedule.")),
    responses(
        (status = 200, description = "The schedule: `cancelled`; or `firing` with `is_cancelling`, when a command is on its way.", body = ScheduleJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id_of(request.uri())?;
    json_response(&ScheduleJson::new(&api.engine.schedules().cancel(&id).await?))
}

/// Has a parked command tried again, as often as the first time.
#[utoipa::path(
    post,
    operation_id = "retry_schedule",
    path = "/v1/schedules/{id}/retry",
    tag = "schedules",
    params(("id" = String, Path, description = "The schedule.")),
    responses(
        (status = 200, description = "The schedule, which is due at once.", body = ScheduleJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retry(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id_of(request.uri())?;
    json_response(&ScheduleJson::new(&api.engine.schedules().retry(&id).await?))
}

/// The schedule of a path that takes no query parameters.
fn id_of(uri: &Uri) -> Result<ScheduleId, Problem> {
    Query::none(uri)?;
    let [id] = path::segments(uri, 2)?;
    Ok(ScheduleId::new(&id)?)
}
