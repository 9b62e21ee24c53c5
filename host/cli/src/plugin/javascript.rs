//! Plugins in JavaScript: bundled by esbuild, made components by componentize-js, tested by node.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::manifest::NpmPackage;
use super::template;
use super::toolchain::{Program, Toolchain, ToolchainArgs};
use crate::failure::Failure;

const NODE: Program = Program {
    name: "node",
    hint: "install Node.js 20 or later from https://nodejs.org, then open a new shell",
};
const NPM: Program = Program { name: "npm", ..NODE };

/// Pinned, with everything it depends on: what makes a component is part of what it is.
const TOOLCHAIN: Toolchain = Toolchain {
    name: "componentize-js-0.23.0",
    files: &[
        ("package.json", include_str!("../../templates/toolchain/package.json")),
        ("package-lock.json", include_str!("../../templates/toolchain/package-lock.json")),
        ("componentize.mjs", include_str!("../../templates/toolchain/componentize.mjs")),
    ],
};

/// Says nothing of funds, audits and versions of npm itself.
const QUIETLY: [&str; 4] = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];

/// Builds the plugin in a folder.
pub(super) fn build(
    folder: &Path,
    package: &NpmPackage,
    toolchain: &ToolchainArgs,
    component: &Path,
) -> Result<(), Failure> {
    must_have_node()?;
    if !folder.join(&package.main).is_file() {
        let main = folder.join(&package.main);
        return Err(Failure::yours(format!("there is no `{}`", main.display()))
            .with_hint("`main` of `package.json` names the module that exports the aggregate"));
    }
    let tools = toolchain.get(folder, &TOOLCHAIN, |tools| {
        let mut npm = NPM.command(tools);
        NPM.run(npm.arg("ci").args(QUIETLY), "npm failed to install componentize-js 0.23.0")
            .map_err(with_network_hint)
    })?;
    install_dependencies(folder)?;
    let contract = template::contract()?;
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
    };
    let options = json!({
        "plugin": absolute(folder)?,
        "main": package.main,
        "version": package.version,
        "description": package.description,
        "wit": contract.path(),
        "output": absolute(component)?,
    });
    let mut node = NODE.command(&tools);
    node.arg("componentize.mjs").arg(options.to_string());
    NODE.run(&mut node, "the plugin cannot be made a component")
}

/// Runs the tests of the plugin in a folder.
pub(super) fn test(folder: &Path, arguments: &[String]) -> Result<(), Failure> {
    must_have_node()?;
    install_dependencies(folder)?;
    let mut node = NODE.command(folder);
    node.arg("--test").args(arguments).stdout(Stdio::inherit());
    NODE.run(&mut node, "the tests of the plugin failed")
}

/// `annals-sdk` is a dependency, if only by a link to its folder.
fn install_dependencies(folder: &Path) -> Result<(), Failure> {
    if folder.join("node_modules").is_dir() {
        return Ok(());
    }
    let mut npm = NPM.command(folder);
    NPM.run(npm.arg("install").args(QUIETLY), "npm failed to install what the plugin depends on")
        .map_err(with_network_hint)
}

fn must_have_node() -> Result<(), Failure> {
    // 20 is the first with all that the SDK uses.
    let is_new = "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)";
    NODE.must_do(&["--eval", is_new], "this `node` is older than 20")
}

fn with_network_hint(failure: Failure) -> Failure {
    if failure.hint.is_some() {
        return failure;
    }
    failure.with_hint("what npm said is above; it needs the network, this once")
}
