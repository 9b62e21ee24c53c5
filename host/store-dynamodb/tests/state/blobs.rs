//! Blobs in rows: what is stored, and what is said when it is not whole.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::limits::ROW_BYTES_MAX;
use annals_core::port::blob_store::BlobError;
use annals_core::port::state_store::{KeyRange, RowKey, StateWrite};
use annals_core::port::{BlobStore as _, StateStore};
use annals_store_dynamodb::ChunkedBlobStore;
use bytes::Bytes;

use super::{commit, host, open_state_stores};

/// The key of a part of a blob; `None`: of its head.
fn key(digest: Digest, number: Option<u32>) -> RowKey {
    let mut key = digest.as_bytes().to_vec();
    key.extend(number.into_iter().flat_map(u32::to_be_bytes));
    RowKey { table: Arc::from("blobs"), key: Bytes::from(key) }
}

async fn change(state: &dyn StateStore, write: StateWrite) {
    commit(state, vec![], vec![write]).await.unwrap();
}

#[tokio::test]
async fn a_blob_is_kept_in_parts_and_a_head() {
    // Guards plugin bytes that later versions must read, at the edge of a part.
    let (stores, _emulator) = open_state_stores().await;
    let blobs = ChunkedBlobStore::open(&*stores).await.unwrap();
    let state = host(&*stores).await;
    let sizes = [(0, 0), (1, 1), (ROW_BYTES_MAX, 1), (ROW_BYTES_MAX + 1, 2)];
    for (bytes_count, chunks_count) in sizes {
        let bytes = Bytes::from(vec![b'x'; bytes_count]);
        let digest = blobs.put(bytes.clone()).await.unwrap();
        let prefix = KeyRange::prefix(digest.as_bytes());
        let rows = state.scan("blobs", prefix, 10).await.unwrap();
        let head = format!(r#"{{"bytes_count":{bytes_count},"chunks_count":{chunks_count}}}"#);
        assert_eq!(rows[0].value, head);
        assert_eq!(rows.len(), 1 + chunks_count);
        let kept: Vec<u8> = rows[1..].iter().flat_map(|row| row.value.to_vec()).collect();
        assert_eq!(kept, bytes);
        assert_eq!(blobs.get(digest).await.unwrap(), Some(bytes));
    }
}

#[tokio::test]
async fn bytes_that_are_not_whole_are_told_and_replaced() {
    // Guards plugins: other bytes than those that were uploaded are never run.
    let (stores, _emulator) = open_state_stores().await;
    let blobs = ChunkedBlobStore::open(&*stores).await.unwrap();
    let state = host(&*stores).await;
    let bytes = Bytes::from(vec![b'x'; ROW_BYTES_MAX + 10]);
    let digest = Digest::of(&bytes);
    let damages = [
        StateWrite::Put(key(digest, Some(1)), Bytes::from_static(b"yxxxxxxxxx")),
        StateWrite::Put(key(digest, Some(1)), Bytes::from_static(b"x")),
        StateWrite::Delete(key(digest, Some(0))),
        StateWrite::Put(key(digest, None), Bytes::from_static(b"{}")),
    ];
    for damage in damages {
        blobs.put(bytes.clone()).await.unwrap();
        change(&*state, damage.clone()).await;
        let error = blobs.get(digest).await.unwrap_err();
        assert!(
            matches!(error, BlobError::Damaged { digest: found } if found == digest),
            "{damage:?}: {error:?}"
        );
        assert_eq!(blobs.put(bytes.clone()).await.unwrap(), digest);
        assert_eq!(blobs.get(digest).await.unwrap(), Some(bytes.clone()));
    }
}

#[tokio::test]
async fn an_upload_that_was_interrupted_is_not_there() {
    // Guards uploads: parts without a head are nothing, and are completed by the next.
    let (stores, _emulator) = open_state_stores().await;
    let blobs = ChunkedBlobStore::open(&*stores).await.unwrap();
    let state = host(&*stores).await;
    let bytes = Bytes::from(vec![b'x'; ROW_BYTES_MAX + 10]);
    let digest = blobs.put(bytes.clone()).await.unwrap();
    change(&*state, StateWrite::Delete(key(digest, None))).await;
    change(&*state, StateWrite::Delete(key(digest, Some(1)))).await;
    assert_eq!(blobs.get(digest).await.unwrap(), None);
    blobs.put(bytes.clone()).await.unwrap();
    assert_eq!(blobs.get(digest).await.unwrap(), Some(bytes));
}
