//! HTTP over the engine: parse, map, answer.
//!
//! ```text
//! request ─► layer.rs ─► request/ ─► command.rs, batch.rs, aggregate.rs, stream.rs,
//!            id, limit   headers,    feed.rs, correlation.rs, claim.rs, view.rs, plugin.rs,
//!                        path, query, projection.rs, process.rs, subscription.rs, schedule.rs,
//!                        body         apps.rs
//!                                          │ engine
//!                                          ▼
//! response ◄─ layer.rs ◄──────────── answer.rs, json.rs, problem.rs
//! ```
//!
//! Start at [`router`]. Listening, TLS and configuration are the daemon's.

mod aggregate;
mod answer;
pub mod apps;
mod batch;
mod claim;
mod command;
mod correlation;
mod event;
mod feed;
mod health;
mod json;
mod layer;
pub mod lifecycle;
mod metrics;
mod openapi;
pub mod options;
mod parked;
mod plugin;
pub mod problem;
mod process;
mod projection;
mod relay;
mod request;
mod schedule;
mod stream;
mod subscription;
mod verify;
mod view;

use std::sync::Arc;

use annals_engine::Engine;
use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::routing::{get, post, put};
use tokio::sync::Semaphore;

pub use lifecycle::Lifecycle;
pub use options::ApiOptions;
pub use problem::Code;

use problem::Problem;

/// What every handler shares.
#[derive(Debug)]
pub(crate) struct Api {
    engine: Arc<Engine>,
    options: ApiOptions,
    lifecycle: Lifecycle,
    requests: Arc<Semaphore>,
    batches: Arc<Semaphore>,
    event_streams: Arc<Semaphore>,
    body_budget: Arc<Semaphore>,
    retry_after: HeaderValue,
}

/// The whole API.
///
/// When the daemon stops, it first calls [`Lifecycle::stop`]: event streams and long waits end, new
/// requests are refused. Then it lets the connections finish, and last it stops the engine.
pub fn router(engine: Arc<Engine>, options: ApiOptions, lifecycle: Lifecycle) -> Router {
    let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
    let api = Arc::new(Api {
        requests: permits(options.requests_in_flight_max),
        batches: permits(options.batches_in_flight_max),
        event_streams: permits(options.event_streams_max),
        body_budget: permits(request::body::budget_units(&options)),
        retry_after: HeaderValue::from(options.retry_after.as_secs().max(1)),
        engine,
        options,
        lifecycle,
    });
    Router::new()
        .route("/v1/aggregates/{aggregate}/{id}/{command}", post(command::run))
        .route("/v1/aggregates/{aggregate}/{id}", get(aggregate::state))
        .route("/v1/commands", post(batch::run))
        .route("/v1/streams/{category}/{id}", get(stream::read).post(stream::append::append))
        .route("/v1/streams/{category}/{id}/commands", get(stream::commands::read))
        .route("/v1/events", get(feed::read))
        .route("/v1/correlations/{correlation_id}", get(correlation::look))
        .route("/v1/claims/{scope}/{key}", get(claim::show))
        .route("/v1/views/{projection}/{table}", get(view::rows))
        .route("/v1/views/{projection}/{table}/{key}", get(view::row))
        // A table may be called `queries`: its rows are read with GET.
        .route("/v1/views/{projection}/queries/{query}", post(view::query).get(view::row))
        .route("/v1/plugins", get(plugin::list))
        .route(
            "/v1/plugins/{name}",
            put(plugin::install).get(plugin::show).delete(plugin::versions::remove),
        )
        .route("/v1/plugins/{name}/history", get(plugin::history::read))
        .route("/v1/plugins/{name}/rollback", post(plugin::versions::roll_back))
        .route("/v1/plugins/{name}/verify", post(verify::run))
        .route("/v1/projections", get(projection::list))
        .route("/v1/projections/{name}", get(projection::show))
        .route("/v1/projections/{name}/parked", get(parked::list))
        .route("/v1/projections/{name}/parked/replay", post(parked::replay))
        .route("/v1/projections/{name}/parked/discard", post(parked::discard))
        .merge(processes())
        .merge(subscriptions())
        .merge(schedules())
        .route(
            "/v1/projections/{name}/rebuild",
            post(projection::rebuild::start).delete(projection::rebuild::cancel),
        )
        .route("/v1/projections/{name}/rebuild/cut-over", post(projection::rebuild::cut_over))
        .route("/v1/projections/{name}/rollback", post(projection::rebuild::roll_back))
        .route("/v1/relay", get(relay::show))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::serve))
        .route("/openapi.json", get(openapi::serve))
        .route("/apps/{app}", get(apps::file))
        .route("/apps/{app}/", get(apps::file))
        .route("/apps/{app}/{*file}", get(apps::file))
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::clone(&api))
        .layer(layer::RequestLayer(api))
}

/// The calls of subscriptions.
fn subscriptions() -> Router<Arc<Api>> {
    use subscription::{deliveries, parked};
    Router::new()
        .route("/v1/subscriptions", get(subscription::list))
        .route(
            "/v1/subscriptions/{name}",
            put(subscription::create).get(subscription::show).delete(subscription::delete),
        )
        .route("/v1/subscriptions/{name}/lease", post(deliveries::lease))
        .route("/v1/subscriptions/{name}/ack", post(deliveries::ack))
        .route("/v1/subscriptions/{name}/retry", post(deliveries::retry))
        .route("/v1/subscriptions/{name}/park", post(deliveries::park))
        .route("/v1/subscriptions/{name}/extend", post(deliveries::extend))
        .route("/v1/subscriptions/{name}/parked", get(parked::list))
        .route("/v1/subscriptions/{name}/parked/replay", post(parked::replay))
        .route("/v1/subscriptions/{name}/parked/discard", post(parked::discard))
}

/// The calls of scheduled commands.
fn schedules() -> Router<Arc<Api>> {
    Router::new()
        .route("/v1/schedules", get(schedule::list).post(schedule::create))
        .route("/v1/schedules/{id}", get(schedule::show).delete(schedule::cancel))
        .route("/v1/schedules/{id}/retry", post(schedule::retry))
}

/// The calls of process managers.
fn processes() -> Router<Arc<Api>> {
    use process::{instances, parked};
    Router::new()
        .route("/v1/processes", get(process::list))
        .route("/v1/processes/{name}", get(process::show))
        .route("/v1/processes/{name}/instances", get(instances::list))
        .route("/v1/processes/{name}/instances/{instance}", get(instances::show))
        .route("/v1/processes/{name}/parked-streams", get(parked::streams))
        .route("/v1/processes/{name}/replay", post(parked::replay))
        .route("/v1/processes/{name}/discard", post(parked::discard))
}

async fn unknown_route() -> Problem {
    Problem::new(
        Code::UnknownRoute,
        "There is nothing at this path. See /openapi.json for what there is.",
    )
}

async fn method_not_allowed(request: Request) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!(
            "{} is not allowed at this path. Use a method of the `allow` header.",
            request.method()
        ),
    )
}
