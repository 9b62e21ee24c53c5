//! What an operator does with a data folder besides running the daemon on it: the driver's tools, with
//! the clock and the ids of this process.
//!
//! `annals store verify`, `backup`, `restore`, `repair`, `rename-event` and `replace-event` are these.

use std::io;
use std::path::{Path, PathBuf};

use annals_core::time::Clock as _;
use annals_store_local::maintenance::{self as tools, MaintenanceError, RewriteRequest};
use annals_store_local::{LogError, OpenError};

pub use annals_store_local::TornTail;
pub use annals_store_local::maintenance::{
    BackedUp, CutOff, Damage, EventChange, EventEdit, InterruptedTask, Progress, Remedy, Repaired,
    Restored, Rewritten, Verified,
};

use crate::error::{open_hint, open_is_the_users};
use crate::{RandomIds, SystemClock};

/// Why a tool did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ToolError(#[from] MaintenanceError);

/// Looks whether everything in a data folder, or a backup, is whole. The daemon may run.
///
/// # Errors
/// [`ToolError`] when a file cannot be read at all; damage is a result.
pub fn verify(folder: &Path, tell: &mut dyn FnMut(Progress<'_>)) -> Result<Verified, ToolError> {
    Ok(tools::verify(folder, tell)?)
}

/// Copies a data folder to `to`. The daemon may run.
///
/// # Errors
/// [`ToolError`]; then `to` may hold a part that nobody opens.
pub fn backup(
    folder: &Path,
    to: &Path,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<BackedUp, ToolError> {
    Ok(tools::backup(folder, to, SystemClock.now(), tell)?)
}

/// Makes the data folder `to` from a backup.
///
/// # Errors
/// [`ToolError`]; then `to` may hold a part that nobody opens.
pub fn restore(
    from: &Path,
    to: &Path,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Restored, ToolError> {
    Ok(tools::restore(from, to, tell)?)
}

/// A repair that can be done. The folder is locked, and nothing was changed.
#[derive(Debug)]
pub struct PlannedRepair(tools::PlannedRepair);

impl PlannedRepair {
    /// Looks where to cut the log, so that its first `commits_count` commits stay.
    ///
    /// # Errors
    /// [`ToolError`].
    pub fn plan(
        folder: &Path,
        commits_count: u64,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, ToolError> {
        Ok(Self(tools::PlannedRepair::new(folder, commits_count, tell)?))
    }

    /// What will be cut off.
    #[must_use]
    pub fn cut_off(&self) -> CutOff {
        self.0.cut_off()
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.0.is_needed()
    }

    /// Does it.
    ///
    /// # Errors
    /// [`ToolError`]; no daemon opens the folder until the repair is done again.
    pub fn run(self) -> Result<Repaired, ToolError> {
        Ok(self.0.run(SystemClock.now())?)
    }
}

/// A change of what was recorded.
#[derive(Debug)]
pub struct Rewrite {
    folder: PathBuf,
    request: RewriteRequest,
}

impl Rewrite {
    /// The change in a data folder, and why it is made.
    #[must_use]
    pub fn new(folder: &Path, change: EventChange, reason: String) -> Self {
        let request = RewriteRequest { change, reason, now: SystemClock.now() };
        Self { folder: folder.to_owned(), request }
    }

    /// Looks for the events it concerns.
    ///
    /// # Errors
    /// [`ToolError`].
    pub fn plan(
        &self,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PlannedRewrite<'_>, ToolError> {
        let planned = tools::PlannedRewrite::new(&self.folder, &self.request, &RandomIds, tell)?;
        Ok(PlannedRewrite(planned))
    }
}

/// A change that can be made. The folder is locked, and nothing was changed.
#[derive(Debug)]
pub struct PlannedRewrite<'a>(tools::PlannedRewrite<'a>);

impl PlannedRewrite<'_> {
    /// What will be changed.
    #[must_use]
    pub fn foreseen(&self) -> Rewritten {
        self.0.foreseen()
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`ToolError`]; the change happens as a whole or not at all.
    pub fn run(self) -> Result<Rewritten, ToolError> {
        Ok(self.0.run(&RandomIds)?)
    }
}

impl ToolError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.0 {
            MaintenanceError::NotADataFolder { .. } => {
                "name the data folder of a daemon with `--data`; if its log was lost, restore a backup"
            }
            MaintenanceError::NotEmpty { .. } => {
                "nothing was written: choose a folder that is empty, or not there yet"
            }
            MaintenanceError::NotABackup { .. } => {
                "name a folder that `annals store backup` has written to its end; what was restored of \
                 this one is not opened, and can be removed"
            }
            MaintenanceError::NoSuchCommit { available, .. } => {
                return Some(format!(
                    "nothing was changed: the most that can stay is `--to {available}`"
                ));
            }
            MaintenanceError::Refused(_) => "nothing was changed",
            MaintenanceError::WrongExpectedRevision { actual, .. } => {
                return Some(actual.0.map_or_else(
                    || "nothing was changed: the stream has no event".to_owned(),
                    |actual| {
                        format!(
                            "nothing was changed: look at what the stream has got since, then pass \
                             `--expected {actual}`"
                        )
                    },
                ));
            }
            MaintenanceError::RewritePending { .. } => {
                "wait for the end of it; if it was interrupted, start the daemon: it completes it"
            }
            MaintenanceError::Changed { .. } => "remove what was copied, and make the backup again",
            MaintenanceError::Log(error) => return log_hint(error).map(str::to_owned),
            MaintenanceError::Open(error) => return open_hint(error).map(str::to_owned),
            MaintenanceError::State { .. } => "`annals store verify` says what is damaged",
            MaintenanceError::Append(_) => "the change is made; start the daemon: it records it",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether another process has the data folder open.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(&self.0, MaintenanceError::Open(OpenError::Locked { .. }))
    }

    /// Whether whoever asked can put it right without an operator looking at the data.
    #[must_use]
    pub fn is_the_users(&self) -> bool {
        match &self.0 {
            MaintenanceError::Open(error) => open_is_the_users(error),
            MaintenanceError::Log(LogError::Io { source, .. }) => is_of_the_path(source),
            MaintenanceError::Log(_)
            | MaintenanceError::State { .. }
            | MaintenanceError::Read(_)
            | MaintenanceError::Append(_) => false,
            _ => true,
        }
    }
}

fn log_hint(error: &LogError) -> Option<&'static str> {
    match error {
        LogError::Damaged { .. } => {
            Some("`annals store verify` names all damage and what to do about it")
        }
        LogError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
            Some("make room, remove the part that was written, and run the same command again")
        }
        _ => None,
    }
}

/// Whether another path, or more room in it, would help.
fn is_of_the_path(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
    )
}
