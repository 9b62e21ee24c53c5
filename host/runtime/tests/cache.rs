//! The compile cache, on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_core::port::guest::GuestRuntime as _;
use annals_runtime::{
    CompileCacheOptions, RuntimeError, RuntimeLimits, RuntimeOptions, WasmtimeRuntime,
};

use crate::crafted;
use crate::support::SetClock;

fn open(folder: &Path, fresh_key: u8) -> Result<WasmtimeRuntime, RuntimeError> {
    WasmtimeRuntime::new(RuntimeOptions {
        limits: RuntimeLimits::default().into(),
        compile_cache: Some(CompileCacheOptions {
            folder: folder.to_owned(),
            fresh_key: [fresh_key; 32],
        }),
        clock: Arc::new(SetClock::default()),
    })
}

/// Loads a plugin by way of the cache in `folder`, and makes sure that it works.
fn load(folder: &Path, fresh_key: u8) {
    let component = crafted::aggregate("(call $new (i32.const 1))");
    let plugin = open(folder, fresh_key).unwrap().load(&component).unwrap();
    let mut guest = plugin.aggregate().unwrap();
    let entity = guest.create("crafted/1").unwrap();
    assert_eq!(guest.snapshot(entity), Ok(Vec::new()));
}

/// The one compiled plugin in `folder`.
fn artefact(folder: &Path) -> PathBuf {
    let mut found = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "compiled"));
    let path = found.next().unwrap();
    assert_eq!(found.next(), None);
    path
}

/// What tells whether a file was written again.
fn inode(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}

#[test]
fn a_plugin_is_compiled_once() {
    // Guards start-up: the second load takes what the first one wrote.
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/cache");
    load(&folder, 1);
    let path = artefact(&folder);
    let written = inode(&path);
    load(&folder, 2);
    assert_eq!((artefact(&folder), inode(&path)), (path.clone(), written));
    let name = path.file_name().unwrap().to_str().unwrap();
    let digest = annals_core::id::Digest::of(&crafted::aggregate("(call $new (i32.const 1))"));
    assert!(name.starts_with(&digest.to_string()), "{name}");
}

#[test]
fn a_forged_or_damaged_file_is_ignored_and_written_again() {
    // Guards the host: what is in the file would run as native code.
    let check = |forge: &dyn Fn(&Path, &Path)| {
        let folder = tempfile::tempdir().unwrap();
        load(folder.path(), 1);
        let path = artefact(folder.path());
        let honest = fs::read(&path).unwrap();
        forge(folder.path(), &path);
        let forged = inode(&path);
        load(folder.path(), 3);
        assert_ne!(inode(&path), forged);
        // What was compiled again is the same, but for the code when the key is another.
        assert_eq!(fs::read(&path).unwrap()[32..], honest[32..]);
    };
    let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    check(&|_, path| change(path, &|bytes| bytes[40] ^= 1));
    check(&|_, path| change(path, &|bytes| *bytes.last_mut().unwrap() ^= 1));
    check(&|_, path| change(path, &|bytes| bytes[0] ^= 1));
    check(&|_, path| change(path, &|bytes| bytes.truncate(bytes.len() / 2)));
    check(&|_, path| change(path, &|bytes| bytes.truncate(31)));
    check(&|_, path| change(path, &Vec::clear));
    // The artefact of another plugin under this one's name, which the same installation wrote.
    check(&|folder, path| {
        let other = crafted::projection(crafted::EMPTY);
        let elsewhere = tempfile::tempdir().unwrap();
        fs::copy(folder.join("key"), elsewhere.path().join("key")).unwrap();
        open(elsewhere.path(), 9).unwrap().load(&other).unwrap();
        fs::copy(artefact(elsewhere.path()), path).unwrap();
    });
    // One of another installation, whose key is another.
    check(&|folder, _| fs::remove_file(folder.join("key")).unwrap());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_at_the_start() {
    // Guards the operator: a cache that silently does nothing costs every start seconds.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = open(&file.join("cache"), 1).unwrap_err();
    let expected =
        format!("failed to open the compile cache in `{}`", file.join("cache").display());
    assert_eq!(error.to_string(), expected);
}
