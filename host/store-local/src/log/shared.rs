//! What the callers, the writer and the space keeper of one log share.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use annals_core::durability::{DurabilityLost, DurabilityNotifier};
use annals_core::id::StoreId;
use annals_core::port::event_store::ReadError;
use bytes::Bytes;
use tokio::sync::watch;

use super::file::LogFile;
use super::frame::Frame;
use super::header::{SEGMENT_BODY_START, SegmentHeader};
use super::index::{FrameSpan, Index};
use super::options::LogOptions;
use super::sealed::{Common, Sealed, SealedSegment, SegmentIndex};
use super::segment::Segment;
use super::space::Preparing;

/// Most bytes of commits that are accepted and not yet written (inclusive); what goes over it is
/// refused as busy. Enough for a second of a slow disk.
pub(crate) const IN_FLIGHT_BYTES_MAX: u64 = 64 << 20;

/// Most bytes written and synced together, unless one commit alone has more.
pub(crate) const GROUP_BYTES_MAX: u64 = 4 << 20;

/// Most commits written and synced together (inclusive).
pub(crate) const GROUP_COMMITS_MAX: usize = 8_192;

/// Most segments that are full and have no index file yet (inclusive). When there are as many, the
/// active one grows past the size it should have.
pub(crate) const UNSEALED_SEGMENTS_MAX: usize = 3;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) common: Arc<Common>,
    pub(crate) store: StoreId,
    pub(crate) options: LogOptions,
    /// What the salts of new segments are made from.
    salt_seed: u64,
    /// The salt of the active segment, for those who do not hold `accepting`: it may be out of date.
    active_salt: AtomicU64,
    accepting: Mutex<Accepting>,
    /// Changed only while `accepting` is locked.
    sealed: RwLock<Arc<Sealed>>,
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
    /// The first commit of the segment that is written to.
    pub(crate) segment: u64,
    /// Where the last durable frame ends in it.
    pub(crate) end: u64,
    pub(crate) next_position: u64,
    /// Why nothing becomes durable any more.
    pub(crate) lost: Option<DurabilityLost>,
}

/// The state in which commits are accepted, one after the other.
#[derive(Debug)]
pub(crate) struct Accepting {
    /// The active segment, to which the next commit goes.
    pub(crate) segment: Arc<Segment>,
    pub(crate) index: Index,
    /// The time of the last commit.
    pub(crate) latest_ms: u64,
    /// What waits for the writer, oldest first.
    pub(crate) waiting: VecDeque<Group>,
    /// What the writer is writing.
    pub(crate) writing: Option<Arc<Frames>>,
    /// Who waits for commits that others appended, with the count of commits to wait for.
    pub(crate) also_waiting: Vec<(u64, DurabilityNotifier)>,
    /// How many bytes are accepted and not written.
    pub(crate) in_flight_bytes: u64,
    /// Up to where the active segment needs no more space: what it had when it was opened.
    pub(crate) opened_end: u64,
    /// Up to where the file of the active segment has zeros or frames.
    pub(crate) prepared_end: u64,
    /// Whether the writer has made the file of the active segment.
    pub(crate) is_begun: bool,
    /// Where the space keeper is writing zeros.
    pub(crate) preparing: Option<Preparing>,
    /// The file of the next segment.
    pub(crate) spare: Spare,
    /// Whether the disk had no room when it was last asked.
    pub(crate) is_disk_full: bool,
    pub(crate) is_writer_idle: bool,
    /// How many segments are full and have no index file yet.
    pub(crate) unsealed_count: usize,
    pub(crate) is_closing: bool,
    /// Why nothing is accepted any more.
    pub(crate) stopped: Option<DurabilityLost>,
}

/// The file that becomes the next segment.
#[derive(Debug, Default)]
pub(crate) enum Spare {
    #[default]
    Absent,
    /// The space keeper writes zeros to it.
    Making,
    Ready {
        file: Arc<dyn LogFile>,
        prepared_end: u64,
    },
}

/// Consecutive commits of one segment that are written and synced together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) segment: Arc<Segment>,
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
    fn has_room_for(&self, segment: &Arc<Segment>, frame_bytes: u64) -> bool {
        Arc::ptr_eq(&self.segment, segment)
            && self.frames.frames.len() < GROUP_COMMITS_MAX
            && self.range.end - self.range.start + frame_bytes <= GROUP_BYTES_MAX
    }
}

