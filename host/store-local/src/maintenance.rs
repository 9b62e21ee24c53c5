//! What an operator does with a data folder besides running the daemon on it: looking whether it is
//! whole, copying it, cutting off what is damaged, and changing what was recorded.

mod backup;
mod behind;
mod completion;
mod copy;
mod manifest;
mod repair;
mod restore;
mod rewrite;
#[cfg(test)]
mod tests;
mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use annals_core::place::{ActualRevision, Revision};
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::stream::StreamId;

pub use backup::{BackedUp, backup};
pub use behind::CutOff;
pub use completion::InterruptedTask;
pub(crate) use completion::{complete, refuse_unfinished};
pub use repair::{PlannedRepair, Repaired};
pub use restore::{Restored, restore};
pub use rewrite::{EventChange, EventEdit, PlannedRewrite, RewriteRequest, Rewritten};
pub use verify::{Damage, Remedy, Verified, verify};

use crate::{LogError, OpenError};

/// How far a long task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file it works on.
    pub path: &'a Path,
    /// How many bytes are done.
    pub done_bytes: u64,
    /// How many there are.
    pub total_bytes: u64,
}

/// Why a task failed. Unless the variant says otherwise, the folder is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// There is no log in the folder.
    #[error("`{}` holds no log: it is not the data folder of an annals", path.display())]
    NotADataFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder to write to has something in it.
    #[error("`{}` is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder to read from is no backup, or not a whole one.
    #[error("`{}` is not a whole backup: {what}", path.display())]
    NotABackup {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The log has less than was asked for.
    #[error("the log has {available} commits, not {wanted}")]
    NoSuchCommit {
        /// How many were asked for.
        wanted: u64,
        /// How many there are.
        available: u64,
    },
    /// The event to change is not as it was said to be.
    #[error("{0}")]
    Refused(String),
    /// The stream of the event to change does not end where it was said to.
    #[error("stream `{stream}` is at {actual}, expected {expected}")]
    WrongExpectedRevision {
        /// The stream.
        stream: StreamId,
        /// Where it was said to end.
        expected: Revision,
        /// Where it ends.
        actual: ActualRevision,
    },
    /// A change of the log was decided and interrupted.
    #[error("the log of `{}` is being rewritten, or this was interrupted", path.display())]
    RewritePending {
        /// The folder.
        path: PathBuf,
    },
    /// The log was changed by another task in the meantime.
    #[error("`{}` was rewritten while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file of the log cannot be read, or is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The data folder cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A state file cannot be read.
    #[error("failed to {action} `{}`", path.display())]
    State {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The log cannot be read.
    #[error("failed to read the log")]
    Read(#[from] ReadError),
    /// What was done could not be recorded; it is at the next start.
    #[error("failed to record the change")]
    Append(#[from] AppendError),
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> MaintenanceError {
    LogError::Io { action, path: path.to_owned(), source }.into()
}

/// The files in a folder and those below it, as paths from it, in order. No folder: none.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, MaintenanceError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let path = folder.join(&relative);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(io_error("list", &path, source)),
        };
        for entry in entries {
            let entry = entry.map_err(|source| io_error("list", &path, source))?;
            let kind = entry.file_type().map_err(|source| io_error("list", &path, source))?;
            let relative = relative.join(entry.file_name());
            if kind.is_dir() {
                folders.push(relative);
            } else {
                found.push(relative);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Those of them that hold the store: not what a repair moved aside.
fn files_of_store(folder: &Path) -> Result<Vec<PathBuf>, MaintenanceError> {
    let mut found = files_below(folder)?;
    found.retain(|name| ["log", "state", "plugins"].iter().any(|part| name.starts_with(part)));
    Ok(found)
}

/// Refuses a folder that has anything in it.
fn check_empty(folder: &Path) -> Result<(), MaintenanceError> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(source) => return Err(io_error("list", folder, source)),
    };
    if is_empty { Ok(()) } else { Err(MaintenanceError::NotEmpty { path: folder.to_owned() }) }
}

/// The ending of SQLite files.
const SQLITE_SUFFIX: &str = ".sqlite";

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(suffix))
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
