//! A `redis-server` of a test's own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// Longest wait for the server to listen.
const START_WAIT_MAX: Duration = Duration::from_secs(20);

/// A running Redis, on a free port of loopback, without a disk.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        // The port is free when the server takes it, unless another program is very quick.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_on(port)
    }

    fn start_on(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let child = child.expect("`redis-server` is needed: `apt-get install redis-server`");
        let server = Self { child, port, _folder: folder };
        let begun = Instant::now();
        while server.ask("PING\r\n").is_none() {
            assert!(begun.elapsed() < START_WAIT_MAX, "`redis-server` does not answer");
            std::thread::yield_now();
        }
        server
    }

    /// Ends the server, and starts an empty one at the same address.
    pub(crate) fn restart_empty(&mut self) {
        let port = self.port;
        self.stop();
        *self = Self::start_on(port);
    }

    /// Ends the server.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }

    /// Tells a command to use it.
    pub(crate) fn configure(&self, command: &mut Command) {
        command.env("ANNALS_BUS_DRIVER", "redis");
        command.env("ANNALS_REDIS_URL", format!("redis://127.0.0.1:{}", self.port));
    }

    /// The beginning of the answer to a command line; `None` when nobody answers.
    pub(crate) fn ask(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(line.as_bytes()).ok()?;
        let mut answer = [0; 4_096];
        let read = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(answer.get(..read)?).into_owned())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
