//! `annals plugin build`: compiles a plugin's crate, makes it a component and checks it.

use std::path::{Path, PathBuf};

use annals_sdk_build::{BuildOptions, build};
use serde::Serialize;

use super::component::{Component, Facts};
use crate::failure::Failure;
use crate::output::Output;

/// Build the plugin in a folder to a component and check it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The component is left beside `Cargo.toml`, as `<package>.wasm`. What the compiler says goes to
standard error.

Examples:
  annals plugin build
  annals plugin build shop-cart")]
pub(crate) struct BuildArgs {
    /// Folder of the plugin's `Cargo.toml`
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,

    /// Build in this profile of cargo
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
}

#[derive(Debug, Serialize)]
struct Built<'a> {
    path: &'a Path,
    #[serde(flatten)]
    facts: Facts<'a>,
}

/// Runs the command.
pub(super) fn run(args: &BuildArgs, output: &mut Output) -> Result<(), Failure> {
    let options = BuildOptions { profile: args.profile.clone(), ..BuildOptions::new(&args.folder) };
    let built = build(&options)?;
    let component = Component::load(&built.path)?;
    if output.is_json() {
        return output.json(&Built { path: &built.path, facts: component.facts() });
    }
    component.print(output)?;
    output.line(format_args!("  {:<9} {}", "file", plain(&built.path).display()))
}

/// The path without a leading `./`.
fn plain(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}
