//! The few things the log does with a file, so that a test can make them fail.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::fault::LogError;

/// A file that is read and written at places.
pub(crate) trait LogFile: Send + Sync + fmt::Debug {
    /// Fills `bytes` from `offset` on.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// The `count` bytes from `offset` on.
    fn read(&self, count: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
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

    /// Without writing zeros first, which costs a twentieth of a scan.
    fn read(&self, count: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            let done = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let rest = count - bytes.len();
            // A vector may have more room than was asked for.
            if bytes.capacity() - bytes.len() > rest {
                let mut last = vec![0; rest];
                std::os::unix::fs::FileExt::read_exact_at(self, &mut last, offset + done)?;
                bytes.append(&mut last);
                break;
            }
            match rustix::io::pread(self, spare_capacity(&mut bytes), offset + done) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
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
