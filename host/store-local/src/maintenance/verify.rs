//! Looking whether everything in a data folder is whole. Nothing is changed, and the daemon may run.

use std::fs;
use std::path::{Path, PathBuf};

use annals_core::id::{Digest, StoreId};
use rusqlite::{Connection, OpenFlags};

use super::completion::{InterruptedTask, UNFINISHED_NAME, interrupted_task};
use super::copy::{Meter, entry_of};
use super::manifest::{MANIFEST_NAME, Manifest};
use super::{MaintenanceError, Progress, SQLITE_SUFFIX, files_of_store, has_suffix, io_error};
use crate::LogError;
use crate::TornTail;
use crate::log::{Inspected, LogInspector};

/// What looking at a data folder found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The id of the store; `None` when no header of the log can be read.
    pub store: Option<StoreId>,
    /// How many segments the log has.
    pub segments_count: usize,
    /// How many commits the log has before the first damage, and how many events.
    pub commits_count: u64,
    /// Events before the first damage.
    pub events_count: u64,
    /// How many files were read, and how many bytes.
    pub files_count: usize,
    /// Bytes read.
    pub bytes_count: u64,
    /// An unfinished write at the end of the log: a crash left it, or the daemon is writing it. It was
    /// never acknowledged, and opening the store removes it.
    pub unfinished: Option<TornTail>,
    /// What is damaged, in order of the files.
    pub damages: Vec<Damage>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in it, in bytes; `None` when it is the whole file.
    pub at_byte: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: Remedy,
}

/// What to do about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Restore a backup, or cut the log off before the damage.
    RestoreOrRepair,
    /// Remove the file: it is made again at the next start.
    Remove,
    /// Restore the file from a backup.
    Restore,
    /// Install the plugin again.
    Install,
    /// The folder is a backup: use another one, and make a new one.
    OtherBackup,
    /// A task was interrupted: do it again.
    Repeat(InterruptedTask),
}

