//! Guides, run as they are written.

use std::path::Path;
use std::process::Command;

use super::Daemon;

/// A page of the documentation whose blocks are commands, and what they print.
pub(crate) struct Guide {
    /// The page.
    pub(crate) text: &'static str,
    /// What it has in place of what differs each time, beside `…`.
    pub(crate) examples: &'static [&'static str],
}

/// A block of commands, and what it prints if the guide says so.
struct Block {
    commands: String,
    expected: Option<String>,
}

impl Guide {
    /// Runs all blocks, one after the other, in a folder and against a daemon.
    #[track_caller]
    pub(crate) fn run(&self, folder: &Path, daemon: &Daemon) {
        let mut script = String::from("set -e\n");
        let blocks = self.blocks();
        for Block { commands, .. } in &blocks {
            script.push_str(&commands.replace("http://127.0.0.1:7070", daemon.url()));
            script.push_str("echo '=== end of block'\n");
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_annals")).parent().unwrap();
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let paths = [binary.to_owned()].into_iter().chain(std::env::split_paths(&paths));
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg(script).current_dir(folder);
        let shell = shell.env("PATH", std::env::join_paths(paths).unwrap());
        let shell = shell.env("ANNALS_SERVER", daemon.url());
        let said = shell.output().expect("`sh`, `curl`, `timeout` and `python3` are needed");
        let errors = String::from_utf8_lossy(&said.stderr);
        let printed = String::from_utf8(said.stdout).unwrap();
        assert!(
            said.status.success(),
            "are `curl`, `timeout` and `python3` installed? {errors}\n{printed}"
        );
        let printed: Vec<_> = printed.split("=== end of block\n").collect();
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

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut parts = self.text.split("```");
        // Between two fences is a block; every other part is text.
        while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
            let (language, text) = block.split_once('\n').unwrap();
            match language {
                "sh" => blocks.push(Block { commands: text.to_owned(), expected: None }),
                "text" => blocks.last_mut().unwrap().expected = Some(text.to_owned()),
                other => panic!("a block of `{other}`"),
            }
        }
        blocks
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
