//! The files of a new plugin: written from templates, and the SDK as it was when this program was
//! built.

use std::io;
use std::path::Path;

use include_dir::{Dir, include_dir};

static SDK_SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/src");
static MACRO_SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest-sdk/macros/src");
static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");

const SDK_MANIFEST: &str = include_str!("../../../../guest-sdk/Cargo.toml");
const MACRO_MANIFEST: &str = include_str!("../../../../guest-sdk/macros/Cargo.toml");

/// Folder of a plugin that has the SDK.
const SDK_FOLDER: &str = ".annals";

/// What a new plugin is made of: each file's path, and its template.
type Templates = [(&'static str, &'static str); 4];

const MANIFEST: (&str, &str) = ("Cargo.toml", include_str!("../../templates/Cargo.toml.txt"));
const IGNORED: (&str, &str) = (".gitignore", include_str!("../../templates/gitignore"));

/// An aggregate.
pub(super) const AGGREGATE: Templates = [
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/aggregate/lib.rs.txt")),
    ("tests/rules.rs", include_str!("../../templates/aggregate/rules.rs.txt")),
];

/// A projection.
pub(super) const PROJECTION: Templates = [
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/projection/lib.rs.txt")),
    ("tests/rows.rs", include_str!("../../templates/projection/rows.rs.txt")),
];

/// An upcaster.
pub(super) const UPCASTER: Templates = [
    MANIFEST,
    IGNORED,
    ("src/lib.rs", include_str!("../../templates/upcaster/lib.rs.txt")),
    ("tests/shapes.rs", include_str!("../../templates/upcaster/shapes.rs.txt")),
];

/// What the templates leave open, as `{{word}}` and what takes its place.
pub(super) type Words<'a> = [(&'static str, &'a str)];

/// Writes a plugin and the SDK into a folder.
pub(super) fn write(folder: &Path, templates: &Templates, words: &Words<'_>) -> io::Result<()> {
    for (path, template) in templates {
        let text = words.iter().fold((*template).to_owned(), |text, (word, value)| {
            text.replace(&format!("{{{{{word}}}}}"), value)
        });
        write_file(&folder.join(path), text.as_bytes())?;
    }
    let sdk = folder.join(SDK_FOLDER).join("guest-sdk");
    write_file(&sdk.join("Cargo.toml"), SDK_MANIFEST.as_bytes())?;
    write_file(&sdk.join("macros/Cargo.toml"), MACRO_MANIFEST.as_bytes())?;
    unpack(&SDK_SOURCES, &sdk.join("src"))?;
    unpack(&MACRO_SOURCES, &sdk.join("macros/src"))?;
    unpack(&CONTRACT, &folder.join(SDK_FOLDER).join("wit"))
}

fn unpack(from: &Dir<'_>, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    from.extract(folder)
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)
}
