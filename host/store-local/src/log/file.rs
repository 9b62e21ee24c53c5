//! The few things the log does with a file, so that a test can make them fail.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use super::fault::LogError;

/// A file that is read and written at places.
pub(crate) trait LogFile: Send + Sync + fmt::Debug {
    /// Fills `bytes` from `offset` on.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written durable, the length included.
    fn sync_data(&self) -> io::Result<()>;
    /// How long the file is.
    fn bytes_count(&self) -> io::Result<u64>;
    /// Cuts the file off.
    fn truncate(&self, bytes_count: u64) -> io::Result<()>;
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

    fn truncate(&self, bytes_count: u64) -> io::Result<()> {
        self.set_len(bytes_count)
    }
}

/// Whether there is no room for what was to be written; there may be later.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(crate) fn io_error(action: &'static str, path: &Path, source: io::Error) -> LogError {
    LogError::Io { action, path: path.to_owned(), source }
}
