//! The arguments are well formed, and `docs/reference/cli.md` says what they are.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use super::Args;

#[test]
fn arguments_are_well_formed() {
    // Guards what clap checks when the program runs: names and defaults that contradict each other.
    Args::command().debug_assert();
}

#[test]
fn first_lines_of_help_are_imperative_and_without_a_period() {
    // Guards the voice of the command line.
    check(&Args::command(), "annals");

    fn check(command: &clap::Command, path: &str) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "`{path}` has no help");
        assert!(!about.ends_with('.'), "`{path}`: {about}");
        let verb = about.split(' ').next().unwrap_or_default();
        assert!(verb.starts_with(|c: char| c.is_ascii_uppercase()), "`{path}`: {about}");
        assert!(!verb.ends_with("ing") && !verb.ends_with("es"), "`{path}`: {about}");
        for child in command.get_subcommands() {
            check(child, &format!("{path} {}", child.get_name()));
        }
    }
}

#[test]
fn cli_reference_is_the_help_of_every_command() {
    // Guards `docs/reference/cli.md`. Rewrite it with UPDATE_SNAPSHOTS=1.
    let mut page = String::from(
        "# Command line\n\n<!-- Written by a test of `annals-cli`. Rewrite it with \
         UPDATE_SNAPSHOTS=1. -->\n",
    );
    let mut command = Args::command().term_width(100);
    command.build();
    write(&mut page, &mut command, "annals");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "`{}` is not up to date: run with UPDATE_SNAPSHOTS=1", path.display());

    fn write(page: &mut String, command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        let help: Vec<_> = help.lines().map(str::trim_end).collect();
        writeln!(page, "\n## `{path}`\n\n```text\n{}\n```", help.join("\n").trim_end()).unwrap();
        let names: Vec<_> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for name in names {
            if let Some(child) = command.find_subcommand_mut(&name) {
                write(page, child, &format!("{path} {name}"));
            }
        }
    }
}
