//! Everything a data folder holds, opened together.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_core::id::{IdGenerator, StoreId};
use annals_core::port::EventStore as _;
use annals_core::port::state_store::StateError;

use crate::lock::FolderLock;
use crate::log::{LocalEventStore, LogError, LogOptions, RecoveryReport, WhenMissing};
use crate::maintenance::{self, InterruptedTask, MaintenanceError};
use crate::{LocalBlobStore, LocalStateStores, files, state};

/// The stores of one data folder. The folder is locked until all of them are dropped.
#[derive(Debug)]
pub struct LocalStore {
    /// The events.
    pub events: Arc<LocalEventStore>,
    /// Views, checkpoints and everything else that can change.
    pub states: Arc<LocalStateStores>,
    /// Plugin bytes.
    pub blobs: Arc<LocalBlobStore>,
    /// What opening the log found.
    pub recovery: RecoveryReport,
}

/// Why a data folder cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error(
        "`{}` is in use by another annals{}", folder.display(), InProcess(*process)
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The process that has it open, if it said so.
        process: Option<u32>,
    },
    /// The lock could not be asked for.
    #[error("failed to lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The folder could not be made.
    #[error("failed to create `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The folder is a backup.
    #[error("`{}` is a backup, and stays as it is: restore it to another folder", folder.display())]
    IsABackup {
        /// The folder.
        folder: PathBuf,
    },
    /// A task on the folder was interrupted.
    #[error("`{}` is not whole: {task} was interrupted", folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
        /// Which task.
        task: InterruptedTask,
    },
    /// A change of what was recorded was interrupted, and cannot be completed.
    #[error("failed to complete the rewriting of the log")]
    Rewrite(#[source] Box<MaintenanceError>),
    /// The log cannot be opened.
    #[error("failed to open the log")]
    Log(#[source] LogError),
    /// The state cannot be looked at.
    #[error("failed to look for state")]
    State(#[source] StateError),
}

struct InProcess(Option<u32>);

impl fmt::Display for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(process) => write!(f, " (process {process})"),
            None => Ok(()),
        }
    }
}

impl LocalStore {
    /// Opens the stores in `folder`, making them when the folder is empty or not there.
    ///
    /// # Errors
    /// Each variant of [`OpenError`].
    pub fn open(folder: &Path, ids: &dyn IdGenerator) -> Result<Self, OpenError> {
        Self::open_with(folder, ids, LogOptions::default())
    }

    /// As [`Self::open`], with a log that is kept in another way. Options may change from one start to
    /// the next.
    ///
    /// # Errors
    /// Each variant of [`OpenError`].
    pub fn open_with(
        folder: &Path,
        ids: &dyn IdGenerator,
        options: LogOptions,
    ) -> Result<Self, OpenError> {
        files::create_folder(folder)
            .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        let lock = Arc::new(FolderLock::take(folder)?);
        maintenance::refuse_unfinished(folder)?;
        let rewritten = |error| OpenError::Rewrite(Box::new(error));
        let pending = maintenance::complete(folder).map_err(rewritten)?;
        let state_folder = folder.join("state");
        // What is derived from a log is never without it: then the log is lost, not new.
        let when_missing = if state::has_any(&state_folder).map_err(OpenError::State)? {
            WhenMissing::Refuse
        } else {
            WhenMissing::Create
        };
        let log = folder.join("log");
        let (events, recovery) =
            LocalEventStore::open(&log, when_missing, ids, options).map_err(OpenError::Log)?;
        if let Some(pending) = pending {
            pending.record(folder, &events).map_err(rewritten)?;
        }
        let states = LocalStateStores::new(state_folder, events.store_id());
        let blobs = LocalBlobStore::new(folder.join("plugins"));
        Ok(Self {
            events: Arc::new(events.holding(Arc::<FolderLock>::clone(&lock))),
            states: Arc::new(states.holding(Arc::<FolderLock>::clone(&lock))),
            blobs: Arc::new(blobs.holding(lock)),
            recovery,
        })
    }

    /// The id of the store, which never changes.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.events.store_id()
    }
}

#[cfg(test)]
mod tests {
    use annals_core::port::StateStores as _;
    use annals_core::port::state_store::StateSpace;
    use pollster::block_on;

    use super::*;
    use crate::log::CountedIds;

    #[test]
    fn a_second_process_is_told_who_has_the_folder() {
        // Guards R7: two writers of one log would destroy it.
        let folder = tempfile::tempdir().unwrap();
        let ids = CountedIds::default();
        let store = LocalStore::open(folder.path(), &ids).unwrap();
        let error = LocalStore::open(folder.path(), &ids).unwrap_err();
        let text = format!(
            "`{}` is in use by another annals (process {})",
            folder.path().display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), text);
        let LocalStore { events, states, blobs, .. } = store;
        drop(events);
        drop(blobs);
        assert!(LocalStore::open(folder.path(), &ids).is_err());
        drop(states);
        LocalStore::open(folder.path(), &ids).unwrap();
    }

    #[test]
    fn state_without_a_log_is_a_lost_log() {
        // Guards promise 6: a lost log is never taken for an empty store.
        let folder = tempfile::tempdir().unwrap();
        let ids = CountedIds::default();
        let store = LocalStore::open(folder.path(), &ids).unwrap();
        let id = store.store_id();
        block_on(store.states.open(&StateSpace::Host)).unwrap();
        drop(store);
        assert_eq!(LocalStore::open(folder.path(), &ids).unwrap().store_id(), id);
        std::fs::rename(folder.path().join("log"), folder.path().join("moved")).unwrap();
        let error = LocalStore::open(folder.path(), &ids).unwrap_err();
        assert!(matches!(error, OpenError::Log(LogError::Missing { .. })), "{error}");
        std::fs::create_dir(folder.path().join("log")).unwrap();
        let error = LocalStore::open(folder.path(), &ids).unwrap_err();
        assert!(matches!(error, OpenError::Log(LogError::Missing { .. })), "{error}");
    }
}
