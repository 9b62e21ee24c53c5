//! What the callers, the writer and the space keeper of one log share.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use annals_core::durability::{DurabilityLost, DurabilityNotifier};
use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::port::event_store::ReadError;
use bytes::Bytes;
use tokio::sync::watch;

use super::fault::FrameFault;
use super::file::LogFile;
use super::frame::Frame;
use super::index::{FrameSpan, Index};
use super::names::Names;

/// Most bytes of commits that are accepted and not yet written (inclusive); what goes over it is
/// refused as busy. Enough for a second of a slow disk.
pub(crate) const IN_FLIGHT_BYTES_MAX: u64 = 64 << 20;

/// Most bytes written and synced together, unless one commit alone has more.
pub(crate) const GROUP_BYTES_MAX: u64 = 4 << 20;

/// Most commits written and synced together (inclusive).
pub(crate) const GROUP_COMMITS_MAX: usize = 8_192;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn LogFile>,
    pub(crate) store: StoreId,
    pub(crate) salt: u64,
    pub(crate) names: Names,
    accepting: Mutex<Accepting>,
    /// Wakes the writer: there is something to write.
    pub(crate) work: Condvar,
    /// Wakes the space keeper and whoever waits for it.
    pub(crate) space: Condvar,
    pub(crate) durable: watch::Sender<Durable>,
}

/// Up to where the log cannot be lost.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    pub(crate) commits: u64,
    /// Where the last durable frame ends.
    pub(crate) end: u64,
    pub(crate) next_position: u64,
    /// Why nothing becomes durable any more.
    pub(crate) lost: Option<DurabilityLost>,
}

/// The state in which commits are accepted, one after the other.
#[derive(Debug)]
pub(crate) struct Accepting {
    pub(crate) index: Index,
    /// The time of the last commit.
    pub(crate) latest_ms: u64,
    /// What waits for the writer, oldest first.
    pub(crate) waiting: VecDeque<Group>,
    /// What the writer is writing.
    pub(crate) writing: Option<Arc<Frames>>,
    /// Who waits for commits that others appended, with the count of commits to wait for.
    pub(crate) also_waiting: Vec<(u64, DurabilityNotifier)>,
    /// Up to where everything is written.
    pub(crate) written_end: u64,
    /// Where the last frame ended when the log was opened.
    pub(crate) opened_end: u64,
    /// Up to where the file has zeros or frames.
    pub(crate) prepared_end: u64,
    /// Where the space keeper is writing zeros.
    pub(crate) preparing: Option<Range<u64>>,
    /// Whether the disk had no room when it was last asked.
    pub(crate) is_disk_full: bool,
    pub(crate) is_writer_idle: bool,
    pub(crate) is_closing: bool,
    /// Why nothing is accepted any more.
    pub(crate) stopped: Option<DurabilityLost>,
}

/// Consecutive commits that are written and synced together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) frames: Frames,
    pub(crate) notifiers: Vec<DurabilityNotifier>,
    pub(crate) range: Range<u64>,
    /// Where the feed ends after the last commit.
    pub(crate) next_position: u64,
    /// Whether there is anything that must not be lost.
    pub(crate) needs_sync: bool,
}

/// The frames of a group.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub(crate) first_commit: u64,
    pub(crate) frames: Vec<Vec<u8>>,
}

impl Frames {
    pub(crate) fn end_commit(&self) -> u64 {
        self.first_commit + u64::try_from(self.frames.len()).unwrap_or(u64::MAX)
    }

    fn get(&self, commit: u64) -> Option<&[u8]> {
        let index = usize::try_from(commit.checked_sub(self.first_commit)?).ok()?;
        self.frames.get(index).map(Vec::as_slice)
    }
}

impl Group {
    fn has_room_for(&self, frame_bytes: u64) -> bool {
        self.frames.frames.len() < GROUP_COMMITS_MAX
            && self.range.end - self.range.start + frame_bytes <= GROUP_BYTES_MAX
    }
}

impl Accepting {
    pub(crate) fn new(index: Index, latest_ms: u64, prepared_end: u64) -> Self {
        Self {
            latest_ms,
            waiting: VecDeque::new(),
            writing: None,
            also_waiting: Vec::new(),
            written_end: index.end(),
            opened_end: index.end(),
            prepared_end,
            preparing: None,
            is_disk_full: false,
            is_writer_idle: false,
            is_closing: false,
            stopped: None,
            index,
        }
    }

    /// Adds the frame of the commit that was indexed last to what waits for the writer.
    pub(crate) fn enqueue(&mut self, frame: Vec<u8>, notifier: Option<DurabilityNotifier>) {
        let end = self.index.end();
        let frame_bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        let has_room = self.waiting.back().is_some_and(|group| group.has_room_for(frame_bytes));
        if !has_room {
            self.waiting.push_back(Group {
                frames: Frames { first_commit: self.index.commits_count() - 1, frames: Vec::new() },
                notifiers: Vec::new(),
                range: end - frame_bytes..end,
                next_position: 0,
                needs_sync: false,
            });
        }
        if let Some(group) = self.waiting.back_mut() {
            group.frames.frames.push(frame);
            group.range.end = end;
            group.next_position = self.index.next_position();
            group.needs_sync |= notifier.is_some();
            group.notifiers.extend(notifier);
            debug_assert_eq!(group.frames.end_commit(), self.index.commits_count());
        }
    }

