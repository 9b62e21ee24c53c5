//! The writer: one thread that writes what waits, syncs once, and tells everyone.
//!
//! ```text
//!  accepted   c7 c8 c9 │ c10 c11 ...        taken all at once, no timer
//!                      ▼
//!  writer     write(c7 c8 c9) ─ sync ─ durable = 10 ─ replies ─ write(c10 c11) …
//! ```

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use annals_core::durability::DurabilityLost;
use tracing::{error, info, warn};

use super::file::is_out_of_space;
use super::frame::seal;
use super::shared::{Durable, Frames, GROUP_BYTES_MAX, Group, Shared};
use super::space::wants_space;

/// How long to wait before a write is tried again that found the disk full.
const DISK_FULL_RETRY_MS: u64 = 100;

/// Groups of more bytes than this ask for no prepared space: for them, writing everything twice costs
/// more than a sync that has to note a new length.
const PREPARED_GROUP_BYTES_MAX: u64 = 128 << 10;

/// Writes until the log is closed, or a failure stops it.
pub(crate) fn run(shared: &Shared, synced_commits: u64) {
    let mut writer = Writer {
        shared,
        synced_commits,
        buffer: Vec::with_capacity(usize::try_from(GROUP_BYTES_MAX).unwrap_or_default()),
    };
    while let Some((group, frames)) = writer.next_group() {
        let outcome = writer.write(&group, &frames);
        match outcome {
            Ok(()) => writer.release(group, &frames),
            Err(source) => {
                let lost = DurabilityLost {
                    cause: format!("failed to write `{}`: {source}", shared.path.display()).into(),
                };
                error!(file = %shared.path.display(), error = %source, "log writer stopped");
                shared.stop(&lost);
                for notifier in group.notifiers {
                    notifier.notify(Err(lost.clone()));
                }
                return;
            }
        }
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    /// Every commit with a smaller number is synced.
    synced_commits: u64,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    /// Waits for commits; `None` when the log is closed and everything is written.
    fn next_group(&self) -> Option<(Group, Arc<Frames>)> {
        let mut accepting = self.shared.accepting();
        loop {
            if let Some(mut group) = accepting.waiting.pop_front() {
                let frames = Arc::new(std::mem::take(&mut group.frames));
                accepting.writing = Some(Arc::clone(&frames));
                accepting.is_writer_idle = false;
                return Some((group, frames));
            }
            if accepting.is_closing || accepting.stopped.is_some() {
                return None;
            }
            accepting.is_writer_idle = true;
            accepting = self.shared.work.wait(accepting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&mut self, group: &Group, frames: &Frames) -> io::Result<()> {
        self.buffer.clear();
        for frame in &frames.frames {
            let start = self.buffer.len();
            self.buffer.extend_from_slice(frame);
            seal(self.buffer.get_mut(start..).unwrap_or_default(), self.synced_commits);
        }
        self.wait_for_space_keeper(group);
        while let Err(error) = self.shared.file.write_all_at(&self.buffer, group.range.start) {
            // Nothing was synced: the same bytes can go to the same place when there is room.
            if !is_out_of_space(&error) || !self.wait_for_room() {
                return Err(error);
            }
        }
        if group.needs_sync {
            self.shared.file.sync_data()?;
            self.synced_commits = frames.end_commit();
        }
        Ok(())
    }

    /// Waits while the space keeper writes zeros where the group goes.
    fn wait_for_space_keeper(&self, group: &Group) {
        let mut accepting = self.shared.accepting();
        while accepting.preparing.as_ref().is_some_and(|preparing| {
            preparing.start < group.range.end && group.range.start < preparing.end
        }) {
            accepting = self.shared.space.wait(accepting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits a little; false when the log is being closed.
    fn wait_for_room(&self) -> bool {
        let mut accepting = self.shared.accepting();
        if !accepting.is_disk_full {
            warn!(file = %self.shared.path.display(), "disk of the log is full");
        }
        accepting.is_disk_full = true;
        let retry = Duration::from_millis(DISK_FULL_RETRY_MS);
        let (accepting, _) = self
            .shared
            .work
            .wait_timeout_while(accepting, retry, |accepting| !accepting.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        !accepting.is_closing
    }

    /// Lets readers see the group, and tells who waits for it.
    fn release(&self, group: Group, frames: &Frames) {
        let commits = frames.end_commit();
        let mut also_waiting = Vec::new();
        let wants_space = {
            let mut accepting = self.shared.accepting();
            accepting.writing = None;
            accepting.written_end = group.range.end;
            if accepting.is_disk_full && group.range.end > accepting.prepared_end {
                accepting.is_disk_full = false;
                info!(file = %self.shared.path.display(), "disk of the log has room again");
            }
            self.shared.durable.send_modify(|durable| {
                *durable = Durable {
                    commits,
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
            group.range.end - group.range.start < PREPARED_GROUP_BYTES_MAX
                && wants_space(&accepting)
        };
        if wants_space {
            self.shared.space.notify_all();
        }
        let others = also_waiting.into_iter().map(|(_, notifier)| notifier);
        for notifier in group.notifiers.into_iter().chain(others) {
            notifier.notify(Ok(()));
        }
    }
}
