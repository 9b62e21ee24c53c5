//! A folder in memory that knows what of it is synced and what is not, counts what is done with it,
//! and fails as it is told: the whole log runs on it, on one thread, the same for the same seed.
//!
//! ```text
//!   the log ─► files as the running system shows them ─ sync ─► what a power loss leaves for sure
//!                        └──── of the rest, by sector and by name, a random choice ────┘
//! ```
//!
//! `disk.rs` has the files, `faults.rs` what can be made to fail.

mod disk;
mod faults;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use self::disk::{Disk, FileNumber};
pub(crate) use self::faults::{Crash, Fault, Kind, Operation, Room, Share};
use super::seed::Seed;
use crate::log::file::LogFile;
use crate::log::folder::{LogFolder, OpenedBy};

/// What a test keeps in its hand while the log has the folder open.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedFolder {
    path: PathBuf,
    disk: Arc<Mutex<Disk>>,
}

/// An open file: of no use any more after a crash.
#[derive(Debug)]
struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    number: FileNumber,
    opened_by: OpenedBy,
    /// The life of the process that opened it.
    life: u64,
}

impl SimulatedFolder {
    pub(crate) fn new() -> Self {
        Self { path: PathBuf::from("simulated"), disk: Arc::default() }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// For the log.
    pub(crate) fn share(&self) -> Arc<dyn LogFolder> {
        Arc::new(self.clone())
    }

    /// Lets the process crash at an operation, counted from now.
    pub(crate) fn crash_at(&self, operation: u64, seed: Seed) {
        let mut disk = self.disk();
        let at = disk.faults.operations_count() + operation;
        disk.faults.crash_at = Some((at, seed));
    }

    /// How the process crashed, if it did.
    pub(crate) fn crashed(&self) -> Option<Crash> {
        self.disk().faults.crashed.clone()
    }

    /// Ends the process, wherever it is; the system runs on and loses nothing.
    pub(crate) fn kill(&self) {
        self.disk().begin_life();
    }

    /// Ends the process, and takes away the power: of what is not synced, a random choice remains.
    pub(crate) fn lose_power(&self, seed: &mut Seed) {
        let mut disk = self.disk();
        // Of how many in a hundred; also all and none, as a fast and a slow disk have it.
        let percent = seed.pick(&[0, 10, 50, 50, 90, 100]);
        disk.lose_unsynced(percent, seed);
        disk.begin_life();
    }

    /// As [`Self::lose_power`], and nothing remains that is not synced.
    pub(crate) fn lose_all_unsynced(&self) {
        let mut disk = self.disk();
        disk.lose_unsynced(0, &mut Seed::new(0));
        disk.begin_life();
    }

    /// All operations since the folder was made, but the reads.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.disk().faults.operations.clone()
    }

    pub(crate) fn operations_count(&self) -> u64 {
        self.disk().faults.operations_count()
    }

    /// Lets an operation fail once.
    pub(crate) fn fail(&self, fault: Fault) {
        self.disk().faults.once.push(fault);
    }

    /// Whether everything that was to fail did.
    pub(crate) fn has_failed(&self) -> bool {
        self.disk().faults.once.is_empty()
    }

    /// Lets nothing fail any more.
    pub(crate) fn heal(&self) {
        self.disk().faults.once.clear();
    }

    pub(crate) fn set_room(&self, room: Room) {
        self.disk().faults.room = room;
    }

    /// What found no room.
    pub(crate) fn refused(&self) -> Vec<Operation> {
        self.disk().faults.refused.clone()
    }

    /// The most files that were open at the same time.
    pub(crate) fn open_files_max(&self) -> usize {
        self.disk().open_files_max
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.disk().names.keys().cloned().collect()
    }

