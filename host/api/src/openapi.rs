//! `/openapi.json`: what the API offers, with the commands and events of the active plugins.

mod plugins;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use crate::answer::json_response;
use crate::problem::{Code, Problem};
use crate::request::query::Query;
use crate::{
    Api, aggregate, batch, claim, command, correlation, event, feed, health, metrics, parked,
    plugin, process, projection, relay, schedule, stream, subscription, verify, view,
};

/// Describes the API, with the commands and events of the active plugins.
#[utoipa::path(
    get,
    operation_id = "read_openapi",
    path = "/openapi.json",
    tag = "health",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)),
)]
pub(crate) async fn serve(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let mut document = document()?;
    plugins::add(&mut document, &api.engine.plugins());
    json_response(&document)
}

/// The API without any plugin.
pub(crate) fn document() -> Result<Value, Problem> {
    serde_json::to_value(ApiDocument::openapi()).map_err(|error| {
        Problem::new(Code::Internal, "The description of the API could not be written.")
            .caused_by(&error)
    })
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Annals",
        description = "Event-sourced applications whose domain logic is WebAssembly components. \
                       Problem codes are in docs/reference/errors.md.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    paths(
        command::run,
        batch::run,
        aggregate::state,
        stream::read,
        stream::append::append,
        stream::commands::read,
        feed::read,
        correlation::look,
        claim::show,
        view::row,
        view::rows,
        view::query,
        plugin::install,
        plugin::list,
        plugin::show,
        plugin::history::read,
        plugin::versions::roll_back,
        plugin::versions::remove,
        verify::run,
        parked::list,
        parked::replay,
        parked::discard,
        projection::list,
        projection::show,
        process::list,
        process::show,
        process::instances::list,
        process::instances::show,
        process::parked::streams,
        process::parked::replay,
        process::parked::discard,
        subscription::create,
        subscription::list,
        subscription::show,
        subscription::delete,
        subscription::deliveries::lease,
        subscription::deliveries::ack,
        subscription::deliveries::retry,
        subscription::deliveries::park,
        subscription::deliveries::extend,
        subscription::parked::list,
        subscription::parked::replay,
        subscription::parked::discard,
        schedule::create,
        schedule::list,
        schedule::show,
        schedule::cancel,
        schedule::retry,
        projection::rebuild::start,
        projection::rebuild::cancel,
        projection::rebuild::cut_over,
        projection::rebuild::roll_back,
        relay::show,
        health::live,
        health::ready,
        metrics::serve,
        serve,
    ),
    components(schemas(
        command::CommandEvent<'static>,
        command::RejectionJson<'static>,
        event::EventJson<'static>,
        view::RowJson<'static>,
        stream::commands::CommandJson<'static>,
        correlation::CorrelatedCommit<'static>,
        correlation::CorrelatedCommand<'static>,
        correlation::CorrelatedEvent<'static>,
        ProblemDocument,
    )),
    tags(
        (name = "commands", description = "Wishes, decided by aggregates."),
        (name = "aggregates", description = "The state that events lead to."),
        (name = "streams", description = "Events and commands of one thing."),
        (name = "events", description = "The feed of all events."),
        (name = "correlations", description = "What one outside request led to."),
        (name = "claims", description = "Names that one stream holds alone."),
        (name = "views", description = "What projections make of events."),
        (name = "plugins", description = "The components that hold the domain logic."),
        (name = "projections", description = "How far views are."),
        (name = "processes", description = "Process managers: how far they are, and their instances."),
        (name = "subscriptions", description = "Events shared by name, each to one member at a time."),
        (name = "schedules", description = "Commands that the host sends when their time has come."),
        (name = "health", description = "Probes and this description."),
    ),
)]
struct ApiDocument;

/// Why a call has no answer (RFC 9457). Further members belong to the code.
#[derive(Debug, ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "only describes what `ProblemBody` writes")]
pub(crate) struct ProblemDocument {
    /// The phrase of the status.
    title: String,
    /// The status.
    status: u16,
    /// Stable and kebab-case; docs/reference/errors.md has them all.
    code: String,
    /// A sentence for people, with what to do next.
    detail: String,
    /// To tell the operator; also in the header `x-request-id`.
    request_id: Option<String>,
}
