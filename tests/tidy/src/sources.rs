//! What every source file has and none may have: a purpose at the top, an end in sight, and nothing
//! left open.

use crate::files::{all, assert_none, texts};

/// Longest file, in lines; aim at 450.
const FILE_LINES_MAX: usize = 800;

/// Half of the files are no longer than this, in lines.
const FILE_LINES_MEDIAN_MAX: usize = 150;

/// What one file breaks.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path}: does not open with `//!` and what it is for"));
    }
    if path.ends_with("/mod.rs") {
        found.push(format!("{path}: a module `foo` is `foo.rs` beside `foo/`"));
    }
    let lines_count = text.lines().count();
    if lines_count > FILE_LINES_MAX {
        found.push(format!("{path}: {lines_count} lines, at most {FILE_LINES_MAX}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let marks = open_marks(line);
        found.extend(marks.map(|mark| format!("{path}:{number}: `{mark}` is left open")));
    }
    found
}

fn open_marks(line: &str) -> impl Iterator<Item = &'static str> {
    // In two parts, so that this file does not break its own rule.
    const ANYWHERE: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    const CALLS: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!(")];
    const BARE_IGNORE: &str = concat!("#[ig", "nore]");
    let written = [ANYWHERE, CALLS].concat().into_iter().filter(move |mark| line.contains(mark));
    written.chain((line.trim() == BARE_IGNORE).then_some(BARE_IGNORE))
}

fn median(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    lengths[lengths.len() / 2]
}

#[test]
fn a_file_that_breaks_a_rule_is_named() {
    // Guards the rules themselves, with a file that breaks all of them.
    let text = format!("use a;\n{}();\n{}\n", concat!("todo", "!"), concat!("#[ig", "nore]"));
    let found = breaches("host/a/mod.rs", &text);
    assert_eq!(
        found,
        [
            "host/a/mod.rs: does not open with `//!` and what it is for".to_owned(),
            "host/a/mod.rs: a module `foo` is `foo.rs` beside `foo/`".to_owned(),
            format!("host/a/mod.rs:2: `{}` is left open", concat!("todo", "!(")),
            format!("host/a/mod.rs:3: `{}` is left open", concat!("#[ig", "nore]")),
        ]
    );
    let long = format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX));
    assert_eq!(breaches("a.rs", &long), ["a.rs: 801 lines, at most 800"]);
    assert_eq!(breaches("a.rs", &long[..long.len() - 1]), Vec::<String>::new());
}

#[test]
fn sources_say_what_they_are_for_and_leave_nothing_open() {
    // Guards that a reader decides in five seconds whether a file is the place.
    let found = texts(".rs").flat_map(|(file, text)| breaches(&file.path, text));
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn half_of_the_sources_fit_on_three_screens() {
    // Guards against files that grow a little with every change.
    let median = median(texts(".rs").map(|(_, text)| text.lines().count()).collect());
    assert!(median <= FILE_LINES_MEDIAN_MAX, "half of the files have more than {median} lines");
}

#[test]
fn components_are_built_and_not_committed() {
    // Guards the size of the repository: only the frozen components of released contract versions
    // are kept.
    let committed =
        all().iter().filter(|file| file.ends_with(".wasm") && !file.is_under(&["tests/golden/"]));
    assert_none(&committed.map(|file| file.path.clone()).collect::<Vec<_>>());
}
