//! The few things the log does with its folder, so that a test can put another one in its place:
//! one that fails, or one that forgets what was not synced.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::LogFile;
use crate::files;

/// Who opens a file. The system tells each open file of a failed write once: whoever must not miss
/// it has a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenedBy {
    /// The writer of commits, and the readers.
    Log,
    /// The space keeper.
    Space,
    /// Whoever writes and reads index files.
    Index,
}

/// The folder of a log. Names are plain file names.
pub(crate) trait LogFolder: Send + Sync + fmt::Debug {
    fn path(&self) -> &Path;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that must be there, for reading and writing.
    fn open(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>>;
    /// Makes an empty file, in place of one that is there.
    fn create(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>>;
    /// Gives a file another name, in place of one that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Debug)]
pub(crate) struct DiskFolder {
    path: PathBuf,
    is_read_only: bool,
}

impl DiskFolder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), is_read_only: false }
    }

    /// A folder whose files are only read.
    pub(crate) fn read_only(path: &Path) -> Self {
        Self { path: path.to_owned(), is_read_only: true }
    }
}

impl LogFolder for DiskFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(error),
        };
        for entry in entries {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &str, _: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        let mut options = File::options();
        let options = options.read(true).write(!self.is_read_only);
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn create(&self, name: &str, _: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        let path = self.path.join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        files::sync_folder(&self.path)
    }
}
