//! A client of the HTTP API: one connection, requests one after another, problems as failures.

mod lines;
mod path;
pub(crate) mod problem;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::args::ServerArgs;
use crate::failure::Failure;

pub(crate) use lines::Lines;
pub(crate) use path::ApiPath;

/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest wait for the head of an answer: more than the daemon gives itself.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(90);

/// A connection to a daemon.
#[derive(Debug)]
pub(crate) struct Client {
    server: String,
    authority: String,
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection, until the client is dropped.
    driver: JoinHandle<()>,
}

/// A request: what, where, and with which headers and body.
#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    path: ApiPath,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Call {
    /// Reads something.
    pub(crate) fn get(path: ApiPath) -> Self {
        Self { method: Method::GET, path, headers: Vec::new(), body: Bytes::new() }
    }

    /// Sends JSON.
    pub(crate) fn post(path: ApiPath, body: impl Into<Bytes>) -> Self {
        let json = (header::CONTENT_TYPE.as_str(), "application/json".to_owned());
        Self { method: Method::POST, path, headers: vec![json], body: body.into() }
    }

    /// Sends JSON that something is to be.
    pub(crate) fn put(path: ApiPath, body: impl Into<Bytes>) -> Self {
        Self { method: Method::PUT, ..Self::post(path, body) }
    }

    /// Sends one JSON value per line.
    pub(crate) fn post_lines(path: ApiPath, body: impl Into<Bytes>) -> Self {
        let lines = (header::CONTENT_TYPE.as_str(), "application/x-ndjson".to_owned());
        Self { method: Method::POST, path, headers: vec![lines], body: body.into() }
    }

    /// Sends a component.
    pub(crate) fn put_component(path: ApiPath, body: impl Into<Bytes>) -> Self {
        let wasm = (header::CONTENT_TYPE.as_str(), "application/wasm".to_owned());
        Self { method: Method::PUT, path, headers: vec![wasm], body: body.into() }
    }

    /// Removes something.
    pub(crate) fn delete(path: ApiPath) -> Self {
        Self { method: Method::DELETE, path, headers: Vec::new(), body: Bytes::new() }
    }

    /// Sends a component to be looked at.
    pub(crate) fn post_component(path: ApiPath, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, ..Self::put_component(path, body) }
    }

    /// Adds a header, when there is something to say.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.headers.extend(value.map(|value| (name, value.to_owned())));
        self
    }
}

/// An answer that is no problem, whole.
#[derive(Debug)]
pub(crate) struct Answer(Bytes);

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The body as JSON of a known shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| {
            Failure::ours(format!("the answer of the daemon does not fit: {error}"))
                .with_hint("are the daemon and this program of the same version?")
        })
    }
}

impl Client {
    /// Connects to a daemon.
    pub(crate) async fn connect(args: &ServerArgs) -> Result<Self, Failure> {
        Self::connect_to(&args.server).await
    }

    /// Connects to the daemon at `server`.
    pub(crate) async fn connect_to(server: &str) -> Result<Self, Failure> {
        let authority = authority(server)?;
        let connecting = TcpStream::connect(&authority);
        let connected = tokio::time::timeout(CONNECT_WAIT_MAX, connecting).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(no_daemon(server, &error.to_string())),
            Err(_) => return Err(no_daemon(server, "it does not answer")),
        };
        stream.set_nodelay(true).map_err(|error| no_daemon(server, &error.to_string()))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| lost(server, &error))?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer is told of the error; nobody else needs to know.
            connection.await.unwrap_or_default();
        });
        Ok(Self { server: server.to_owned(), authority, sender, driver })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, call: Call) -> Result<Answer, Failure> {
        let (status, body) = self.exchange(call).await?;
        if status.is_success() { Ok(Answer(body)) } else { Err(problem::failure(status, &body)) }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub(crate) async fn exchange(&mut self, call: Call) -> Result<(StatusCode, Bytes), Failure> {
        let response = self.open(call).await?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| lost(&self.server, &error))?;
        Ok((status, body.to_bytes()))
    }

    /// Sends a request; the body of the answer comes by and by.
    pub(crate) async fn stream(&mut self, call: Call) -> Result<Incoming, Failure> {
        let response = self.open(call).await?;
        let status = response.status();
        let body = response.into_body();
        if status.is_success() {
            return Ok(body);
        }
        let body = body.collect().await.map_err(|error| lost(&self.server, &error))?;
        Err(problem::failure(status, &body.to_bytes()))
    }

    async fn open(&mut self, call: Call) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.path.as_str())
            .header(header::HOST, &self.authority);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(call.body))
            .map_err(|error| Failure::yours(format!("this cannot be sent: {error}")))?;
        let answered = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        match tokio::time::timeout(ANSWER_WAIT_MAX, answered).await {
            Ok(answer) => answer.map_err(|error| lost(&self.server, &error)),
            Err(_) => {
                let wait_s = ANSWER_WAIT_MAX.as_secs();
                Err(Failure::ours(format!("no answer of `{}` within {wait_s} s", self.server)))
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Host and port of `http://host:port`.
fn authority(server: &str) -> Result<String, Failure> {
    let bad = |what: &str| {
        Failure::yours(format!("`{server}` is not the address of a daemon: {what}"))
            .with_hint("write it as `http://127.0.0.1:7070`")
    };
    if server.starts_with("https://") {
        return Err(bad("this program does not speak TLS yet"));
    }
    let rest = server.strip_prefix("http://").unwrap_or(server);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| bad("there is no port"))?;
    if host.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) || port.parse::<u16>().is_err() {
        return Err(bad("there must be a host and a port, and nothing else"));
    }
    Ok(rest.to_owned())
}

fn no_daemon(server: &str, why: &str) -> Failure {
    Failure::yours(format!("there is no daemon at `{server}`: {why}")).with_hint(
        "start one with `annals serve`, or name another with `--server` or `ANNALS_SERVER`",
    )
}

fn lost(server: &str, error: &hyper::Error) -> Failure {
    let cause = annals_core::error::ErrorChain(error);
    Failure::ours(format!("the connection to `{server}` was lost: {cause}"))
        .with_hint("if it was a command, send it again with the same `--id`, which is safe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_daemons_have_host_and_port() {
        // Guards `--server`: what is not an address is said to be none, before anything is sent.
        for good in ["http://127.0.0.1:7070", "http://127.0.0.1:7070/", "127.0.0.1:7070"] {
            assert_eq!(authority(good).unwrap(), "127.0.0.1:7070");
        }
        assert_eq!(authority("http://[::1]:80").unwrap(), "[::1]:80");
        for bad in ["", "http://", "localhost", "http://:1", "http://a:b", "http://a:1/x"] {
            assert!(authority(bad).is_err(), "{bad}");
        }
        let message = authority("https://a:1").unwrap_err().message;
        assert_eq!(
            message,
            "`https://a:1` is not the address of a daemon: this program does not speak TLS yet"
        );
    }
}
