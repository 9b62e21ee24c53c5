//! Builds a plugin's crate and makes the result a component.
//!
//! ```no_run
//! use annals_sdk_build::{BuildOptions, build};
//!
//! let plugin = build(&BuildOptions::new("plugins/account"))?;
//! println!("{}: {} bytes, imports {:?}", plugin.path.display(), plugin.bytes, plugin.imports);
//! # Ok::<(), annals_sdk_build::BuildError>(())
//! ```
//!
//! It runs `cargo` for `wasm32-unknown-unknown`, whose modules import nothing but what the plugin's
//! world names, and wraps the module with `wit-component`. It does not run the plugin: whether the
//! host accepts the component is the host's to say.

mod cargo;
mod component;
mod error;
mod target;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::cargo::CargoOutput;
pub use crate::component::{Interfaces, interfaces};
pub use crate::error::BuildError;

/// The only target a plugin of the SDK is built for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What to build, and where to put it.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Folder of the plugin's `Cargo.toml`.
    pub plugin_dir: PathBuf,
    /// Cargo profile; `release` unless set.
    pub profile: String,
    /// Cargo's target folder; what cargo would choose unless set.
    pub target_dir: Option<PathBuf>,
    /// Folder that gets `<package>.wasm`; created when absent, the plugin's own unless set.
    pub output_dir: PathBuf,
    /// Where cargo's progress and diagnostics go; to our own stderr unless set.
    pub cargo_output: CargoOutput,
}

impl BuildOptions {
    /// Builds the crate in `plugin_dir` in the profile `release` and leaves the component there.
    #[must_use]
    pub fn new(plugin_dir: impl Into<PathBuf>) -> Self {
        let plugin_dir = plugin_dir.into();
        Self {
            output_dir: plugin_dir.clone(),
            plugin_dir,
            profile: "release".to_owned(),
            target_dir: None,
            cargo_output: CargoOutput::Inherit,
        }
    }
}

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltPlugin {
    /// The file.
    pub path: PathBuf,
    /// Name of the package.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Interfaces it imports, e.g. `annals:plugin/log@0.1.0`.
    pub imports: Vec<String>,
    /// Interfaces it exports.
    pub exports: Vec<String>,
}

/// Builds a plugin.
///
/// Several builds may run at once, in one or several processes: cargo locks its target folder, and
/// the component appears whole or not at all.
///
/// # Errors
///
/// [`BuildError`], whose [`hint`](BuildError::hint) says what to do where that is known.
pub fn build(options: &BuildOptions) -> Result<BuiltPlugin, BuildError> {
    let manifest_path = options.plugin_dir.join("Cargo.toml");
    let manifest_path = manifest_path
        .canonicalize()
        .map_err(|source| BuildError::NoManifest { path: manifest_path, source })?;
    target::ensure_installed(&options.plugin_dir)?;
    let artifact = cargo::build(options, &manifest_path)?;
    let module = std::fs::read(&artifact.module)
        .map_err(|source| BuildError::Read { path: artifact.module, source })?;
    let component = component::componentise(&artifact.package, &module)?;
    let Interfaces { imports, exports } = interfaces(&component)?;
    let path = options.output_dir.join(format!("{}.wasm", artifact.package));
    write_whole(&path, &component)
        .map_err(|source| BuildError::Write { path: path.clone(), source })?;
    // A component of more than 2^64 bytes does not fit any memory.
    let bytes = u64::try_from(component.len()).unwrap_or(u64::MAX);
    Ok(BuiltPlugin { path, name: artifact.package, bytes, imports, exports })
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unique = (std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    let unfinished = path.with_extension(format!("{}-{}.tmp", unique.0, unique.1));
    std::fs::write(&unfinished, content)?;
    std::fs::rename(&unfinished, path)
}
