//! Installs the components of a folder whenever they change: for development.
//!
//! The folder is looked at every [`LOOK_EVERY`]: its few files are cheap to ask for their size and time,
//! and that works on every file system, network ones included, without a watcher of the operating
//! system. A file that did not change from one look to the next is whole and installed; one that is
//! being written is left alone. What is wrong with a file is logged once, until it changes again; a file
//! that goes away changes nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use annals_core::error::ErrorChain;
use annals_engine::Engine;
use annals_engine::plugins::InstallOutcome;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// Time between two looks: soon enough for whoever saves a file, and longer than a linker pauses while
/// it writes one.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Most files that are looked at (inclusive); further ones, in order of name, are passed over.
const FILES_MAX: usize = 1_000;

/// A folder that is being watched.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: watch::Sender<bool>,
    watching: JoinHandle<()>,
}

/// What tells one content of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes_count: u64,
    changed_at: Option<SystemTime>,
}

/// What was seen of the files so far.
#[derive(Debug, Default)]
struct Files(BTreeMap<PathBuf, Seen>);

#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    /// Whether it was handed out in this state.
    is_told: bool,
}

/// What the watching task works with.
struct Watching {
    engine: Arc<Engine>,
    folder: PathBuf,
    component_bytes_max: u64,
    files: Files,
    /// Whether the log has been told that the folder cannot be read.
    is_warned: bool,
}

impl Watch {
    /// Watches `folder` from now on; what is in it counts as changed.
    pub(crate) fn start(engine: Arc<Engine>, folder: PathBuf, component_bytes_max: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        info!(folder = %folder.display(), "watching for components");
        let files = Files::default();
        let watching = Watching { engine, folder, component_bytes_max, files, is_warned: false };
        Self { stop, watching: tokio::spawn(watching.run(stopped)) }
    }

    /// Stops watching, after the file that is being installed.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.watching.await {
            warn!(%error, "watching for components ended early");
        }
    }
}

impl Watching {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            self.look().await;
            tokio::select! {
                // A sender that is gone wants this to end as well.
                _ = stopped.changed() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&mut self) {
        let folder = self.folder.clone();
        let listed = tokio::task::spawn_blocking(move || components(&folder)).await;
        let found = match listed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(found) => found,
            Err(error) => {
                if !self.is_warned {
                    let folder = self.folder.display();
                    warn!(%folder, %error, "the watched folder cannot be read");
                }
                self.is_warned = true;
                return;
            }
        };
        self.is_warned = false;
        for (path, bytes_count) in self.files.settled(found) {
            self.install(&path, bytes_count).await;
        }
    }

    async fn install(&self, path: &Path, bytes_count: u64) {
        let file = path.file_name().unwrap_or_default().display();
        if bytes_count > self.component_bytes_max {
            let bytes_max = self.component_bytes_max;
            warn!(%file, bytes_count, bytes_max, "component is too large to be installed");
            return;
        }
        let owned = path.to_owned();
        let read = tokio::task::spawn_blocking(move || std::fs::read(owned)).await;
        let bytes = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(bytes) => bytes,
            Err(error) => {
                warn!(%file, %error, "component cannot be read");
                return;
            }
        };
        match self.engine.install(None, bytes.into(), None).await {
            Ok((InstallOutcome::Unchanged, _)) => {}
            Ok((outcome, plugin)) => {
                let (plugin, version) = (&plugin.description.name, &plugin.description.version);
                info!(%file, %plugin, version, outcome = outcome.as_str(), "component installed");
            }
            Err(error) => {
                let error = ErrorChain(&error).to_string();
                warn!(%file, error, "component cannot be installed");
            }
        }
    }
}

impl Files {
    /// The files that changed, and did not change any more since the last look, with their sizes.
    fn settled(&mut self, found: BTreeMap<PathBuf, Stamp>) -> Vec<(PathBuf, u64)> {
        // One that comes back counts as changed.
        self.0.retain(|path, _| found.contains_key(path));
        let mut settled = Vec::new();
        for (path, stamp) in found {
            match self.0.get_mut(&path) {
                Some(seen) if seen.stamp == stamp => {
                    if !seen.is_told {
                        seen.is_told = true;
                        settled.push((path, stamp.bytes_count));
                    }
                }
                _ => {
                    self.0.insert(path, Seen { stamp, is_told: false });
                }
            }
        }
        settled
    }
}

/// The components in a folder.
fn components(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // Through links; a file that went away in between is not there.
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if metadata.is_file() {
            let changed_at = metadata.modified().ok();
            found.insert(path, Stamp { bytes_count: metadata.len(), changed_at });
        }
    }
    Ok(found.into_iter().take(FILES_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes_count: u64) -> Stamp {
        Stamp { bytes_count, changed_at: None }
    }

    fn found(files: &[(&str, u64)]) -> BTreeMap<PathBuf, Stamp> {
        files.iter().map(|(name, bytes)| (PathBuf::from(name), stamp(*bytes))).collect()
    }

    #[test]
    fn a_file_is_told_once_when_it_does_not_change_any_more() {
        // Guards half written files: nothing is said of one while it grows, and once afterwards.
        let mut files = Files::default();
        let told = |files: &mut Files, now: &[(&str, u64)]| {
            let settled = files.settled(found(now));
            settled.into_iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>()
        };
        let nothing: [&str; 0] = [];
        assert_eq!(told(&mut files, &[("a.wasm", 1)]), nothing);
        assert_eq!(told(&mut files, &[("a.wasm", 2), ("b.wasm", 7)]), nothing);
        assert_eq!(told(&mut files, &[("a.wasm", 3), ("b.wasm", 7)]), ["b.wasm"]);
        assert_eq!(told(&mut files, &[("a.wasm", 3), ("b.wasm", 7)]), ["a.wasm"]);
        assert_eq!(told(&mut files, &[("a.wasm", 3), ("b.wasm", 7)]), nothing);
        assert_eq!(told(&mut files, &[("a.wasm", 3)]), nothing);
        assert_eq!(told(&mut files, &[("a.wasm", 4), ("b.wasm", 7)]), nothing);
        assert_eq!(told(&mut files, &[("a.wasm", 4), ("b.wasm", 7)]), ["a.wasm", "b.wasm"]);
    }

    #[test]
    fn only_components_are_looked_at_and_only_so_many() {
        // Guards the folder of a build: what else is in it is left alone; the limit is reached.
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=FILES_MAX {
            std::fs::write(folder.path().join(format!("{number:04}.wasm")), b"").unwrap();
        }
        for other in ["a.wasm.tmp", "a.wat", "wasm"] {
            std::fs::write(folder.path().join(other), b"").unwrap();
        }
        std::fs::create_dir(folder.path().join("0.wasm")).unwrap();
        let found = components(folder.path()).unwrap();
        assert_eq!(found.len(), FILES_MAX);
        assert!(found.contains_key(&folder.path().join("0999.wasm")));
        assert!(components(&folder.path().join("absent")).is_err());
    }
}
