//! What members do: lease, acknowledge, retry, park, extend.

use std::sync::Arc;
use std::time::Duration;

use annals_core::name::SubscriptionName;
use annals_engine::subscription::{DeliveryId, LeaseRequest, MemberName, Settlement};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::document::{DeliveriesJson, DeliveryJson, SettledDeliveryJson, SettledJson};
use super::name_of;
use crate::Api;
use crate::answer::json_response;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::body;

/// Events of a lease when the client does not say.
const LEASE_EVENTS: usize = 10;

/// Who asks for events.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeaseRequest)]
pub(crate) struct LeaseBody {
    /// The member's name: 1 to 64 printable ASCII characters. What it still has of earlier leases is
    /// taken back.
    member: String,
    /// Most events it takes, at most 1000; 10 when absent.
    events_max: Option<usize>,
    /// How long to wait for one when there is none, in milliseconds; 0 when absent.
    wait_ms: Option<u64>,
    /// How long it has for them, in milliseconds; as the subscription says when absent.
    lease_ms: Option<u64>,
}

/// Gives events to a member; waits for one when there is none.
#[utoipa::path(
    post,
    operation_id = "lease_events",
    path = "/v1/subscriptions/{name}/lease",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body = LeaseBody,
    responses(
        (status = 200, description = "Events for the member, each counted as an attempt already.", body = DeliveriesJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn lease(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (name, asked): (_, LeaseBody) = read(&api, request).await?;
    let wait = Duration::from_millis(asked.wait_ms.unwrap_or(0));
    if wait > api.options.wait_max {
        let max_ms = api.options.wait_max.as_millis();
        let text = format!("`wait_ms` is too large. Give a number from 0 to {max_ms}.");
        return Err(Problem::new(Code::MalformedBody, text).with("field", "wait_ms"));
    }
    let request = LeaseRequest {
        member: member(&asked.member)?,
        events_max: asked.events_max.unwrap_or(LEASE_EVENTS),
        wait,
        lease_ms: asked.lease_ms,
    };
    let deliveries = tokio::select! {
        biased;
        deliveries = api.engine.subscriptions().lease(&name, request) => deliveries?,
        () = api.lifecycle.stopped() => Vec::new(),
    };
    let deliveries = deliveries.iter().map(DeliveryJson::new).collect();
    json_response(&DeliveriesJson { deliveries })
}

/// Deliveries that are handled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AckRequest)]
pub(crate) struct AckBody {
    /// The member that was given them.
    member: String,
    /// The deliveries, at most 1000.
    deliveries: Vec<String>,
}

/// Notes that events are handled.
#[utoipa::path(
    post,
    operation_id = "ack_events",
    path = "/v1/subscriptions/{name}/ack",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body = AckBody,
    responses(
        (status = 200, description = "What became of each.", body = SettledJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ack(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (name, AckBody { member, deliveries }) = read(&api, request).await?;
    settle(&api, &name, (&member, &deliveries), Settlement::Ack).await
}

/// Deliveries to be made again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetryRequest)]
pub(crate) struct RetryBody {
    /// The member that was given them.
    member: String,
    /// The deliveries, at most 1000.
    deliveries: Vec<String>,
    /// How long to wait before, in milliseconds, at most a day; 0 when absent. Later events of the
    /// stream wait as long.
    after_ms: Option<u64>,
    /// Why, for the case that the event is parked in the end; the first 256 bytes are kept.
    cause: Option<String>,
}

/// Gives events back, to be delivered again.
#[utoipa::path(
    post,
    operation_id = "retry_events",
    path = "/v1/subscriptions/{name}/retry",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body = RetryBody,
    responses(
        (status = 200, description = "What became of each. One that was delivered as often as it may be is parked.", body = SettledJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retry(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (name, RetryBody { member, deliveries, after_ms, cause }) = read(&api, request).await?;
    let cause = cause.map(Arc::from);
    let settlement = Settlement::Retry { after_ms: after_ms.unwrap_or(0), cause };
    settle(&api, &name, (&member, &deliveries), settlement).await
}

/// Deliveries that are given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ParkRequest)]
pub(crate) struct ParkBody {
    /// The member that was given them.
    member: String,
    /// The deliveries, at most 1000.
    deliveries: Vec<String>,
    /// Why; the first 256 bytes are kept.
    cause: String,
}

/// Parks events: later ones of their streams wait behind them.
#[utoipa::path(
    post,
    operation_id = "park_events",
    path = "/v1/subscriptions/{name}/park",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body = ParkBody,
    responses(
        (status = 200, description = "What became of each.", body = SettledJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn park(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (name, ParkBody { member, deliveries, cause }) = read(&api, request).await?;
    let settlement = Settlement::Park { cause: Arc::from(cause) };
    settle(&api, &name, (&member, &deliveries), settlement).await
}

/// Deliveries that take longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExtendRequest)]
pub(crate) struct ExtendBody {
    /// The member that was given them.
    member: String,
    /// The deliveries, at most 1000.
    deliveries: Vec<String>,
    /// How long the member has from now on, in milliseconds.
    lease_ms: u64,
}

/// Gives a member more time.
#[utoipa::path(
    post,
    operation_id = "extend_leases",
    path = "/v1/subscriptions/{name}/extend",
    tag = "subscriptions",
    params(("name" = String, Path, description = "The subscription.")),
    request_body = ExtendBody,
    responses(
        (status = 200, description = "What became of each.", body = SettledJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn extend(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (name, ExtendBody { member, deliveries, lease_ms }) = read(&api, request).await?;
    settle(&api, &name, (&member, &deliveries), Settlement::Extend { lease_ms }).await
}

/// The subscription and the body of a request.
async fn read<B: DeserializeOwned>(
    api: &Api,
    request: Request,
) -> Result<(SubscriptionName, B), Problem> {
    let (parts, body) = request.into_parts();
    let name = name_of(&parts.uri)?;
    let whole = body::read_json(api, &parts.headers, body).await?;
    Ok((name, body::parse(&whole.bytes)?))
}

async fn settle(
    api: &Api,
    name: &SubscriptionName,
    (name_of_member, deliveries): (&str, &[String]),
    settlement: Settlement,
) -> Result<Response, Problem> {
    let member = member(name_of_member)?;
    let ids: Vec<_> = deliveries.iter().map(|text| DeliveryId::parse(text)).collect();
    let settled = api.engine.subscriptions().settle(name, &member, &ids, settlement).await?;
    let results = deliveries.iter().zip(settled);
    let results = results.map(|(text, settled)| SettledDeliveryJson::new(text, settled));
    json_response(&SettledJson { results: results.collect() })
}

fn member(name: &str) -> Result<MemberName, Problem> {
    MemberName::new(name).map_err(|error| {
        Problem::new(Code::MalformedBody, format!("{error}.")).with("field", "member")
    })
}
