//! Plugin bytes in rows of any state store, for hosts without a folder of their own.
//!
//! ```text
//! table `blobs` of the space of the host
//! <digest>              {"bytes_count":…,"chunks_count":…}     the head, written last
//! <digest><number>      at most 256 KiB                        the chunks, numbered from 0
//! ```
//! The digest has 32 bytes, the number 4, big endian. Without a head nothing is there.

use std::num::TryFromIntError;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::id::Digest;
use annals_core::limits::ROW_BYTES_MAX;
use annals_core::port::blob_store::BlobError;
use annals_core::port::state_store::{
    KeyRange, RowKey, StateCommit, StateError, StateSpace, StateWrite,
};
use annals_core::port::{BlobStore, StateStore, StateStores};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

/// The table of the rows.
const TABLE: &str = "blobs";

/// Chunks that are written at once.
const CHUNKS_AT_ONCE: usize = 4;

/// Chunks that are read by one lookup: 4 MiB.
const CHUNKS_PER_READ: u32 = 16;

/// Chunks that are found and removed at once; reading them takes 4 MiB.
const CHUNKS_PER_REMOVAL: usize = 16;

/// How often a chunk is written again of which nobody knows whether it is there.
const REPEATS_MAX: usize = 3;

/// Keeps blobs in a state store.
#[derive(Debug)]
pub struct ChunkedBlobStore {
    state: Arc<dyn StateStore>,
}

/// What is kept of a blob besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    bytes_count: usize,
    chunks_count: u32,
}

impl ChunkedBlobStore {
    /// The blobs in the host's space of `states`.
    ///
    /// # Errors
    /// Those of [`StateStores::open`].
    pub async fn open(states: &dyn StateStores) -> Result<Self, StateError> {
        Ok(Self { state: states.open(&StateSpace::Host).await? })
    }

    /// Writes a row. To write it again does no harm, as its key says what is in it.
    async fn write(&self, key: Bytes, value: Bytes) -> Result<(), BlobError> {
        let row = RowKey { table: Arc::from(TABLE), key };
        self.commit(vec![StateWrite::Put(row, value)]).await
    }

    /// Removes rows, which may be done again.
    async fn delete(&self, keys: impl Iterator<Item = Bytes> + Send) -> Result<(), BlobError> {
        let row = |key| StateWrite::Delete(RowKey { table: Arc::from(TABLE), key });
        self.commit(keys.map(row).collect()).await
    }

    async fn commit(&self, writes: Vec<StateWrite>) -> Result<(), BlobError> {
        let commit = StateCommit { conditions: Vec::new(), writes };
        let mut repeats_count = 0;
        loop {
            match self.state.commit(commit.clone()).await {
                Ok(()) => return Ok(()),
                Err(StateError::OutcomeUnknown(_)) if repeats_count < REPEATS_MAX => {
                    repeats_count += 1;
                }
                Err(error) => return Err(unavailable("failed to write a part of a blob", error)),
            }
        }
    }

    async fn head(&self, digest: Digest) -> Result<Option<Head>, BlobError> {
        let head = self.state.get(TABLE, digest.as_bytes()).await;
        let head = head.map_err(|error| unavailable("failed to read the head of a blob", error))?;
        head.map(|head| Head::parse(&head).ok_or(BlobError::Damaged { digest })).transpose()
    }

    /// The bytes that a head says are there.
    async fn chunks(&self, digest: Digest, head: Head) -> Result<Bytes, BlobError> {
        let damaged = || BlobError::Damaged { digest };
        // Grows with what is there, so that a damaged head takes no memory.
        let mut bytes = BytesMut::new();
        let mut next = 0;
        while next < head.chunks_count {
            let end = head.chunks_count.min(next.saturating_add(CHUNKS_PER_READ));
            let key = |number| RowKey { table: Arc::from(TABLE), key: chunk_key(digest, number) };
            let keys: Vec<RowKey> = (next..end).map(key).collect();
            let chunks = self.state.get_many(&keys).await;
            let chunks =
                chunks.map_err(|error| unavailable("failed to read a part of a blob", error))?;
            for chunk in chunks {
                bytes.extend_from_slice(&chunk.ok_or_else(damaged)?);
            }
            next = end;
        }
        if bytes.len() == head.bytes_count { Ok(bytes.freeze()) } else { Err(damaged()) }
    }
}

impl Head {
    fn of(bytes: &[u8]) -> Result<Self, TryFromIntError> {
        let chunks_count = u32::try_from(bytes.len().div_ceil(ROW_BYTES_MAX))?;
        Ok(Self { bytes_count: bytes.len(), chunks_count })
    }

