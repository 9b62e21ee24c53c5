//! The command line: exit codes, what goes to standard output, and what to standard error.

mod arguments;
mod bench;
mod claim;
mod client;
mod demo;
mod doctor;
mod parked;
mod process;
mod projection;
mod scaffold;
mod schedule;
mod serve;
mod store;
mod store_tools;
mod subscription;
mod tables;
mod verify;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Daemon, annals};

/// What a command said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output of a command that must end well.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The same, as JSON.
    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Standard error of a command that must fail with `code` and print no data.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        self.stderr
    }
}

/// Runs `annals` in a folder.
fn say_in(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = annals();
    command.args(arguments).current_dir(folder);
    said(&mut command)
}

fn said(command: &mut Command) -> Said {
    Said::of(command.output().unwrap())
}

/// A daemon, and commands that talk to it.
struct Talk {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Talk {
    /// With the bank's plugins.
    fn with_bank() -> Self {
        let talk = Self::with_nothing();
        for (name, component) in [
            ("account.wasm", annals_components::account()),
            ("account-balances.wasm", annals_components::account_balances()),
        ] {
            std::fs::write(talk.folder.path().join(name), component).unwrap();
            talk.say(&["plugin", "install", name]).ok();
        }
        talk
    }

    /// With nothing installed.
    fn with_nothing() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(&folder.path().join("data"));
        Self { daemon, folder }
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let mut command = annals();
        command.args(arguments).current_dir(self.folder.path());
        said(command.env("ANNALS_SERVER", self.daemon.url()))
    }
}
