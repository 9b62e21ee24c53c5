//! Making a data folder from a backup.

use std::path::Path;

use annals_core::id::StoreId;

use super::completion::{InterruptedTask, remove_marker, write_marker};
use super::copy::{Meter, copy};
use super::manifest::{FileEntry, Manifest};
use super::verify::verify_files;
use super::{MaintenanceError, Progress, check_empty, io_error};
use crate::files;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The id of the store.
    pub store: StoreId,
    /// Commits of the log.
    pub commits_count: u64,
    /// Events of the log.
    pub events_count: u64,
    /// Bytes copied.
    pub bytes_count: u64,
}

/// Copies the backup `from` to the data folder `to`, which must be empty or not there, and checks that
/// every byte is what was backed up.
///
/// # Errors
/// [`MaintenanceError::NotEmpty`], [`MaintenanceError::NotABackup`] when a file is missing or another
/// one, or what a file gives. After an error `to` holds a part that no daemon opens: remove it.
pub fn restore(
    from: &Path,
    to: &Path,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Restored, MaintenanceError> {
    check_empty(to)?;
    let manifest = Manifest::read(from)?;
    let total_bytes: u64 = manifest.files.iter().map(|file| file.bytes_count).sum();
    for file in &manifest.files {
        check_path(from, file)?;
    }
    files::create_folder(to).map_err(|source| io_error("create", to, source))?;
    write_marker(to, InterruptedTask::Restore)?;
    let mut meter = Meter { done_bytes: 0, total_bytes: total_bytes * 2, tell };
    for file in &manifest.files {
        let name = Path::new(&file.path);
        let path = from.join(name);
        let copied = copy(&path, (to, name), u64::MAX, &mut meter)?;
        if copied != *file {
            let what = "it is not what was backed up".to_owned();
            return Err(MaintenanceError::NotABackup { path, what });
        }
    }
    let done_bytes = meter.done_bytes;
    let verified = verify_files(to, &mut |progress| {
        tell(Progress {
            done_bytes: done_bytes + progress.done_bytes,
            total_bytes: done_bytes + progress.total_bytes,
            ..progress
        });
    })?;
    let is_whole = verified.damages.is_empty()
        && verified.store == Some(manifest.store)
        && (verified.commits_count, verified.events_count)
            == (manifest.commits_count, manifest.events_count);
    if !is_whole {
        let what = "its log is not what was backed up".to_owned();
        return Err(MaintenanceError::NotABackup { path: from.to_owned(), what });
    }
    remove_marker(to)?;
    Ok(Restored {
        store: manifest.store,
        commits_count: manifest.commits_count,
        events_count: manifest.events_count,
        bytes_count: total_bytes,
    })
}

/// A path of a manifest must not lead out of the folder.
fn check_path(from: &Path, file: &FileEntry) -> Result<(), MaintenanceError> {
    let is_inside = Path::new(&file.path)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if is_inside && !file.path.is_empty() {
        return Ok(());
    }
    let what = format!("`{}` is no path of a backup", file.path);
    Err(MaintenanceError::NotABackup { path: from.to_owned(), what })
}
