//! `docs/guide/subscriptions.md`, run as it is written.

use std::process::Command;

use crate::support::{Daemon, folder, run};

const GUIDE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/subscriptions.md"));

/// What the examples of the guide have in place of what differs each time.
const EXAMPLE_OF_AN_INCARNATION: &str = "9f2c61d04ab7";

/// A block of commands, and what it prints if the guide says so.
struct Block {
    commands: String,
    expected: Option<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut parts = GUIDE.split("```");
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
fn fits(line: &str, expected: &str) -> bool {
    let expected = expected.replace(EXAMPLE_OF_AN_INCARNATION, "…");
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

#[test]
fn the_guide_runs_as_it_is_written() {
    // Guards the guide: every block does what it says, one after the other, on a new daemon.
    run(async {
        let (folder, data) = folder();
        let daemon = Daemon::start(&data);
        let mut script = String::from("set -e\n");
        let blocks = blocks();
        for Block { commands, .. } in &blocks {
            script.push_str(&commands.replace("http://127.0.0.1:7070", daemon.url()));
            script.push_str("echo '=== end of block'\n");
        }
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg(script).current_dir(folder.path());
        let said = shell.output().expect("`sh`, `curl`, `timeout` and `python3` are needed");
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "are `curl`, `timeout` and `python3` installed? {errors}");
        let printed = String::from_utf8(said.stdout).unwrap();
        let printed: Vec<_> = printed.split("=== end of block\n").collect();
        for (Block { commands, expected }, printed) in blocks.iter().zip(&printed) {
            let Some(expected) = expected else { continue };
            let lines: Vec<_> = printed.trim_end().lines().collect();
            let expected_lines: Vec<_> = expected.lines().collect();
            // What is appended first in a block is not worth a line of the guide.
            let lines = &lines[lines.len().saturating_sub(expected_lines.len())..];
            let fits = lines.len() == expected_lines.len()
                && lines.iter().zip(&expected_lines).all(|(line, expected)| fits(line, expected));
            assert!(fits, "{commands}\nprints\n{printed}\nand not\n{expected}\n{errors}");
        }
    });
}
