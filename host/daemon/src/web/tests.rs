//! Folders that can be served, and those that cannot.

use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use super::*;
use crate::config::{ByteCount, Setting as _, WebFolders};

/// A folder with an `index.html` of 5 bytes.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "<html").unwrap();
    folder
}

fn serving(folder: &Path) -> Web {
    let folders = format!("todo={}", folder.display());
    Web { folders: WebFolders::parse(&folders).unwrap(), ..Web::default() }
}

/// Why a folder is not served, without its path.
fn refusal(web: &Web, folder: &Path) -> String {
    let error = read(web).unwrap_err().to_string();
    error.replace(&folder.display().to_string(), "DIR")
}

#[test]
fn what_is_no_file_of_the_folder_is_refused() {
    // Guards the machine: no link leads a reader out of the folder, wherever it leads and however deep.
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let expected = |name: &str| {
        format!("`DIR/{name}` is a symbolic link or a special file, and only files are served")
    };
    for target in [secret.as_path(), outside.path(), Path::new("index.html"), Path::new("nowhere")]
    {
        let folder = folder();
        fs::create_dir(folder.path().join("images")).unwrap();
        symlink(target, folder.path().join("images/link")).unwrap();
        assert_eq!(refusal(&serving(folder.path()), folder.path()), expected("images/link"));
    }
    let folder = folder();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    assert_eq!(refusal(&serving(folder.path()), folder.path()), expected("socket"));
}

#[test]
fn a_folder_has_a_page_and_names_that_can_be_spelled() {
    // Guards the start: a folder that is the wrong one is said to be.
    let nowhere = Path::new("/nowhere/at/all");
    assert_eq!(refusal(&serving(nowhere), nowhere), "failed to read `DIR`");
    let empty = tempfile::tempdir().unwrap();
    let no_index = "there is no `index.html` in `DIR`";
    assert_eq!(refusal(&serving(empty.path()), empty.path()), no_index);
    let folder = folder();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    let error = refusal(&serving(folder.path()), folder.path());
    assert!(error.ends_with("is not UTF-8"), "{error}");
    let deep = tempfile::tempdir().unwrap();
    let path: PathBuf = std::iter::repeat_n("d", DEPTH_MAX + 1).collect();
    fs::create_dir_all(deep.path().join(&path)).unwrap();
    let expected = format!("`DIR/{}` is more than 16 folders deep", path.display());
    assert_eq!(refusal(&serving(deep.path()), deep.path()), expected);
}

#[test]
fn folders_are_read_up_to_their_limits() {
    // Guards `file_bytes_max`, `bytes_max` and `files_max`: at the limit, and over it. Hidden files are
    // passed over.
    let folder = folder();
    fs::write(folder.path().join("app.js"), "12345678").unwrap();
    fs::write(folder.path().join(".draft"), vec![0; 100]).unwrap();
    let exact = Web {
        file_bytes_max: ByteCount::new(8),
        bytes_max: ByteCount::new(13),
        files_max: NonZeroUsize::new(2).unwrap(),
        ..serving(folder.path())
    };
    read(&exact).unwrap();
    for (web, expected) in [
        (
            Web { file_bytes_max: ByteCount::new(7), ..exact.clone() },
            "`DIR/app.js` is over `web.file_bytes_max`, which is 7",
        ),
        (
            Web { bytes_max: ByteCount::new(12), ..exact.clone() },
            "is over `web.bytes_max`, which is 12",
        ),
        (Web { files_max: NonZeroUsize::MIN, ..exact }, "is over `web.files_max`, which is 1"),
    ] {
        let error = refusal(&web, folder.path());
        assert!(error.contains(expected), "{error}");
    }
}
