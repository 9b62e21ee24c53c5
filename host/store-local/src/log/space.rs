//! The space keeper: one thread that writes zeros ahead of the writer, so that a sync has data to
//! flush and no new size or blocks of the file, and so that a full disk shows before a commit starts.
//! Towards the end of a segment it makes the file of the next one ready.

use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use annals_core::durability::DurabilityLost;
use tracing::{error, info, warn};

use super::file::{LogFile, is_out_of_space};
use super::folder::OpenedBy;
use super::options::LogOptions;
use super::segment::{SPARE_NAME, Segment};
use super::shared::{Accepting, Group, Shared, Spare};
use super::worker::{Step, WhenIdle};

/// How much is written at once, in bytes: small enough that a writer that catches up waits for about
/// a millisecond.
const STEP_BYTES: u64 = 1 << 20;

/// Least and most bytes to be ahead; in between it is as much as the log has, so that a small log
/// stays a small file.
const AHEAD_BYTES_MIN: u64 = 1 << 20;
const AHEAD_BYTES_MAX: u64 = 32 << 20;

/// How much of the next segment is made ready.
const SPARE_BYTES: u64 = 8 << 20;

/// How long to wait before a full disk is asked again.
const DISK_FULL_RETRY_MS: u64 = 250;

/// Where zeros are being written.
#[derive(Debug, Clone)]
pub(crate) struct Preparing {
    segment: Arc<Segment>,
    range: Range<u64>,
}

impl Preparing {
    pub(crate) fn overlaps(&self, group: &Group) -> bool {
        Arc::ptr_eq(&self.segment, &group.segment)
            && self.range.start < group.range.end
            && group.range.start < self.range.end
    }
}

#[derive(Debug)]
enum Task {
    Zeros(Preparing),
    Spare,
}

/// Has files of its own: the system tells each open file of an error once, and the writer must not
/// miss one that was told here.
pub(crate) struct SpaceKeeper {
    shared: Arc<Shared>,
    open: Option<(Arc<Segment>, Arc<dyn LogFile>)>,
    zeros: Vec<u8>,
}

