//! A real daemon in a process of its own, and a client that speaks JSON with it.

pub(crate) mod guide;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A running `annals serve`. Dropping it kills it as `kill -9` does.
pub(crate) struct Daemon {
    child: Child,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer: its status and its body, as JSON when it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body of an answer that must be 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        self.body
    }
}

/// The `annals` binary, without settings of whoever runs the tests.
pub(crate) fn annals() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    for (name, _) in std::env::vars() {
        if name.starts_with("ANNALS_") {
            command.env_remove(name);
        }
    }
    command
}

impl Daemon {
    /// Starts a daemon on `data`, on a free port.
    #[track_caller]
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {})
    }

    /// The same, with more arguments or variables.
    #[track_caller]
    pub(crate) fn start_with(data: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let mut command = annals();
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        command.current_dir(data.parent().unwrap_or(data));
        more(&mut command);
        Self::spawn(command)
    }

    /// Starts a daemon by any command that says where it serves.
    #[track_caller]
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("serving on ").map(ToOwned::to_owned);
        let address = address.unwrap_or_else(|| panic!("the daemon did not start: `{line}`"));
        Self { child, address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// A daemon with the bank's account aggregate.
    pub(crate) async fn start_with_account(data: &Path) -> Self {
        let daemon = Self::start(data);
        daemon.install("account", annals_components::account()).await.ok();
        daemon
    }

    pub(crate) fn url(&self) -> &str {
        &self.address
    }

    /// Sends a request; `None` when there is no answer, as when the daemon is killed.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await;
        let response = response.ok()?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Some(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_send(Method::GET, path, &[], "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.try_send(Method::POST, path, &all, body.to_owned()).await.unwrap()
    }

    /// Runs a command of an account.
    pub(crate) async fn account(&self, id: &str, command: &str, data: &str) -> Answer {
        self.post(&format!("/v1/aggregates/account/{id}/{command}"), &[], data).await
    }

    pub(crate) async fn install(&self, name: &str, component: &[u8]) -> Answer {
        let headers = [("content-type", "application/wasm")];
        let body = Bytes::copy_from_slice(component);
        self.try_send(Method::PUT, &format!("/v1/plugins/{name}"), &headers, body).await.unwrap()
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended, and returns its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asks it to stop, and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// Runs a test on a runtime of its own.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// A data folder inside a new temporary folder.
pub(crate) fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data)
}

/// What asks a view to have reached the last event of a command's answer.
pub(crate) fn reached(answer: &Value) -> String {
    format!("position={}&partition={}", at(answer, "/position"), at(answer, "/partition"))
}

/// The part of a JSON answer at a pointer, as text.
#[track_caller]
pub(crate) fn at<'a>(body: &'a Value, pointer: &str) -> &'a Value {
    body.pointer(pointer).unwrap_or_else(|| panic!("no `{pointer}` in {body:#}"))
}
