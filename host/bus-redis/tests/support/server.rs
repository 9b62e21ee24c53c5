//! A `redis-server` of a test's own, in an empty folder, which ends with it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use annals_bus_redis::RedisBus;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Value};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::{DEADLINE, connect, logs, options};

/// What a test can set before the first start: lines of the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) lines: &'a str,
    /// Whether the port speaks TLS, with `server.crt`, `server.key` and `ca.crt` of the folder.
    pub(crate) is_tls: bool,
}

/// A running Redis, or one that can be started again.
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

/// Ports below those that the system gives to outgoing connections, so that a server that is down
/// for a while finds its port again.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

fn free_port() -> u16 {
    // Test processes begin far from each other; a port that is taken is passed over.
    let begin = u16::try_from(std::process::id().wrapping_mul(6_211) % 10_000).unwrap();
    loop {
        let port = 20_000 + (begin + NEXT_PORT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default(), |_| ()).await
    }

    /// Starts a server after `prepare` has put into its folder what it needs.
    pub(crate) async fn start_with(setup: Setup<'_>, prepare: impl FnOnce(&Path)) -> Self {
        let mut server = Self::absent(setup);
        prepare(server.folder.path());
        server.go().await;
        server
    }

    /// A server that is not started yet.
    pub(crate) fn absent(setup: Setup<'_>) -> Self {
        logs::install();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let ports = if setup.is_tls {
            format!(
                "port 0\ntls-port {port}\ntls-cert-file server.crt\ntls-key-file server.key\n\
                 tls-ca-cert-file ca.crt\ntls-auth-clients no"
            )
        } else {
            format!("port {port}")
        };
        let lines = format!(
            "dir {}\n{ports}\nbind 127.0.0.1\nunixsocket admin.sock\nsave \"\"\nappendonly no\n\
             enable-debug-command local\ndaemonize no\n{}\n",
            folder.path().display(),
            setup.lines
        );
        std::fs::write(folder.path().join("redis.conf"), lines).unwrap();
        Self { folder, port, child: None }
    }

    /// Starts it, or starts it again with what its folder holds, and waits until it answers.
    pub(crate) async fn go(&mut self) {
        self.launch();
        let deadline = Instant::now() + DEADLINE;
        while self.try_ask::<String>(&["PING"]).await.is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let is_late = Instant::now() > deadline;
            assert!(ended.is_none() && !is_late, "no `redis-server`, {ended:?}: {}", self.log());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the server logged since it was started last.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Starts it and does not wait.
    pub(crate) fn launch(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let started = Command::new("redis-server")
            .arg(self.folder.path().join("redis.conf"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(started.unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!(
                "there is no `redis-server`, which these tests run against: \
                 install it, on Debian with `apt-get install redis-server`"
            ),
            _ => panic!("`redis-server` does not start: {error}"),
        }));
    }

    /// Kills it as a crash would: what it has not saved is gone.
    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Stops or continues its process.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.as_ref().unwrap().id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A bus without user and password.
    pub(crate) fn bus(&self) -> RedisBus {
        connect(&options(&self.url()))
    }

    /// Runs a command of Redis.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).await.unwrap()
    }

    /// Runs a command of Redis, on a connection of its own over the server's socket.
    pub(crate) async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.connection().await?).await
    }

    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let socket = self.folder.path().join("admin.sock");
        let client = Client::open(format!("unix://{}", socket.display()))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// The ids of the entries of a stream, without their `-0`.
    pub(crate) async fn entry_numbers(&self, key: &str) -> Vec<u64> {
        let entries: Vec<(String, Value)> = self.ask(&["XRANGE", key, "-", "+"]).await;
        let number = |(id, _): &(String, Value)| id.strip_suffix("-0").unwrap().parse().unwrap();
        entries.iter().map(number).collect()
    }
}
