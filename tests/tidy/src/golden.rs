//! What a release wrote is never changed: every file in `tests/golden` is listed with its digest in
//! `tests/golden/SHA256SUMS`, and is as listed. (`cd tests/golden && sha256sum -c SHA256SUMS`)

use std::collections::BTreeMap;
use std::fs;

use sha2::{Digest as _, Sha256};

use crate::files::{all, assert_none, root};

const FOLDER: &str = "tests/golden/";
const LIST: &str = "tests/golden/SHA256SUMS";

/// What is wrong with the files, given by path and digest, that the list should name.
fn breaches(list: &str, files: &BTreeMap<String, String>) -> Vec<String> {
    let entry = |line: &str| {
        let (digest, path) = line.split_once("  ")?;
        Some((path.to_owned(), digest.to_owned()))
    };
    let listed: BTreeMap<String, String> = list.lines().filter_map(entry).collect();
    let mut breaches = Vec::new();
    for (path, digest) in files {
        match listed.get(path) {
            None => breaches.push(format!("{FOLDER}{path}: not in {LIST}")),
            Some(listed) if listed != digest => {
                breaches.push(format!("{FOLDER}{path}: changed; add a folder for a new format"));
            }
            Some(_) => {}
        }
    }
    let is_missing = |path: &&String| !files.contains_key(*path);
    breaches.extend(listed.keys().filter(is_missing).map(|path| format!("{FOLDER}{path}: gone")));
    breaches
}

#[test]
fn a_changed_a_new_and_a_missing_file_are_breaches() {
    // Guards the rule itself.
    let files = [("a", "1"), ("b", "2"), ("c", "3")];
    let files = files.map(|(path, digest)| (path.to_owned(), digest.to_owned())).into();
    let found = breaches("1  a\n9  b\n4  d\n", &files);
    let expected = [
        "tests/golden/b: changed; add a folder for a new format",
        "tests/golden/c: not in tests/golden/SHA256SUMS",
        "tests/golden/d: gone",
    ];
    assert_eq!(found, expected);
}

#[test]
fn golden_files_are_as_their_release_wrote_them() {
    // Guards every store on a disk: whoever changes these would not see that old ones cannot be read.
    let files = all().iter().filter(|file| file.is_under(&[FOLDER]) && file.path != LIST);
    let digest = |path: &str| -> String {
        let digest = Sha256::digest(fs::read(root().join(path)).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let files = files.map(|file| (file.path[FOLDER.len()..].to_owned(), digest(&file.path)));
    let list = fs::read_to_string(root().join(LIST)).unwrap();
    let files: BTreeMap<_, _> = files.collect();
    assert!(files.len() > 3);
    assert_none(&breaches(&list, &files));
}
