//! The writer: one thread that writes what waits, syncs once, and tells everyone.
//!
//! ```text
//!  accepted   c7 c8 c9 │ c10 c11 ...        taken all at once, no timer
//!                      ▼
//!  writer     write(c7 c8 c9) ─ sync ─ durable = 10 ─ replies ─ write(c10 c11) …
//! ```
//!
//! The first group of a segment also makes its file: header and commits are written to a spare file
//! and synced, and only then it gets its name. So a segment that is there has commits, and the one
//! before it is whole.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use annals_core::durability::DurabilityLost;
use tracing::{error, info, warn};

use super::file::{LogFile, is_out_of_space};
use super::folder::OpenedBy;
use super::frame::seal;
use super::segment::{SPARE_NAME, Segment};
use super::shared::{Durable, Frames, GROUP_BYTES_MAX, Group, Shared, Spare};
use super::space::wants_anything;
use super::worker::{Step, WhenIdle};

/// How long to wait before a write is tried again that found the disk full.
const DISK_FULL_RETRY_MS: u64 = 100;

/// Groups of more bytes than this ask for no prepared space: for them, writing everything twice costs
/// more than a sync that has to note a new length.
const PREPARED_GROUP_BYTES_MAX: u64 = 128 << 10;

/// Why a group is not written.
enum WriteFault {
    /// Nothing was synced: the same bytes can go to the same place when there is room.
    NoRoom,
    Failed(io::Error),
}

