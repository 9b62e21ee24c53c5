//! Compiled components on disk, so that a plugin is compiled once.
//!
//! ```text
//! key                        32 random bytes, for the owner alone
//! <digest>-<engine>.compiled 32 bytes authentication code, then what wasmtime serialised
//! ```
//!
//! Loading an artefact is as good as running it as native code. So each carries a code that only the
//! holder of the key can make, over its name and content; a file without a valid one is passed over
//! and written anew. Losing the folder costs time, nothing else.

mod key;
mod mac;

use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, fs};

use annals_core::error::ErrorChain;
use annals_core::id::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

/// Most compiled components that are kept (inclusive); the oldest go first.
const FILES_MAX: usize = 64;

/// Largest file that is read, in bytes (inclusive). Machine code is some four times as large as the
/// component.
const FILE_BYTES_MAX: u64 = 1 << 30;

const SUFFIX: &str = "compiled";

/// Compiled components in one folder.
pub(crate) struct CompileCache {
    folder: PathBuf,
    key: key::Key,
    /// Stands for wasmtime's version and configuration.
    engine_tag: String,
    /// Tells the temporary files of this process apart.
    writes_count: AtomicU64,
}

/// A compiled component that this installation wrote.
#[derive(Debug)]
pub(crate) struct Authentic {
    // Invariant: from `mac::LENGTH` on it is what was serialised; what is before vouches for it.
    file: Vec<u8>,
}

impl Authentic {
    /// What wasmtime serialised.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.get(mac::LENGTH..).unwrap_or_default()
    }
}

impl CompileCache {
    /// Opens the cache in `folder`, making both folder and key when there are none; `fresh_key` is
    /// used then.
    pub(crate) fn open(folder: &Path, fresh_key: &[u8; 32], engine: &Engine) -> io::Result<Self> {
        key::make_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            key: key::load_or_make(folder, fresh_key)?,
            engine_tag: engine_tag(engine),
            writes_count: AtomicU64::new(0),
        })
    }

    /// What was compiled of the component with this digest, by this version and configuration of
    /// wasmtime.
    pub(crate) fn get(&self, digest: Digest) -> Option<Authentic> {
        let name = self.file_name(digest);
        let path = self.folder.join(&name);
        let is_too_large = fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX;
        let file = if is_too_large { Vec::new() } else { fs::read(&path).ok()? };
        let is_authentic = file.split_at_checked(mac::LENGTH).is_some_and(|(code, bytes)| {
            mac::verify(self.key.bytes(), [name.as_bytes(), bytes], code)
        });
        if is_authentic {
            return Some(Authentic { file });
        }
        tracing::warn!(path = %path.display(), "file of the compile cache is not ours, it is ignored");
        None
    }

    /// Keeps what was compiled. A failure costs time only, so it is logged and passed over.
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) {
        let name = self.file_name(digest);
        let result = self.write(&name, bytes).and_then(|()| self.drop_oldest(&name));
        if let Err(error) = result {
            tracing::warn!(
                folder = %self.folder.display(),
                error = %ErrorChain(&error),
                "failed to write to the compile cache"
            );
        }
    }

    fn file_name(&self, digest: Digest) -> String {
        format!("{digest}-{}.{SUFFIX}", self.engine_tag)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let number = self.writes_count.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{}-{number}.temporary", std::process::id()));
        let code = mac::of(self.key.bytes(), [name.as_bytes(), bytes]);
        let written = key::private_file(&temporary).and_then(|mut file| {
            file.write_all(&code)?;
            file.write_all(bytes)
        });
        let renamed = written.and_then(|()| fs::rename(&temporary, self.folder.join(name)));
        if renamed.is_err() {
            // The disk may be full: leave nothing behind. The first error is the one to report.
            drop(fs::remove_file(&temporary));
        }
        renamed
    }

    /// Removes the oldest files beyond the limit, whatever version they are of, but not `kept`.
    fn drop_oldest(&self, kept: &str) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let is_artefact = path.extension().is_some_and(|extension| extension == SUFFIX);
            if is_artefact && entry.file_name() != kept {
                files.push((entry.metadata()?.modified()?, path));
            }
        }
        files.sort();
        let surplus = files.len().saturating_add(1).saturating_sub(FILES_MAX);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

impl fmt::Debug for CompileCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompileCache")
            .field("folder", &self.folder)
            .field("engine_tag", &self.engine_tag)
            .finish_non_exhaustive()
    }
}

/// A text that differs whenever an artefact of one engine must not be loaded into another.
fn engine_tag(engine: &Engine) -> String {
    let mut hasher = TagHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Digest::from_bytes(hasher.0.finalize().into()).short()
}

/// Collects what is hashed; the result is taken as a whole.
struct TagHasher(Sha256);

impl Hasher for TagHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_files_only() {
        // Guards the disk: every new build of a plugin adds a file, none removes one.
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::engine::deterministic().unwrap();
        let cache = CompileCache::open(folder.path(), &[7; 32], &engine).unwrap();
        for number in 0..=FILES_MAX {
            cache.put(Digest::of(&number.to_le_bytes()), b"artefact");
        }
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, FILES_MAX + 1, "the artefacts and the key");
        let newest = cache.get(Digest::of(&FILES_MAX.to_le_bytes()));
        assert_eq!(newest.map(|found| found.bytes().to_vec()), Some(b"artefact".to_vec()));
    }
}