    /// The frame of a commit that is not written yet.
    fn in_flight(&self, commit: u64) -> Option<&[u8]> {
        let writing = self.writing.as_deref();
        let waiting = self.waiting.iter().map(|group| &group.frames);
        writing.into_iter().chain(waiting).find_map(|frames| frames.get(commit))
    }
}

impl Shared {
    pub(crate) fn new(
        (path, file): (PathBuf, Arc<dyn LogFile>),
        (store, salt): (StoreId, u64),
        names: Names,
        accepting: Accepting,
    ) -> Self {
        let durable = Durable {
            commits: accepting.index.commits_count(),
            end: accepting.index.end(),
            next_position: accepting.index.next_position(),
            lost: None,
        };
        Self {
            path,
            file,
            store,
            salt,
            names,
            accepting: Mutex::new(accepting),
            work: Condvar::new(),
            space: Condvar::new(),
            durable: watch::Sender::new(durable),
        }
    }

    pub(crate) fn accepting(&self) -> MutexGuard<'_, Accepting> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame of an accepted commit, from memory when it is on its way to the file.
    pub(crate) fn frame(&self, accepting: &Accepting, commit: u32) -> Result<Frame, ReadError> {
        let Some(span) = accepting.index.frame(commit) else {
            return Err(ReadError::Damaged(DriverError::new("a commit has no frame")));
        };
        match accepting.in_flight(span.commit) {
            Some(bytes) => Frame::in_flight(Bytes::copy_from_slice(bytes))
                .map_err(|fault| self.damaged(span.offset, &fault)),
            None => self.read_frame(span),
        }
    }

    /// Reads and checks a frame.
    pub(crate) fn read_frame(&self, span: FrameSpan) -> Result<Frame, ReadError> {
        let bytes = self.read(span.offset, span.bytes_count)?;
        self.check_frame(span, bytes)
    }

    pub(crate) fn check_frame(&self, span: FrameSpan, bytes: Bytes) -> Result<Frame, ReadError> {
        let frame =
            Frame::check(bytes, self.salt).map_err(|fault| self.damaged(span.offset, &fault))?;
        if frame.header.commit == span.commit {
            return Ok(frame);
        }
        let fault = FrameFault::WrongCommit { found: frame.header.commit, expected: span.commit };
        Err(self.damaged(span.offset, &fault))
    }

    pub(crate) fn read(&self, offset: u64, bytes_count: u64) -> Result<Bytes, ReadError> {
        let mut bytes = vec![0; usize::try_from(bytes_count).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, offset).map_err(|source| self.unreadable(source))?;
        Ok(Bytes::from(bytes))
    }

    pub(crate) fn unreadable(&self, source: std::io::Error) -> ReadError {
        let message = format!("failed to read `{}`", self.path.display());
        ReadError::Unavailable(DriverError::with_source(&message, source))
    }

    pub(crate) fn damaged(&self, offset: u64, fault: &FrameFault) -> ReadError {
        let path = self.path.display();
        let message = format!("the frame at byte {offset} of `{path}` is damaged: {fault}");
        ReadError::Damaged(DriverError::new(&message))
    }

    /// Waits until the first `commits` commits are durable.
    pub(crate) async fn wait_for(&self, commits: u64) -> Result<(), DurabilityLost> {
        let is_durable = |durable: &Durable| durable.commits >= commits;
        if is_durable(&self.durable.borrow()) {
            return Ok(());
        }
        let mut news = self.durable.subscribe();
        let durable = news.wait_for(|durable| is_durable(durable) || durable.lost.is_some()).await;
        match durable {
            Ok(durable) if is_durable(&durable) => Ok(()),
            Ok(durable) => Err(durable.lost.clone().unwrap_or_else(went_away)),
            Err(_) => Err(went_away()),
        }
    }

    /// Accepts nothing any more, and tells everyone whose commit is on its way that it may be lost.
    /// Only the first cause counts.
    pub(crate) fn stop(&self, lost: &DurabilityLost) {
        let (groups, also_waiting) = {
            let mut accepting = self.accepting();
            accepting.stopped.get_or_insert_with(|| lost.clone());
            (std::mem::take(&mut accepting.waiting), std::mem::take(&mut accepting.also_waiting))
        };
        self.durable.send_modify(|durable| {
            durable.lost.get_or_insert_with(|| lost.clone());
        });
        self.space.notify_all();
        let notifiers = groups.into_iter().flat_map(|group| group.notifiers);
        let others = also_waiting.into_iter().map(|(_, notifier)| notifier);
        for notifier in notifiers.chain(others) {
            notifier.notify(Err(lost.clone()));
        }
    }
}

fn went_away() -> DurabilityLost {
    DurabilityLost { cause: Arc::from("the store went away") }
}
