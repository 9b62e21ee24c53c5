//! Cutting a log off before damage. What is cut off is moved aside, never destroyed.

use std::fs;
use std::path::{Path, PathBuf};

use annals_core::time::Timestamp;

use super::behind::{CutOff, behind};
use super::completion::{
    InterruptedTask, complete, forget_snapshots, refuse_unfinished, remove_marker, write_marker,
};
use super::copy::{Meter, copy};
use super::{MaintenanceError, Progress, files_below, has_suffix, io_error};
use crate::files;
use crate::lock::FolderLock;
use crate::log::{LogInspector, SYNCED_NAME};
use crate::{LogError, OpenError};

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Commits of the log now.
    pub commits_count: u64,
    /// Events of the log now.
    pub events_count: u64,
    /// What was cut off.
    pub cut_off: CutOff,
    /// Where what was cut off is now; `None` when there was nothing to cut off.
    pub removed_to: Option<PathBuf>,
    /// What was moved there, from the data folder.
    pub removed: Vec<PathBuf>,
}

/// A repair that can be done: the folder is locked, and nothing was changed.
#[derive(Debug)]
pub struct PlannedRepair {
    folder: PathBuf,
    _lock: FolderLock,
    log: LogInspector,
    commits_count: u64,
    cut: Cut,
    /// The segments behind the one that is cut.
    behind: Vec<u64>,
    cut_off: CutOff,
    is_unfinished: bool,
}

impl PlannedRepair {
    /// Looks where to cut the log in the data folder `folder`, so that its first `commits_count`
    /// commits stay.
    ///
    /// # Errors
    /// [`MaintenanceError::Open`] while a daemon runs, [`MaintenanceError::NoSuchCommit`] when the log
    /// is not whole up to there, or what a file gives.
    pub fn new(
        folder: &Path,
        commits_count: u64,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, MaintenanceError> {
        if LogInspector::open(&folder.join("log"))?.numbers.is_empty() {
            return Err(MaintenanceError::NotADataFolder { path: folder.to_owned() });
        }
        let lock = FolderLock::take(folder)?;
        let is_unfinished = match refuse_unfinished(folder) {
            Ok(()) => false,
            Err(OpenError::Unfinished { task: InterruptedTask::Repair, .. }) => true,
            Err(error) => return Err(error.into()),
        };
        // What is cut off later must not come back.
        complete(folder)?;
        let log = LogInspector::open(&folder.join("log"))?;
        let mut inspector = LogInspector::open(&folder.join("log"))?;
        if let Some(&first) = log.numbers.first() {
            inspector.check_against_earlier(log.header(first)?.store);
        }
        let cut = find_cut(&mut inspector, commits_count, tell)?;
        let behind_cut =
            log.numbers.iter().copied().filter(|&number| number > cut.segment).collect();
        let cut_off = behind(&log, commits_count, cut.events_count)?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
            log,
            commits_count,
            cut,
            behind: behind_cut,
            cut_off,
            is_unfinished,
        })
    }

    /// What will be cut off.
    #[must_use]
    pub const fn cut_off(&self) -> CutOff {
        self.cut_off
    }

    /// Whether there is anything to do.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.is_unfinished || self.cut.has_more || !self.behind.is_empty()
    }

    /// Moves everything behind the cut to a folder `removed-…` in the data folder, with the views,
    /// which are made again from the log.
    ///
    /// # Errors
    /// What a file gives. A repair that was interrupted is done again by asking for it again; until
    /// then no daemon opens the folder.
    pub fn run(self, now: Timestamp) -> Result<Repaired, MaintenanceError> {
        let folder = self.folder.as_path();
        let mut removed_to = folder.join(format!("removed-{}", now.ms()));
        while removed_to.exists() {
            removed_to.as_mut_os_string().push("-1");
        }
        let mut repair = Repair { folder, removed_to, removed: Vec::new() };
        if self.is_needed() {
            write_marker(folder, InterruptedTask::Repair)?;
            repair.cut(&self.log, &self.cut, &self.behind)?;
            repair.remove_views()?;
            forget_snapshots(folder)?;
            remove_marker(folder)?;
        }
        let has_removed = !repair.removed.is_empty();
        Ok(Repaired {
            commits_count: self.commits_count,
            events_count: self.cut.events_count,
            cut_off: self.cut_off,
            removed_to: has_removed.then_some(repair.removed_to),
            removed: repair.removed,
        })
    }
}

/// Where the log is cut.
#[derive(Debug)]
struct Cut {
    /// The number in the name of the last segment that stays.
    segment: u64,
    /// Where the last frame that stays ends in it.
    end: u64,
    /// Whether there is anything behind it in this segment.
    has_more: bool,
    events_count: u64,
}

