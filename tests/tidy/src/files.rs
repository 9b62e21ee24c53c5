//! The files of the repository: what git knows or would add; without git, what lies there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A file of the repository.
pub(crate) struct File {
    /// Its path from the root, with `/` between the parts.
    pub(crate) path: String,
    /// What it holds; `None` when it is not UTF-8.
    pub(crate) text: Option<String>,
}

impl File {
    pub(crate) fn ends_with(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    pub(crate) fn is_under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// The folder that holds the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// All files, in order of path.
pub(crate) fn all() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut paths = known_to_git().unwrap_or_else(lying_there);
        paths.sort();
        let read = |path: String| {
            // A file that was removed and not yet staged is still known to git.
            let bytes = fs::read(root().join(&path)).ok()?;
            Some(File { path, text: String::from_utf8(bytes).ok() })
        };
        paths.into_iter().filter_map(read).collect()
    })
}

/// Path and text of all files whose path ends with `ending`.
pub(crate) fn texts(ending: &str) -> impl Iterator<Item = (&'static File, &'static str)> {
    let wanted = all().iter().filter(move |file| file.ends_with(ending));
    wanted.filter_map(|file| Some((file, file.text.as_deref()?)))
}

/// Fails with the breaches, one per line.
#[track_caller]
pub(crate) fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

fn known_to_git() -> Option<Vec<String>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    let paths = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<_> = paths.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

/// For a copy of the repository that is no clone: leaves out what `.gitignore` would.
fn lying_there() -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            let name = entry.file_name();
            if kind.is_dir() && !["target", ".git", "annals-data"].iter().any(|no| name == *no) {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_none_or(|end| end != "wasm") {
                paths.extend(path.to_str().map(|path| path.replace('\\', "/")));
            }
        }
    }
    paths
}

#[test]
fn finds_the_files_of_the_repository_with_and_without_git() {
    // Guards every other check here: an empty list would let everything pass.
    for paths in [known_to_git().unwrap_or_else(lying_there), lying_there()] {
        for path in ["Cargo.toml", "README.md", "host/core/src/lib.rs", "wit/types.wit"] {
            assert!(paths.iter().any(|found| found == path), "{path} is not among the files");
        }
        assert!(!paths.iter().any(|path| path.starts_with("target/")), "target is among the files");
    }
}
