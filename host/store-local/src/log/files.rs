//! The open files of a log: the ones used lately stay open, so that a log of many segments does not
//! need as many open files.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::file::LogFile;
use super::folder::{LogFolder, OpenedBy};

/// Most files that are kept open; an ordinary process may have 1 024.
const OPEN_FILES_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) folder: Arc<dyn LogFolder>,
    open: Mutex<LruCache<String, Arc<dyn LogFile>>>,
}

impl Files {
    pub(crate) fn new(folder: Arc<dyn LogFolder>) -> Self {
        Self { folder, open: Mutex::new(LruCache::new(OPEN_FILES_MAX)) }
    }

    /// The file of this name, which must be there.
    pub(crate) fn get(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = lock().get(name) {
            return Ok(Arc::clone(file));
        }
        let file = self.folder.open(name, opened_by)?;
        lock().put(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// Keeps a file open that was just made.
    pub(crate) fn put(&self, name: &str, file: Arc<dyn LogFile>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).put(name.to_owned(), file);
    }

    /// Forgets a file that is another one now.
    pub(crate) fn forget(&self, name: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).pop(name);
    }
}
