//! A folder in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::file::LogFile;
use crate::log::folder::{LogFolder, OpenedBy};

#[derive(Debug, Default)]
struct MemoryFile(Mutex<Vec<u8>>);

/// Files by name.
#[derive(Debug, Default, Clone)]
pub(super) struct MemoryFolder(Arc<Mutex<BTreeMap<String, Arc<MemoryFile>>>>);

impl MemoryFolder {
    pub(super) fn with(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let folder = Self::default();
        for (name, content) in files {
            folder.put(name, content.clone());
        }
        folder
    }

    pub(super) fn put(&self, name: &str, content: Vec<u8>) {
        self.files().insert(name.to_owned(), Arc::new(MemoryFile(Mutex::new(content))));
    }

    pub(super) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.files().iter().map(|(name, file)| (name.clone(), file.bytes().clone())).collect()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemoryFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(offset: u64, count: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    let end = start.checked_add(count).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(start..end)
}

impl LogFile for MemoryFile {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let place = place(offset, bytes.len())?;
        bytes.copy_from_slice(self.bytes().get(place).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let place = place(offset, bytes.len())?;
        let mut content = self.bytes();
        let count = content.len().max(place.end);
        content.resize(count, 0);
        content.get_mut(place).unwrap_or_default().copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn bytes_count(&self) -> io::Result<u64> {
        u64::try_from(self.bytes().len()).map_err(io::Error::other)
    }

    fn truncate(&self, bytes_count: u64) -> io::Result<()> {
        self.bytes().truncate(usize::try_from(bytes_count).map_err(io::Error::other)?);
        Ok(())
    }
}

impl LogFolder for MemoryFolder {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn open(&self, name: &str, _: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        let file = self.files().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }

    fn create(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        self.put(name, Vec::new());
        self.open(name, opened_by)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files().insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
