//! Copying a data folder while the daemon may run on it.
//!
//! ```text
//!  state files  ─ a consistent copy each, made by SQLite
//!  plugins      ─ never change
//!  segments     ─ full ones never change; of the active one, the frames there are, synced first
//!  BACKUP.json  ─ last: a backup without it is not whole
//! ```
//!
//! Until then a marker keeps everybody from taking the copy for a data folder.
//!
//! States come before the log, so that no checkpoint of the copy is ahead of its log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use annals_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::completion::{InterruptedTask, has_pending_rewrite, remove_marker, write_marker};
use super::copy::{Meter, copy, entry_of};
use super::manifest::{FileEntry, Manifest};
use super::{
    MaintenanceError, Progress, SQLITE_SUFFIX, check_empty, files_of_store, has_suffix, io_error,
    refuse_unfinished,
};
use crate::LogError;
use crate::files;
use crate::log::{Inspected, LogInspector, SegmentHeader};

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Commits of the copied log.
    pub commits_count: u64,
    /// Events of the copied log.
    pub events_count: u64,
    /// Files copied.
    pub files_count: usize,
    /// Bytes copied.
    pub bytes_count: u64,
}

/// Copies the data folder `folder` to `to`, which must be empty or not there. What is copied of the
/// log is durable in `folder`, and a prefix of it.
///
/// # Errors
/// [`MaintenanceError::NotADataFolder`], [`MaintenanceError::NotEmpty`], [`MaintenanceError::Changed`],
/// [`MaintenanceError::Open`] when `folder` is not whole, or what a file gives. After an error `to`
/// may hold a part without `BACKUP.json`, which nobody opens: remove it.
pub fn backup(
    folder: &Path,
    to: &Path,
    made_at: Timestamp,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<BackedUp, MaintenanceError> {
    check_empty(to)?;
    if LogInspector::open(&folder.join("log"))?.numbers.is_empty() {
        return Err(MaintenanceError::NotADataFolder { path: folder.to_owned() });
    }
    refuse_unfinished(folder)?;
    check_outside(folder, to)?;
    if has_pending_rewrite(folder) {
        return Err(MaintenanceError::RewritePending { path: folder.to_owned() });
    }
    files::create_folder(to).map_err(|source| io_error("create", to, source))?;
    write_marker(to, InterruptedTask::Backup)?;
    let names = files_of_store(folder)?;
    let sizes = names.iter().map(|name| fs::metadata(folder.join(name)).map_or(0, |it| it.len()));
    let total_bytes = sizes.sum();
    let mut backup =
        Backup { folder, to, meter: Meter { done_bytes: 0, total_bytes, tell }, files: Vec::new() };
    for name in names.iter().filter(|name| has_suffix(name, SQLITE_SUFFIX)) {
        backup.copy_state(name)?;
    }
    for name in names.iter().filter(|name| has_suffix(name, ".wasm")) {
        backup.copy_whole(name)?;
    }
    let last = backup.copy_log()?;
    if has_pending_rewrite(folder) {
        return Err(MaintenanceError::Changed { path: folder.to_owned() });
    }
    for parent in ["", "log", "plugins", "state", "state/views", "state/processes"] {
        let path = to.join(parent);
        if path.is_dir() {
            files::sync_folder(&path).map_err(|source| io_error("sync", &path, source))?;
        }
    }
    let bytes_count = backup.files.iter().map(|file| file.bytes_count).sum();
    let files_count = backup.files.len();
    let counts = (last.next_commit, last.next_position);
    Manifest::new(last.header.store, counts, made_at, backup.files).write(to)?;
    remove_marker(to)?;
    Ok(BackedUp {
        commits_count: last.next_commit,
        events_count: last.next_position,
        files_count,
        bytes_count,
    })
}

/// The next backup would copy this one too.
fn check_outside(folder: &Path, to: &Path) -> Result<(), MaintenanceError> {
    let absolute =
        |path| std::path::absolute(path).map_err(|source| io_error("look at", path, source));
    if absolute(to)?.starts_with(absolute(folder)?) {
        let text = format!("`{}` is inside the data folder", to.display());
        return Err(MaintenanceError::Refused(text));
    }
    Ok(())
}

struct Backup<'a> {
    folder: &'a Path,
    to: &'a Path,
    meter: Meter<'a>,
    files: Vec<FileEntry>,
}

impl Backup<'_> {
    fn copy_whole(&mut self, name: &Path) -> Result<(), MaintenanceError> {
        let from = self.folder.join(name);
        let entry = copy(&from, (self.to, name), u64::MAX, &mut self.meter)?;
        self.files.push(entry);
        Ok(())
    }

    /// Lets SQLite make a copy of one moment, without its log of pages.
    fn copy_state(&mut self, name: &Path) -> Result<(), MaintenanceError> {
        let (from, to) = (self.folder.join(name), self.to.join(name));
        if let Some(parent) = to.parent() {
            files::create_folder(parent).map_err(|source| io_error("create", parent, source))?;
        }
        let failed =
            |source| MaintenanceError::State { action: "copy", path: from.clone(), source };
        let connection =
            Connection::open_with_flags(&from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy().as_ref()]).map_err(failed)?;
        let sync = File::open(&to).and_then(|file| file.sync_all());
        sync.map_err(|source| io_error("sync", &to, source))?;
        let entry = entry_of(self.to, name, &mut self.meter)?;
        self.files.push(entry);
        Ok(())
    }

    fn copy_log(&mut self) -> Result<Inspected, MaintenanceError> {
        let log = LogInspector::open(&self.folder.join("log"))?;
        let mut headers: Vec<SegmentHeader> = Vec::new();
        let mut last: Option<Inspected> = None;
        for (at, &number) in log.numbers.iter().enumerate() {
            let next = log.numbers.get(at + 1).copied();
            let inspected = self.copy_segment(&log, number, next)?;
            headers.push(inspected.header);
            last = Some(inspected);
        }
        // Segments of before and of after a change must not be in one copy. The files are opened
        // again: those that are open stay what they were.
        let again = LogInspector::open(&self.folder.join("log"))?;
        for (&number, header) in log.numbers.iter().zip(&headers) {
            if again.header(number)?.salt != header.salt {
                return Err(MaintenanceError::Changed { path: log.path(number) });
            }
        }
        last.ok_or_else(|| MaintenanceError::NotADataFolder { path: self.folder.to_owned() })
    }

    fn copy_segment(
        &mut self,
        log: &LogInspector,
        number: u64,
        next: Option<u64>,
    ) -> Result<Inspected, MaintenanceError> {
        let path = log.path(number);
        let is_last = next.is_none();
        if is_last {
            // What is read from now on cannot be lost by the original and kept by the copy.
            let sync = File::open(&path).and_then(|file| file.sync_data());
            sync.map_err(|source| io_error("sync", &path, source))?;
        }
        let inspected = log.read(number, |_, _| Ok(()))?;
        let is_whole =
            is_last || (inspected.fault.is_none() && next == Some(inspected.next_commit));
        if !is_whole {
            let fault = inspected.fault.as_ref();
            let what = fault.map_or("commits are missing".to_owned(), ToString::to_string);
            return Err(LogError::Damaged { path, offset: inspected.end, what }.into());
        }
        let name = |path: &Path| PathBuf::from("log").join(path.file_name().unwrap_or_default());
        let entry = copy(&path, (self.to, &name(&path)), inspected.end, &mut self.meter)?;
        self.files.push(entry);
        let index = log.index_path(&inspected.header);
        if !is_last && index.is_file() {
            self.copy_whole(&name(&index))?;
        }
        Ok(inspected)
    }
}
