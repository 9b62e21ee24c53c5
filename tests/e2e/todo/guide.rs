//! `docs/guide/web-pages.md`: what it says to run prints what it says.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Daemon;

const GUIDE: &str = include_str!("../../../docs/guide/web-pages.md");

/// The fenced blocks of the guide, with their language.
fn blocks() -> Vec<(&'static str, String)> {
    let parts = GUIDE.split("\n```").skip(1).step_by(2);
    parts
        .map(|block| block.split_once('\n').unwrap())
        .map(|(language, text)| (language, format!("{text}\n")))
        .collect()
}

/// What the guide says to run, and what it prints. The first block starts the daemon, which a test does
/// on a port of its own, with plugins that were built before.
fn script() -> (String, String) {
    let blocks = blocks();
    assert!(blocks[0].1.contains("\nannals serve --data todo-data --web todo=plugins/todo/web\n"));
    let of = |wanted: &str| -> String {
        let blocks = blocks.iter().skip(1).filter(|(language, _)| *language == wanted);
        blocks.map(|(_, text)| text.as_str()).collect()
    };
    (of("sh"), of("text"))
}

/// Plugins as `annals plugin build` leaves them.
fn lay_out(folder: &Path) {
    let root = annals_components::workspace_root();
    for (plugin, file, component) in [
        ("plugins/todo/list", "todo-list.wasm", annals_components::todo()),
        ("plugins/todo/lists", "todo-lists.wasm", annals_components::todo_lists()),
    ] {
        let there = folder.join(plugin);
        std::fs::create_dir_all(&there).unwrap();
        std::fs::copy(root.join(plugin).join("Cargo.toml"), there.join("Cargo.toml")).unwrap();
        std::fs::write(there.join(file), component).unwrap();
    }
}

#[test]
fn the_guide_prints_what_it_says() {
    // Guards the guide, line by line, in its order.
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path());
    let web =
        format!("todo={}", annals_components::workspace_root().join("plugins/todo/web").display());
    let daemon = Daemon::start_with(&folder.path().join("todo-data"), |command| {
        command.args(["--web", &web]);
    });
    let (script, expected) = script();
    let script = script.replace("http://127.0.0.1:7070", daemon.url());
    let program = Path::new(env!("CARGO_BIN_EXE_annals")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [program.to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path());
    shell.env("PATH", std::env::join_paths(folders).unwrap());
    shell.env("ANNALS_SERVER", daemon.url()).stderr(Stdio::piped());
    let ran = shell.output().unwrap();
    let (said, error) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{error}");
    let said = said.split_once("0.1.0\ninstalled the projection `todo-lists` 0.1.0\n").unwrap().1;
    // An answer of the API ends without a line break.
    assert_eq!(said.replace("}]}304\n", "}]}\n304\n"), expected);
}
