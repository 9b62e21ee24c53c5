//! A real folder whose files fail, or wait, when they are told to.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::support::{CountedIds, Folder};
use crate::log::file::LogFile;
use crate::log::folder::{DiskFolder, LogFolder, OpenedBy};
use crate::{LocalEventStore, LogOptions, WhenMissing};

/// Longer than anything a test waits for takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a [`Failing`] file does.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) sync_fails_once: AtomicBool,
    pub(crate) is_disk_full: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many writes found the disk full.
    refused_count: u64,
    are_syncs_held: bool,
    is_sync_waiting: bool,
}

impl Faults {
    /// Lets no sync of the writer return until the result is dropped.
    pub(crate) fn hold_syncs(&self) -> Held<'_> {
        self.state.lock().unwrap().are_syncs_held = true;
        Held(self)
    }

    pub(crate) fn wait_until_held(&self) {
        self.wait_until(|state| state.is_sync_waiting);
    }

    pub(crate) fn wait_until_refused(&self) {
        self.wait_until(|state| state.refused_count > 0);
    }

    fn check_room(&self) -> io::Result<()> {
        if self.is_disk_full.load(Ordering::SeqCst) {
            self.change(|state| state.refused_count += 1);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn wait_until(&self, is_met: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, DEADLINE, |state| !is_met(state));
        assert!(!waited.unwrap().1.timed_out(), "it did not happen");
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

/// Holds the syncs of the writer.
pub(crate) struct Held<'a>(&'a Faults);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.are_syncs_held = false);
    }
}

#[derive(Debug)]
struct Failing {
    file: Arc<dyn LogFile>,
    faults: Arc<Faults>,
    opened_by: OpenedBy,
}

impl LogFile for Failing {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.check_room()?;
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.opened_by != OpenedBy::Log {
            return self.file.sync_data();
        }
        self.faults.change(|state| state.is_sync_waiting = true);
        self.faults.wait_until(|state| !state.are_syncs_held);
        self.faults.change(|state| state.is_sync_waiting = false);
        if self.faults.sync_fails_once.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync_data()
    }

    fn bytes_count(&self) -> io::Result<u64> {
        self.file.bytes_count()
    }

    fn truncate(&self, bytes_count: u64) -> io::Result<()> {
        self.file.truncate(bytes_count)
    }
}

/// A real folder whose files fail.
#[derive(Debug)]
struct FailingFolder {
    folder: DiskFolder,
    faults: Arc<Faults>,
}

impl FailingFolder {
    fn failing(&self, file: Arc<dyn LogFile>, opened_by: OpenedBy) -> Arc<dyn LogFile> {
        Arc::new(Failing { file, faults: Arc::clone(&self.faults), opened_by })
    }
}

impl LogFolder for FailingFolder {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn open(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        Ok(self.failing(self.folder.open(name, opened_by)?, opened_by))
    }

    fn create(&self, name: &str, opened_by: OpenedBy) -> io::Result<Arc<dyn LogFile>> {
        self.faults.check_room()?;
        Ok(self.failing(self.folder.create(name, opened_by)?, opened_by))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.folder.sync()
    }
}

/// Opens the log of `folder` on files that do as the returned faults say.
pub(crate) fn open(folder: &Folder) -> (LocalEventStore, Arc<Faults>) {
    open_with(folder, LogOptions::default())
}

pub(crate) fn open_with(folder: &Folder, options: LogOptions) -> (LocalEventStore, Arc<Faults>) {
    drop(folder.open());
    let faults = Arc::new(Faults::default());
    let failing =
        FailingFolder { folder: DiskFolder::new(&folder.log()), faults: Arc::clone(&faults) };
    let ids = CountedIds::default();
    let opened =
        LocalEventStore::open_folder(Arc::new(failing), WhenMissing::Refuse, &ids, options);
    (opened.unwrap().0, faults)
}
