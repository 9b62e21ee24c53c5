//! `annals plugin`: writes, builds, looks at, tests, verifies, installs and lists plugins.

mod build;
mod component;
mod example;
mod install;
mod list;
mod new;
mod template;
mod test;
mod verify;

use std::path::PathBuf;

use crate::failure::Failure;
use crate::output::Output;

/// Write, build, test and install plugins
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PluginCommand {
    New(new::NewArgs),
    Build(build::BuildArgs),
    Test(test::TestArgs),
    Check(FileArgs),
    Inspect(InspectArgs),
    Verify(verify::VerifyArgs),
    Install(install::InstallArgs),
    List(list::ListArgs),
}

/// Check that a file is a plugin this version runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It is checked as a daemon does before it installs a plugin: a valid component, of a known contract
version, that imports nothing it must not, and that describes itself.

Examples:
  annals plugin check shop-cart/shop-cart.wasm")]
pub(crate) struct FileArgs {
    /// The component
    file: PathBuf,
}

/// Show what a component is and what it can do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals plugin inspect shop-cart/shop-cart.wasm
  annals plugin inspect shop-cart/shop-cart.wasm --output json    With the JSON Schemas")]
pub(crate) struct InspectArgs {
    /// The component
    file: PathBuf,
}

/// Runs the command.
pub(crate) fn run(command: PluginCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        PluginCommand::New(args) => new::run(&args, output),
        PluginCommand::Build(args) => build::run(&args, output),
        PluginCommand::Test(args) => test::run(&args),
        PluginCommand::Check(args) => component::check(&args.file, output),
        PluginCommand::Inspect(args) => component::inspect(&args.file, output),
        PluginCommand::Verify(args) => verify::run(&args, output),
        PluginCommand::Install(args) => install::run(&args, output),
        PluginCommand::List(args) => list::run(&args, output),
    }
}
