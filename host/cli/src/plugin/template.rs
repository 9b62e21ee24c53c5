//! The files of a new plugin: written from templates, and the SDK as it was when this program was
//! built.

use std::io;
use std::path::Path;

use include_dir::{Dir, DirEntry, include_dir};
use tempfile::TempDir;

use super::manifest::Language;
use crate::failure::Failure;

static SDK_SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/src");
static MACRO_SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/macros/src");
static JS_SDK_SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/js/src");
static PYTHON_SDK_SOURCES: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/python/annals_sdk");
static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");

const SDK_MANIFEST: &str = include_str!("../../../../guest-sdk/Cargo.toml");
const MACRO_MANIFEST: &str = include_str!("../../../../guest-sdk/macros/Cargo.toml");
const JS_SDK_MANIFEST: &str = include_str!("../../../../guest-sdk/js/package.json");
const PYTHON_SDK_MANIFEST: &str = include_str!("../../../../guest-sdk/python/pyproject.toml");

/// Folder of a plugin that has the SDK.
const SDK_FOLDER: &str = ".annals/guest-sdk";

/// What a new plugin is made of: each file's path, and its template.
pub(super) type Templates = [(&'static str, &'static str)];

const MANIFEST: (&str, &str) = ("Cargo.toml", include_str!("../../templates/Cargo.toml.txt"));
const IGNORED: (&str, &str) = (".gitignore", include_str!("../../templates/gitignore"));

/// An aggregate.
pub(super) const AGGREGATE: &Templates = &[
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/aggregate/lib.rs.txt")),
    ("tests/rules.rs", include_str!("../../templates/aggregate/rules.rs.txt")),
];

/// A projection.
pub(super) const PROJECTION: &Templates = &[
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/projection/lib.rs.txt")),
    ("tests/rows.rs", include_str!("../../templates/projection/rows.rs.txt")),
];

/// An upcaster.
pub(super) const UPCASTER: &Templates = &[
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/upcaster/lib.rs.txt")),
    ("tests/shapes.rs", include_str!("../../templates/upcaster/shapes.rs.txt")),
];

/// A process manager.
pub(super) const PROCESS_MANAGER: &Templates = &[
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/process-manager/lib.rs.txt")),
    ("tests/steps.rs", include_str!("../../templates/process-manager/steps.rs.txt")),
];

/// An aggregate in JavaScript.
pub(super) const JS_AGGREGATE: &Templates = &[
    ("package.json", include_str!("../../templates/js/package.json.txt")),
    (".gitignore", include_str!("../../templates/js/gitignore")),
    ("src/aggregate.js", include_str!("../../templates/js/aggregate.js.txt")),
    ("test/rules.test.js", include_str!("../../templates/js/rules.test.js.txt")),
];

/// An aggregate in Python.
pub(super) const PYTHON_AGGREGATE: &Templates = &[
    ("pyproject.toml", include_str!("../../templates/python/pyproject.toml.txt")),
    (".gitignore", include_str!("../../templates/python/gitignore")),
    ("rules.py", include_str!("../../templates/python/rules.py.txt")),
    ("tests/__init__.py", include_str!("../../templates/python/init.py.txt")),
    ("tests/test_rules.py", include_str!("../../templates/python/test_rules.py.txt")),
];

/// What the templates leave open, as `{{word}}` and what takes its place.
pub(super) type Words<'a> = [(&'static str, &'a str)];

/// Writes a plugin and the SDK of its language into a folder.
pub(super) fn write(
    folder: &Path,
    language: Language,
    templates: &Templates,
    words: &Words<'_>,
) -> io::Result<()> {
    for (path, template) in templates {
        let text = words.iter().fold((*template).to_owned(), |text, (word, value)| {
            text.replace(&format!("{{{{{word}}}}}"), value)
        });
        write_file(&folder.join(path), text.as_bytes())?;
    }
    let sdk = folder.join(SDK_FOLDER);
    match language {
        Language::Rust => {
            write_file(&sdk.join("Cargo.toml"), SDK_MANIFEST.as_bytes())?;
            write_file(&sdk.join("macros/Cargo.toml"), MACRO_MANIFEST.as_bytes())?;
            unpack(&SDK_SOURCES, &sdk.join("src"))?;
            unpack(&MACRO_SOURCES, &sdk.join("macros/src"))?;
            unpack(&CONTRACT, &folder.join(".annals/wit"))
        }
        Language::Js => {
            write_file(&sdk.join("js/package.json"), JS_SDK_MANIFEST.as_bytes())?;
            unpack(&JS_SDK_SOURCES, &sdk.join("js/src"))
        }
        Language::Python => {
            write_file(&sdk.join("python/pyproject.toml"), PYTHON_SDK_MANIFEST.as_bytes())?;
            unpack(&PYTHON_SDK_SOURCES, &sdk.join("python/annals_sdk"))
        }
    }
}

/// The contract in a folder of its own, which is gone when this is dropped.
pub(super) fn contract() -> Result<TempDir, Failure> {
    let unwritten = |error: io::Error| {
        Failure::ours(format!("failed to write the contract to a temporary folder: {error}"))
    };
    let folder = tempfile::tempdir().map_err(unwritten)?;
    unpack(&CONTRACT, folder.path()).map_err(unwritten)?;
    Ok(folder)
}

/// Writes a folder's files, which are all sources: what Python leaves of itself when it runs in
/// the clone is none.
fn unpack(from: &Dir<'_>, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in from.entries() {
        let Some(name) = entry.path().file_name() else { continue };
        match entry {
            DirEntry::Dir(_) if name == "__pycache__" => {}
            DirEntry::Dir(inner) => unpack(inner, &folder.join(name))?,
            DirEntry::File(file) => write_file(&folder.join(name), file.contents())?,
        }
    }
    Ok(())
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)
}
