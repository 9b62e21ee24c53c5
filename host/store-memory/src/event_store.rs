//! The event store: one lock around [`Log`], which knows the rules of writing, and the reads.

mod log;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::{Durability, DurabilityLost};
use annals_core::event::RecordedEvent;
use annals_core::id::{CommandId, StoreId};
use annals_core::limits::{READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, CommandIdsRemembered, Direction, EventTypeCount, FeedFilter,
    FeedPage, ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use tokio::sync::watch;

use self::log::Log;

/// Keeps events in memory. What is accepted is durable for as long as the process lives.
#[derive(Debug)]
pub struct MemoryEventStore {
    store_id: StoreId,
    capabilities: Capabilities,
    // Never held across an await.
    log: Mutex<Log>,
    // Invariant: per partition the position of its last event, told after the event is in the log.
    heads: Vec<watch::Sender<Option<Position>>>,
}

impl MemoryEventStore {
    /// An empty store of one partition.
    #[must_use]
    pub fn new(store_id: StoreId) -> Self {
        Self::with_partitions(store_id, NonZeroU32::MIN)
    }

    /// An empty store of this many partitions.
    #[must_use]
    pub fn with_partitions(store_id: StoreId, partitions_count: NonZeroU32) -> Self {
        Self::with(store_id, partitions_count, CommandIdsRemembered::All)
    }

    /// An empty store whose streams remember the ids of their last `commits_count` commits, as
    /// [`CommandIdsRemembered::LastCommits`] says. A commit is one of each stream's that it has
    /// events of, and of its command's stream, or of its first stream when it has no command.
    #[must_use]
    pub fn forgetful(
        store_id: StoreId,
        partitions_count: NonZeroU32,
        commits_count: NonZeroU64,
    ) -> Self {
        let remembered = CommandIdsRemembered::LastCommits(commits_count.get());
        Self::with(store_id, partitions_count, remembered)
    }

    fn with(
        store_id: StoreId,
        partitions_count: NonZeroU32,
        command_ids_remembered: CommandIdsRemembered,
    ) -> Self {
        let partitions_count = partitions_count.get();
        let capabilities = Capabilities { partitions_count, command_ids_remembered };
        Self {
            store_id,
            capabilities,
            log: Mutex::new(Log::new(store_id, capabilities)),
            heads: (0..partitions_count).map(|_| watch::Sender::new(None)).collect(),
        }
    }

    /// How many commits all partitions have.
    pub(crate) fn accepted_count(&self) -> u64 {
        self.log().accepted_count()
    }

    /// The first `count` commits of all partitions, in the order in which they were accepted.
    pub(crate) fn first_accepted(&self, count: u64) -> Vec<RecordedCommit> {
        self.log().first_accepted(count).cloned().collect()
    }

    /// How many commits of a partition are among the first `count` commits of all.
    pub(crate) fn commits_before(&self, partition: Partition, count: u64) -> u64 {
        self.log().commits_before(partition, count)
    }

    /// The position of the last event of a partition among the first `count` commits of all.
    pub(crate) fn head_before(&self, partition: Partition, count: u64) -> Option<Position> {
        self.log().head_before(partition, count)
    }

    /// What tells the head of a partition.
    fn told_head(
        &self,
        partition: Partition,
    ) -> Result<&watch::Sender<Option<Position>>, ReadError> {
        let index = usize::try_from(partition.0).ok();
        let told = index.and_then(|index| self.heads.get(index));
        told.ok_or(ReadError::UnknownPartition { partition })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A poisoned log is whole: the log checks a commit before it changes anything.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        commit.check()?;
        let mut log = self.log();
        let receipt = log.append(commit)?;
        for (partition, told) in (0..).map(Partition).zip(&self.heads) {
            let head = log.head(partition);
            // Told while the log is locked, so that the head never goes back.
            told.send_if_modified(|told| {
                let is_news = *told != head;
                *told = head;
                is_news
            });
        }
        Ok(Accepted { receipt, durability: Durability::done() })
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        Ok(())
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        let log = self.log();
        Ok(match direction {
            Direction::Forwards => stream_page(log.events_from(stream, from), limit),
            Direction::Backwards => stream_page(log.events_up_to(stream, from).rev(), limit),
        })
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        self.told_head(partition)?;
        let log = self.log();
        let mut rest = log.events_after(partition, after).iter();
        let mut page = Page::new(limit);
        let mut read_up_to = after;
        while !page.is_full() {
            let Some(event) = rest.next() else { break };
            read_up_to = Some(event.position);
            if filter.lets_through(&event.stream, &event.event_type) {
                page.push(event);
            }
        }
        Ok(FeedPage { events: page.events, read_up_to, is_at_head: rest.as_slice().is_empty() })
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.told_head(partition)?;
        Ok(self.log().head(partition))
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        let mut told = self.told_head(partition)?.subscribe();
        // An error would mean that the store is gone, and `self` is here.
        drop(told.wait_for(|head| *head > after).await);
        Ok(())
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        Ok(self.log().find_command(stream, id).cloned())
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        let limit = limit.min(READ_EVENTS_MAX);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let log = self.log();
        let rest = log.commands(stream).iter().skip(skip);
        Ok(rest.take(limit).cloned().collect())
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        self.told_head(partition)?;
        let log = self.log();
        let mut page = Vec::new();
        let mut data_bytes = 0;
        for commit in log.commits_from(partition, from).iter().take(limit.min(READ_EVENTS_MAX)) {
            data_bytes += commit.commit.data_bytes();
            page.push(commit.clone());
            if data_bytes >= READ_BYTES_MAX {
                break;
            }
        }
        Ok(page)
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        Ok(self.log().claim_holder(scope, key, now).cloned())
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        Ok(self.log().stream_info(stream))
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        Ok(self.log().event_type_counts())
    }
}

/// Events of a read, up to its limits.
struct Page {
    events: Vec<RecordedEvent>,
    data_bytes: usize,
    events_max: usize,
}

impl Page {
    fn new(limit: usize) -> Self {
        Self { events: Vec::new(), data_bytes: 0, events_max: limit.min(READ_EVENTS_MAX) }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.events_max || self.data_bytes >= READ_BYTES_MAX
    }

    fn push(&mut self, event: &RecordedEvent) {
        self.data_bytes += event.data.len();
        self.events.push(event.clone());
    }
}

/// As many of `events` as fit a page, and where the next begins.
fn stream_page<'a>(events: impl Iterator<Item = &'a RecordedEvent>, limit: usize) -> StreamPage {
    let mut events = events.peekable();
    let mut page = Page::new(limit);
    while !page.is_full() {
        let Some(event) = events.next() else { break };
        page.push(event);
    }
    StreamPage { events: page.events, next: events.peek().map(|event| event.revision) }
}
