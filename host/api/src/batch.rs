//! Running many commands: `POST /v1/commands`, NDJSON in and NDJSON out.
//!
//! ```text
//! body ─► lines.rs ─► execute, at most `batch_in_flight_max` at once ─► results in order ─► body
//! ```
//!
//! Nothing runs ahead of the client: a result that is not taken stops the reading. Commands go to
//! the engine in the order of their lines, so those of one stream are decided in that order.

mod line;
mod lines;

use std::convert::Infallible;
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use crate::Api;
use crate::command::waiter::{self, Decided};
use crate::command::{CommandAccepted, decide};
use crate::json;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem, ProblemBody};
use crate::request::query::Query;
use crate::request::{RequestId, headers};
use line::Wish;
use lines::{Line, Lines};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Runs many commands; the results come in the order of the lines.
#[utoipa::path(
    post,
    operation_id = "run_commands",
    path = "/v1/commands",
    tag = "commands",
    request_body(
        content = line::CommandLine<'static>,
        content_type = "application/x-ndjson",
        description = "One command per line. One bad line does not fail the others.",
    ),
    responses(
        (status = 200, description = "One result per line.", body = LineResult<'static>, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn run(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Query::none(&parts.uri)?;
    headers::media_type(&parts.headers, &["application/x-ndjson", "application/ndjson"])?;
    let permit = Arc::clone(&api.batches).try_acquire_owned().map_err(|_| {
        let in_flight_max = api.options.batches_in_flight_max;
        Problem::new(
            Code::Busy,
            format!("{in_flight_max} batches are being run already. Try again in a moment."),
        )
    })?;
    let request_id = parts.extensions.get::<RequestId>().cloned();
    let results = results(api, body, request_id, permit);
    let mut response = Response::new(results);
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    Ok(response)
}

/// Most results written into one piece of the response.
const RESULTS_PER_PIECE_MAX: usize = 256;

fn results(
    api: Arc<Api>,
    body: Body,
    request_id: Option<RequestId>,
    permit: OwnedSemaphorePermit,
) -> Body {
    let in_flight_max = api.options.batch_in_flight_max.max(1);
    let lines = Lines::new(Arc::clone(&api), body);
    let lines = futures_util::stream::unfold(lines, |mut lines| async move {
        Some((lines.next().await?, lines))
    });
    let outcomes = lines.map(move |line| started(Arc::clone(&api), line)).buffered(in_flight_max);
    let pieces = outcomes.ready_chunks(RESULTS_PER_PIECE_MAX).map(move |outcomes| {
        // The batch counts as in flight until its last piece is taken.
        let _held = &permit;
        let mut piece = Vec::with_capacity(outcomes.len().saturating_mul(512));
        for (number, outcome) in outcomes {
            write_result(&mut piece, number, &outcome, request_id.as_ref());
        }
        Ok::<_, Infallible>(Bytes::from(piece))
    });
    Body::from_stream(pieces)
}

type Outcome = (u64, Result<Decided, Problem>);
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Starts the command of a line.
fn started(api: Arc<Api>, line: Line) -> Running {
    let number = line.number;
    let Wish { command, waiter } = match line.text.and_then(|text| line::parse(&api, &text)) {
        Ok(wish) => wish,
        Err(problem) => return Box::pin(future::ready((number, Err(problem)))),
    };
    let mut running: Running = Box::pin(async move {
        let decided = match decide(&api, command).await {
            Ok(outcome) => Ok(waiter::wait(&api, waiter, outcome).await),
            Err(problem) => Err(problem),
        };
        (number, decided)
    });
    // The first poll hands the command to its shard. Done here, and not when the results are
    // waited for, it keeps the order of the lines.
    match running.as_mut().now_or_never() {
        Some(outcome) => Box::pin(future::ready(outcome)),
        None => running,
    }
}

fn write_result(
    out: &mut Vec<u8>,
    number: u64,
    outcome: &Result<Decided, Problem>,
    request_id: Option<&RequestId>,
) {
    let start = out.len();
    let written = match outcome {
        Ok(outcome) => CommandAccepted::new(outcome)
            .and_then(|accepted| json::write(out, &LineResult::accepted(number, accepted))),
        Err(problem) => Err(problem.clone()),
    };
    if let Err(problem) = written {
        out.truncate(start);
        let request_id = request_id.map(RequestId::as_str);
        problem.log(request_id.unwrap_or_default());
        // A problem is a map with text keys, which always has a JSON form.
        if json::write(out, &LineResult::problem(number, &problem)).is_err() {
            out.truncate(start);
        }
    }
    out.push(b'\n');
}

/// The result of one line: what the command alone would have been answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LineResult<'a> {
    /// The command was accepted.
    Accepted(LineAccepted<'a>),
    /// There is no outcome, or the domain said no.
    Problem(LineProblem<'a>),
}

/// A line whose command was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineAccepted<'a> {
    /// The number of the line; the first is 1.
    line: u64,
    /// 200.
    status: u16,
    /// What the command alone would have been answered.
    #[serde(flatten)]
    #[schema(value_type = CommandAccepted<'static>)]
    accepted: CommandAccepted<'a>,
}

/// A line with a problem.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineProblem<'a> {
    /// The number of the line; the first is 1.
    line: u64,
    /// The status the command alone would have had.
    status: u16,
    /// Why there is no outcome, or what the domain said.
    #[schema(value_type = ProblemDocument)]
    problem: ProblemBody<'a>,
}

impl<'a> LineResult<'a> {
    fn accepted(line: u64, accepted: CommandAccepted<'a>) -> Self {
        Self::Accepted(LineAccepted { line, status: 200, accepted })
    }

    fn problem(line: u64, problem: &'a Problem) -> Self {
        let status = problem.code().status().as_u16();
        let problem = ProblemBody { problem, request_id: None };
        Self::Problem(LineProblem { line, status, problem })
    }
}
