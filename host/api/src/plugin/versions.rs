//! Rolling a plugin back, and removing it.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_engine::plugins::{RemoveRequest, RollBackRequest};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::plugin::{InstalledJson, activated};
use crate::problem::Problem;
use crate::request::query::Query;
use crate::request::{body, path};

/// Which version to roll back to.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RollBack)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollBackJson {
    /// Content of the version's component (SHA-256); absent or null: the version that was active
    /// before.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    digest: Option<Digest>,
}

/// Activates a version again that is kept: the one before, or a given one.
#[utoipa::path(
    post,
    operation_id = "roll_back_plugin",
    path = "/v1/plugins/{name}/rollback",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin."),
        ("force" = Option<bool>, Query, description = "Activate it although it does not read all that is recorded; needs a `reason`."),
        ("reason" = Option<String>, Query, description = "Why, for the history: at most 1024 bytes."),
    ),
    request_body(content = Option<RollBackJson>, description = "May be absent."),
    responses(
        (status = 200, description = "Active.", body = InstalledJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn roll_back(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let force = Query::parse(&parts.uri, &["force", "reason"])?.force()?;
    let [name] = path::segments(&parts.uri, 2)?;
    let name = PluginName::new(&name)?;
    let whole = body::read_json(&api, &parts.headers, body).await?;
    let RollBackJson { digest } = body::parse(&whole.bytes)?;
    let request = RollBackRequest { name, digest, principal: None, force };
    activated(&api.engine.roll_back(request).await?)
}

/// Removes a plugin. Its events stay, its versions too: it can be rolled back to or installed again.
#[utoipa::path(
    delete,
    operation_id = "remove_plugin",
    path = "/v1/plugins/{name}",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin."),
        ("delete_view" = Option<bool>, Query, description = "Delete the views of all its versions as well, also of a plugin that was removed before. Of a process manager these are its instances, with their timers and the commands that were not sent: installed again, it begins with the first event; what it sends as it did before has no second effect, what it decides otherwise has one."),
    ),
    responses(
        (status = 200, description = "Removed.", body = RemovedJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let deletes_views = Query::parse(uri, &["delete_view"])?.flag("delete_view")?;
    let [name] = path::segments(uri, 2)?;
    let name = PluginName::new(&name)?;
    let request = RemoveRequest { name, deletes_views, principal: None };
    let removal = api.engine.remove(request).await?;
    json_response(&RemovedJson {
        name: removal.name.as_str(),
        deleted_views_count: removal.deleted_views_count,
        has_deleted_instances: removal.has_deleted_instances,
    })
}

/// A plugin that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Removed)]
pub(crate) struct RemovedJson<'a> {
    /// Its name.
    name: &'a str,
    /// Of how many versions a view was deleted, the instances of a process manager counted as one.
    deleted_views_count: usize,
    /// Whether the instances of a process manager were deleted.
    has_deleted_instances: bool,
}
