//! The parts, opened and wired: stores, runtime, bus and engine.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use annals_core::durability::DurabilityLost;
use annals_core::port::{GuestRuntime, StateStores};
use annals_core::time::Clock;
use annals_engine::{Engine, Ports};
use annals_runtime::{CompileCacheOptions, RuntimeOptions, WasmtimeRuntime};
use annals_store_local::LocalEventStore;

use crate::bus::{self, Hearing};
use crate::config::{Config, StoreDriver};
use crate::error::StartError;
use crate::ids::random_key;
use crate::stores::Stores;
use crate::transfer::Mark;
use crate::{RandomIds, SystemClock, options};

/// An engine and everything it needs, without a network.
#[derive(Debug)]
pub struct Assembly {
    engine: Arc<Engine>,
    /// The log, when it is one that can fail.
    log: Option<Arc<LocalEventStore>>,
    // Kept for as long as the store wants to hear what other hosts wrote.
    _hearing: Option<Hearing>,
}

impl Assembly {
    /// Opens the stores and starts the engine with what is installed.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        let stores = Stores::open(config).await?;
        refuse_a_half_import(&*stores.states).await?;
        let bus = bus::open(config, stores.events.store_id()).await?;
        let hearing = stores.remote.map(|store| Hearing::start(&*bus, store));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // Compiled plugins are kept on this machine wherever the plugins themselves are.
        let is_kept = config.store.driver != StoreDriver::Memory;
        let cache = is_kept.then(|| config.store.data.join("cache"));
        let ports = Ports {
            store: stores.events,
            states: stores.states,
            blobs: stores.blobs,
            bus,
            runtime: runtime(config, cache.as_deref(), Arc::clone(&clock))?,
            clock,
            ids: Arc::new(RandomIds),
        };
        let engine = Engine::start(ports, options::engine(config)).await?;
        Ok(Self { engine: Arc::new(engine), log: stores.log, _hearing: hearing })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Waits until a failure makes it impossible to go on. Reads are still answered then, but
    /// nothing is accepted, and only a restart tells what is durable.
    pub async fn failed(&self) -> DurabilityLost {
        match &self.log {
            Some(log) => log.stopped().await,
            None => pending().await,
        }
    }

    /// Stops the engine and closes the stores. The caller sets limits on the waiting.
    pub(crate) async fn stop(self, engine_wait_max: Duration, store_wait_max: Duration) -> Stopped {
        let is_engine_done =
            tokio::time::timeout(engine_wait_max, self.engine.stop()).await.is_ok();
        // Closing writes and joins threads.
        let closing = tokio::task::spawn_blocking(move || drop(self));
        let is_store_done = tokio::time::timeout(store_wait_max, closing).await.is_ok();
        Stopped { is_engine_done, is_store_done }
    }

    /// Stops the engine and closes the stores, within the limits of the configuration.
    pub async fn close(self, config: &Config) {
        let limits = &config.shutdown;
        let stopped = self.stop(limits.engine_wait_max, limits.store_wait_max).await;
        stopped.log();
    }
}

/// How far stopping came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopped {
    is_engine_done: bool,
    is_store_done: bool,
}

impl Stopped {
    /// Says what was given up.
    pub(crate) fn log(self) {
        if !self.is_engine_done {
            tracing::warn!("the engine did not stop in time, it is left");
        }
        if !self.is_store_done {
            tracing::warn!("the files were not closed in time, they are left");
        }
    }
}

async fn refuse_a_half_import(states: &dyn StateStores) -> Result<(), StartError> {
    let mark = Mark::open(states).await.map_err(StartError::State)?;
    match mark.source().await.map_err(StartError::State)? {
        Some(source_store) => Err(StartError::HalfImported { source_store }),
        None => Ok(()),
    }
}

/// A runtime to look at components; with a folder, it keeps there what it compiled.
///
/// # Errors
/// [`StartError::Runtime`].
pub fn inspector(
    config: &Config,
    cache: Option<&Path>,
) -> Result<Arc<dyn GuestRuntime>, StartError> {
    runtime(config, cache, Arc::new(SystemClock))
}

fn runtime(
    config: &Config,
    cache: Option<&Path>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn GuestRuntime>, StartError> {
    let compile_cache = cache
        .map(|folder| CompileCacheOptions { folder: folder.to_owned(), fresh_key: random_key() });
    let options = RuntimeOptions { limits: options::runtime(config), compile_cache, clock };
    Ok(Arc::new(WasmtimeRuntime::new(options)?))
}
