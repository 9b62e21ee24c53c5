//! The daemon's host: how it starts, whom it serves, how it stops.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

use std::net::SocketAddr;
use std::time::Duration;

use annals_daemon::config::StoreDriver;
use annals_daemon::{Config, DataFolder, Host, StartError, look_into};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Longest wait for something that must happen.
const DEADLINE: Duration = Duration::from_secs(20);

fn in_memory() -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.store.driver = StoreDriver::Memory;
    config
}

/// Asks over a connection that stays open, and returns the first line of the answer.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: annals\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4 << 10];
    let read = tokio::time::timeout(DEADLINE, stream.read(&mut answer)).await;
    let bytes_count = read.expect("an answer in time").unwrap();
    let answer = String::from_utf8_lossy(&answer[..bytes_count]).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Whether the host has closed a connection: waits until it has.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    // An end and a reset are both closed.
    drop(end.expect("a closed connection in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_on_a_free_port_and_stops() {
    // Guards port 0, which every test of the real binary uses, and the graceful end.
    let host = Host::start(&in_memory()).await.unwrap();
    let address = host.address();
    assert_ne!(address.port(), 0);
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut stream).await, "HTTP/1.1 200 OK");
    host.stop().await;
    closed(&mut stream).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn refuses_a_public_address_unless_told() {
    // Guards data that nobody protects: there is no authentication yet.
    let mut config = in_memory();
    config.server.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = Host::start(&config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`0.0.0.0:0` can be reached by other machines, and there is no authentication yet"
    );
    config.server.insecure = true;
    Host::start(&config).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_taken_port_leaves_the_data_folder_alone() {
    // Guards a start in vain: nothing is made.
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut config = in_memory();
    config.store.driver = StoreDriver::Local;
    config.store.data = folder.path().join("data");
    config.server.listen = taken.local_addr().unwrap();
    let error = Host::start(&config).await.unwrap_err();
    let is_taken =
        matches!(&error, StartError::Listen { address, .. } if *address == config.server.listen);
    assert!(is_taken && error.is_the_users(), "{error}");
    assert!(error.hint().unwrap().contains("--listen"));
    assert!(!config.store.data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_belongs_to_one_host_and_is_free_after_it() {
    // Guards R7, and that stopping closes the files.
    let folder = tempfile::tempdir().unwrap();
    let mut config = in_memory();
    config.store.driver = StoreDriver::Local;
    config.store.data = folder.path().join("data");
    assert_eq!(look_into(&config.store).unwrap(), DataFolder::Missing);
    let host = Host::start(&config).await.unwrap();
    let error = Host::start(&config).await.unwrap_err();
    assert!(error.is_in_use() && error.is_the_users(), "{error}");
    assert!(look_into(&config.store).unwrap_err().is_in_use());
    host.stop().await;
    assert_eq!(look_into(&config.store).unwrap(), DataFolder::Readable { commits_count: 0 });
    Host::start(&config).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_for_one_to_end() {
    // Guards `server.connections_max`.
    let mut config = in_memory();
    config.server.connections_max = 1.try_into().unwrap();
    let host = Host::start(&config).await.unwrap();
    let mut first = TcpStream::connect(host.address()).await.unwrap();
    assert_eq!(ask(&mut first).await, "HTTP/1.1 200 OK");
    let mut second = TcpStream::connect(host.address()).await.unwrap();
    {
        let waiting = ask(&mut second);
        tokio::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(early.is_err(), "the second connection was served beside the first");
        drop(first);
        assert_eq!(waiting.await, "HTTP/1.1 200 OK");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_nothing_is_closed() {
    // Guards `server.request_wait_max`: slow and idle clients do not keep connections.
    let mut config = in_memory();
    config.server.request_wait_max = Duration::from_millis(100);
    let host = Host::start(&config).await.unwrap();
    let mut silent = TcpStream::connect(host.address()).await.unwrap();
    let mut slow = TcpStream::connect(host.address()).await.unwrap();
    slow.write_all(b"GET /health/live HTTP/1.1\r\nhost:").await.unwrap();
    closed(&mut silent).await;
    closed(&mut slow).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_gives_up_each_step_after_its_limit() {
    // Guards `[shutdown]`: a request that never ends does not keep the daemon, nor does anything
    // after it.
    let mut config = in_memory();
    config.shutdown.requests_wait_max = Duration::from_millis(100);
    config.shutdown.engine_wait_max = Duration::ZERO;
    config.shutdown.store_wait_max = Duration::ZERO;
    let host = Host::start(&config).await.unwrap();
    let mut endless = TcpStream::connect(host.address()).await.unwrap();
    let head = "POST /v1/streams/note/n1 HTTP/1.1\r\nhost: annals\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\n\r\n{";
    endless.write_all(head.as_bytes()).await.unwrap();
    let mut other = TcpStream::connect(host.address()).await.unwrap();
    assert_eq!(ask(&mut other).await, "HTTP/1.1 200 OK");
    tokio::time::timeout(DEADLINE, host.stop()).await.expect("a stop within its limits");
    closed(&mut endless).await;
}
