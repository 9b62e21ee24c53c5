//! `annals plugin`: writes, builds, looks at, tests and verifies plugins, repeats their failures, and looks
//! after those of a daemon.

mod build;
mod changes;
mod component;
mod example;
mod force;
mod history;
mod install;
mod javascript;
mod list;
mod manifest;
mod new;
mod python;
mod remove;
mod replay;
mod rollback;
mod show;
mod template;
mod test;
mod toolchain;
mod verify;

use std::path::PathBuf;

use crate::failure::Failure;
use crate::output::Output;

pub(crate) use install::component_of;

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
    Show(show::ShowArgs),
    History(history::HistoryArgs),
    Rollback(rollback::RollbackArgs),
    Remove(remove::RemoveArgs),
    Replay(replay::ReplayArgs),
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

    #[command(flatten)]
    cache: component::CacheArgs,
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

    #[command(flatten)]
    cache: component::CacheArgs,
}

/// Runs the command.
pub(crate) fn run(command: PluginCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        PluginCommand::New(args) => new::run(&args, output),
        PluginCommand::Build(args) => build::run(&args, output),
        PluginCommand::Test(args) => test::run(&args),
        PluginCommand::Check(args) => component::check(&args.file, &args.cache, output),
        PluginCommand::Inspect(args) => component::inspect(&args.file, &args.cache, output),
        PluginCommand::Verify(args) => verify::run(&args, output),
        PluginCommand::Install(args) => install::run(&args, output),
        PluginCommand::List(args) => list::run(&args, output),
        PluginCommand::Show(args) => show::run(&args, output),
        PluginCommand::History(args) => history::run(&args, output),
        PluginCommand::Rollback(args) => rollback::run(&args, output),
        PluginCommand::Remove(args) => remove::run(&args, output),
        PluginCommand::Replay(args) => replay::run(&args, output),
    }
}