impl SpaceKeeper {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let zeros = vec![0; usize::try_from(STEP_BYTES).unwrap_or_default()];
        Self { shared: Arc::clone(shared), open: None, zeros }
    }

    /// Keeps space ahead until the log is closed or stopped.
    pub(crate) fn run(mut self) {
        while self.step(WhenIdle::Wait) != Step::Ended {}
    }

    /// Does one thing.
    pub(crate) fn step(&mut self, when_idle: WhenIdle) -> Step {
        let task = match self.next_task(when_idle) {
            Ok(task) => task,
            Err(step) => return step,
        };
        let done = match &task {
            Task::Zeros(preparing) => self.write_zeros(preparing),
            Task::Spare => self.make_spare(),
        };
        match done {
            Ok(()) => Step::Worked,
            Err(source) if is_out_of_space(&source) => {
                self.mark_disk_full();
                Step::Idle
            }
            Err(source) => {
                self.fail(&source);
                Step::Ended
            }
        }
    }

    /// Marks what will be done; the step is over when there is nothing to do.
    fn next_task(&self, when_idle: WhenIdle) -> Result<Task, Step> {
        let mut accepting = self.shared.accepting();
        if when_idle == WhenIdle::Wait && accepting.is_disk_full {
            let retry = Duration::from_millis(DISK_FULL_RETRY_MS);
            (accepting, _) = self
                .shared
                .space
                .wait_timeout_while(accepting, retry, |accepting| {
                    !accepting.is_closing && accepting.stopped.is_none()
                })
                .unwrap_or_else(PoisonError::into_inner);
        }
        loop {
            if accepting.is_closing || accepting.stopped.is_some() {
                return Err(Step::Ended);
            }
            let target = target(&accepting, &self.shared.options);
            if wants_zeros(&accepting, target) {
                let start = accepting.prepared_end.max(accepting.index.end());
                let segment = Arc::clone(&accepting.segment);
                // A whole step, past the target: or every commit would ask for a little more.
                let range = start..(start + STEP_BYTES).min(self.shared.options.segment_bytes());
                let preparing = Preparing { segment, range };
                accepting.preparing = Some(preparing.clone());
                return Ok(Task::Zeros(preparing));
            }
            if wants_spare(&accepting, target, &self.shared.options) {
                accepting.spare = Spare::Making;
                return Ok(Task::Spare);
            }
            if when_idle == WhenIdle::Return {
                return Err(Step::Idle);
            }
            accepting = self.shared.space.wait(accepting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_zeros(&mut self, preparing: &Preparing) -> io::Result<()> {
        let Preparing { segment, range } = preparing;
        let file = match &self.open {
            Some((open, file)) if Arc::ptr_eq(open, segment) => Arc::clone(file),
            _ => {
                let folder = &self.shared.common.files.folder;
                let file = folder.open(&segment.name, OpenedBy::Space)?;
                self.open = Some((Arc::clone(segment), Arc::clone(&file)));
                file
            }
        };
        file.write_all_at(self.zeros(range.end - range.start), range.start)?;
        file.sync_data().map_err(never_retry)?;
        let mut accepting = self.shared.accepting();
        accepting.preparing = None;
        if Arc::ptr_eq(&accepting.segment, segment) {
            accepting.prepared_end = range.end;
        }
        if std::mem::take(&mut accepting.is_disk_full) {
            info!(file = %segment.path().display(), "disk of the log has room again");
        }
        drop(accepting);
        self.shared.space.notify_all();
        Ok(())
    }

    fn make_spare(&self) -> io::Result<()> {
        let folder = &self.shared.common.files.folder;
        let file = folder.create(SPARE_NAME, OpenedBy::Log)?;
        let prepared_end = SPARE_BYTES.min(self.shared.options.segment_bytes());
        let mut offset = 0;
        while offset < prepared_end {
            let count = STEP_BYTES.min(prepared_end - offset);
            file.write_all_at(self.zeros(count), offset)?;
            offset += count;
        }
        file.sync_data().map_err(never_retry)?;
        let mut accepting = self.shared.accepting();
        accepting.spare = Spare::Ready { file, prepared_end };
        let had_no_room = std::mem::take(&mut accepting.is_disk_full);
        drop(accepting);
        if had_no_room {
            info!(file = SPARE_NAME, "disk of the log has room again");
        }
        self.shared.space.notify_all();
        Ok(())
    }

    fn zeros(&self, count: u64) -> &[u8] {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.zeros.get(..count).unwrap_or(&self.zeros)
    }

    /// Gives up what was being done.
    fn give_up(accepting: &mut Accepting) {
        accepting.preparing = None;
        if matches!(accepting.spare, Spare::Making) {
            accepting.spare = Spare::Absent;
        }
    }

    fn mark_disk_full(&self) {
        let mut accepting = self.shared.accepting();
        Self::give_up(&mut accepting);
        if !accepting.is_disk_full {
            warn!(file = %accepting.segment.path().display(), "disk of the log is full");
        }
        accepting.is_disk_full = true;
        drop(accepting);
        self.shared.space.notify_all();
    }

    fn fail(&self, source: &io::Error) {
        let mut accepting = self.shared.accepting();
        Self::give_up(&mut accepting);
        let path = accepting.segment.path();
        drop(accepting);
        error!(file = %path.display(), error = %source, "log stopped while making space");
        let cause = format!("failed to make space in `{}`: {source}", path.display()).into();
        self.shared.stop(&DurabilityLost { cause });
        self.shared.work.notify_all();
        self.shared.space.notify_all();
    }
}

/// A failed sync is never tried again, whatever it says: the next would claim a success.
fn never_retry(error: io::Error) -> io::Error {
    io::Error::other(error)
}

/// Whether there is less ready than there should be. A store that writes nothing wants nothing.
pub(crate) fn wants_anything(accepting: &Accepting, options: &LogOptions) -> bool {
    let target = target(accepting, options);
    wants_zeros(accepting, target) || wants_spare(accepting, target, options)
}

/// Up to where the active segment should have zeros.
fn target(accepting: &Accepting, options: &LogOptions) -> u64 {
    let end = accepting.index.end();
    let ahead = end.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
    (end + ahead).min(options.segment_bytes())
}

fn is_written_to(accepting: &Accepting) -> bool {
    accepting.is_begun && accepting.index.end() > accepting.opened_end
}

fn wants_zeros(accepting: &Accepting, target: u64) -> bool {
    is_written_to(accepting) && accepting.prepared_end.max(accepting.index.end()) < target
}

fn wants_spare(accepting: &Accepting, target: u64, options: &LogOptions) -> bool {
    is_written_to(accepting)
        && matches!(accepting.spare, Spare::Absent)
        && target >= options.segment_bytes()
}
