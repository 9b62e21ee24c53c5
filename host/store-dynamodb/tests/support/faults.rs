//! Requests that go wrong: a connector that drops, delays, refuses or answers for the emulator.
//!
//! The emulator knows no contention and loses nothing. What the network and a busy service do is done
//! here, below the SDK, so that everything above runs as it does against AWS.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Nobody listens: it is not sent.
    Refused,
    /// The connection breaks before it is sent.
    Dropped,
    /// It is carried out, and the connection breaks before the answer.
    ReplyLost,
    /// It is carried out, and never answered.
    NeverAnswered,
    /// It is carried out after a wait.
    Late(Duration),
    /// The service refuses it: too much to do.
    Throttled,
    /// The service fails, without carrying it out.
    ServerError,
    /// The service fails after carrying it out.
    ServerErrorAfter,
    /// The transaction is cancelled: somebody else writes the same items.
    Conflict,
}

/// A request, as far as plans care.
#[derive(Debug)]
pub(crate) struct Seen {
    /// E.g. `TransactWriteItems`.
    pub(crate) operation: String,
    /// How many requests came before it.
    #[expect(dead_code, reason = "for plans by hand")]
    pub(crate) number: u64,
}

/// Decides what happens to a request.
pub(crate) type Plan = Arc<dyn Fn(&Seen) -> Fault + Send + Sync>;

/// An HTTP client whose requests go wrong as `plan` says.
pub(crate) fn http_with(plan: Plan) -> SharedHttpClient {
    let http = aws_smithy_http_client::Builder::new().build_http();
    SharedHttpClient::new(FaultyClient { http, plan, count: Arc::default() })
}

struct FaultyClient {
    http: SharedHttpClient,
    plan: Plan,
    count: Arc<AtomicU64>,
}

impl fmt::Debug for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyClient")
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(FaultyConnector {
            connector: self.http.http_connector(settings, components),
            plan: Arc::clone(&self.plan),
            count: Arc::clone(&self.count),
        })
    }
}

struct FaultyConnector {
    connector: SharedHttpConnector,
    plan: Plan,
    count: Arc<AtomicU64>,
}

impl fmt::Debug for FaultyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyConnector")
    }
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let fault = (self.plan)(&Seen { operation, number });
        let actions = actions_count(&request);
        let connector = self.connector.clone();
        HttpConnectorFuture::new(async move {
            match fault {
                Fault::None => connector.call(request).await,
                Fault::Refused => Err(broken(io::ErrorKind::ConnectionRefused)),
                Fault::Dropped => Err(broken(io::ErrorKind::ConnectionReset)),
                Fault::ReplyLost => {
                    connector.call(request).await?;
                    Err(broken(io::ErrorKind::ConnectionReset))
                }
                Fault::NeverAnswered => {
                    connector.call(request).await?;
                    std::future::pending().await
                }
                Fault::Late(wait) => {
                    tokio::time::sleep(wait).await;
                    connector.call(request).await
                }
                Fault::Throttled => {
                    Ok(answer(400, "ProvisionedThroughputExceededException", "slow down", ""))
                }
                Fault::ServerError => Ok(answer(500, "InternalServerError", "oops", "")),
                Fault::ServerErrorAfter => {
                    connector.call(request).await?;
                    Ok(answer(500, "InternalServerError", "oops", ""))
                }
                Fault::Conflict => Ok(conflict(actions)),
            }
        })
    }
}

fn broken(kind: io::ErrorKind) -> ConnectorError {
    ConnectorError::io(Box::new(io::Error::from(kind)))
}

fn answer(status: u16, code: &str, message: &str, more: &str) -> HttpResponse {
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"{more}}}"#
    );
    let mut answer = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
    answer.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    answer
}

fn conflict(actions: usize) -> HttpResponse {
    let reasons = vec![r#"{"Code":"None"}"#; actions.saturating_sub(1)];
    let first = r#"{"Code":"TransactionConflict","Message":"ongoing"}"#.to_owned();
    let reasons: Vec<_> =
        std::iter::once(first).chain(reasons.into_iter().map(Into::into)).collect();
    let more = format!(r#","CancellationReasons":[{}]"#, reasons.join(","));
    answer(400, "TransactionCanceledException", "Transaction cancelled", &more)
}

fn actions_count(request: &HttpRequest) -> usize {
    let body: serde_json::Value =
        serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
    body["TransactItems"].as_array().map_or(0, Vec::len)
}
