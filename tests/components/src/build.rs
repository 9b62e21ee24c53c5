//! Builds plugins of this workspace.

use std::path::PathBuf;

use annals_sdk_build::{BuildOptions, CargoOutput, build};

/// Builds the plugin in a folder of the workspace.
#[expect(clippy::panic, reason = "without its component a test cannot run")]
pub(crate) fn plugin(folder: &str) -> Vec<u8> {
    try_plugin(folder).unwrap_or_else(|error| panic!("failed to build `{folder}`: {error:#}"))
}

fn try_plugin(folder: &str) -> anyhow::Result<Vec<u8>> {
    let target_dir = target_dir()?.join("plugins");
    let built = build(&BuildOptions {
        profile: "plugin".to_owned(),
        output_dir: target_dir.join("components"),
        target_dir: Some(target_dir),
        cargo_output: CargoOutput::Capture,
        ..BuildOptions::new(crate::workspace_root().join(folder))
    })?;
    Ok(std::fs::read(built.path)?)
}

/// Cargo's target folder, wherever it is: a running test is `<target>/<profile>/deps/<test>`.
fn target_dir() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let deps = program.ancestors().find(|folder| folder.ends_with("deps"));
    match deps.and_then(|deps| deps.ancestors().nth(2)) {
        Some(target) => Ok(target.to_owned()),
        None => Ok(crate::workspace_root().join("target")),
    }
}
