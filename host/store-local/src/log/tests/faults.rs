//! A real file that fails, or waits, when it is told to.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::support::Folder;
use crate::LocalEventStore;
use crate::log::file::{self, LogFile};
use crate::log::store::LogFiles;

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

/// Which of the two files of a log it is: only syncs of the writer's are held or fail.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    Writer,
    Space,
}

#[derive(Debug)]
struct Failing {
    file: File,
    faults: Arc<Faults>,
    used_as: Use,
}

impl LogFile for Failing {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        LogFile::read_exact_at(&self.file, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.faults.is_disk_full.load(Ordering::SeqCst) {
            self.faults.change(|state| state.refused_count += 1);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        LogFile::write_all_at(&self.file, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.used_as == Use::Space {
            return LogFile::sync_data(&self.file);
        }
        self.faults.change(|state| state.is_sync_waiting = true);
        self.faults.wait_until(|state| !state.are_syncs_held);
        self.faults.change(|state| state.is_sync_waiting = false);
        if self.faults.sync_fails_once.swap(false, Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        LogFile::sync_data(&self.file)
    }

    fn bytes_count(&self) -> io::Result<u64> {
        LogFile::bytes_count(&self.file)
    }
}

/// Opens the log of `folder` on files that do as the returned faults say.
pub(crate) fn open(folder: &Folder) -> (LocalEventStore, Arc<Faults>) {
    drop(folder.open());
    let faults = Arc::new(Faults::default());
    let path = folder.segment();
    let failing = |used_as| -> Arc<dyn LogFile> {
        let file = file::open(&path).unwrap();
        Arc::new(Failing { file, faults: Arc::clone(&faults), used_as })
    };
    let files = LogFiles { log: failing(Use::Writer), space: failing(Use::Space) };
    (LocalEventStore::open_files(path, files).unwrap().0, faults)
}
