//! How imports are grouped: the standard library, then other crates (ours among them), then this
//! crate, with an empty line between the groups and none inside a group of another kind.
//!
//! `rustfmt` sorts inside a group; making the groups is not stable yet.

use crate::files::{assert_none, texts};

/// Where an import comes from, in the order of the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Std,
    OtherCrate,
    ThisCrate,
}

/// The modules that a file declares: an import may begin with their names.
fn modules(text: &str) -> Vec<&str> {
    let declared = text.lines().filter_map(|line| {
        let (before, name) = line.split_once("mod ")?;
        let is_declaration = before.is_empty() || before.starts_with("pub");
        is_declaration.then(|| name.trim_end_matches([';', ' ', '{']))
    });
    declared.collect()
}

fn source(import: &str, modules: &[&str]) -> Source {
    let path = import.trim_start_matches("use ");
    let first = path.split([':', ';', ' ', '{']).next().unwrap_or_default();
    match first {
        "std" | "core" | "alloc" => Source::Std,
        "crate" | "self" | "super" => Source::ThisCrate,
        name if modules.contains(&name) => Source::ThisCrate,
        _ => Source::OtherCrate,
    }
}

/// Whether a line begins the first item of a file that is neither an import nor a module.
fn ends_imports(line: &str) -> bool {
    let goes_on = ["use ", "mod ", "pub", "#", "//", " ", "}"];
    let is_public_item =
        line.starts_with("pub") && !line.contains("use ") && !line.contains("mod ");
    is_public_item || !goes_on.iter().any(|start| line.starts_with(start))
}

/// The imports at the top level of a file that are not where they belong.
fn misplaced(path: &str, text: &str) -> Vec<String> {
    let modules = modules(text);
    let mut breaches = Vec::new();
    let mut before: Option<Source> = None;
    let mut is_new_group = true;
    let mut after_attribute = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() {
            is_new_group = true;
        } else if ends_imports(line) {
            break;
        }
        // A conditional import stands where its condition makes sense.
        let is_conditional = std::mem::replace(&mut after_attribute, line.starts_with("#["));
        if !line.starts_with("use ") || is_conditional {
            continue;
        }
        let source = source(line, &modules);
        let fits = match before {
            None => true,
            Some(before) if is_new_group => before < source,
            Some(before) => before == source,
        };
        if !fits {
            breaches.push(format!(
                "{path}:{number}: `{line}` is not in its group: the standard library, then other \
                 crates, then this crate, each a group of its own"
            ));
        }
        before = Some(source);
        is_new_group = false;
    }
    breaches
}

#[test]
fn an_import_outside_its_group_is_named() {
    // Guards the rule itself, with one file of each fault and one that is right.
    let right = "use std::fmt;\n\nuse annals_core::id;\nuse bytes::{\n    Bytes,\n};\n\nuse crate::a;\nuse log::b;\n\nmod log;\n";
    assert_eq!(misplaced("a.rs", right), Vec::<String>::new());
    let count = |text| misplaced("a.rs", text).len();
    assert_eq!(count("use bytes::Bytes;\n\nuse std::fmt;\n"), 1);
    assert_eq!(count("use std::fmt;\nuse bytes::Bytes;\n"), 1);
    assert_eq!(count("use std::fmt;\n\nuse std::io;\n"), 1);
    assert_eq!(count("use crate::a;\n\nuse bytes::Bytes;\n"), 1);
    assert_eq!(count("use crate::a;\n\n#[cfg(unix)]\nuse bytes::Bytes;\n"), 0);
    assert_eq!(count("use crate::a;\n\nfn f() {}\n\nuse bytes::Bytes;\n"), 0);
}

#[test]
fn imports_are_grouped() {
    // Guards that a reader sees at a glance what a file needs of whom.
    let breaches = texts(".rs").flat_map(|(file, text)| misplaced(&file.path, text));
    assert_none(&breaches.collect::<Vec<_>>());
}
