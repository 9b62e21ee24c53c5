//! `annals plugin build`: compiles a plugin, makes it a component and checks it.

use std::path::{Path, PathBuf};

use annals_sdk_build::BuildOptions;
use serde::Serialize;

use super::component::{CacheArgs, Component, Facts};
use super::manifest::Manifest;
use super::toolchain::ToolchainArgs;
use super::{javascript, python};
use crate::failure::Failure;
use crate::output::Output;

/// Build the plugin in a folder to a component and check it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The language is read off the manifest. The component is left beside it, under the package's name.
What compilers say goes to standard error.

  Cargo.toml      Rust; needs cargo
  package.json    JavaScript; needs node and npm. `main` is the module that exports the aggregate
  pyproject.toml  Python; needs python3 and pip. `[tool.annals]` names the aggregate and the SDK

JavaScript and Python need componentize-js or componentize-py as well. The first build installs it
in the plugin's folder: that takes the network and up to 250 MB.

Examples:
  annals plugin build
  annals plugin build shop-cart
  annals plugin build shop-cart --toolchain ~/annals-tools    One toolchain for many plugins")]
pub(crate) struct BuildArgs {
    /// Folder of the plugin's manifest
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,

    /// Build in this profile of cargo (of Rust)
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,

    #[command(flatten)]
    toolchain: ToolchainArgs,

    #[command(flatten)]
    cache: CacheArgs,
}

#[derive(Debug, Serialize)]
struct Built<'a> {
    path: &'a Path,
    #[serde(flatten)]
    facts: Facts<'a>,
}

/// Runs the command.
pub(super) fn run(args: &BuildArgs, output: &mut Output) -> Result<(), Failure> {
    let path = component(args)?;
    let component = Component::load(&path, &args.cache)?;
    if output.is_json() {
        return output.json(&Built { path: &path, facts: component.facts() });
    }
    component.print(output)?;
    output.line(format_args!("  {:<9} {}", "file", plain(&path).display()))
}

/// Builds the component, and returns its path.
fn component(args: &BuildArgs) -> Result<PathBuf, Failure> {
    let folder = &args.folder;
    let manifest = Manifest::read(folder)?;
    let component = manifest.component(folder);
    match &manifest {
        Manifest::Rust { .. } => {
            let profile = args.profile.clone();
            let options = BuildOptions { profile, ..BuildOptions::new(folder) };
            return Ok(annals_sdk_build::build(&options)?.path);
        }
        Manifest::Js(package) => javascript::build(folder, package, &args.toolchain, &component)?,
        Manifest::Python(project) => python::build(folder, project, &args.toolchain, &component)?,
    }
    Ok(component)
}

/// The path without a leading `./`.
fn plain(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}
