//! The pages of index files that were looked at lately, within a bound of memory.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::layout::{CONTENT_BYTES, IndexFault, PAGE_BYTES, check_page, damaged};
use crate::log::file::LogFile;

/// How many parts the cache is in, so that readers rarely wait for one another.
const SHARDS_COUNT: usize = 8;

/// Which page: of which index (a number that no other index of the process has), and where in it.
type Key = (u64, u64);

/// Keeps pages of all index files of a log.
#[derive(Debug)]
pub(crate) struct PageCache {
    shards: Vec<Mutex<LruCache<Key, Arc<[u8]>>>>,
}

impl PageCache {
    /// A cache of at most about `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let pages = usize::try_from(bytes_max).unwrap_or(usize::MAX) / PAGE_BYTES / SHARDS_COUNT;
        let pages = NonZeroUsize::new(pages).unwrap_or(NonZeroUsize::MIN);
        Self { shards: (0..SHARDS_COUNT).map(|_| Mutex::new(LruCache::new(pages))).collect() }
    }

    /// The content of a page, from memory or from `file`.
    pub(crate) fn page(
        &self,
        (index, salt): (u64, u64),
        page: u64,
        file: impl FnOnce() -> std::io::Result<Arc<dyn LogFile>>,
    ) -> Result<Arc<[u8]>, IndexFault> {
        let shard = usize::try_from(page).unwrap_or_default() % SHARDS_COUNT;
        let Some(shard) = self.shards.get(shard) else {
            return Err(damaged("there is no cache"));
        };
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = lock().get(&(index, page)) {
            return Ok(Arc::clone(content));
        }
        let mut bytes = vec![0; PAGE_BYTES];
        let offset = page.saturating_mul(u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX));
        let read = file().and_then(|file| file.read_exact_at(&mut bytes, offset));
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged("the index is cut off"),
            _ => IndexFault::Io(error),
        })?;
        let content = check_page(salt, page, &bytes);
        let content: Arc<[u8]> = content.ok_or(damaged("a page has a wrong checksum"))?.into();
        debug_assert_eq!(content.len(), CONTENT_BYTES);
        lock().put((index, page), Arc::clone(&content));
        Ok(content)
    }
}
