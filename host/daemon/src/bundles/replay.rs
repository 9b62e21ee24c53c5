//! Reading a bundle back, and repeating its failure.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::port::GuestRuntime as _;
use annals_core::port::failure_sink::FailedWork;
use annals_core::port::guest::{GuestFailure, LoadError};
use annals_engine::EngineOptions;
use annals_runtime::{RuntimeError, RuntimeOptions, WasmtimeRuntime};

use super::file::{FORMAT, Failure, File};
use crate::config::{Area as _, BadValue, Limits};
use crate::{SystemClock, options};

/// Largest bundle that is read, in bytes: more than one is written with.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A bundle that was read.
#[derive(Debug)]
pub struct Bundle {
    file: File,
}

/// Why a bundle cannot be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no bundle.
    #[error("`{}` is not a bug bundle: {cause}", path.display())]
    NoBundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The component is another one than the one that failed.
    #[error("the component has digest {found}, and {expected} is the one that failed")]
    OtherComponent {
        /// The digest of the component.
        found: Digest,
        /// The digest in the bundle.
        expected: Digest,
    },
    /// A limit of the bundle is none.
    #[error("limit `{key}` of the bundle: {cause}")]
    Limit {
        /// The limit.
        key: String,
        /// What is wrong with it.
        cause: BadValue,
    },
    /// wasmtime cannot be set up.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The component does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What became of doing it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It failed in the same way.
    Same(GuestFailure),
    /// It failed in another way.
    Other(GuestFailure),
    /// It did not fail.
    NoFailure,
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`BundleError::Read`], [`BundleError::NoBundle`].
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let failed = |source| BundleError::Read { path: path.to_owned(), source };
        let bytes_count = std::fs::metadata(path).map_err(failed)?.len();
        if bytes_count > FILE_BYTES_MAX {
            let cause = format!("{bytes_count} bytes, at most {FILE_BYTES_MAX} are read");
            return Err(BundleError::NoBundle { path: path.to_owned(), cause });
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let no_bundle = |cause: String| BundleError::NoBundle { path: path.to_owned(), cause };
        let file: File =
            serde_json::from_slice(&bytes).map_err(|error| no_bundle(error.to_string()))?;
        if file.format != FORMAT {
            let found = file.format;
            return Err(no_bundle(format!("its format is {found}, this version reads {FORMAT}")));
        }
        Ok(Self { file })
    }

    /// The component that failed.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.file.digest
    }

    /// The plugin that failed, and its version.
    #[must_use]
    pub fn plugin(&self) -> (&str, &str) {
        (self.file.plugin.as_str(), &self.file.version)
    }

    /// How it failed.
    #[must_use]
    pub fn failure(&self) -> &str {
        &self.file.failure.text
    }

    /// The version of wasmtime that it failed in.
    #[must_use]
    pub fn wasmtime_version(&self) -> &str {
        &self.file.wasmtime_version
    }

    /// Gives `component` what it was given when it failed, under the same limits.
    ///
    /// # Errors
    /// Each variant of [`BundleError`] but those of reading.
    pub fn replay(self, component: &[u8]) -> Result<Replayed, BundleError> {
        let found = Digest::of(component);
        if found != self.file.digest {
            return Err(BundleError::OtherComponent { found, expected: self.file.digest });
        }
        let limits = options::runtime_limits(&self.limits()?).into();
        let clock = Arc::new(SystemClock);
        let runtime = WasmtimeRuntime::new(RuntimeOptions { limits, compile_cache: None, clock })?;
        let plugin = runtime.load(component)?;
        let options = EngineOptions {
            decision_events_max: self.file.decision_events_max,
            batch_writes_max: self.file.batch_writes_max,
            ..EngineOptions::default()
        };
        let expected = self.file.failure;
        let work: FailedWork = self.file.work.read().map_err(|full| BundleError::NoBundle {
            path: PathBuf::new(),
            cause: full.to_string(),
        })?;
        Ok(match annals_engine::replay(&plugin, &work, &options) {
            Ok(()) => Replayed::NoFailure,
            Err(failure) if Failure::of(&failure) == expected => Replayed::Same(failure),
            Err(failure) => Replayed::Other(failure),
        })
    }

    fn limits(&self) -> Result<Limits, BundleError> {
        let mut limits = Limits::default();
        for (key, value) in &self.file.limits {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // A key of another version that is not there any more limits nothing.
            if let Some(Err(cause)) = limits.set(key, &text) {
                return Err(BundleError::Limit { key: key.clone(), cause });
            }
        }
        Ok(limits)
    }
}
