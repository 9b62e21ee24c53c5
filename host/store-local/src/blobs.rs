//! Plugin bytes: one file per content, `plugins/<sha256>.wasm`, checked whenever it is read.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::error::DriverError;
use annals_core::id::Digest;
use annals_core::port::BlobStore;
use annals_core::port::blob_store::BlobError;
use async_trait::async_trait;
use bytes::Bytes;

use crate::files;

/// The plugin bytes of one data folder.
///
/// Files are written and read, and their digests taken, on tokio's threads for blocking work.
pub struct LocalBlobStore {
    folder: PathBuf,
    /// Makes the names of unfinished files differ, so that uploads do not disturb each other.
    next_unfinished: AtomicU64,
    /// Kept for as long as the store is open, e.g. the lock of the folder.
    _guard: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

impl LocalBlobStore {
    /// The blobs in `folder`, which is made when the first is put.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, next_unfinished: AtomicU64::new(0), _guard: None }
    }

    /// Keeps `guard` for as long as the store is open.
    #[must_use]
    pub(crate) fn holding(mut self, guard: Arc<dyn fmt::Debug + Send + Sync>) -> Self {
        self._guard = Some(guard);
        self
    }
}

#[async_trait]
impl BlobStore for LocalBlobStore {
    async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let folder = self.folder.clone();
        let number = self.next_unfinished.fetch_add(1, Ordering::Relaxed);
        run_blocking(move || put(&folder, &bytes, number)).await
    }

    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlobError> {
        let folder = self.folder.clone();
        run_blocking(move || get(&folder, digest)).await
    }

    async fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        let folder = self.folder.clone();
        run_blocking(move || remove(&folder, digest)).await
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => {
            Err(BlobError::Unavailable(DriverError::with_source("the work was given up", error)))
        }
    }
}

fn put(folder: &Path, bytes: &[u8], number: u64) -> Result<Digest, BlobError> {
    let digest = Digest::of(bytes);
    // A damaged file is replaced: these bytes are the right ones.
    if matches!(get(folder, digest), Ok(Some(_))) {
        return Ok(digest);
    }
    let path = path(folder, digest);
    let unfinished = files::with_suffix(&path, &format!(".{number}.new"));
    files::create_folder(folder)
        .and_then(|()| files::create(&path, &unfinished, bytes))
        .map_err(|error| unavailable("write", &path, error))?;
    Ok(digest)
}

fn get(folder: &Path, digest: Digest) -> Result<Option<Bytes>, BlobError> {
    let path = path(folder, digest);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable("read", &path, error)),
    };
    if Digest::of(&bytes) != digest {
        return Err(BlobError::Damaged { digest });
    }
    Ok(Some(Bytes::from(bytes)))
}

fn remove(folder: &Path, digest: Digest) -> Result<(), BlobError> {
    let path = path(folder, digest);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable("remove", &path, error)),
    }
    files::sync_folder(folder).map_err(|error| unavailable("remove", &path, error))
}

fn path(folder: &Path, digest: Digest) -> PathBuf {
    folder.join(format!("{digest}.wasm"))
}

fn unavailable(action: &str, path: &Path, error: io::Error) -> BlobError {
    let message = format!("failed to {action} `{}`", path.display());
    BlobError::Unavailable(DriverError::with_source(&message, error))
}

impl fmt::Debug for LocalBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBlobStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn damaged_bytes_are_told_and_replaced() {
        // Guards plugins: other bytes than those that were uploaded are never run.
        let folder = tempfile::tempdir().unwrap();
        let blobs = LocalBlobStore::new(folder.path().join("plugins"));
        let bytes = Bytes::from_static(b"component");
        let digest = blobs.put(bytes.clone()).await.unwrap();
        fs::write(path(&blobs.folder, digest), b"camponent").unwrap();
        let error = blobs.get(digest).await.unwrap_err();
        assert!(matches!(error, BlobError::Damaged { digest: found } if found == digest));
        assert_eq!(blobs.put(bytes.clone()).await.unwrap(), digest);
        assert_eq!(blobs.get(digest).await.unwrap(), Some(bytes));
        let names: Vec<_> = fs::read_dir(&blobs.folder).unwrap().collect();
        assert_eq!(names.len(), 1);
    }
}
