//! `annals plugin test`: runs a plugin's native tests.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::Failure;

/// Run the native tests of the plugin in a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The same as `cargo test` in the plugin's folder: rules are tested without WebAssembly and without a
daemon.

Examples:
  annals plugin test
  annals plugin test shop-cart -- --nocapture")]
pub(crate) struct TestArgs {
    /// Folder of the plugin's `Cargo.toml`
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,

    /// Passed to `cargo test`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &TestArgs) -> Result<(), Failure> {
    if !args.folder.join("Cargo.toml").is_file() {
        let manifest = args.folder.join("Cargo.toml");
        return Err(Failure::yours(format!("no plugin at `{}`", manifest.display()))
            .with_hint("run in the plugin's folder, or make one with `annals plugin new`"));
    }
    let status = Command::new("cargo")
        .arg("test")
        .args(&args.arguments)
        .current_dir(&args.folder)
        .status()
        .map_err(|error| {
            Failure::yours(format!("failed to run `cargo`: {error}"))
                .with_hint("install Rust from https://rustup.rs")
        })?;
    if status.success() { Ok(()) } else { Err(Failure::yours("the tests of the plugin failed")) }
}
