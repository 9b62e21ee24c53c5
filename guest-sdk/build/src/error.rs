//! Why a plugin was not built.

use std::path::PathBuf;

/// Why a plugin was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no crate in the plugin's folder.
    #[error("no plugin at `{}`", path.display())]
    NoManifest {
        /// The manifest that was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A program of the Rust toolchain could not be started.
    #[error("failed to run `{program}`")]
    Toolchain {
        /// `cargo`, for one.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The toolchain cannot compile to Wasm, and `rustup` could not change that.
    #[error("the Rust toolchain lacks the target `{}`: {reason}", crate::TARGET)]
    TargetMissing {
        /// What `rustup` said.
        reason: String,
    },
    /// Cargo refused the crate.
    #[error("the plugin does not compile{}", separated(output))]
    Compile {
        /// What cargo said; empty when it said so on our stderr.
        output: String,
    },
    /// Cargo succeeded without making a module of the crate.
    #[error("cargo made no Wasm module of `{}`", manifest_path.display())]
    NoModule {
        /// The crate's manifest.
        manifest_path: PathBuf,
    },
    /// The module is Wasm but no plugin.
    #[error("`{package}` exports no plugin")]
    NotAPlugin {
        /// The crate.
        package: String,
    },
    /// The module does not fit the world it says it is of.
    #[error("`{package}` cannot be made a component")]
    Componentise {
        /// The crate.
        package: String,
        /// Why.
        source: anyhow::Error,
    },
    /// Bytes are not a component.
    #[error("not a component")]
    NotAComponent(#[source] anyhow::Error),
    /// What cargo made is not Wasm.
    #[error("cargo made a broken Wasm module")]
    NotWasm(#[source] wasmparser::BinaryReaderError),
    /// A file that was built cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The component cannot be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl BuildError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoManifest { .. } => {
                Some("run in the plugin's folder, or make one with `annals plugin new`")
            }
            Self::Toolchain { .. } => Some("install Rust from https://rustup.rs"),
            Self::TargetMissing { .. } => Some("run `rustup target add wasm32-unknown-unknown`"),
            Self::NotAPlugin { .. } => Some(
                "call `annals_sdk::export_aggregate!` or `annals_sdk::export_projection!` once \
                 in the crate",
            ),
            Self::Componentise { .. } => Some(
                "a plugin may import only what its kind allows: look for a dependency that needs \
                 an operating system or JavaScript",
            ),
            _ => None,
        }
    }
}

fn separated(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(":\n{}", output.trim_end()) }
}
