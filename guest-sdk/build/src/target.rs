//! Whether the toolchain can compile to Wasm.

use std::path::Path;
use std::process::Command;

use crate::{BuildError, TARGET};

/// Installs the target when the toolchain that builds `plugin_dir` lacks it and `rustup` is there.
pub(crate) fn ensure_installed(plugin_dir: &Path) -> Result<(), BuildError> {
    if is_installed(plugin_dir)? {
        return Ok(());
    }
    let output = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(plugin_dir)
        .output()
        .map_err(|error| BuildError::TargetMissing { reason: format!("`rustup`: {error}") })?;
    if output.status.success() && is_installed(plugin_dir)? {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(BuildError::TargetMissing { reason })
}

/// The standard library of the target is a folder in the toolchain.
fn is_installed(plugin_dir: &Path) -> Result<bool, BuildError> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(plugin_dir)
        .output()
        .map_err(|source| BuildError::Toolchain { program: "rustc", source })?;
    let folder = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(folder.trim()).is_dir())
}
