//! Components of JavaScript and Python, each built and compiled once per version of its sources:
//! that takes a minute where the compiler is not optimised.
//!
//! ```text
//! <target>/plugins/languages/
//!   lock                        one build at a time, over all processes
//!   key                         of all compile caches here, so that one daemon can have several
//!   toolchain/                  componentize-js and componentize-py
//!   <name>-<hash of sources>/   component.wasm, and compiled/ as a daemon's cache has it
//! ```

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use annals_components::workspace_root;

use crate::support::annals;

/// What an account is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    JavaScript,
    Python,
}

impl Language {
    pub(crate) const ALL: [Self; 3] = [Self::Rust, Self::JavaScript, Self::Python];

    /// The bank's account in this language.
    pub(crate) fn account(self) -> &'static [u8] {
        match self.built_account() {
            None => annals_components::account(),
            Some(built) => &built.component,
        }
    }

    /// Gives a daemon's data folder what was compiled of the account already.
    pub(crate) fn spare_compiling(self, data: &Path) {
        if let Some(built) = self.built_account() {
            built.spare_compiling(data);
        }
    }

    fn built_account(self) -> Option<&'static Built> {
        static JAVASCRIPT: OnceLock<Built> = OnceLock::new();
        static PYTHON: OnceLock<Built> = OnceLock::new();
        let (built, name) = match self {
            Self::Rust => return None,
            Self::JavaScript => (&JAVASCRIPT, "account-js"),
            Self::Python => (&PYTHON, "account-python"),
        };
        Some(built.get_or_init(|| Built::of(name, |root| copied_account(root, name))))
    }
}

/// Copies an account and the SDKs to where they are in the repository, and returns its folder. A
/// build leaves traces, and the repository is not ours to write to.
pub(super) fn copied_account(root: &Path, name: &str) -> PathBuf {
    let account = format!("plugins/bank/{name}");
    for folder in ["guest-sdk/js", "guest-sdk/python", account.as_str()] {
        copy_sources(&workspace_root().join(folder), &root.join(folder));
    }
    root.join(account)
}

/// A component that was built, and what was compiled of it.
pub(super) struct Built {
    pub(super) component: Vec<u8>,
    compiled: PathBuf,
}

impl Built {
    /// Builds the plugin that `write` puts below a folder, unless that was done before.
    pub(super) fn of(name: &str, write: impl FnOnce(&Path) -> PathBuf) -> Self {
        let root = root();
        let lock = File::create(root.join("lock")).unwrap();
        lock.lock().unwrap();
        let sources = tempfile::tempdir_in(&root).unwrap();
        let plugin = write(sources.path());
        let home = root.join(format!("{name}-{:016x}", digest(sources.path())));
        let (component, compiled) = (home.join("component.wasm"), home.join("compiled"));
        if !component.is_file() {
            forget_earlier(&root, name);
            share_key(&root.join("key"), &compiled.join("key"));
            let built = run_annals(&["plugin", "build"], &plugin, &compiled);
            let built: serde_json::Value = serde_json::from_str(&built).unwrap();
            fs::rename(built["path"].as_str().unwrap(), &component).unwrap();
        }
        // Compiles it again where another wasmtime has compiled it; reads it otherwise.
        run_annals(&["plugin", "check"], &component, &compiled);
        share_key(&compiled.join("key"), &root.join("key"));
        Self { component: fs::read(component).unwrap(), compiled }
    }

    /// As [`Language::spare_compiling`].
    pub(super) fn spare_compiling(&self, data: &Path) {
        let cache = data.join("cache");
        fs::create_dir_all(&cache).unwrap();
        for entry in fs::read_dir(&self.compiled).unwrap() {
            let entry = entry.unwrap();
            let target = cache.join(entry.file_name());
            if !target.exists() {
                // A link is made at once; across file systems there is none.
                fs::hard_link(entry.path(), &target)
                    .or_else(|_| fs::copy(entry.path(), &target).map(drop))
                    .unwrap();
            }
        }
    }
}

/// Copies a key, which stays private, where there is none yet.
fn share_key(from: &Path, to: &Path) {
    if from.is_file() && !to.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

fn run_annals(command: &[&str], path: &Path, compiled: &Path) -> String {
    let mut annals = annals();
    annals.args(command).arg(path).args(["--output", "json"]);
    annals.env("ANNALS_COMPILE_CACHE", compiled).env("ANNALS_TOOLCHAIN", root().join("toolchain"));
    let done = annals.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?} {}: {said}", path.display());
    String::from_utf8(done.stdout).unwrap()
}

/// A folder that later runs find again.
pub(super) fn root() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_annals")).ancestors().nth(2).unwrap();
    let root = target.join("plugins/languages");
    fs::create_dir_all(&root).unwrap();
    root
}

/// Removes what was built of other sources.
fn forget_earlier(root: &Path, name: &str) {
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let file_name = entry.file_name();
        let hash = file_name
            .to_str()
            .and_then(|name_and_hash| name_and_hash.strip_prefix(name)?.strip_prefix('-'));
        if hash.is_some_and(|hash| hash.len() == 16 && !hash.contains('-')) {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

/// Differs when the sources do, or what makes a component of them.
fn digest(sources: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let cli = workspace_root().join("host/cli");
    let makers = ["templates/toolchain", "src/plugin/javascript.rs", "src/plugin/python.rs"];
    for folder in [sources, &workspace_root().join("wit")] {
        hash_files(folder, folder, &mut hasher);
    }
    for maker in makers {
        hash_files(&cli, &cli.join(maker), &mut hasher);
    }
    hasher.finish()
}

fn hash_files(root: &Path, path: &Path, hasher: &mut DefaultHasher) {
    if path.is_dir() {
        for entry in sorted(path) {
            hash_files(root, &entry, hasher);
        }
        return;
    }
    path.strip_prefix(root).unwrap().hash(hasher);
    fs::read(path).unwrap().hash(hasher);
}

/// Copies what is a source: neither what was installed nor what was built.
fn copy_sources(from: &Path, to: &Path) {
    const OTHERS: [&str; 4] = ["node_modules", "__pycache__", ".annals", "package-lock.json"];
    fs::create_dir_all(to).unwrap();
    for path in sorted(from) {
        let name = path.file_name().unwrap();
        let is_component = path.extension().is_some_and(|extension| extension == "wasm");
        match path.is_dir() {
            _ if is_component || OTHERS.iter().any(|other| name == *other) => {}
            true => copy_sources(&path, &to.join(name)),
            false => fs::copy(&path, to.join(name)).map(drop).unwrap(),
        }
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths
}
