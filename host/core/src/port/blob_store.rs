//! The port to plugin bytes, named by their content.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::DriverError;
use crate::id::Digest;

/// Keeps bytes by their digest.
#[async_trait]
pub trait BlobStore: Send + Sync + fmt::Debug {
    /// Keeps `bytes`, durably, and returns their digest. Putting the same bytes again is harmless.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError>;

    /// The bytes with this digest; `None` when they were never put.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] when what is stored has another digest, [`BlobError::Unavailable`].
    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlobError>;

    /// Removes the bytes with this digest; those that are not there are passed over. Once it returns,
    /// [`BlobStore::get`] answers `None`, also after a crash, until the bytes are put again. A `put` of
    /// the same bytes at the same time may leave them there, not there or damaged; putting them again
    /// afterwards makes them whole.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`]; the bytes are there or not, and removing them again is safe.
    async fn remove(&self, digest: Digest) -> Result<(), BlobError>;
}

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Trying again later may succeed.
    #[error("the blob store is not available")]
    Unavailable(#[source] DriverError),
    /// The stored bytes are not those that were put.
    #[error("the stored bytes of `{digest}` are damaged")]
    Damaged {
        /// The digest asked for.
        digest: Digest,
    },
}
