//! `BlobStore`: bytes by their digest.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::port::BlobStore;
use bytes::Bytes;
use futures_util::future::join_all;

type Blobs = Arc<dyn BlobStore>;

/// Guards plugins that were never uploaded: not there is an answer, not an error.
pub async fn bytes_that_were_never_put_are_not_there(blobs: &Blobs) {
    blobs.put(Bytes::from_static(b"others")).await.unwrap();
    assert_eq!(blobs.get(Digest::of(b"never")).await.unwrap(), None);
}

/// Guards plugin bytes: named by their SHA-256 and given back as they were, from none to more than
/// any chunk, with every value of a byte.
pub async fn gives_back_what_was_put(blobs: &Blobs) {
    let every_value: Vec<u8> = (0..=u8::MAX).cycle().take((3 << 20) + 1).collect();
    let contents = [b"".to_vec(), b"\0".to_vec(), every_value];
    for content in contents.map(Bytes::from) {
        let digest = blobs.put(content.clone()).await.unwrap();
        assert_eq!(digest, Digest::of(&content));
        assert_eq!(blobs.get(digest).await.unwrap(), Some(content));
    }
}

/// Guards uploads that are repeated: harmless, one after the other and at once.
pub async fn putting_again_is_harmless(blobs: &Blobs) {
    let content = Bytes::from(vec![7; 100_000]);
    let digest = Digest::of(&content);
    assert_eq!(blobs.put(content.clone()).await.unwrap(), digest);
    assert_eq!(blobs.put(content.clone()).await.unwrap(), digest);
    let puts = (0..16).map(|_| {
        let (blobs, content) = (Arc::clone(blobs), content.clone());
        tokio::spawn(async move { blobs.put(content).await.unwrap() })
    });
    for put in join_all(puts).await {
        assert_eq!(put.unwrap(), digest);
    }
    assert_eq!(blobs.get(digest).await.unwrap(), Some(content));
}

/// Guards versions of a plugin: bytes that differ in one bit are two blobs.
pub async fn keeps_blobs_apart(blobs: &Blobs) {
    let contents = [b"version-0", b"version-1", b"version-2"].map(|it| Bytes::from_static(it));
    for content in &contents {
        blobs.put(content.clone()).await.unwrap();
    }
    for content in contents {
        let found = blobs.get(Digest::of(&content)).await.unwrap();
        assert_eq!(found, Some(content));
    }
}

/// Guards the disk: old versions go, others stay, and what went can come again.
pub async fn what_was_removed_is_not_there(blobs: &Blobs) {
    let contents = [vec![1; 1 << 20], b"small".to_vec(), b"".to_vec()].map(Bytes::from);
    let kept = blobs.put(Bytes::from_static(b"kept")).await.unwrap();
    for content in contents {
        let digest = Digest::of(&content);
        blobs.remove(digest).await.unwrap();
        blobs.put(content.clone()).await.unwrap();
        blobs.remove(digest).await.unwrap();
        assert_eq!(blobs.get(digest).await.unwrap(), None);
        blobs.remove(digest).await.unwrap();
        blobs.put(content.clone()).await.unwrap();
        assert_eq!(blobs.get(digest).await.unwrap(), Some(content));
    }
    assert_eq!(blobs.get(kept).await.unwrap(), Some(Bytes::from_static(b"kept")));
}

/// Guards an installation beside the removal of the same version: putting again ends whole.
pub async fn bytes_put_and_removed_at_once_can_be_put_again(blobs: &Blobs) {
    let content = Bytes::from(vec![9; 600_000]);
    let digest = Digest::of(&content);
    for _ in 0..4 {
        let others = (0..8).map(|number| {
            let (blobs, content) = (Arc::clone(blobs), content.clone());
            tokio::spawn(async move {
                match number % 2 {
                    0 => blobs.put(content).await.map(drop).unwrap(),
                    _ => blobs.remove(digest).await.unwrap(),
                }
            })
        });
        for other in join_all(others).await {
            other.unwrap();
        }
        blobs.put(content.clone()).await.unwrap();
        assert_eq!(blobs.get(digest).await.unwrap(), Some(content.clone()));
    }
}
