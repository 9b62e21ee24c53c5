//! The memory store, with its reads counted and with faults on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::{Durability, DurabilityLost};
use annals_core::error::DriverError;
use annals_core::id::{CommandId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, Direction, EventTypeCount, FeedFilter, FeedPage, ReadError,
    StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_memory::MemoryEventStore;
use async_trait::async_trait;

/// What goes wrong from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The store does not answer.
    Unavailable,
    /// What is stored cannot be read.
    Damaged,
    /// Commits are accepted, and may not be durable.
    Lost,
}

/// Words of a driver that no client may see.
pub(crate) const SECRET: &str = "/var/lib/annals: table `secret`";

/// See the module.
#[derive(Debug)]
pub(crate) struct ProbeStore {
    inner: MemoryEventStore,
    fault: Mutex<Option<Fault>>,
    feed_reads: AtomicUsize,
    command_lookups: AtomicUsize,
}

impl ProbeStore {
    pub(crate) fn new(inner: MemoryEventStore) -> Self {
        Self {
            inner,
            fault: Mutex::default(),
            feed_reads: AtomicUsize::new(0),
            command_lookups: AtomicUsize::new(0),
        }
    }

    pub(crate) fn break_with(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    pub(crate) fn repair(&self) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How often a command was looked up by its id.
    pub(crate) fn command_lookups(&self) -> usize {
        self.command_lookups.load(Ordering::SeqCst)
    }

    /// How often the feed was read.
    pub(crate) fn feed_reads(&self) -> usize {
        self.feed_reads.load(Ordering::SeqCst)
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_read(&self) -> Result<(), ReadError> {
        match self.fault() {
            Some(Fault::Unavailable) => Err(ReadError::Unavailable(DriverError::new(SECRET))),
            Some(Fault::Damaged) => Err(ReadError::Damaged(DriverError::new(SECRET))),
            Some(Fault::Lost) | None => Ok(()),
        }
    }
}

#[async_trait]
impl EventStore for ProbeStore {
    fn store_id(&self) -> StoreId {
        self.inner.store_id()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        match self.fault() {
            Some(Fault::Unavailable | Fault::Damaged) => {
                Err(AppendError::Unavailable(DriverError::new(SECRET)))
            }
            Some(Fault::Lost) => {
                let accepted = self.inner.append(commit).await?;
                // The notifier is dropped without a word, which counts as lost.
                let (_, durability) = Durability::pending();
                Ok(Accepted { receipt: accepted.receipt, durability })
            }
            None => self.inner.append(commit).await,
        }
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        match self.fault() {
            Some(_) => Err(DurabilityLost { cause: SECRET.into() }),
            None => self.inner.flush().await,
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        self.check_read()?;
        self.inner.read_stream(stream, from, limit, direction).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        self.feed_reads.fetch_add(1, Ordering::SeqCst);
        self.check_read()?;
        self.inner.read_feed(partition, after, filter, limit).await
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.check_read()?;
        self.inner.head(partition).await
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        self.inner.wait_for_news(partition, after).await
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        self.check_read()?;
        self.command_lookups.fetch_add(1, Ordering::SeqCst);
        self.inner.find_command(stream, id).await
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        self.check_read()?;
        self.inner.read_commands(stream, skip, limit).await
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        self.check_read()?;
        self.inner.read_commits(partition, from, limit).await
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        self.check_read()?;
        self.inner.claim_holder(scope, key, now).await
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        self.check_read()?;
        self.inner.stream_info(stream).await
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        self.check_read()?;
        self.inner.event_type_counts().await
    }
}
