//! The lock of a data folder: one process at a time.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::local_store::OpenError;

/// Longest content of a lock file that is looked at, in bytes; a process id is far shorter.
const LOCK_BYTES_MAX: u64 = 64;

/// Holds the lock until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("LOCK");
        let io_error = |source| OpenError::Lock { path: path.clone(), source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Whoever has the lock may be writing its id just now.
                let holder = match file.take(LOCK_BYTES_MAX).read_to_string(&mut text) {
                    Ok(_) => text.trim().parse().ok(),
                    Err(_) => None,
                };
                return Err(OpenError::Locked { folder: folder.to_owned(), process: holder });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(io_error)?;
        Ok(Self { _file: file })
    }
}
