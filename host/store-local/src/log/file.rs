//! The few things the log does with a file, so that a test can make them fail.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use super::fault::LogError;
use crate::files;

/// A file that is read and written at places.
pub(crate) trait LogFile: Send + Sync + fmt::Debug {
    /// Fills `bytes` from `offset` on.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written durable.
    fn sync_data(&self) -> io::Result<()>;
    /// How long the file is.
    fn bytes_count(&self) -> io::Result<u64>;
}

impl LogFile for File {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn bytes_count(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
}

/// Whether there is no room for what was to be written; there may be later.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Opens a file for reading and writing, that must be there.
pub(crate) fn open(path: &Path) -> Result<File, LogError> {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|source| io_error("open", path, source))
}

/// Makes a file that holds `bytes` and is durable, or is not there at all.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let unfinished = files::with_suffix(path, ".new");
    files::create(path, &unfinished, bytes).map_err(|source| io_error("create", path, source))
}

/// Makes a folder, when it is not there, and its name durable.
pub(crate) fn create_folder(path: &Path) -> Result<(), LogError> {
    files::create_folder(path).map_err(|source| io_error("create", path, source))
}

pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> LogError {
    LogError::Io { action, path: path.to_owned(), source }
}
