//! What a task left undone that was interrupted: it is completed, or the folder is not opened.
//!
//! ```text
//!  UNFINISHED          a backup, a restore or a repair was interrupted: refused
//!  BACKUP.json         a backup, which nothing may write to: refused
//!  log/REWRITE.json    segments were rewritten beside the old ones: they take their places now
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::id::EventId;
use annals_core::name::EventType;
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::info;

use super::manifest::MANIFEST_NAME;
use super::{MaintenanceError, files_below, has_suffix, io_error};
use crate::files;
use crate::{LocalEventStore, OpenError};

/// Says that a folder is not whole.
pub(super) const UNFINISHED_NAME: &str = "UNFINISHED";

/// Says which segments take the places of others, and what to record about it.
const REWRITE_NAME: &str = "REWRITE.json";

/// What the name of a segment ends with that is to take the place of another.
pub(super) const REWRITTEN_SUFFIX: &str = ".rewritten.new";

/// The stream that tells of changes to what was recorded.
const MAINTENANCE_STREAM: &str = "$maintenance/log";

/// A rewrite that is decided: from here on it happens, whatever is interrupted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PendingRewrite {
    /// The names of the segments.
    pub(super) segments: Vec<String>,
    pub(super) event_id: EventId,
    pub(super) event_type: EventType,
    pub(super) data: Box<RawValue>,
    pub(super) recorded_at: Timestamp,
}

/// A task that leaves a folder which is not whole when it is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterruptedTask {
    /// The folder was to become a backup.
    Backup,
    /// The folder was to become a data folder, from a backup.
    Restore,
    /// The log of the folder was being cut.
    Repair,
    /// A task of another version of Annals.
    Other,
}

impl InterruptedTask {
    const KNOWN: [Self; 3] = [Self::Backup, Self::Restore, Self::Repair];

    /// The task as the marker has it, for people who look at the file.
    const fn text(self) -> &'static str {
        match self {
            Self::Backup => "making a backup",
            Self::Restore => "restoring a backup",
            Self::Repair => "repairing the log",
            Self::Other => "a task",
        }
    }
}

impl fmt::Display for InterruptedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Writes the file that keeps everybody else from opening the folder.
pub(super) fn write_marker(folder: &Path, task: InterruptedTask) -> Result<(), MaintenanceError> {
    let path = folder.join(UNFINISHED_NAME);
    let unfinished = files::with_suffix(&path, ".new");
    files::create(&path, &unfinished, task.text().as_bytes())
        .map_err(|source| io_error("write", &path, source))
}

/// Says that the folder is whole.
pub(super) fn remove_marker(folder: &Path) -> Result<(), MaintenanceError> {
    remove(&folder.join(UNFINISHED_NAME))?;
    files::sync_folder(folder).map_err(|source| io_error("sync", folder, source))
}

/// The task that was interrupted in a folder.
pub(super) fn interrupted_task(folder: &Path) -> io::Result<Option<InterruptedTask>> {
    match fs::read_to_string(folder.join(UNFINISHED_NAME)) {
        Ok(text) => {
            let task = InterruptedTask::KNOWN.into_iter().find(|task| task.text() == text);
            Ok(Some(task.unwrap_or(InterruptedTask::Other)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a change of the log is decided and not completed.
pub(super) fn has_pending_rewrite(folder: &Path) -> bool {
    folder.join("log").join(REWRITE_NAME).exists()
}

/// Refuses a folder that is a backup, or that a task left unfinished.
pub(crate) fn refuse_unfinished(folder: &Path) -> Result<(), OpenError> {
    if folder.join(MANIFEST_NAME).exists() {
        return Err(OpenError::IsABackup { folder: folder.to_owned() });
    }
    match interrupted_task(folder) {
        Ok(Some(task)) => Err(OpenError::Unfinished { folder: folder.to_owned(), task }),
        Ok(None) => Ok(()),
        Err(source) => Err(OpenError::Folder { path: folder.join(UNFINISHED_NAME), source }),
    }
}

/// Makes a rewrite happen: the segments beside the old ones are durable.
pub(super) fn decide(folder: &Path, pending: &PendingRewrite) -> Result<(), MaintenanceError> {
    let path = folder.join("log").join(REWRITE_NAME);
    let bytes = serde_json::to_vec(pending).map_err(io::Error::other);
    let unfinished = files::with_suffix(&path, ".new");
    bytes
        .and_then(|bytes| files::create(&path, &unfinished, &bytes))
        .map_err(|source| io_error("write", &path, source))
}

/// Puts rewritten segments in the places of the old ones, when there are some, and removes what was
/// derived from the old ones. The result must be recorded when the log is open.
pub(crate) fn complete(folder: &Path) -> Result<Option<PendingRewrite>, MaintenanceError> {
    let log = folder.join("log");
    let path = log.join(REWRITE_NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error("read", &path, source)),
    };
    let pending: PendingRewrite = serde_json::from_slice(&bytes)
        .map_err(|error| io_error("read", &path, io::Error::other(error)))?;
    for name in &pending.segments {
        let to = log.join(name);
        let from = files::with_suffix(&to, REWRITTEN_SUFFIX);
        match fs::rename(&from, &to) {
            // It took its place before an interruption.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(|source| io_error("swap", &to, source))?,
        }
        remove(&to.with_extension("idx"))?;
    }
    files::sync_folder(&log).map_err(|source| io_error("sync", &log, source))?;
    for name in files_below(folder)? {
        let is_view = name.starts_with("state/views") && !has_suffix(&name, "-shm");
        if is_view {
            remove(&folder.join(name))?;
        }
    }
    forget_snapshots(folder)?;
    info!(segments = pending.segments.len(), "swapped rewritten segments of the log");
    Ok(Some(pending))
}

/// Snapshots are of events that may be others now. They are made again.
pub(super) fn forget_snapshots(folder: &Path) -> Result<(), MaintenanceError> {
    let path = folder.join("state").join("host.sqlite");
    if !path.exists() {
        return Ok(());
    }
    let forget = || -> rusqlite::Result<()> {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute("DELETE FROM state_rows WHERE tbl = 'snapshots'", [])?;
        Ok(())
    };
    forget().map_err(|source| MaintenanceError::State {
        action: "forget the snapshots in",
        path: path.clone(),
        source,
    })
}

fn remove(path: &Path) -> Result<(), MaintenanceError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path, error))
        }
        _ => Ok(()),
    }
}

impl PendingRewrite {
    /// Records what happened, once, and forgets the task.
    pub(crate) fn record(
        self,
        folder: &Path,
        events: &LocalEventStore,
    ) -> Result<(), MaintenanceError> {
        let stream = StreamId::parse(MAINTENANCE_STREAM)
            .map_err(|error| io_error("name", folder, io::Error::other(error)))?;
        let data = Bytes::from(self.data.get().to_owned());
        let mut event = NewEvent::json(self.event_type, data);
        // Given, so that recording it again after an interruption changes nothing.
        event.id = Some(self.event_id);
        let any = ExpectedRevision::Any;
        events.append_and_wait(&Commit::plain(stream, any, vec![event], self.recorded_at))?;
        let path = folder.join("log").join(REWRITE_NAME);
        remove(&path)?;
        files::sync_folder(&folder.join("log")).map_err(|source| io_error("sync", &path, source))
    }
}
