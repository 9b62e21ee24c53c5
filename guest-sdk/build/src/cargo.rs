//! One run of cargo: a crate in, the file of a module out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{BuildError, BuildOptions, TARGET};

/// Where cargo's progress and diagnostics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CargoOutput {
    /// To our own stderr, as they come.
    Inherit,
    /// Into [`BuildError::Compile`], when there is one.
    Capture,
}

/// What cargo made.
pub(crate) struct Artifact {
    /// Name of the package.
    pub(crate) package: String,
    /// The Wasm module.
    pub(crate) module: PathBuf,
}

/// The part of cargo's messages that says which files a crate became.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

pub(crate) fn build(options: &BuildOptions, manifest_path: &Path) -> Result<Artifact, BuildError> {
    let mut command = Command::new("cargo");
    // `rustc` and not `build`, for `--crate-type`: a crate that is also an `rlib`, for its tests,
    // would be linked without link-time optimisation.
    command
        .args(["rustc", "--lib", "--crate-type", "cdylib", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(manifest_path)
        .args(["--profile", &options.profile])
        .current_dir(&options.plugin_dir)
        .stdin(Stdio::null())
        // Flags for this machine, such as its processor or linker, are not for Wasm.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(target_dir) = &options.target_dir {
        // Cargo runs in the plugin's folder; the caller's path is relative to its own.
        let target_dir = std::path::absolute(target_dir)
            .map_err(|source| BuildError::Toolchain { program: "cargo", source })?;
        command.arg("--target-dir").arg(target_dir);
    }
    if options.cargo_output == CargoOutput::Inherit {
        command.stderr(Stdio::inherit());
    }
    let output =
        command.output().map_err(|source| BuildError::Toolchain { program: "cargo", source })?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BuildError::Compile { output });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    artifact(&messages, manifest_path)
        .ok_or_else(|| BuildError::NoModule { manifest_path: manifest_path.to_owned() })
}

/// Finds the module of the crate with a manifest. Lines that are no message are prints of build
/// scripts and macros.
fn artifact(messages: &str, manifest_path: &Path) -> Option<Artifact> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| is_same_file(&message.manifest_path, manifest_path))
        .find_map(|message| {
            let is_module = |file: &PathBuf| file.extension().is_some_and(|end| end == "wasm");
            let module = message.filenames.iter().find(|file| is_module(file))?.clone();
            Some(Artifact { package: package_name(&message.package_id)?, module })
        })
}

fn is_same_file(one: &Path, canonical: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| one == canonical)
}

/// The name in a package id: `path+file:///plugins/account#bank-account@0.1.0`, or
/// `path+file:///plugins/account#0.1.0` when the folder has the package's name.
fn package_name(package_id: &str) -> Option<String> {
    let (location, package) = package_id.rsplit_once('#')?;
    let name = match package.split_once('@') {
        Some((name, _)) => name,
        None => location.rsplit_once('/')?.1,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::package_name;

    #[test]
    fn package_name_is_found_in_both_forms_of_a_package_id() {
        // Guards the component's file name.
        let cases = [
            ("path+file:///plugins/account#bank-account@0.1.0", Some("bank-account")),
            ("path+file:///plugins/account#0.1.0", Some("account")),
            ("account 0.1.0", None),
        ];
        for (package_id, expected) in cases {
            assert_eq!(package_name(package_id).as_deref(), expected);
        }
    }
}
