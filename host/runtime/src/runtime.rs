//! The runtime itself: what it is made of, and from bytes to a plugin.

use std::path::PathBuf;
use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::port::guest::{GuestPlugin, GuestRuntime, Inspection, LoadError};
use annals_core::time::Clock;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::CompileCache;
use crate::compile::Compiler;
use crate::limits::{PluginLimits, RuntimeLimits};
use crate::plugin::WasmPlugin;
use crate::text::printable;
use crate::{check, deserialize, engine};

/// What a runtime is made of.
#[derive(Debug)]
pub struct RuntimeOptions {
    /// What plugins may use.
    pub limits: PluginLimits,
    /// Where compiled plugins are kept; `None`: each load compiles.
    pub compile_cache: Option<CompileCacheOptions>,
    /// By which log lines are counted per second.
    pub clock: Arc<dyn Clock>,
}

/// Where compiled plugins are kept.
pub struct CompileCacheOptions {
    /// A folder of the cache's own; it is made when there is none.
    pub folder: PathBuf,
    /// 32 unpredictable bytes, which become the cache's key when it has none yet.
    pub fresh_key: [u8; 32],
}

impl std::fmt::Debug for CompileCacheOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompileCacheOptions").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// This machine or this configuration is not one wasmtime runs on.
    #[error("failed to set up wasmtime: {cause}")]
    Engine {
        /// What wasmtime says.
        cause: String,
    },
    /// The compile cache cannot be used.
    #[error("failed to open the compile cache in `{}`", folder.display())]
    CompileCache {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Runs plugins in wasmtime.
#[derive(Debug)]
pub struct WasmtimeRuntime {
    compiler: Compiler,
    limits: PluginLimits,
    /// In force until a component has told its name.
    nameless: Arc<RuntimeLimits>,
    cache: Option<CompileCache>,
    clock: Arc<dyn Clock>,
}

impl WasmtimeRuntime {
    /// Sets up wasmtime and opens the compile cache.
    ///
    /// # Errors
    /// Each variant of [`RuntimeError`].
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let engine = engine::deterministic()
            .map_err(|error| RuntimeError::Engine { cause: format!("{error:#}") })?;
        let cache = options.compile_cache.map(|cache| open_cache(cache, &engine)).transpose()?;
        Ok(Self {
            nameless: Arc::new(options.limits.of_nameless()),
            limits: options.limits,
            compiler: Compiler::new(engine),
            cache,
            clock: options.clock,
        })
    }

    fn compiled(&self, bytes: &[u8], digest: Digest) -> Result<Component, LoadError> {
        let cached = self.cache.as_ref().and_then(|cache| cache.get(digest));
        if let Some(artefact) = cached {
            match deserialize::component(self.compiler.engine(), &artefact) {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(
                    %digest,
                    error = format!("{error:#}"),
                    "compiled plugin does not load, it is compiled again"
                ),
            }
        }
        let component = self.compiler.compile(bytes, self.nameless.compile_wait_max)?;
        if let Some(cache) = &self.cache {
            let artefact = component.serialize().map_err(|error| does_not_compile(&error))?;
            cache.put(digest, &artefact);
        }
        Ok(component)
    }

    /// `plugin` under the limits of its own name, if those are others than it was loaded with.
    fn with_own_limits(
        &self,
        plugin: WasmPlugin,
        bytes: &[u8],
        component: &Component,
    ) -> Result<WasmPlugin, LoadError> {
        let own = self.limits.of(&plugin.description().name);
        if *own == *self.nameless {
            return Ok(plugin);
        }
        let own = Arc::new(own.clone());
        let inspection = check::inspect(bytes, &own)?;
        // Described again: what cannot be made under its own limits must not be installed.
        WasmPlugin::load(inspection, component, &own, &self.clock)
    }
}

impl GuestRuntime for WasmtimeRuntime {
    fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        check::inspect(bytes, &self.nameless)
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn GuestPlugin>, LoadError> {
        let inspection = self.inspect(bytes)?;
        let component = self.compiled(bytes, inspection.digest)?;
        let plugin = WasmPlugin::load(inspection, &component, &self.nameless, &self.clock)?;
        Ok(Arc::new(self.with_own_limits(plugin, bytes, &component)?))
    }
}

fn open_cache(options: CompileCacheOptions, engine: &Engine) -> Result<CompileCache, RuntimeError> {
    CompileCache::open(&options.folder, &options.fresh_key, engine)
        .map_err(|source| RuntimeError::CompileCache { folder: options.folder, source })
}

/// Longest cause, in bytes: it may quote names of the component.
const CAUSE_BYTES_MAX: usize = 1 << 10;

pub(crate) fn does_not_compile(error: &wasmtime::Error) -> LoadError {
    LoadError::Compile { cause: printable(&format!("{error:#}"), CAUSE_BYTES_MAX) }
}