    /// The names of all segments, or of all index files.
    pub(crate) fn names_ending(&self, suffix: &str) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(suffix)).collect()
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let disk = self.disk();
        disk.files[disk.names[name]].shown.clone()
    }

    /// Puts a file there, as somebody may who is not the log.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        self.disk().put(name, content);
    }

    pub(crate) fn take(&self, name: &str) {
        self.disk().take(name);
    }

    /// A folder with the same files, all of them synced.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        for name in self.names() {
            copy.put(&name, &self.content(&name));
        }
        copy
    }

    fn file(&self, number: FileNumber, opened_by: OpenedBy) -> Arc<dyn LogFile> {
        let disk = Arc::clone(&self.disk);
        let mut state = self.disk();
        state.open_files_count += 1;
        state.open_files_max = state.open_files_max.max(state.open_files_count);
        Arc::new(SimulatedFile { disk, number, opened_by, life: state.life })
    }
}

impl LogFolder for SimulatedFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk().faults.check_alive()?;
        Ok(self.names())
    }

    fn open(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        let number = {
            let disk = self.disk();
            disk.faults.check_alive()?;
            disk.number_of(name)?
        };
        Ok(self.file(number, opened_by))
    }

    fn create(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        let number = {
            let mut disk = self.disk();
            let operation = Operation { kind: Kind::Create, name: name.to_owned(), opened_by };
            let (share, result) = disk.faults.begin(operation);
            let number = if share == Share::Nothing { 0 } else { disk.create(name) };
            result?;
            number
        };
        Ok(self.file(number, opened_by))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let operation =
            Operation { kind: Kind::Rename, name: to.to_owned(), opened_by: OpenedBy::Log };
        let (share, result) = disk.faults.begin(operation);
        if share != Share::Nothing {
            disk.rename(from, to)?;
        }
        result
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let operation =
            Operation { kind: Kind::Remove, name: name.to_owned(), opened_by: OpenedBy::Log };
        let (share, result) = disk.faults.begin(operation);
        if share != Share::Nothing {
            disk.number_of(name)?;
            disk.remove(name);
        }
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk();
        let operation =
            Operation { kind: Kind::SyncFolder, name: String::new(), opened_by: OpenedBy::Log };
        let (share, result) = disk.faults.begin(operation);
        disk.sync_names(&share);
        result
    }
}

impl SimulatedFile {
    /// The disk, when the process that opened the file still runs.
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.lock().unwrap();
        disk.faults.check_alive()?;
        assert_eq!(disk.life, self.life, "a file of a process that ended is used");
        Ok(disk)
    }

    fn operation(&self, disk: &Disk, kind: Kind) -> Operation {
        Operation { kind, name: disk.name_of(self.number), opened_by: self.opened_by }
    }
}

impl LogFile for SimulatedFile {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let disk = self.disk()?;
        let start = usize::try_from(offset).unwrap();
        let content = disk.files[self.number].shown.get(start..start + bytes.len());
        bytes.copy_from_slice(content.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        let start = usize::try_from(offset).unwrap();
        let operation = self.operation(&disk, Kind::Write);
        let room = disk.faults.room_for(&operation, start, disk.files[self.number].shown.len());
        let (share, result) = disk.faults.begin(operation.clone());
        let count = match share {
            Share::Nothing => 0,
            Share::Part(mut seed) => seed.index(bytes.len() + 1),
            Share::All => bytes.len(),
        };
        let count = count.min(room);
        disk.files[self.number].write(&bytes[..count], start);
        if result.is_ok() && count < bytes.len() {
            disk.faults.refused.push(operation);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk()?;
        let operation = self.operation(&disk, Kind::Sync);
        let (share, result) = disk.faults.begin(operation);
        let is_alive = disk.faults.crashed.is_none();
        let file = &mut disk.files[self.number];
        file.sync(&share);
        if result.is_err() && is_alive {
            // As Linux does: the bytes stay to be seen, and count as written from now on.
            file.forget_unsynced();
        }
        result
    }

    fn bytes_count(&self) -> io::Result<u64> {
        Ok(self.disk()?.files[self.number].shown.len() as u64)
    }

    fn truncate(&self, bytes_count: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        let operation = self.operation(&disk, Kind::Truncate);
        let (share, result) = disk.faults.begin(operation);
        if share != Share::Nothing {
            disk.files[self.number].truncate(usize::try_from(bytes_count).unwrap());
        }
        result
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if let Ok(mut disk) = self.disk.lock()
            && disk.life == self.life
        {
            disk.open_files_count -= 1;
        }
    }
}
