//! `annals plugin test`: runs a plugin's native tests.

use std::path::PathBuf;
use std::process::Stdio;

use super::manifest::Manifest;
use super::toolchain::Program;
use super::{javascript, python};
use crate::failure::Failure;

/// Run the native tests of the plugin in a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rules are tested without WebAssembly and without a daemon, as the language does it. In the plugin's
folder that is the same as:

  cargo test               where there is a Cargo.toml
  node --test              where there is a package.json, after `npm install`
  python3 -m unittest      where there is a pyproject.toml, with the SDK in PYTHONPATH

Examples:
  annals plugin test
  annals plugin test shop-cart -- --nocapture")]
pub(crate) struct TestArgs {
    /// Folder of the plugin's manifest
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,

    /// Passed to the program that runs the tests
    #[arg(last = true)]
    arguments: Vec<String>,
}

const CARGO: Program = Program { name: "cargo", hint: "install Rust from https://rustup.rs" };

/// Runs the command.
pub(super) fn run(args: &TestArgs) -> Result<(), Failure> {
    let (folder, arguments) = (&args.folder, &args.arguments);
    match Manifest::read(folder)? {
        Manifest::Rust { .. } => {
            let mut cargo = CARGO.command(folder);
            cargo.arg("test").args(arguments).stdout(Stdio::inherit());
            CARGO.run(&mut cargo, "the tests of the plugin failed")
        }
        Manifest::Js(_) => javascript::test(folder, arguments),
        Manifest::Python(project) => python::test(folder, &project, arguments),
    }
}
