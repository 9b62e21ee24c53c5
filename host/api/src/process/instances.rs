//! Instances of a process manager: lists, and one as a whole.

use std::sync::Arc;

use annals_core::name::PluginName;
use annals_engine::process::instance::Instance;
use annals_engine::process::status::{INSTANCES_MAX, InstanceFilter, Parked};
use annals_engine::projection::Unpark;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::document::{InstanceJson, InstancesJson, Seen, SummaryJson};
use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::path;
use crate::request::query::{Query, bad};

/// Instances of one page when nothing is said.
const PAGE_INSTANCES: usize = 100;

/// The instances there are to ask for, by the word.
const FILTERS: [(&str, InstanceFilter); 5] = [
    ("all", InstanceFilter::All),
    ("running", InstanceFilter::Running),
    ("ended", InstanceFilter::Ended),
    ("parked", InstanceFilter::Parked),
    ("stuck", InstanceFilter::Stuck),
];

/// Lists the instances of a process manager, in order of id.
#[utoipa::path(
    get,
    operation_id = "list_process_instances",
    path = "/v1/processes/{name}/instances",
    tag = "processes",
    params(
        ("name" = String, Path, description = "The process manager."),
        ("state" = Option<String>, Query, description = "Only those that are `running`, `ended`, `parked` or `stuck`; `all` when absent."),
        ("limit" = Option<u64>, Query, description = "Most instances to return; 100 when absent."),
        ("page" = Option<String>, Query, description = "The `next_page` of the page before."),
    ),
    responses(
        (status = 200, description = "Instances, in short. Those that ended are kept for a while.", body = InstancesJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let query = Query::parse(request.uri(), &["state", "limit", "page"])?;
    let [name] = path::segments(request.uri(), 2)?;
    let name = PluginName::new(&name)?;
    let filter = filter(query.text("state"))?;
    let limit = query.limit(PAGE_INSTANCES, api.options.page_rows_max.min(INSTANCES_MAX))?;
    let after = query.text("page").map(id_of_token).transpose()?;
    let page = api.engine.process_instances(&name, filter, after.as_deref(), limit).await?;
    let asked = asked(&api, &name, &page.instances).await?;
    let seen = page.instances.iter().zip(asked).map(|(instance, asked)| {
        let is_stuck = api.engine.is_stuck(instance);
        SummaryJson::new(Seen { instance, is_stuck, asked })
    });
    let next_page = page.next_after.as_deref().map(|id| URL_SAFE_NO_PAD.encode(id));
    json_response(&InstancesJson { instances: seen.collect(), next_page })
}

/// Shows an instance: its state, what it waits for, and what it has handled last.
#[utoipa::path(
    get,
    operation_id = "read_process_instance",
    path = "/v1/processes/{name}/instances/{instance}",
    tag = "processes",
    params(
        ("name" = String, Path, description = "The process manager."),
        ("instance" = String, Path, description = "The id of the instance."),
    ),
    responses(
        (status = 200, description = "The instance.", body = InstanceJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let [name, _, id] = path::segments(request.uri(), 2)?;
    let name = PluginName::new(&name)?;
    let found = api.engine.process_instance(&name, &id).await?;
    let instance = found.ok_or_else(|| {
        let text = format!(
            "Process manager `{name}` has no instance `{id}`: there is none, or it ended and is not \
             kept any more. List those there are."
        );
        Problem::new(Code::UnknownProcessInstance, text)
    })?;
    let asked = asked(&api, &name, std::slice::from_ref(&instance)).await?;
    let is_stuck = api.engine.is_stuck(&instance);
    let seen = Seen { instance: &instance, is_stuck, asked: asked.into_iter().next().flatten() };
    json_response(&InstanceJson::new(seen))
}

fn filter(text: Option<&str>) -> Result<InstanceFilter, Problem> {
    let Some(text) = text else { return Ok(InstanceFilter::All) };
    let found = FILTERS.iter().find(|(word, _)| *word == text);
    found.map(|(_, filter)| *filter).ok_or_else(|| {
        let words = FILTERS.map(|(word, _)| word).join("`, `");
        bad("state", "has a value it cannot have", &format!("one of `{words}`"))
    })
}

/// What is being done about each of these instances.
async fn asked(
    api: &Api,
    name: &PluginName,
    instances: &[Instance],
) -> Result<Vec<Option<Unpark>>, Problem> {
    if instances.iter().all(|instance| instance.parked.is_none()) {
        return Ok(vec![None; instances.len()]);
    }
    let parked = instances.iter().map(|it| Parked::Instance(Arc::clone(&it.id)));
    Ok(api.engine.process_asked(name, &parked.collect::<Vec<_>>()).await?)
}

fn id_of_token(token: &str) -> Result<String, Problem> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|it| String::from_utf8(it).ok());
    text.ok_or_else(|| {
        bad("page", "is not a token of this host", "the `next_page` of the page before")
    })
}
