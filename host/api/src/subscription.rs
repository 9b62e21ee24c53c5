//! Subscriptions: made, shown and deleted here; `deliveries.rs` is what members do, `parked.rs` what
//! became of events that nobody handled, `document.rs` the JSON of all of it.

pub(crate) mod deliveries;
pub(crate) mod document;
pub(crate) mod parked;

use std::sync::Arc;

use annals_core::name::SubscriptionName;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;

use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::Problem;
use crate::request::query::Query;
use crate::request::{body, path};
use document::{DeletedJson, SettingsBody, SubscriptionJson, SubscriptionsJson};

/// Makes a subscription; one that is there with the same settings stays as it is.
#[utoipa::path(
    put,
    operation_id = "create_subscription",
    path = "/v1/subscriptions/{name}",
    tag = "subscriptions",
    params(("name" = String, Path, description = "Its name, in kebab-case.")),
    request_body(content = Option<SettingsBody>, description = "An empty body counts as `{}`: all events from the beginning."),
    responses(
        (status = 200, description = "The subscription.", body = SubscriptionJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let name = name_of(&parts.uri)?;
    let whole = body::read_json(&api, &parts.headers, body).await?;
    let settings: SettingsBody = body::parse(&whole.bytes)?;
    let subscriptions = api.engine.subscriptions();
    subscriptions.create(&name, settings.into_settings()?).await?;
    json_response(&SubscriptionJson::new(&subscriptions.show(&name).await?))
}

/// Lists the subscriptions, in order of name.
#[utoipa::path(
    get,
    operation_id = "list_subscriptions",
    path = "/v1/subscriptions",
    tag = "subscriptions",
    responses(
        (status = 200, description = "The subscriptions.", body = SubscriptionsJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let subscriptions = api.engine.subscriptions().list().await?;
    let subscriptions = subscriptions.iter().map(SubscriptionJson::new).collect();
    json_response(&SubscriptionsJson { subscriptions })
}

/// Shows a subscription.
#[utoipa::path(
    get,
    operation_id = "read_subscription",
    path = "/v1/subscriptions/{name}",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    responses(
        (status = 200, description = "The subscription.", body = SubscriptionJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name_of(request.uri())?;
    json_response(&SubscriptionJson::new(&api.engine.subscriptions().show(&name).await?))
}

/// Deletes a subscription with its parked events; the events themselves stay where they are.
#[utoipa::path(
    delete,
    operation_id = "delete_subscription",
    path = "/v1/subscriptions/{name}",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    responses(
        (status = 200, description = "It is deleted.", body = DeletedJson),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name_of(request.uri())?;
    api.engine.subscriptions().delete(&name).await?;
    json_response(&DeletedJson { name: name.to_string() })
}

/// The subscription of a path that takes no query parameters.
fn name_of(uri: &Uri) -> Result<SubscriptionName, Problem> {
    Query::none(uri)?;
    let [name] = path::segments(uri, 2)?;
    Ok(SubscriptionName::new(&name)?)
}
