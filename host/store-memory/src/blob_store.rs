//! The blob store: a map from digest to bytes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use annals_core::id::Digest;
use annals_core::port::BlobStore;
use annals_core::port::blob_store::BlobError;
use async_trait::async_trait;
use bytes::Bytes;

/// Keeps bytes in memory, for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryBlobStore {
    // Never held across an await.
    blobs: Mutex<HashMap<Digest, Bytes>>,
}

impl MemoryBlobStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<Digest, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        self.blobs().insert(digest, bytes);
        Ok(digest)
    }

    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlobError> {
        Ok(self.blobs().get(&digest).cloned())
    }

    async fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        self.blobs().remove(&digest);
        Ok(())
    }
}
