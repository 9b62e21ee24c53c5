//! Guides, run as they are written: each block of commands, and what it says that they print.
//!
//! The tests are in `guides.rs`.

use std::path::Path;
use std::process::Command;

use super::{Daemon, annals};

/// A page of the documentation whose blocks are commands, and what they print.
#[derive(Debug, Default)]
pub(crate) struct Guide {
    /// The page.
    pub(crate) text: &'static str,
    /// What it has in place of what differs each time, beside `…`.
    pub(crate) examples: &'static [&'static str],
    /// How many of its first blocks are not run: they start what a test starts itself.
    pub(crate) skipped_blocks_count: usize,
}

/// A block of commands, and what it prints if the guide says so.
#[derive(Debug)]
struct Block {
    commands: String,
    expected: Option<String>,
}

impl Guide {
    /// Runs all blocks, one after the other, in a folder and against a daemon.
    #[track_caller]
    pub(crate) fn run(&self, folder: &Path, daemon: &Daemon) {
        let blocks = self.blocks();
        assert!(blocks.iter().any(|block| block.expected.is_some()), "it says nothing");
        let mut script = String::new();
        for Block { commands, .. } in &blocks {
            script.push_str(&commands.replace("http://127.0.0.1:7070", daemon.url()));
            // An answer of the API ends without a line break.
            script.push_str("echo; echo '=== end of block'\n");
        }
        let said = shell(&script, folder, daemon).output();
        let said = said.expect("`bash`, `curl`, `grep`, `timeout` and `python3` are needed");
        let errors = String::from_utf8_lossy(&said.stderr);
        let printed = String::from_utf8(said.stdout).unwrap();
        assert!(
            said.status.success(),
            "are `curl`, `timeout` and `python3` installed? {printed}\n{errors}"
        );
        let printed: Vec<_> = printed.split("=== end of block\n").collect();
        assert_eq!(printed.len(), blocks.len() + 1);
        for (Block { commands, expected }, printed) in blocks.iter().zip(&printed) {
            let Some(expected) = expected else { continue };
            let lines: Vec<_> = printed.trim_end().lines().collect();
            let expected_lines: Vec<_> = expected.lines().collect();
            // What is done first in a block is not worth a line of the guide.
            let lines = &lines[lines.len().saturating_sub(expected_lines.len())..];
            let fits = lines.len() == expected_lines.len()
                && lines.iter().zip(&expected_lines).all(|(line, it)| self.fits(line, it));
            assert!(fits, "{commands}\nprints\n{printed}\nand not\n{expected}\n{errors}");
        }
    }

    /// The first block, which a test has to do itself when it is skipped.
    pub(crate) fn first_block(&self) -> String {
        let all = Self { skipped_blocks_count: 0, ..*self };
        all.blocks().remove(0).commands
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        // Between two fences is a block; every other part is text.
        for block in self.text.split("\n```").skip(1).step_by(2) {
            let (language, text) = block.split_once('\n').unwrap();
            match language {
                "sh" => blocks.push(Block { commands: format!("{text}\n"), expected: None }),
                "text" => {
                    let block = blocks.last_mut().unwrap();
                    assert_eq!(block.expected, None, "two outputs of {}", block.commands);
                    block.expected = Some(text.to_owned());
                }
                // Shown and not run.
                "rust" | "toml" => {}
                other => panic!("a block of `{other}`"),
            }
        }
        blocks.split_off(self.skipped_blocks_count)
    }

    /// Whether a line is as the guide says, where `…` stands for anything.
    fn fits(&self, line: &str, expected: &str) -> bool {
        let mut expected = expected.to_owned();
        for example in self.examples {
            expected = expected.replace(example, "…");
        }
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
}

/// A shell that ends where something fails, and finds `annals` and the daemon as a reader's does.
fn shell(script: &str, folder: &Path, daemon: &Daemon) -> Command {
    let program = Path::new(annals().get_program()).parent().unwrap().to_owned();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = [program].into_iter().chain(std::env::split_paths(&paths));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    shell.env("PATH", std::env::join_paths(paths).unwrap()).env("ANNALS_SERVER", daemon.url());
    shell
}

/// Plugins as `annals plugin build` leaves them, with the folders of the workspace that they are in.
pub(crate) fn lay_out(folder: &Path, plugins: &[(&str, &[u8])]) {
    for (plugin, component) in plugins {
        let manifest = annals_components::workspace_root().join(plugin).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("name = \"")).unwrap();
        let there = folder.join(plugin);
        std::fs::create_dir_all(&there).unwrap();
        std::fs::write(there.join("Cargo.toml"), &text).unwrap();
        std::fs::write(there.join(name.replace('"', ".wasm")), component).unwrap();
    }
}
