//! Bug bundles: a file per failure of a plugin, with what repeats it.
//!
//! ```text
//! bug-bundles/<plugin>-<id>.json      for the owner alone: they hold data
//! ```
//! [`BugBundles`] writes them, [`Bundle`] reads one back and repeats the failure. `file.rs` is the form.

mod file;
mod replay;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use annals_core::error::ErrorChain;
use annals_core::id::Digest;
use annals_core::port::FailureSink;
use annals_core::port::failure_sink::FailureBundle;
use annals_core::port::guest::GuestFailure;
use annals_core::time::Timestamp;
use tracing::warn;

use crate::config::Config;

pub use annals_runtime::WASMTIME_VERSION;
pub use replay::{Bundle, BundleError, Replayed};

/// The folder of the bundles, in the data folder.
pub const FOLDER: &str = "bug-bundles";

/// How long the same failure of the same component is not kept again.
const SAME_AGAIN_AFTER_MS: u64 = 3_600_000;

/// Writes bundles to a folder, no more than so many, and each failure once per hour.
#[derive(Debug)]
pub struct BugBundles {
    folder: PathBuf,
    config: Config,
    kept_max: usize,
    // Invariant: at most `kept_max` entries.
    lately: Mutex<HashMap<(Digest, String), Timestamp>>,
}

impl BugBundles {
    /// Bundles in the data folder of `config`; none when it keeps nothing, or no bundles.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let kept_max = usize::try_from(config.engine.bug_bundles_kept).unwrap_or(usize::MAX);
        let is_kept = config.store.driver != crate::config::StoreDriver::Memory && kept_max > 0;
        is_kept.then(|| Self {
            folder: config.store.data.join(FOLDER),
            config: config.clone(),
            kept_max,
            lately: Mutex::default(),
        })
    }

    /// Writes a bundle whole or not at all, then removes the oldest beyond the limit.
    fn write(&self, bundle: &FailureBundle) -> io::Result<PathBuf> {
        let bytes = serde_json::to_vec_pretty(&file::File::new(bundle, &self.config))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let name = format!("{}-{}.json", bundle.plugin, bundle.failure.id());
        let (path, temporary) = (self.folder.join(&name), self.folder.join(format!("{name}.part")));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&temporary).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&temporary, &path));
        if renamed.is_err() {
            // The disk may be full: leave nothing behind. The first error is the one to report.
            drop(fs::remove_file(&temporary));
        }
        renamed?;
        self.drop_oldest(&path)?;
        Ok(path)
    }

    fn drop_oldest(&self, newest: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path() != newest {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        let surplus = files.len().saturating_add(1).saturating_sub(self.kept_max);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

impl FailureSink for BugBundles {
    fn wants(&self, plugin: Digest, failure: &GuestFailure, now: Timestamp) -> bool {
        // What is in there is valid at every moment, a panic elsewhere or not.
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, at| now.ms_since(*at) < SAME_AGAIN_AFTER_MS);
        let same = (plugin, failure.id());
        if lately.len() >= self.kept_max || lately.contains_key(&same) {
            return false;
        }
        lately.insert(same, now);
        true
    }

    fn keep(&self, bundle: &FailureBundle) {
        let (plugin, id) = (&bundle.plugin, bundle.failure.id());
        match self.write(bundle) {
            Ok(path) => warn!(
                %plugin, failure_id = %id, path = %path.display(),
                "bug bundle written; repeat the failure with `annals plugin replay`"
            ),
            Err(error) => warn!(
                %plugin, failure_id = %id, error = %ErrorChain(&error),
                "bug bundle not written"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