impl Accepting {
    pub(crate) fn new(segment: Arc<Segment>, index: Index, prepared_end: u64) -> Self {
        Self {
            segment,
            latest_ms: index.latest_ms,
            waiting: VecDeque::new(),
            writing: None,
            also_waiting: Vec::new(),
            in_flight_bytes: 0,
            opened_end: index.end(),
            prepared_end,
            is_begun: true,
            preparing: None,
            spare: Spare::Absent,
            is_disk_full: false,
            is_writer_idle: false,
            unsealed_count: 0,
            is_closing: false,
            stopped: None,
            index,
        }
    }

    /// Adds the frame of the commit that was indexed last to what waits for the writer.
    pub(crate) fn enqueue(&mut self, frame: Vec<u8>, notifier: Option<DurabilityNotifier>) {
        let end = self.index.end();
        let frame_bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        self.in_flight_bytes += frame_bytes;
        let segment = &self.segment;
        let last = self.waiting.back();
        if !last.is_some_and(|group| group.has_room_for(segment, frame_bytes)) {
            self.waiting.push_back(Group {
                segment: Arc::clone(segment),
                frames: Frames { first_commit: self.index.next_commit() - 1, frames: Vec::new() },
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
            debug_assert_eq!(group.frames.end_commit(), self.index.next_commit());
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
        store: StoreId,
        (options, salt_seed): (LogOptions, u64),
        sealed: Sealed,
        accepting: Accepting,
    ) -> Self {
        let durable = Durable {
            commits: accepting.index.next_commit(),
            segment: accepting.segment.header.first_commit,
            end: accepting.index.end(),
            next_position: accepting.index.next_position(),
            lost: None,
        };
        Self {
            common: Arc::clone(&sealed.common),
            store,
            options,
            salt_seed,
            active_salt: AtomicU64::new(accepting.segment.header.salt),
            accepting: Mutex::new(accepting),
            sealed: RwLock::new(Arc::new(sealed)),
            work: Condvar::new(),
            space: Condvar::new(),
            durable: watch::Sender::new(durable),
        }
    }

    pub(crate) fn accepting(&self) -> MutexGuard<'_, Accepting> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sealed segments. They stay the same as long as the caller holds `accepting`.
    pub(crate) fn sealed(&self) -> Arc<Sealed> {
        Arc::clone(&self.sealed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The salt of the segment the next commit most likely goes to.
    pub(crate) fn active_salt(&self) -> u64 {
        self.active_salt.load(Ordering::Relaxed)
    }

    /// Begins another segment: the active one gets no more commits.
    pub(crate) fn roll(&self, accepting: &mut Accepting) {
        let first_commit = accepting.index.next_commit();
        let first_position = accepting.index.next_position();
        let header = SegmentHeader {
            store: self.store,
            first_commit,
            first_position,
            salt: self.common.hasher.salt(self.salt_seed, first_commit),
        };
        let index = Index::starting_at(first_commit, first_position, SEGMENT_BODY_START);
        let full = std::mem::replace(&mut accepting.index, index);
        self.active_salt.store(header.salt, Ordering::Relaxed);
        let segment = Arc::new(Segment::new(header, &self.common.files));
        let segment = std::mem::replace(&mut accepting.segment, segment);
        let index = SegmentIndex::Memory(Arc::new(full));
        let mut segments = self.sealed().segments.clone();
        segments.push(Arc::new(SealedSegment::new(segment, index)));
        let sealed = Sealed { common: Arc::clone(&self.common), segments };
        *self.sealed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sealed);
        accepting.opened_end = 0;
        accepting.prepared_end = 0;
        accepting.is_begun = false;
        accepting.unsealed_count += 1;
    }

    /// The frame of an accepted commit, from memory when it is on its way to the file.
    pub(crate) fn frame(
        &self,
        accepting: &Accepting,
        segment: &Segment,
        span: FrameSpan,
    ) -> Result<Frame, ReadError> {
        match accepting.in_flight(span.commit) {
            Some(bytes) => Frame::in_flight(Bytes::copy_from_slice(bytes))
                .map_err(|fault| segment.damaged(span.offset, &fault)),
            None => segment.read_frame(span),
        }
    }

    /// The frame of a commit of a sealed segment.
    pub(crate) fn sealed_frame(
        &self,
        segment: &Segment,
        span: FrameSpan,
    ) -> Result<Frame, ReadError> {
        if self.durable.borrow().commits > span.commit {
            return segment.read_frame(span);
        }
        self.frame(&self.accepting(), segment, span)
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
