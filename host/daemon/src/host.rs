//! A running daemon: its parts, its network, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;

use annals_api::{ApiOptions, Lifecycle};
use annals_core::durability::DurabilityLost;
use annals_engine::Engine;
use tracing::{info, warn};

use crate::assembly::Assembly;
use crate::config::{Config, Shutdown};
use crate::error::StartError;
use crate::server::{ConnectionLimits, Server, listen};
use crate::watch::Watch;
use crate::{options, web};

/// A running daemon.
///
/// ```text
/// start:  listen ─► read pages ─► open the stores ─► start the engine ─► serve
/// stop:   refuse and stop accepting ─► finish requests ─► stop the engine, flush ─► close the stores
/// ```
#[derive(Debug)]
pub struct Host {
    assembly: Assembly,
    server: Server,
    lifecycle: Lifecycle,
    watch: Option<Watch>,
    limits: Shutdown,
}

impl Host {
    /// Starts the daemon. It serves when this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let address = config.server.listen;
        if !address.ip().is_loopback() && !config.server.insecure {
            return Err(StartError::PublicAddress { address });
        }
        // Before the stores: a daemon that cannot listen leaves the data folder alone.
        let listener = listen(address).await?;
        if let Some(path) = config.plugins.watch.as_ref().filter(|path| path.is_file()) {
            return Err(StartError::NoFolder { path: path.clone() });
        }
        let web = config.web.clone();
        let apps = tokio::task::spawn_blocking(move || web::read(&web)).await;
        let apps = apps.map_err(|source| StartError::Interrupted { source })??;
        let assembly = Assembly::open(config).await?;
        let lifecycle = Lifecycle::new();
        let engine = Arc::clone(assembly.engine());
        let api = ApiOptions { apps, ..options::api(config) };
        let router = annals_api::router(engine, api, lifecycle.clone());
        let limits = ConnectionLimits {
            connections_max: config.server.connections_max,
            request_wait_max: config.server.request_wait_max,
            // An event stream that comes back in between is told why it ends.
            stalled_max: config.api.event_stream_stalled_max.saturating_mul(2),
        };
        let server = Server::start(listener, router, limits)?;
        let store = assembly.engine().store().store_id();
        info!(address = %server.address(), %store, place = config.store_place(), "serving");
        let watch = config.plugins.watch.as_ref().map(|folder| {
            let bytes_max = config.limits.component_bytes_max.bytes();
            Watch::start(Arc::clone(assembly.engine()), folder.clone(), bytes_max)
        });
        Ok(Self { assembly, server, lifecycle, watch, limits: config.shutdown.clone() })
    }

    /// Where it listens: with port 0 in the configuration, this has the real one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        self.assembly.engine()
    }

    /// Waits until a failure makes it impossible to go on. See [`Assembly::failed`].
    pub async fn failed(&self) -> DurabilityLost {
        self.assembly.failed().await
    }

    /// Stops the daemon: no new requests, those being answered are finished, everything accepted is
    /// made durable, the files are closed. Each step is given up after its limit.
    pub async fn stop(self) {
        info!("stopping");
        self.lifecycle.stop();
        if let Some(watch) = self.watch {
            watch.stop().await;
        }
        if !self.server.stop(self.limits.requests_wait_max).await {
            warn!("some requests were not answered in time, their connections are cut");
        }
        let stopped = self.assembly.stop(self.limits.engine_wait_max, self.limits.store_wait_max);
        stopped.await.log();
        info!("stopped");
    }
}
