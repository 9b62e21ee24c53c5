//! The commits of one partition on their way into an export, read some pages ahead.

use std::collections::VecDeque;

use annals_core::commit::{Commit, RecordedCommit, StreamAppend};
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::{ExpectedRevision, Partition, Revision};
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use futures_util::future::try_join_all;

use super::error::ExportError;
use super::lines::first_revision;
use super::retry::reading;

/// Most reads of single events at once.
const LOOKUPS_IN_FLIGHT_MAX: usize = 16;

/// What a commit takes in memory besides its data, in bytes: about that much, and as much again for
/// each event.
const COMMIT_BYTES: usize = 256;

/// A commit on its way.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) recorded: RecordedCommit,
    pub(super) needs: Vec<Need>,
    bytes_count: usize,
}

/// What must have been exported of a partition that is not a commit's own before the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) partition: Partition,
    /// How many events.
    pub(super) events_count: u64,
    /// Whether the commit writes to the partition, so that there must not be more. Else it has only
    /// seen the last of these events.
    pub(super) is_written: bool,
}

/// The commits of one partition.
#[derive(Debug)]
pub(super) struct Queue {
    partition: Partition,
    waiting: VecDeque<Waiting>,
    bytes_count: usize,
    /// How many commits are wanted in memory.
    ahead_count: usize,
    /// Number of the first commit that is not read, and of the first that is not exported at all.
    next: u64,
    end: u64,
    /// Whether it is known what comes after the end: that tells about the order before it, too.
    is_end_seen: bool,
    page_commits_max: usize,
}

impl Queue {
    /// The first `end` commits of a partition. So many are wanted in memory; with more than the next
    /// one, some after the end are read as well.
    pub(super) fn new(partition: Partition, end: u64, ahead_count: usize) -> Self {
        Self {
            partition,
            waiting: VecDeque::new(),
            bytes_count: 0,
            ahead_count,
            next: 0,
            end,
            is_end_seen: ahead_count <= 1,
            page_commits_max: READ_EVENTS_MAX,
        }
    }

    /// The next commit, if it was read.
    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front().filter(|waiting| waiting.recorded.number < self.end)
    }

    pub(super) fn pop(&mut self) -> Option<RecordedCommit> {
        let Waiting { recorded, bytes_count, .. } = self.waiting.pop_front()?;
        self.bytes_count = self.bytes_count.saturating_sub(bytes_count);
        Some(recorded)
    }

    /// Whether there is more to read, and room for it in `bytes_max` bytes.
    pub(super) fn is_low(&self, bytes_max: usize) -> bool {
        let has_room = self.waiting.len() < self.ahead_count && self.bytes_count < bytes_max;
        if self.next < self.end {
            has_room || self.waiting.is_empty()
        } else {
            has_room && !self.is_end_seen
        }
    }

    /// Reads a page, and drops what is over `bytes_max` in memory again, except for one commit. Returns
    /// how many commits were added.
    pub(super) async fn read_on(
        &mut self,
        store: &dyn EventStore,
        bytes_max: usize,
    ) -> Result<usize, ExportError> {
        let (partition, from) = (self.partition, self.next);
        let left = usize::try_from(self.end.saturating_sub(from)).unwrap_or(usize::MAX);
        let is_bounded = self.is_end_seen;
        let limit =
            if is_bounded { self.page_commits_max.min(left) } else { self.page_commits_max };
        let mut page = reading(|| store.read_commits(partition, from, limit)).await?;
        let page_count = page.len();
        page.truncate(self.fitting_count(&page, bytes_max));
        // The next page is as large as what had room of this one.
        let is_cut = page.len() < page_count;
        self.page_commits_max = if is_cut { page.len() } else { limit.saturating_mul(2) };
        self.page_commits_max = self.page_commits_max.clamp(1, READ_EVENTS_MAX);
        let mut needs = Vec::with_capacity(page.len());
        for chunk in page.chunks(LOOKUPS_IN_FLIGHT_MAX) {
            let lookups = chunk.iter().map(|recorded| needs_of(store, partition, recorded));
            needs.extend(try_join_all(lookups).await?);
        }
        let mut added_count = 0;
        for (recorded, needs) in page.into_iter().zip(needs) {
            if recorded.number != self.next {
                break;
            }
            self.next += 1;
            added_count += 1;
            let bytes_count = bytes_of(&recorded.commit);
            self.bytes_count += bytes_count;
            self.waiting.push_back(Waiting { recorded, needs, bytes_count });
        }
        if self.next == from && from < self.end {
            let what = "the store has given it a number, and does not give it back".to_owned();
            return Err(ExportError::OutOfPlace { partition, number: from, what });
        }
        self.is_end_seen |= self.next > self.end || added_count == 0;
        Ok(added_count)
    }

    /// The last `count` commits that were read.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = &RecordedCommit> {
        let skip = self.waiting.len().saturating_sub(count);
        self.waiting.iter().skip(skip).map(|waiting| &waiting.recorded)
    }

    fn fitting_count(&self, page: &[RecordedCommit], bytes_max: usize) -> usize {
        let mut bytes_count = self.bytes_count;
        let fitting = page.iter().take_while(|recorded| {
            let fits = bytes_count < bytes_max;
            bytes_count += bytes_of(&recorded.commit);
            fits
        });
        fitting.count().max(usize::from(self.waiting.is_empty()))
    }
}