fn find_cut(
    log: &mut LogInspector,
    commits_count: u64,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Cut, MaintenanceError> {
    let numbers = log.numbers.clone();
    let total_bytes = numbers.iter().map(|&it| fs::metadata(log.path(it)).map_or(0, |m| m.len()));
    let mut meter = Meter { done_bytes: 0, total_bytes: total_bytes.sum(), tell };
    let mut available = 0;
    for (at, &number) in numbers.iter().enumerate() {
        let path = log.path(number);
        // Damage that stays is no repair: everything up to the cut must be whole.
        if number != available {
            break;
        }
        let mut cut = None;
        let mut last_end = None;
        let read = log.read(number, |offset, frame| {
            let header = &frame.header;
            if header.commit + 1 == commits_count {
                let end = offset + u64::from(header.length);
                let events_count = header.first_position + u64::from(header.events_count);
                cut = Some((end, events_count));
            }
            last_end = Some(offset + u64::from(header.length));
            Ok(())
        });
        let mut inspected = match read {
            Ok(inspected) => inspected,
            // The header of this segment is damaged: the log can end before it.
            Err(LogError::Damaged { .. }) if at > 0 => break,
            Err(error) => return Err(error.into()),
        };
        meter.advance(&path, inspected.end);
        if number == commits_count && cut.is_none() && at == 0 {
            cut = Some((crate::log::SEGMENT_BODY_START, 0));
        }
        if let Some((end, events_count)) = cut {
            let has_more = inspected.end > end
                || inspected.fault.is_some()
                || !matches!(log.torn_tail(&inspected), Ok(None));
            return Ok(Cut { segment: number, end, has_more, events_count });
        }
        available = inspected.next_commit;
        let Some(index) = inspected.index.take() else { break };
        log.keep(&inspected.header, index);
    }
    Err(MaintenanceError::NoSuchCommit { wanted: commits_count, available })
}

struct Repair<'a> {
    folder: &'a Path,
    removed_to: PathBuf,
    /// From the data folder.
    removed: Vec<PathBuf>,
}

impl Repair<'_> {
    fn cut(
        &mut self,
        log: &LogInspector,
        cut: &Cut,
        behind: &[u64],
    ) -> Result<(), MaintenanceError> {
        let name = |path: &Path| PathBuf::from("log").join(path.file_name().unwrap_or_default());
        self.remove(&PathBuf::from("log").join(SYNCED_NAME))?;
        // Newest first: what is left in between is a log that ends early.
        for &number in behind.iter().rev() {
            self.remove(&name(&log.path(number).with_extension("idx")))?;
            self.remove(&name(&log.path(number)))?;
        }
        let path = log.path(cut.segment);
        self.remove(&name(&path.with_extension("idx")))?;
        if cut.has_more {
            let unfinished = files::with_suffix(&name(&path), ".new");
            let mut meter =
                Meter { done_bytes: 0, total_bytes: cut.end, tell: &mut |_: Progress<'_>| {} };
            let whole = self.folder.join(&unfinished);
            if whole.exists() {
                fs::remove_file(&whole).map_err(|source| io_error("remove", &whole, source))?;
            }
            copy(&path, (self.folder, &unfinished), cut.end, &mut meter)?;
            let aside = self.aside(&name(&path))?;
            // The original stays under both names until the shorter one takes its place.
            fs::hard_link(&path, &aside)
                .or_else(|_| fs::copy(&path, &aside).map(|_| ()))
                .map_err(|source| io_error("keep", &path, source))?;
            fs::rename(&whole, &path).map_err(|source| io_error("cut", &path, source))?;
            self.removed.push(name(&path));
        }
        let log = self.folder.join("log");
        files::sync_folder(&log).map_err(|source| io_error("sync", &log, source))
    }

    /// Views may know of commits that are gone: they are made again.
    fn remove_views(&mut self) -> Result<(), MaintenanceError> {
        for name in files_below(self.folder)? {
            let is_view = name.starts_with("state/views");
            if is_view && (has_suffix(&name, ".sqlite") || has_suffix(&name, "-wal")) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Moves a file aside; one that is not there is passed over.
    fn remove(&mut self, name: &Path) -> Result<(), MaintenanceError> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(());
        }
        let aside = self.aside(name)?;
        fs::rename(&path, &aside).map_err(|source| io_error("move", &path, source))?;
        self.removed.push(name.to_owned());
        Ok(())
    }

    /// Where a file goes.
    fn aside(&self, name: &Path) -> Result<PathBuf, MaintenanceError> {
        let aside = self.removed_to.join(name);
        if let Some(parent) = aside.parent() {
            files::create_folder(parent).map_err(|source| io_error("create", parent, source))?;
        }
        Ok(aside)
    }
}
