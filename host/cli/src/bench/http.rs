//! One kept HTTP/1.1 connection to the daemon.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A connection; dropping it closes it.
pub(super) struct Connection {
    send: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    driver: JoinHandle<()>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("no connection to the daemon")?;
        stream.set_nodelay(true).context("no connection without delay")?;
        let (send, connection) = handshake(TokioIo::new(stream)).await?;
        // A broken connection shows at the next request.
        let driver = tokio::spawn(async { connection.await.unwrap_or_default() });
        Ok(Self { send, address, driver })
    }

    /// Runs one command by its own route.
    pub(super) async fn command(
        &mut self,
        id: &str,
        command: &str,
        data: Bytes,
    ) -> anyhow::Result<()> {
        let path = format!("/v1/aggregates/account/{id}/{command}");
        let answer = self.post(&path, "application/json", data).await?;
        anyhow::ensure!(!answer.is_empty(), "the daemon answered nothing");
        Ok(())
    }

    /// Runs many commands in one request.
    pub(super) async fn commands(
        &mut self,
        ids: impl Iterator<Item = String>,
        command: &str,
        data: &Bytes,
    ) -> anyhow::Result<()> {
        let data = std::str::from_utf8(data)?;
        let mut lines = String::new();
        let mut count = 0;
        for id in ids {
            writeln!(
                lines,
                r#"{{"aggregate":"account","id":"{id}","command":"{command}","data":{data}}}"#
            )?;
            count += 1;
        }
        let answer = self.post("/v1/commands", "application/x-ndjson", lines.into()).await?;
        let accepted = answer.split(|byte| *byte == b'\n').filter(|line| is_accepted(line)).count();
        anyhow::ensure!(accepted == count, "{accepted} of {count} commands were accepted");
        Ok(())
    }

    async fn post(
        &mut self,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let request = Request::post(path)
            .header("host", self.address.to_string())
            .header("content-type", content_type)
            .body(Full::new(body))?;
        self.send.ready().await?;
        let response = self.send.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            bail!("the daemon answered {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn is_accepted(line: &[u8]) -> bool {
    const STATUS: &[u8] = br#""status":200"#;
    line.windows(STATUS.len()).any(|window| window == STATUS)
}
