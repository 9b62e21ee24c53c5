//! The space keeper: one thread that writes zeros ahead of the writer, so that a sync has data to
//! flush and no new size or blocks of the file, and so that a full disk shows before a commit starts.

use std::ops::Range;
use std::sync::PoisonError;
use std::time::Duration;

use annals_core::durability::DurabilityLost;
use tracing::{error, info, warn};

use super::file::{LogFile, is_out_of_space};
use super::shared::{Accepting, Shared};

/// How much is written at once, in bytes: small enough that a writer that catches up waits for about
/// a millisecond.
const STEP_BYTES: u64 = 1 << 20;

/// Least and most bytes to be ahead; in between it is as much as the log has, so that a small log
/// stays a small file.
const AHEAD_BYTES_MIN: u64 = 1 << 20;
const AHEAD_BYTES_MAX: u64 = 32 << 20;

/// How long to wait before a full disk is asked again.
const DISK_FULL_RETRY_MS: u64 = 250;

/// Keeps space ahead until the log is closed or stopped. `file` is opened on its own: the system
/// tells each open file of an error once, and the writer must not miss one that was told here.
pub(crate) fn run(shared: &Shared, file: &dyn LogFile) {
    let zeros = vec![0; usize::try_from(STEP_BYTES).unwrap_or_default()];
    while let Some(range) = next_range(shared) {
        let written = file.write_all_at(&zeros, range.start);
        let is_written = written.is_ok();
        let synced = written.and_then(|()| file.sync_data());
        let end = range.end;
        match synced {
            Ok(()) => done(shared, Some(end)),
            Err(source) if is_out_of_space(&source) && !is_written => disk_full(shared),
            Err(source) => {
                let path = shared.path.display();
                error!(file = %path, error = %source, "log stopped while making space");
                let cause = format!("failed to make space in `{path}`: {source}").into();
                shared.stop(&DurabilityLost { cause });
                done(shared, None);
                shared.work.notify_all();
                return;
            }
        }
    }
}

/// Waits until more space is wanted and marks where it will be; `None` when no more will be.
fn next_range(shared: &Shared) -> Option<Range<u64>> {
    let mut accepting = shared.accepting();
    if accepting.is_disk_full {
        let retry = Duration::from_millis(DISK_FULL_RETRY_MS);
        (accepting, _) = shared
            .space
            .wait_timeout_while(accepting, retry, |accepting| {
                !accepting.is_closing && accepting.stopped.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
    }
    loop {
        if accepting.is_closing || accepting.stopped.is_some() {
            return None;
        }
        if wants_space(&accepting) {
            let start = accepting.prepared_end.max(accepting.index.end());
            let range = start..start + STEP_BYTES;
            accepting.preparing = Some(range.clone());
            return Some(range);
        }
        accepting = shared.space.wait(accepting).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Whether there is less ahead than there should be. A store that writes nothing wants nothing.
pub(crate) fn wants_space(accepting: &Accepting) -> bool {
    let end = accepting.index.end();
    let ahead = end.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
    end > accepting.opened_end && accepting.prepared_end < end + ahead
}

fn done(shared: &Shared, prepared_end: Option<u64>) {
    let mut accepting = shared.accepting();
    accepting.preparing = None;
    if let Some(end) = prepared_end {
        accepting.prepared_end = end;
        if accepting.is_disk_full {
            info!(file = %shared.path.display(), "disk of the log has room again");
        }
        accepting.is_disk_full = false;
    }
    drop(accepting);
    shared.space.notify_all();
}

fn disk_full(shared: &Shared) {
    let mut accepting = shared.accepting();
    accepting.preparing = None;
    if !accepting.is_disk_full {
        warn!(file = %shared.path.display(), "disk of the log is full");
    }
    accepting.is_disk_full = true;
    drop(accepting);
    shared.space.notify_all();
}
