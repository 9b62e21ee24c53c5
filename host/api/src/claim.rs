//! Who holds a name: `GET /v1/claims/{scope}/{key}`.

use std::sync::Arc;

use annals_core::commit::CLAIM_PART_BYTES_MAX;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::path;
use crate::request::query::Query;

/// Shows which stream holds a name now.
#[utoipa::path(
    get,
    operation_id = "read_claim",
    path = "/v1/claims/{scope}/{key}",
    tag = "claims",
    params(
        ("scope" = String, Path, description = "What kind of name it is, such as `email`."),
        ("key" = String, Path, description = "The name, as it was claimed: byte for byte, percent-encoded."),
    ),
    responses(
        (status = 200, description = "The stream that holds it.", body = ClaimJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    Query::none(uri)?;
    let [scope, key] = path::segments(uri, 2)?;
    if scope.len().max(key.len()) > CLAIM_PART_BYTES_MAX {
        return Err(Problem::new(
            Code::BadPath,
            format!(
                "A claim's scope and key have at most {CLAIM_PART_BYTES_MAX} bytes each. Nobody can \
                 hold a longer one."
            ),
        ));
    }
    let now = api.engine.clock().now();
    let Some(holder) = api.engine.store().claim_holder(&scope, &key, now).await? else {
        return Err(not_held(&scope, &key));
    };
    json_response(&ClaimJson {
        scope: &scope,
        key: &key,
        holder: holder.stream.as_str(),
        expires_at: holder.expires_at.map(Time),
    })
}

fn not_held(scope: &str, key: &str) -> Problem {
    Problem::new(
        Code::ClaimNotHeld,
        format!(
            "No stream holds `{key}` of `{scope}` now. A stream gets it when one of its commands \
             claims it."
        ),
    )
    .with("scope", scope)
    .with("key", key)
}

/// A name and who holds it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Claim)]
pub(crate) struct ClaimJson<'a> {
    /// What kind of name it is.
    scope: &'a str,
    /// The name.
    key: &'a str,
    /// The stream that holds it, as `category/id`.
    holder: &'a str,
    /// From this time on others may take it (RFC 3339); null when it is held until it is released.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Time>,
}