/// Reads every byte of the data folder `folder` and checks it. It may be a backup.
///
/// # Errors
/// [`MaintenanceError::NotADataFolder`], or a file that cannot be read at all. Damage is a result.
pub fn verify(
    folder: &Path,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Verified, MaintenanceError> {
    let mut verified = verify_files(folder, tell)?;
    let path = folder.join(UNFINISHED_NAME);
    let task = interrupted_task(folder).map_err(|source| io_error("read", &path, source))?;
    if let Some(task) = task {
        let what = format!("{task} was interrupted, or is under way");
        let remedy = Remedy::Repeat(task);
        verified.damages.insert(0, Damage { path, at_byte: None, what, remedy });
    }
    Ok(verified)
}

/// The same for a folder that a task is still at work on.
pub(super) fn verify_files(
    folder: &Path,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Verified, MaintenanceError> {
    let log = LogInspector::open(&folder.join("log"))?;
    if log.numbers.is_empty() {
        return Err(MaintenanceError::NotADataFolder { path: folder.to_owned() });
    }
    let names = files_of_store(folder)?;
    let mut total_bytes = 0;
    let is_read = |name: &&PathBuf| {
        [".seg", ".idx", SQLITE_SUFFIX, ".wasm"].iter().any(|suffix| has_suffix(name, suffix))
    };
    for name in names.iter().filter(is_read) {
        // One that went away since is of no interest.
        total_bytes += fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
    }
    let mut verification = Verification {
        folder,
        has_beginning: false,
        meter: Meter { done_bytes: 0, total_bytes, tell },
        found: Verified {
            store: None,
            segments_count: log.numbers.len(),
            commits_count: 0,
            events_count: 0,
            files_count: names.iter().filter(is_read).count(),
            bytes_count: 0,
            unfinished: None,
            damages: Vec::new(),
        },
    };
    verification.verify_log(log)?;
    verification.verify_states(&names)?;
    verification.verify_blobs(&names)?;
    verification.verify_manifest()?;
    let Verification { meter, mut found, .. } = verification;
    found.bytes_count = meter.done_bytes;
    Ok(found)
}

struct Verification<'a> {
    folder: &'a Path,
    /// Whether the first segment can be read: without it there is nothing to cut the log to.
    has_beginning: bool,
    meter: Meter<'a>,
    found: Verified,
}

impl Verification<'_> {
    fn damaged(&mut self, path: &Path, at_byte: Option<u64>, what: &str, remedy: Remedy) {
        let path = path.to_owned();
        self.found.damages.push(Damage { path, at_byte, what: what.to_owned(), remedy });
    }

    fn log_damaged(&mut self, path: &Path, at_byte: u64, what: &str) {
        let remedy = if self.has_beginning { Remedy::RestoreOrRepair } else { Remedy::Restore };
        self.damaged(path, Some(at_byte), what, remedy);
    }

    /// Damage becomes a result; anything else stays an error.
    fn damage_or<T>(&mut self, result: Result<T, LogError>) -> Result<Option<T>, LogError> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(LogError::Damaged { path, offset, what }) => {
                self.log_damaged(&path, offset, &what);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn verify_log(&mut self, mut log: LogInspector) -> Result<(), MaintenanceError> {
        let numbers = log.numbers.clone();
        let mut expected = Some((0, 0));
        for (at, &number) in numbers.iter().enumerate() {
            let path = log.path(number);
            let header = self.damage_or(log.header(number))?;
            let Some(header) = header else {
                log.check_alone();
                expected = None;
                continue;
            };
            if at == 0 && (number, header.first_commit) == (0, 0) {
                log.check_against_earlier(header.store);
                self.has_beginning = true;
            }
            let store = *self.found.store.get_or_insert(header.store);
            let is_next =
                expected.is_none_or(|place| place == (header.first_commit, header.first_position));
            if header.first_commit != number || header.store != store || !is_next {
                let what = "it does not follow the segment before it: one is missing, is of \
                            another store, or has another name";
                self.log_damaged(&path, 0, what);
                log.check_alone();
            }
            let next = numbers.get(at + 1).copied();
            expected = self.verify_segment(&mut log, number, next)?;
        }
        Ok(())
    }

    /// Where the segment ends, when it is whole.
    fn verify_segment(
        &mut self,
        log: &mut LogInspector,
        number: u64,
        next: Option<u64>,
    ) -> Result<Option<(u64, u64)>, MaintenanceError> {
        let path = log.path(number);
        let mut offset_before = 0;
        let meter = &mut self.meter;
        let inspected = log.read(number, |offset, _| {
            if offset - offset_before > PROGRESS_BYTES {
                meter.advance(&path, offset - offset_before);
                offset_before = offset;
            }
            Ok(())
        });
        let Some(mut inspected) = self.damage_or(inspected)? else {
            log.check_alone();
            return Ok(None);
        };
        let file_end = fs::metadata(&path).map_or(inspected.end, |metadata| metadata.len());
        self.meter.advance(&path, file_end.saturating_sub(offset_before));
        let is_whole = match next {
            None => self.verify_tail(log, number, &mut inspected)?,
            Some(next) => self.verify_end(&path, &inspected, next),
        };
        let end = (inspected.next_commit, inspected.next_position);
        let Some(index) = inspected.index.take() else {
            return Ok(is_whole.then_some(end));
        };
        // Everything up to here was checked against what comes before.
        (self.found.commits_count, self.found.events_count) = end;
        if !is_whole {
            log.check_alone();
            return Ok(None);
        }
        let path = log.index_path(&inspected.header);
        let index_bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        self.meter.advance(&path, index_bytes);
        if let Some(offset) = log.compare_index(&inspected.header, &index)? {
            let what = "the index is not what its segment says";
            self.damaged(&path, Some(offset), what, Remedy::Remove);
        }
        log.keep(&inspected.header, index);
        Ok(Some(end))
    }

    /// Whether the last segment ends as it should. A daemon may be writing to it: what looks damaged
    /// and is whole when it is read again was only under way.
    fn verify_tail(
        &mut self,
        log: &LogInspector,
        number: u64,
        inspected: &mut Inspected,
    ) -> Result<bool, MaintenanceError> {
        loop {
            let tail = log.torn_tail(inspected);
            if matches!(tail, Err(LogError::Damaged { .. })) {
                let again = log.read(number, |_, _| Ok(()))?;
                if again.end > inspected.end {
                    *inspected = again;
                    continue;
                }
            }
            let Some(tail) = self.damage_or(tail)? else { return Ok(false) };
            self.found.unfinished = tail;
            // An index is only written when there is a next segment.
            let path = log.path(number);
            if log.index_path(&inspected.header).exists() && self.is_last(number)? {
                let what = "the segments behind it are missing";
                self.log_damaged(&path, inspected.end, what);
                return Ok(false);
            }
            return Ok(true);
        }
    }

    /// Whether no segment was begun behind this one since.
    fn is_last(&self, number: u64) -> Result<bool, LogError> {
        let log = LogInspector::open(&self.folder.join("log"))?;
        Ok(log.numbers.last() == Some(&number))
    }

    /// Whether a segment that has a next one ends where that begins.
    fn verify_end(&mut self, path: &Path, inspected: &Inspected, next: u64) -> bool {
        let fault = match &inspected.fault {
            Some(fault) => fault.to_string(),
            None if next == inspected.next_commit => return true,
            None => format!("commits from number {} on are missing", inspected.next_commit),
        };
        self.log_damaged(path, inspected.end, &fault);
        false
    }

    fn verify_states(&mut self, names: &[PathBuf]) -> Result<(), MaintenanceError> {
        for name in names.iter().filter(|name| has_suffix(name, SQLITE_SUFFIX)) {
            let path = self.folder.join(name);
            let bytes_count = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            if let Err(what) = check_sqlite(&path) {
                let is_view = name.parent().is_some_and(|parent| parent.ends_with("views"));
                let remedy = if is_view { Remedy::Remove } else { Remedy::Restore };
                self.damaged(&path, None, &what, remedy);
            }
            self.meter.advance(&path, bytes_count);
        }
        Ok(())
    }

    /// Of a backup: that it holds every file it says, byte for byte, and as many commits.
    fn verify_manifest(&mut self) -> Result<(), MaintenanceError> {
        let path = self.folder.join(MANIFEST_NAME);
        if !path.exists() {
            return Ok(());
        }
        let manifest = match Manifest::read(self.folder) {
            Ok(manifest) => manifest,
            Err(MaintenanceError::NotABackup { what, .. }) => {
                self.damaged(&path, None, &what, Remedy::OtherBackup);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for file in &manifest.files {
            let name = Path::new(&file.path);
            let there = self.folder.join(name);
            let what = if !there.is_file() {
                "it is missing from the backup"
            } else if entry_of(self.folder, name, &mut self.meter)? != *file {
                "it is not what was backed up"
            } else {
                continue;
            };
            self.damaged(&there, None, what, Remedy::OtherBackup);
        }
        let found = (self.found.commits_count, self.found.events_count);
        if found != (manifest.commits_count, manifest.events_count) {
            let what = format!(
                "{} commits were backed up, and {} are there",
                manifest.commits_count, found.0
            );
            self.damaged(&path, None, &what, Remedy::OtherBackup);
        }
        for damage in &mut self.found.damages {
            damage.remedy = Remedy::OtherBackup;
        }
        Ok(())
    }

    fn verify_blobs(&mut self, names: &[PathBuf]) -> Result<(), MaintenanceError> {
        for name in names.iter().filter(|name| name.starts_with("plugins")) {
            let stem = name.file_name().and_then(|name| name.to_str()?.strip_suffix(".wasm"));
            let Some(stem) = stem.filter(|stem| stem.parse::<Digest>().is_ok()) else { continue };
            let entry = entry_of(self.folder, name, &mut self.meter)?;
            if entry.sha256 != stem {
                let path = self.folder.join(name);
                self.damaged(&path, None, "it is not what its name says", Remedy::Install);
            }
        }
        Ok(())
    }
}

/// How often to tell of progress, in bytes.
const PROGRESS_BYTES: u64 = 4 << 20;

/// Lets SQLite check one of its files.
fn check_sqlite(path: &Path) -> Result<(), String> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    match check() {
        Ok(lines) if lines == ["ok"] => Ok(()),
        Ok(lines) => Err(lines.join("; ")),
        Err(error) => Err(error.to_string()),
    }
}