    fn to_json(self) -> Bytes {
        let Self { bytes_count, chunks_count } = self;
        let json = json!({ "bytes_count": bytes_count, "chunks_count": chunks_count });
        Bytes::from(json.to_string())
    }

    /// `None` when it is not as it was written.
    fn parse(json: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(json).ok()?;
        let number = |name: &str| json.get(name)?.as_u64();
        let bytes_count = usize::try_from(number("bytes_count")?).ok()?;
        let chunks_count = u32::try_from(number("chunks_count")?).ok()?;
        let is_whole = u64::from(chunks_count)
            == u64::try_from(bytes_count.div_ceil(ROW_BYTES_MAX)).unwrap_or(u64::MAX);
        is_whole.then_some(Self { bytes_count, chunks_count })
    }
}

#[async_trait]
impl BlobStore for ChunkedBlobStore {
    async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = digest_of(bytes.clone()).await?;
        // Damaged bytes are replaced: these are the right ones.
        match self.get(digest).await {
            Ok(Some(_)) => return Ok(digest),
            Ok(None) | Err(BlobError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let head = Head::of(&bytes).map_err(|error| {
            BlobError::Unavailable(DriverError::with_source("the blob is too large", error))
        })?;
        let chunks = (0..head.chunks_count).zip(0..).map(|(number, index): (u32, usize)| {
            let start = index * ROW_BYTES_MAX;
            let end = bytes.len().min(start + ROW_BYTES_MAX);
            self.write(chunk_key(digest, number), bytes.slice(start..end))
        });
        let chunks: Vec<_> = chunks.collect();
        let writing = futures_util::stream::iter(chunks).buffer_unordered(CHUNKS_AT_ONCE);
        writing.try_collect::<()>().await?;
        self.write(Bytes::copy_from_slice(digest.as_bytes()), head.to_json()).await?;
        Ok(digest)
    }

    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlobError> {
        let Some(head) = self.head(digest).await? else {
            return Ok(None);
        };
        let bytes = self.chunks(digest, head).await?;
        if digest_of(bytes.clone()).await? == digest {
            Ok(Some(bytes))
        } else {
            Err(BlobError::Damaged { digest })
        }
    }

    async fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        // The head first: without it nothing is there, and what a crash leaves is found by its keys.
        self.delete(std::iter::once(Bytes::copy_from_slice(digest.as_bytes()))).await?;
        loop {
            let range = KeyRange::prefix(digest.as_bytes());
            let rows = self.state.scan(TABLE, range, CHUNKS_PER_REMOVAL).await;
            let rows =
                rows.map_err(|error| unavailable("failed to find parts of a blob", error))?;
            // A head that is there by now is of whoever put the bytes again meanwhile.
            let is_put_again = rows.iter().any(|row| row.key.len() == digest.as_bytes().len());
            if rows.is_empty() || is_put_again {
                return Ok(());
            }
            self.delete(rows.into_iter().map(|row| row.key)).await?;
        }
    }
}

/// The digest of bytes, which takes long for the largest.
async fn digest_of(bytes: Bytes) -> Result<Digest, BlobError> {
    let work = tokio::task::spawn_blocking(move || Digest::of(&bytes)).await;
    work.map_err(|error| {
        BlobError::Unavailable(DriverError::with_source("the work was given up", error))
    })
}

fn chunk_key(digest: Digest, number: u32) -> Bytes {
    let mut key = BytesMut::with_capacity(36);
    key.extend_from_slice(digest.as_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key.freeze()
}

fn unavailable(what: &str, error: StateError) -> BlobError {
    BlobError::Unavailable(DriverError::with_source(what, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_contradicts_itself_is_none() {
        // Guards memory: a damaged head does not make anyone read chunks without end.
        let head = Head::of(&vec![0; ROW_BYTES_MAX + 1]).unwrap();
        assert_eq!(head, Head { bytes_count: ROW_BYTES_MAX + 1, chunks_count: 2 });
        assert_eq!(Head::parse(&head.to_json()), Some(head));
        assert_eq!(Head::parse(&Head::of(b"").unwrap().to_json()), Head::of(b"").ok());
        for json in [
            "",
            "{}",
            r#"{"bytes_count":1,"chunks_count":2}"#,
            r#"{"bytes_count":1,"chunks_count":0}"#,
            r#"{"bytes_count":-1,"chunks_count":1}"#,
            r#"{"bytes_count":1,"chunks_count":4294967297}"#,
        ] {
            assert_eq!(Head::parse(json.as_bytes()), None, "{json}");
        }
    }
}
