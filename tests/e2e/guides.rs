//! Guides that are run as they are written: each block of commands, and what it says that they print.

use std::path::Path;
use std::process::Command;

use crate::support::{Daemon, annals, folder};

/// A block of commands, and what it prints if the guide says so.
struct Block {
    commands: String,
    expected: Option<String>,
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        match language {
            "sh" => blocks.push(Block { commands: format!("{text}\n"), expected: None }),
            "text" => blocks.last_mut().unwrap().expected = Some(text.to_owned()),
            _ => {}
        }
    }
    blocks
}

/// Whether a line is as the guide says, where `…` stands for anything.
fn fits(line: &str, expected: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

/// A plugin as `annals plugin build` leaves it.
fn lay_out(folder: &Path, plugin: &str, component: &[u8]) {
    let manifest = annals_components::workspace_root().join(plugin).join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let name = text.lines().find_map(|line| line.strip_prefix("name = \"")).unwrap();
    let there = folder.join(plugin);
    std::fs::create_dir_all(&there).unwrap();
    std::fs::write(there.join("Cargo.toml"), &text).unwrap();
    std::fs::write(there.join(name.replace('"', ".wasm")), component).unwrap();
}

/// Runs a guide on a new daemon, with plugins that were built before.
fn run(guide: &str, plugins: &[(&str, &[u8])]) {
    let (folder, data) = folder();
    let folder = folder.path();
    plugins.iter().for_each(|(plugin, component)| lay_out(folder, plugin, component));
    let daemon = Daemon::start(&data);
    let blocks = blocks(guide);
    let mut script = String::new();
    for Block { commands, .. } in &blocks {
        script.push_str(&commands.replace("http://127.0.0.1:7070", daemon.url()));
        script.push_str("echo; echo '=== end of block'\n");
    }
    let program = Path::new(annals().get_program()).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [program].into_iter().chain(std::env::split_paths(&path));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(folder);
    shell.env("PATH", std::env::join_paths(folders).unwrap()).env("ANNALS_SERVER", daemon.url());
    let said = shell.output().expect("`bash`, `curl` and `grep` are needed");
    let errors = String::from_utf8_lossy(&said.stderr);
    let printed = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "is `curl` installed? {printed}\n{errors}");
    let printed: Vec<_> = printed.split("=== end of block\n").collect();
    assert!(blocks.iter().any(|block| block.expected.is_some()));
    for (Block { commands, expected }, printed) in blocks.iter().zip(&printed) {
        let Some(expected) = expected else { continue };
        let lines: Vec<_> = printed.trim_end().lines().collect();
        let expected_lines: Vec<_> = expected.lines().collect();
        // What is installed first in a block is not worth a line of the guide.
        let lines = &lines[lines.len().saturating_sub(expected_lines.len())..];
        let fits = lines.len() == expected_lines.len()
            && lines.iter().zip(&expected_lines).all(|(line, expected)| fits(line, expected));
        assert!(fits, "{commands}\nprints\n{printed}\nand not\n{expected}\n{errors}");
    }
}

#[test]
fn the_guide_of_claims_prints_what_it_says() {
    // Guards `docs/guide/claims.md`, and `annals claim show` as people see it.
    let guide = include_str!("../../docs/guide/claims.md");
    run(guide, &[("plugins/user", annals_components::user())]);
}

#[test]
fn the_guide_of_traces_prints_what_it_says() {
    // Guards `docs/guide/tracing.md`, and `annals trace` as people see it.
    let guide = include_str!("../../docs/guide/tracing.md");
    run(guide, &[("plugins/bank/account", annals_components::account())]);
}
