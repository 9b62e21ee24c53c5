//! Verifying a plugin: `POST /v1/plugins/{name}/verify`, a component in and NDJSON out.
//!
//! ```text
//! {"progress": {…}}    at once, then a few times a second
//! {"verdict": {…}}     or {"problem": {…}}, the last line
//! ```
//!
//! What is wrong with the request or the component is a problem before the first line. A client that
//! goes away ends the verification.

mod document;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use annals_core::name::PluginName;
use annals_engine::verify::{
    Progress, Report, SAMPLE_STREAMS_MAX, Step, Verification, VerifyOptions,
};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

use crate::Api;
use crate::json;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem, ProblemBody, STOPPING};
use crate::request::query::{Query, bad};
use crate::request::{RequestId, body, headers, path};
use document::VerifyLine;

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Compares another version of an active aggregate with the history, without installing it.
#[utoipa::path(
    post,
    operation_id = "verify_plugin",
    path = "/v1/plugins/{name}/verify",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's own name."),
        ("streams_max" = Option<u64>, Query, description = "Only a sample of so many streams, at most 100000; all when absent."),
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses(
        (status = 200, description = "Lines that tell how far it is, and last the verdict.", body = VerifyLine, content_type = "application/x-ndjson"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn run(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(&parts.uri, &["streams_max"])?;
    let streams_max = query.number("streams_max")?.map(streams_max).transpose()?;
    let [name] = path::segments(&parts.uri, 2)?;
    let name = PluginName::new(&name)?;
    headers::media_type(&parts.headers, &["application/wasm", "application/octet-stream"])?;
    let whole = body::read(&api, body, api.options.component_bytes_max).await?;
    let options = VerifyOptions { streams_max, ..VerifyOptions::default() };
    let verification = api.engine.verify(Some(&name), whole.bytes.clone(), options).await?;
    drop(whole);
    let request_id = parts.extensions.get::<RequestId>().cloned();
    let teller = Teller { api, request_id, verification, phase: Phase::Begun };
    let lines = futures_util::stream::unfold(teller, |mut teller| async move {
        let line = teller.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), teller))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    Ok(response)
}

fn streams_max(number: u64) -> Result<NonZeroUsize, Problem> {
    let number = usize::try_from(number).ok().and_then(NonZeroUsize::new);
    number.filter(|number| number.get() <= SAMPLE_STREAMS_MAX).ok_or_else(|| {
        let expected = format!("a number from 1 to {SAMPLE_STREAMS_MAX}");
        bad("streams_max", "has a value it cannot have", &expected)
    })
}

/// Tells how a verification goes, line by line.
struct Teller {
    api: Arc<Api>,
    request_id: Option<RequestId>,
    verification: Verification,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first line comes at once: it tells the client that there will be a verdict.
    Begun,
    Running,
    Over,
}

impl Teller {
    /// The next line; `None` after the last.
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self.phase {
            Phase::Over => return None,
            Phase::Begun => {
                self.phase = Phase::Running;
                return self.progress();
            }
            Phase::Running => {}
        }
        let api = Arc::clone(&self.api);
        let ended = tokio::select! {
            biased;
            () = api.lifecycle.stopped() => Err(Problem::new(Code::Stopping, STOPPING)),
            report = self.verification.report() => report.map_err(Problem::from),
            () = tokio::time::sleep(PROGRESS_EVERY) => return self.progress(),
        };
        self.phase = Phase::Over;
        Some(match ended.and_then(|report| line(&VerdictLine { verdict: verdict(&report) })) {
            Ok(line) => line,
            Err(problem) => self.failed(&problem),
        })
    }

    fn progress(&self) -> Option<Vec<u8>> {
        let progress = self.verification.progress();
        let Progress { step, streams_count, events_count, commands_count, done_count, total_count } =
            progress;
        let step = match step {
            Step::Choosing => "choosing",
            Step::Verifying => "verifying",
        };
        let progress = ProgressJson {
            step,
            streams_count,
            events_count,
            commands_count,
            done_count: done_count.min(total_count),
            total_count,
        };
        // Numbers and a word always have a JSON form.
        line(&ProgressLine { progress }).ok()
    }

    fn failed(&self, problem: &Problem) -> Vec<u8> {
        let request_id = self.request_id.as_ref().map(RequestId::as_str);
        problem.log(request_id.unwrap_or_default());
        // A problem is a map with text keys, which always has a JSON form.
        line(&ProblemLine { problem: ProblemBody { problem, request_id } }).unwrap_or_default()
    }
}

fn line<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    let mut line = json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[derive(Serialize)]
struct ProgressLine {
    progress: ProgressJson,
}

#[derive(Serialize)]
struct ProgressJson {
    step: &'static str,
    streams_count: u64,
    events_count: u64,
    commands_count: u64,
    done_count: u64,
    total_count: u64,
}

#[derive(Serialize)]
struct VerdictLine<V> {
    verdict: V,
}

#[derive(Serialize)]
struct ProblemLine<'a> {
    problem: ProblemBody<'a>,
}

/// The verdict as it is documented in `document.rs`.
fn verdict(report: &Report) -> impl Serialize + '_ {
    #[derive(Serialize)]
    struct Drifted<'a> {
        command: &'a str,
        #[serde(flatten)]
        counts: annals_engine::verify::CommandCounts,
    }
    let drifted = report.drifted.iter();
    let drifted: Vec<_> =
        drifted.map(|(name, counts)| Drifted { command: name.as_str(), counts: *counts }).collect();
    serde_json::json!({
        "verdict": report.verdict,
        "plugin": report.plugin,
        "active": report.active,
        "candidate": report.candidate,
        "is_sample": report.is_sample,
        "streams_count": report.streams_count,
        "events_count": report.events_count,
        "commands_count": report.commands_count,
        "commands": report.commands,
        "drifted": drifted,
        "states": report.states,
        "broken_streams_count": report.broken_streams_count,
        "active_broken_streams_count": report.active_broken_streams_count,
        "unreadable_events_count": report.unreadable_events_count,
        "unreadable": report.unreadable,
        "broken_examples": report.broken_examples,
        "command_examples": report.command_examples,
        "state_examples": report.state_examples,
    })
}
