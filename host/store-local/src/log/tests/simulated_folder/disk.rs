//! The files and names of a simulated folder: as they are seen, and as far as they are synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::faults::{Faults, Share};
use crate::log::tests::seed::Seed;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Which file: it keeps its number when it gets another name.
pub(super) type FileNumber = usize;

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) files: Vec<FileState>,
    pub(super) names: BTreeMap<String, FileNumber>,
    synced_names: BTreeMap<String, FileNumber>,
    /// What is between the two, oldest first.
    name_changes: Vec<NameChange>,
    pub(super) faults: Faults,
    /// How many processes had the folder before.
    pub(super) life: u64,
    pub(super) open_files_count: usize,
    pub(super) open_files_max: usize,
}

#[derive(Debug, Default)]
pub(super) struct FileState {
    pub(super) shown: Vec<u8>,
    synced: Vec<u8>,
    /// The sectors that were written since they were synced.
    unsynced: BTreeSet<usize>,
    is_length_unsynced: bool,
}

#[derive(Debug)]
enum NameChange {
    Create { name: String, number: FileNumber },
    Rename { from: String, to: String, number: FileNumber },
    Remove { name: String },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, FileNumber>) {
        match self {
            Self::Create { name, number } => {
                names.insert(name.clone(), *number);
            }
            Self::Rename { from, to, number } => {
                if names.get(from) == Some(number) {
                    names.remove(from);
                }
                names.insert(to.clone(), *number);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

impl Disk {
    pub(super) fn number_of(&self, name: &str) -> io::Result<FileNumber> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) fn name_of(&self, number: FileNumber) -> String {
        let found = self.names.iter().find(|(_, found)| **found == number);
        found.map_or_else(String::new, |(name, _)| name.clone())
    }

    /// Makes an empty file; one that is there is emptied.
    pub(super) fn create(&mut self, name: &str) -> FileNumber {
        if let Some(&number) = self.names.get(name) {
            self.files[number].truncate(0);
            return number;
        }
        let number = self.files.len();
        self.files.push(FileState::default());
        self.change_names(NameChange::Create { name: name.to_owned(), number });
        number
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let number = self.number_of(from)?;
        self.change_names(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), number });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.change_names(NameChange::Remove { name: name.to_owned() });
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    pub(super) fn sync_names(&mut self, share: &Share) {
        let count = match share {
            Share::Nothing => 0,
            Share::Part(seed) => seed.clone().index(self.name_changes.len() + 1),
            Share::All => self.name_changes.len(),
        };
        for change in self.name_changes.drain(..count) {
            change.apply(&mut self.synced_names);
        }
    }

    /// Puts a synced file there.
    pub(super) fn put(&mut self, name: &str, content: &[u8]) {
        let number = self.create(name);
        self.files[number].truncate(0);
        self.files[number].write(content, 0);
        self.files[number].sync(&Share::All);
        self.sync_names(&Share::All);
    }

    pub(super) fn take(&mut self, name: &str) {
        assert!(self.names.contains_key(name), "{name} is not there");
        self.remove(name);
        self.sync_names(&Share::All);
    }

    pub(super) fn begin_life(&mut self) {
        self.life += 1;
        self.open_files_count = 0;
        self.faults.crash_at = None;
        self.faults.crashed = None;
    }

    /// Keeps a random choice of what is not synced, so many in a hundred.
    pub(super) fn lose_unsynced(&mut self, percent: u64, seed: &mut Seed) {
        for file in &mut self.files {
            file.lose_unsynced(percent, seed);
        }
        for change in self.name_changes.drain(..) {
            if seed.percent(percent) {
                change.apply(&mut self.synced_names);
            }
        }
        self.names = self.synced_names.clone();
    }
}

impl FileState {
    pub(super) fn write(&mut self, bytes: &[u8], start: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = start + bytes.len();
        if end > self.shown.len() {
            self.shown.resize(end, 0);
            self.is_length_unsynced = true;
        }
        self.shown[start..end].copy_from_slice(bytes);
        self.mark(start, end);
    }

    pub(super) fn truncate(&mut self, bytes_count: usize) {
        let before = self.shown.len();
        self.shown.resize(bytes_count, 0);
        self.is_length_unsynced = true;
        self.mark(bytes_count.min(before), bytes_count.max(before));
    }

    fn mark(&mut self, start: usize, end: usize) {
        self.unsynced.extend(start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    pub(super) fn sync(&mut self, share: &Share) {
        match share {
            Share::Nothing => {}
            Share::Part(seed) => {
                let mut seed = seed.clone();
                let sectors: Vec<_> = self.unsynced.iter().copied().collect();
                for sector in sectors {
                    if seed.percent(50) && (sector + 1) * SECTOR_BYTES <= self.synced.len() {
                        self.sync_sector(sector);
                    }
                }
            }
            Share::All => {
                if std::mem::take(&mut self.is_length_unsynced) {
                    self.synced.resize(self.shown.len(), 0);
                }
                // What is written behind a length that an earlier sync failed to note has one, too.
                let last = self.unsynced.last().map_or(0, |sector| (sector + 1) * SECTOR_BYTES);
                let count = self.synced.len().max(last.min(self.shown.len()));
                self.synced.resize(count, 0);
                for sector in std::mem::take(&mut self.unsynced) {
                    self.sync_sector(sector);
                }
            }
        }
    }

    /// Makes a sector what is shown of it, as far as the file has it.
    fn sync_sector(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.synced.len());
        for at in start..end {
            self.synced[at] = self.shown.get(at).copied().unwrap_or(0);
        }
    }

    /// Counts everything as synced that is not.
    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
        self.is_length_unsynced = false;
    }

    fn lose_unsynced(&mut self, percent: u64, seed: &mut Seed) {
        if std::mem::take(&mut self.is_length_unsynced) {
            let (synced, shown) = (self.synced.len(), self.shown.len());
            let between = synced.min(shown) + seed.index(synced.abs_diff(shown) + 1);
            let count = if percent == 0 { synced } else { seed.pick(&[synced, shown, between]) };
            self.synced.resize(count, 0);
        }
        for sector in std::mem::take(&mut self.unsynced) {
            if seed.percent(percent) {
                self.sync_sector(sector);
            }
        }
        self.shown.clone_from(&self.synced);
    }
}
