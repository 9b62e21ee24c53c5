//! Connections: accepted up to a limit, served, and ended. `patient.rs` ends those of clients that
//! take nothing.

mod patient;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, warn};

use crate::error::StartError;
use patient::Patient;

/// How long accepting pauses after it failed, e.g. because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections_max: NonZeroUsize,
    pub(crate) request_wait_max: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub(crate) stalled_max: Duration,
}

/// A listening server.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    is_stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// Listens, without accepting anything yet.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

impl Server {
    /// Accepts and serves connections from now on.
    pub(crate) fn start(
        listener: TcpListener,
        router: Router,
        limits: ConnectionLimits,
    ) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            source,
        })?;
        let (is_stopping, stopping) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, router, limits, stopping));
        Ok(Self { address, is_stopping, accepting })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, and lets the connections finish what they are answering for at most `wait`.
    /// Says whether all did.
    pub(crate) async fn stop(mut self, wait: Duration) -> bool {
        self.is_stopping.send_replace(true);
        let is_done = tokio::time::timeout(wait, &mut self.accepting).await.is_ok();
        // Ends the connections with it, which it owns.
        self.accepting.abort();
        is_done
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max.get()));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = wished(&mut stopping) => break,
            accepted = next(&listener, &permits) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        if let Some((stream, permit)) = accepted {
            let router = router.clone();
            let stopping = stopping.clone();
            connections.spawn(async move {
                serve(stream, router, limits, stopping).await;
                drop(permit);
            });
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there may be one more; `None` when there is none after all.
async fn next(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            warn!(%error, "a connection was not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve(
    stream: TcpStream,
    router: Router,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection stays with delayed packets");
    }
    let stream = Patient::new(stream, limits.stalled_max);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_wait_max)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = wished(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

/// Waits for the wish to stop.
async fn wished(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|is_stopping| *is_stopping).await.is_err() {
        // The server is gone, which is the end as well.
        debug!("the server was dropped without being stopped");
    }
}
