//! What every request goes through: its id, the namespace, the limit of requests in flight, and the
//! writing of problems.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::OwnedSemaphorePermit;
use tower::{Layer, Service};
use uuid::fmt::Hyphenated;

use crate::Api;
use crate::problem::{Code, Problem};
use crate::request::RequestId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NAMESPACE: HeaderName = HeaderName::from_static("annals-namespace");

/// The one namespace of this version.
const DEFAULT_NAMESPACE: &str = "default";

/// Longest request id a client may give, in bytes; a longer one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Wraps every route.
#[derive(Debug, Clone)]
pub(crate) struct RequestLayer(pub(crate) Arc<Api>);

/// See [`RequestLayer`].
#[derive(Debug, Clone)]
pub(crate) struct RequestService<S> {
    api: Arc<Api>,
    inner: S,
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService { api: Arc::clone(&self.0), inner }
    }
}

impl<S> Service<Request> for RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let request_id = self.request_id(request.headers());
        let api = Arc::clone(&self.api);
        match admit(&api, &request) {
            Err(problem) => Box::pin(async move {
                let mut response = problem.into_response();
                finish(&api, &mut response, request_id);
                Ok(response)
            }),
            Ok(permit) => {
                request.extensions_mut().insert(request_id.clone());
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let mut response = answer.await?;
                    drop(permit);
                    finish(&api, &mut response, request_id);
                    Ok(response)
                })
            }
        }
    }
}

impl<S> RequestService<S> {
    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let is_valid = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
                && bytes.iter().all(u8::is_ascii_graphic)
        };
        if let Some(given) = headers.get(REQUEST_ID).filter(is_valid) {
            return RequestId(given.clone());
        }
        let mut text = [0; Hyphenated::LENGTH];
        let text = self.api.engine.ids().next_uuid().hyphenated().encode_lower(&mut text);
        // The text of a UUID has visible ASCII only, which is a header value.
        RequestId(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-")))
    }
}

/// Lets a request in, or says why not. Probes are always let in, and whoever watches an overload.
fn admit(api: &Api, request: &Request) -> Result<Option<OwnedSemaphorePermit>, Problem> {
    let path = request.uri().path();
    if path.starts_with("/health/") || path == "/metrics" {
        return Ok(None);
    }
    if api.lifecycle.is_stopping() {
        return Err(Problem::new(Code::Stopping, crate::problem::STOPPING));
    }
    let namespace = request.headers().get(NAMESPACE);
    if namespace.is_some_and(|name| name.as_bytes() != DEFAULT_NAMESPACE.as_bytes()) {
        return Err(Problem::new(
            Code::UnknownNamespace,
            "There is no such namespace. Send `annals-namespace: default`, or leave it away.",
        ));
    }
    let permit = Arc::clone(&api.requests).try_acquire_owned();
    permit.map(Some).map_err(|_| {
        let in_flight_max = api.options.requests_in_flight_max;
        Problem::new(
            Code::Busy,
            format!("{in_flight_max} requests are being answered already. Try again in a moment."),
        )
    })
}

fn finish(api: &Api, response: &mut Response, request_id: RequestId) {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        problem.log(request_id.as_str());
        problem.write_into(response, request_id.as_str(), &api.retry_after);
    }
    response.headers_mut().insert(REQUEST_ID, request_id.0);
}
