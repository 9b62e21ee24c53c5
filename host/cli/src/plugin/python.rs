//! Plugins in Python: made components by componentize-py, tested by unittest.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::manifest::PythonProject;
use super::template;
use super::toolchain::{Program, Toolchain, ToolchainArgs};
use crate::failure::Failure;

const PYTHON: Program = Program {
    name: "python3",
    hint: "install Python 3.11 or later from https://www.python.org, then open a new shell",
};

/// Pinned: what makes a component is part of what it is. The package depends on nothing.
const PACKAGE: &str = "componentize-py==0.25.1";
const TOOLCHAIN: Toolchain = Toolchain { name: "componentize-py-0.25.1", files: &[] };

/// The package has no module to run, only a function.
const COMPONENTIZE: &str = "from componentize_py import script; script()";

/// A name that no module of a plugin has by chance, for what is called `aggregate` otherwise.
const EXPORT_NAME: &str = "annals:plugin/aggregate@0.1.0=annals_entity";

/// Builds the plugin in a folder.
pub(super) fn build(
    folder: &Path,
    project: &PythonProject,
    toolchain: &ToolchainArgs,
    component: &Path,
) -> Result<(), Failure> {
    must_have_python()?;
    let sdk = sdk(folder, project)?;
    let tools = toolchain.get(folder, &TOOLCHAIN, |tools| {
        PYTHON.must_do(&["-m", "pip", "--version"], "there is no pip for `python3`").map_err(
            |failure| failure.with_hint("install it, on Debian with `apt-get install python3-pip`"),
        )?;
        let mut pip = PYTHON.command(tools);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-deps", "--only-binary=:all:", "--root-user-action=ignore"]);
        PYTHON
            .run(
                pip.args(["--target", ".", PACKAGE]),
                "pip failed to install componentize-py 0.25.1",
            )
            .map_err(|failure| {
                failure.with_hint("what pip said is above; it needs the network, this once")
            })
    })?;
    let contract = template::contract()?;
    let glue = tempfile::tempdir().map_err(|error| Failure::ours(error.to_string()))?;
    write_glue(glue.path(), project)
        .map_err(|error| Failure::file("write to", glue.path(), &error))?;
    let mut python = PYTHON.command(folder);
    let output = std::path::absolute(component)
        .map_err(|error| Failure::file("write", component, &error))?;
    without_traces(&mut python).env("PYTHONPATH", tools);
    python.args(["-c", COMPONENTIZE, "--quiet", "--world", "aggregate-plugin"]);
    python.args(["--export-interface-name", EXPORT_NAME]).arg("--wit-path").arg(contract.path());
    python.args(["componentize", "--stub-wasi", "annals_component"]);
    for path in [glue.path(), Path::new("."), &sdk] {
        python.arg("--python-path").arg(path);
    }
    PYTHON.run(python.arg("--output").arg(output), "the plugin cannot be made a component")
}

/// Runs the tests of the plugin in a folder.
pub(super) fn test(
    folder: &Path,
    project: &PythonProject,
    arguments: &[String],
) -> Result<(), Failure> {
    must_have_python()?;
    let mut python = PYTHON.command(folder);
    without_traces(&mut python).env("PYTHONPATH", sdk(folder, project)?);
    python.args(["-m", "unittest"]).args(arguments).stdout(Stdio::inherit());
    PYTHON.run(&mut python, "the tests of the plugin failed")
}

/// The modules that `componentize-py` looks for: the component's own, and the one of its resource.
fn write_glue(folder: &Path, project: &PythonProject) -> std::io::Result<()> {
    let package = &project.project;
    // A string of JSON is one of Python, too.
    let [plugin, version, summary] =
        [&project.tool.annals.plugin, &package.version, &package.description]
            .map(|text| Value::from(text.as_str()).to_string());
    let component = format!(
        "from annals_sdk import component\n\ncomponent.export({plugin}, {version}, {summary})\n\
         Descriptor = component.Descriptor\n"
    );
    std::fs::write(folder.join("annals_component.py"), component)?;
    std::fs::write(folder.join("annals_entity.py"), "from annals_sdk.component import Entity\n")
}

fn sdk(folder: &Path, project: &PythonProject) -> Result<PathBuf, Failure> {
    let sdk = folder.join(&project.tool.annals.sdk);
    if sdk.join("annals_sdk/__init__.py").is_file() {
        return std::path::absolute(&sdk).map_err(|error| Failure::file("find", &sdk, &error));
    }
    Err(Failure::yours(format!("there is no package `annals_sdk` in `{}`", sdk.display()))
        .with_hint("`sdk` of `[tool.annals]` names the folder that `annals plugin new` makes"))
}

fn must_have_python() -> Result<(), Failure> {
    let is_new = "import sys; sys.exit(sys.version_info < (3, 11))";
    PYTHON.must_do(&["-c", is_new], "this `python3` is older than 3.11")
}

/// Leaves no compiled modules in the plugin's folder.
fn without_traces(python: &mut Command) -> &mut Command {
    python.env("PYTHONDONTWRITEBYTECODE", "1")
}
