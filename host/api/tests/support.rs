//! A host to send requests to.

mod account;
mod balances;
mod documented;
mod misbehaving;
mod notes;
mod probe;
mod reminders;
mod runtime;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_api::{ApiOptions, Lifecycle};
use annals_bus_local::LocalBus;
use annals_core::id::{IdGenerator, StoreId};
use annals_core::stream::StreamId;
use annals_core::time::{Clock, Timestamp};
use annals_engine::{Engine, EngineOptions, Ports};
use annals_store_memory::{MemoryBlobStore, MemoryEventStore, MemoryStateStores};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use uuid::Uuid;

pub(crate) use documented::{SNAPSHOT, assert_documented};
pub(crate) use misbehaving::Gate;
pub(crate) use probe::{Fault, ProbeStore, SECRET};

/// What a test can set.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    pub(crate) api: ApiOptions,
    pub(crate) engine: EngineOptions,
    /// How many partitions the store has; 1 when 0.
    pub(crate) partitions_count: u32,
}

/// A running host.
pub(crate) struct Host {
    router: Router,
    pub(crate) engine: Arc<Engine>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) store: Arc<ProbeStore>,
    /// Holds back the command `wait` of the aggregate `misbehaving`, and the account `slow` in the
    /// view.
    pub(crate) gate: Arc<Gate>,
}

/// The time at which everything happens, `2026-11-20T09:30:00.000Z`.
#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_795_167_000_000)
    }
}

/// The text of [`StoppedClock`]'s time.
pub(crate) const NOW: &str = "2026-11-20T09:30:00.000Z";

/// Ids 1, 2, 3 …
#[derive(Debug, Default)]
struct CountedIds(AtomicU64);

impl IdGenerator for CountedIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

impl Host {
    /// A host with the aggregates `account` and `misbehaving` and the projection `account-balances`.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same with other options.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Setup)) -> Self {
        let host = Self::empty_with(change).await;
        for plugin in ["account", "account-balances", "misbehaving"] {
            let component = format!("{plugin} 1.0.0");
            let installed = host.engine.install(None, component.into_bytes().into(), None).await;
            installed.unwrap();
        }
        host
    }

    /// A host without plugins.
    pub(crate) async fn empty_with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let gate = Arc::new(Gate::default());
        let partitions_count = NonZeroU32::new(setup.partitions_count).unwrap_or(NonZeroU32::MIN);
        let store_id = StoreId::new(Uuid::nil());
        let store = MemoryEventStore::with_partitions(store_id, partitions_count);
        let store = Arc::new(ProbeStore::new(store));
        let ports = Ports {
            store: Arc::clone(&store) as _,
            states: Arc::new(MemoryStateStores::new()),
            blobs: Arc::new(MemoryBlobStore::new()),
            bus: Arc::new(LocalBus::new()),
            runtime: Arc::new(runtime::NativeRuntime::new(Arc::clone(&gate))),
            clock: Arc::new(StoppedClock),
            ids: Arc::new(CountedIds::default()),
        };
        let engine = Arc::new(Engine::start(ports, setup.engine).await.unwrap());
        let lifecycle = Lifecycle::new();
        let router = annals_api::router(Arc::clone(&engine), setup.api, lifecycle.clone());
        Self { router, engine, lifecycle, store, gate }
    }

    /// The response to a request, its body not read yet.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The answer to a request; its JSON must be as documented.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = Answer::read(self.respond(request).await).await;
        assert_documented(&method, &path, &answer);
        answer
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send(request(Method::GET, uri, &[], Body::empty())).await
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, uri: &str, body: &Value) -> Answer {
        self.post_with(uri, &[], body).await
    }

    /// Posts JSON with further headers.
    pub(crate) async fn post_with(
        &self,
        uri: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(request(Method::POST, uri, &headers, body.to_string().into())).await
    }

    /// Opens an account, which must succeed, and returns the position of its event.
    pub(crate) async fn open_account(&self, id: &str, initial_cents: u64) -> u64 {
        let uri = format!("/v1/aggregates/account/{id}/open-account");
        let body = serde_json::json!({"owner": "ada", "initial_cents": initial_cents});
        let answer = self.post(&uri, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()["position"].as_u64().unwrap()
    }

    /// The partition that a stream is in.
    pub(crate) fn partition_of(&self, stream: &str) -> u32 {
        let stream = StreamId::parse(stream).unwrap();
        self.engine.store().capabilities().partition_of(&stream).0
    }
}

/// The id that tests give to their requests.
pub(crate) const REQUEST_ID: &str = "request-of-a-test";

/// A request with the id of tests.
pub(crate) fn request(
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri).header("x-request-id", REQUEST_ID);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// Polls a future once, to begin it, and tells whether it has to wait.
pub(crate) fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    future.now_or_never().is_none()
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts that it is exactly this problem, beside title, status and request id.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, problem: &Value) {
        let mut expected = serde_json::json!({
            "title": self.status.canonical_reason(),
            "status": status,
            "request_id": REQUEST_ID,
        });
        let members = expected.as_object_mut().unwrap();
        members.extend(problem.as_object().unwrap().clone());
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("x-request-id"), Some(REQUEST_ID));
        assert_eq!(self.json(), expected);
    }

    /// Asserts status and code of a problem.
    #[track_caller]
    pub(crate) fn assert_code(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.json()["code"], code, "{self:?}");
        let detail = self.json()["detail"].as_str().unwrap().to_owned();
        // The sentence of a rejection is the domain's own.
        assert!(detail.ends_with('.') || code == "rejected", "not a sentence: {detail}");
    }
}
