//! The programs that make components of JavaScript and Python: found, installed once, and run.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Folder of a plugin that gets the toolchain, unless told otherwise.
const FOLDER: &str = ".annals/toolchain";

/// Where to have the toolchain of a plugin in JavaScript or Python
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ToolchainArgs {
    /// Have componentize-js or componentize-py in this folder; `.annals/toolchain` of the plugin
    /// when absent
    #[arg(long, value_name = "DIR", env = "ANNALS_TOOLCHAIN")]
    toolchain: Option<PathBuf>,
}

/// What a toolchain is made of: its name with version, and the files that an installation begins
/// with.
pub(super) struct Toolchain {
    pub(super) name: &'static str,
    pub(super) files: &'static [(&'static str, &'static str)],
}

impl ToolchainArgs {
    /// The folder of a toolchain, which `install` fills when it is not there yet.
    ///
    /// An installation appears whole or not at all, so that several builds may share one folder.
    pub(super) fn get(
        &self,
        plugin: &Path,
        toolchain: &Toolchain,
        install: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<PathBuf, Failure> {
        let root = self.toolchain.clone().unwrap_or_else(|| plugin.join(FOLDER));
        let failed = |error: io::Error| Failure::file("install a toolchain in", &root, &error);
        let root = std::path::absolute(&root).map_err(failed)?;
        let folder = root.join(toolchain.folder_name());
        if folder.is_dir() {
            return Ok(folder);
        }
        std::fs::create_dir_all(&root).map_err(failed)?;
        let unfinished = tempfile::Builder::new().prefix("unfinished-").tempdir_in(&root);
        let unfinished = unfinished.map_err(failed)?;
        for (name, text) in toolchain.files {
            std::fs::write(unfinished.path().join(name), text).map_err(failed)?;
        }
        install(unfinished.path())?;
        match std::fs::rename(unfinished.path(), &folder) {
            // Another build was faster, and its installation is as good.
            Err(_) if folder.is_dir() => Ok(folder),
            Err(error) => Err(failed(error)),
            Ok(()) => Ok(folder),
        }
    }
}

impl Toolchain {
    /// Differs when any of the files does, so that a newer `annals` installs its own.
    fn folder_name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.files.hash(&mut hasher);
        format!("{}-{:016x}", self.name, hasher.finish())
    }
}

/// A program that a language needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    /// Its name.
    pub(super) name: &'static str,
    /// What to do when it is missing.
    pub(super) hint: &'static str,
}

impl Program {
    /// A run in a folder. What it prints goes to standard error, as standard output is for data.
    pub(super) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.name);
        command.current_dir(folder).stdin(Stdio::null()).stdout(io::stderr());
        command
    }

    /// Runs a command of this program; `otherwise` says what failed.
    pub(super) fn run(&self, command: &mut Command, otherwise: &str) -> Result<(), Failure> {
        let status = command.status().map_err(|error| self.missing(&error))?;
        if status.success() { Ok(()) } else { Err(Failure::yours(otherwise)) }
    }

    /// Checks that the program runs and is not too old; `arguments` make it end with success then.
    pub(super) fn must_do(
        &self,
        arguments: &[impl AsRef<OsStr>],
        otherwise: &str,
    ) -> Result<(), Failure> {
        let mut command = Command::new(self.name);
        let output = command.args(arguments).stdin(Stdio::null()).output();
        if output.map_err(|error| self.missing(&error))?.status.success() {
            return Ok(());
        }
        Err(Failure::yours(otherwise).with_hint(self.hint))
    }

    fn missing(&self, error: &io::Error) -> Failure {
        Failure::yours(format!("failed to run `{}`: {error}", self.name)).with_hint(self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLS: Toolchain = Toolchain { name: "tools-1.0", files: &[("list.txt", "tools")] };

    #[test]
    fn a_toolchain_is_installed_once_and_whole() {
        // Guards against half an installation that is taken for one, and against a second one.
        let plugin = tempfile::tempdir().unwrap();
        let args = ToolchainArgs::default();
        let failing = args.get(plugin.path(), &TOOLS, |_| Err(Failure::yours("no network")));
        assert_eq!(failing.unwrap_err().message, "no network");
        let fill = |folder: &Path| {
            assert_eq!(std::fs::read_to_string(folder.join("list.txt")).unwrap(), "tools");
            std::fs::write(folder.join("tool"), "")
                .map_err(|error| Failure::ours(error.to_string()))
        };
        let installed = args.get(plugin.path(), &TOOLS, fill).unwrap();
        assert!(installed.join("tool").is_file());
        let again = args.get(plugin.path(), &TOOLS, |_| Err(Failure::ours("again"))).unwrap();
        assert_eq!(again, installed);
        assert_eq!(std::fs::read_dir(plugin.path().join(FOLDER)).unwrap().count(), 1);
    }

    #[test]
    fn a_program_that_is_missing_comes_with_a_next_step() {
        // Guards a machine without node or Python.
        let program = Program { name: "annals-no-such-program", hint: "install it" };
        let failure = program.must_do(&["--version"], "it is too old").unwrap_err();
        assert!(failure.message.starts_with("failed to run `annals-no-such-program`: "));
        assert_eq!(failure.hint.as_deref(), Some("install it"));
    }
}