impl From<io::Error> for WriteFault {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// For what may be tried again when the disk is full: everything before the first sync.
fn unless_full<T>(result: io::Result<T>) -> Result<T, WriteFault> {
    result.map_err(|error| {
        if is_out_of_space(&error) { WriteFault::NoRoom } else { WriteFault::Failed(error) }
    })
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    file: Arc<dyn LogFile>,
    /// Every commit with a smaller number is synced.
    synced_commits: u64,
    has_unsynced: bool,
    /// The file of the next segment, from when it is made until it has its name.
    next_file: Option<(Arc<dyn LogFile>, u64)>,
    pending: Option<(Group, Arc<Frames>)>,
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(shared: &Arc<Shared>, file: Arc<dyn LogFile>) -> Self {
        let (segment, synced_commits) = {
            let accepting = shared.accepting();
            (Arc::clone(&accepting.segment), accepting.index.next_commit())
        };
        Self {
            shared: Arc::clone(shared),
            segment,
            file,
            synced_commits,
            has_unsynced: false,
            next_file: None,
            pending: None,
            buffer: Vec::with_capacity(usize::try_from(GROUP_BYTES_MAX).unwrap_or_default()),
        }
    }

    /// Writes until the log is closed, or a failure stops it.
    pub(crate) fn run(mut self) {
        while self.step(WhenIdle::Wait) != Step::Ended {}
    }

    /// Writes one group. It waits for one, and for room, as `when_idle` says.
    pub(crate) fn step(&mut self, when_idle: WhenIdle) -> Step {
        if self.pending.is_none()
            && let Some(step) = self.take_group(when_idle)
        {
            return step;
        }
        let Some((group, frames)) = self.pending.take() else {
            return Step::Idle;
        };
        match self.write(&group, &frames) {
            Ok(()) => {
                self.release(group, &frames);
                Step::Worked
            }
            Err(WriteFault::NoRoom) if self.mark_disk_full(when_idle) => {
                self.pending = Some((group, frames));
                Step::Idle
            }
            Err(WriteFault::NoRoom) => {
                self.fail(group, &io::Error::from(io::ErrorKind::StorageFull));
                Step::Ended
            }
            Err(WriteFault::Failed(source)) => {
                self.fail(group, &source);
                Step::Ended
            }
        }
    }

    /// Takes what waits; the step is over when nothing does.
    fn take_group(&mut self, when_idle: WhenIdle) -> Option<Step> {
        let mut accepting = self.shared.accepting();
        loop {
            if let Some(mut group) = accepting.waiting.pop_front() {
                let frames = Arc::new(std::mem::take(&mut group.frames));
                accepting.writing = Some(Arc::clone(&frames));
                accepting.is_writer_idle = false;
                self.pending = Some((group, frames));
                return None;
            }
            if accepting.is_closing || accepting.stopped.is_some() {
                return Some(Step::Ended);
            }
            accepting.is_writer_idle = true;
            if when_idle == WhenIdle::Return {
                return Some(Step::Idle);
            }
            accepting = self.shared.work.wait(accepting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&mut self, group: &Group, frames: &Frames) -> Result<(), WriteFault> {
        self.buffer.clear();
        for frame in &frames.frames {
            let start = self.buffer.len();
            self.buffer.extend_from_slice(frame);
            seal(self.buffer.get_mut(start..).unwrap_or_default(), self.synced_commits);
        }
        if !Arc::ptr_eq(&self.segment, &group.segment) {
            return self.begin_segment(group, frames);
        }
        self.wait_for_space_keeper(group);
        unless_full(self.file.write_all_at(&self.buffer, group.range.start))?;
        self.has_unsynced = true;
        if group.needs_sync {
            self.sync(frames.end_commit())?;
        }
        Ok(())
    }

    fn sync(&mut self, synced_commits: u64) -> io::Result<()> {
        self.file.sync_data()?;
        self.has_unsynced = false;
        self.synced_commits = synced_commits;
        Ok(())
    }

    /// Makes the file of the segment that the group begins.
    fn begin_segment(&mut self, group: &Group, frames: &Frames) -> Result<(), WriteFault> {
        if self.has_unsynced {
            self.sync(frames.first_commit)?;
        }
        let (file, prepared_end) = self.take_next_file()?;
        let header = group.segment.header.encode();
        unless_full(file.write_all_at(&header, 0))?;
        unless_full(file.write_all_at(&self.buffer, group.range.start))?;
        file.sync_data()?;
        let files = &self.shared.common.files;
        files.folder.rename(SPARE_NAME, &group.segment.name)?;
        files.folder.sync()?;
        files.put(&group.segment.name, Arc::clone(&file));
        info!(file = %group.segment.path().display(), "began a segment of the log");
        self.next_file = None;
        self.file = file;
        self.segment = Arc::clone(&group.segment);
        self.synced_commits = frames.end_commit();
        let mut accepting = self.shared.accepting();
        if Arc::ptr_eq(&accepting.segment, &self.segment) {
            accepting.is_begun = true;
            accepting.prepared_end = prepared_end.max(group.range.end);
        }
        Ok(())
    }

    /// The file of the next segment: the space keeper's, or a new one.
    fn take_next_file(&mut self) -> Result<(Arc<dyn LogFile>, u64), WriteFault> {
        if let Some((file, prepared_end)) = &self.next_file {
            return Ok((Arc::clone(file), *prepared_end));
        }
        let spare = {
            let mut accepting = self.shared.accepting();
            while matches!(accepting.spare, Spare::Making) {
                accepting =
                    self.shared.space.wait(accepting).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::take(&mut accepting.spare)
        };
        let next = match spare {
            Spare::Ready { file, prepared_end } => (file, prepared_end),
            Spare::Absent | Spare::Making => {
                let folder = &self.shared.common.files.folder;
                (unless_full(folder.create(SPARE_NAME, OpenedBy::Log))?, 0)
            }
        };
        self.next_file = Some((Arc::clone(&next.0), next.1));
        Ok(next)
    }

    /// Waits while the space keeper writes zeros where the group goes.
    fn wait_for_space_keeper(&self, group: &Group) {
        let mut accepting = self.shared.accepting();
        while accepting.preparing.as_ref().is_some_and(|preparing| preparing.overlaps(group)) {
            accepting = self.shared.space.wait(accepting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that there is no room, and waits a little; false when the log is being closed.
    fn mark_disk_full(&self, when_idle: WhenIdle) -> bool {
        let mut accepting = self.shared.accepting();
        if !accepting.is_disk_full {
            warn!(file = %self.segment.path().display(), "disk of the log is full");
        }
        accepting.is_disk_full = true;
        if when_idle == WhenIdle::Wait {
            let retry = Duration::from_millis(DISK_FULL_RETRY_MS);
            (accepting, _) = self
                .shared
                .work
                .wait_timeout_while(accepting, retry, |accepting| !accepting.is_closing)
                .unwrap_or_else(PoisonError::into_inner);
        }
        !accepting.is_closing
    }

    fn fail(&self, group: Group, source: &io::Error) {
        let path = group.segment.path();
        let cause = format!("failed to write `{}`: {source}", path.display()).into();
        let lost = DurabilityLost { cause };
        error!(file = %path.display(), error = %source, "log writer stopped");
        self.shared.stop(&lost);
        for notifier in group.notifiers {
            notifier.notify(Err(lost.clone()));
        }
    }

    /// Lets readers see the group, and tells who waits for it.
    fn release(&self, group: Group, frames: &Frames) {
        let commits = frames.end_commit();
        let bytes_count = group.range.end - group.range.start;
        let mut also_waiting = Vec::new();
        let mut is_new_segment = false;
        let wants_space = {
            let mut accepting = self.shared.accepting();
            accepting.writing = None;
            accepting.in_flight_bytes = accepting.in_flight_bytes.saturating_sub(bytes_count);
            let is_past_prepared = group.range.end >= accepting.prepared_end;
            if accepting.is_disk_full && is_past_prepared {
                accepting.is_disk_full = false;
                info!(file = %self.segment.path().display(), "disk of the log has room again");
            }
            self.shared.durable.send_modify(|durable| {
                is_new_segment = durable.segment != self.segment.header.first_commit;
                *durable = Durable {
                    commits,
                    segment: self.segment.header.first_commit,
                    end: group.range.end,
                    next_position: group.next_position,
                    lost: durable.lost.take(),
                };
            });
            if !accepting.also_waiting.is_empty() {
                let waiting = std::mem::take(&mut accepting.also_waiting);
                let (ready, rest): (Vec<_>, Vec<_>) =
                    waiting.into_iter().partition(|(count, _)| *count <= commits);
                accepting.also_waiting = rest;
                also_waiting = ready;
            }
            bytes_count < PREPARED_GROUP_BYTES_MAX
                && wants_anything(&accepting, &self.shared.options)
        };
        if is_new_segment {
            self.shared.common.full.notify_all();
        }
        if wants_space {
            self.shared.space.notify_all();
        }
        let others = also_waiting.into_iter().map(|(_, notifier)| notifier);
        for notifier in group.notifiers.into_iter().chain(others) {
            notifier.notify(Ok(()));
        }
    }
}