fn bytes_of(commit: &Commit) -> usize {
    commit.data_bytes() + COMMIT_BYTES * (1 + commit.events_count())
}

/// What must be exported of other partitions before a commit of `own`. Only of its own partition the
/// commit says where it is: of the others, the first event it wrote there is looked up.
async fn needs_of(
    store: &dyn EventStore,
    own: Partition,
    recorded: &RecordedCommit,
) -> Result<Vec<Need>, ExportError> {
    let capabilities = store.capabilities();
    let mut needs: Vec<Need> = Vec::new();
    for append in &recorded.commit.streams {
        let partition = capabilities.partition_of(&append.stream);
        let is_written = !append.events.is_empty();
        let is_known =
            is_written && needs.iter().any(|need| need.partition == partition && need.is_written);
        if partition == own || is_known {
            continue;
        }
        let Some(revision) = revision_of(append).map_err(|what| ExportError::Inexact {
            partition: own,
            number: recorded.number,
            what,
        })?
        else {
            continue;
        };
        let Some(position) = position_at(store, &append.stream, revision).await? else {
            let (number, stream) = (recorded.number, &append.stream);
            let what = format!("stream `{stream}` has no event at its revision {revision}");
            return Err(ExportError::OutOfPlace { partition: own, number, what });
        };
        // Positions have no hole: they count the events before.
        let events_count = if is_written { position } else { position.saturating_add(1) };
        needs.push(Need { partition, events_count, is_written });
    }
    Ok(needs)
}

/// The revision whose position tells what a commit needs: of the first event it wrote to a stream, or
/// of the last it saw. `None` when it saw none.
fn revision_of(append: &StreamAppend) -> Result<Option<Revision>, &'static str> {
    if !append.events.is_empty() {
        return first_revision(append).map(Some).map_err(|inexact| inexact.0);
    }
    match append.expected {
        ExpectedRevision::Exactly(revision) => Ok(Some(revision)),
        _ => Ok(None),
    }
}

async fn position_at(
    store: &dyn EventStore,
    stream: &StreamId,
    revision: Revision,
) -> Result<Option<u64>, ExportError> {
    let forwards = annals_core::port::event_store::Direction::Forwards;
    let page = reading(|| store.read_stream(stream, revision, 1, forwards)).await?;
    let event = page.events.first().filter(|event| event.revision == revision);
    Ok(event.map(|event| event.position.get()))
}
