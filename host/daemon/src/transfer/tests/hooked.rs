//! A store in memory with something in between: what happens to calls is decided by a hook.

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::DurabilityLost;
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

/// Decides what happens to the calls of a store. What is not implemented goes well.
#[async_trait]
pub(super) trait Hook: Send + Sync + std::fmt::Debug {
    /// Before anything is read.
    async fn before_read(&self, _: &MemoryEventStore) {}

    async fn append(
        &self,
        store: &MemoryEventStore,
        commit: Commit,
    ) -> Result<Accepted, AppendError> {
        store.append(commit).await
    }

    /// What becomes of a page of commits.
    fn page(&self, _: Partition, page: Vec<RecordedCommit>) -> Vec<RecordedCommit> {
        page
    }
}

#[derive(Debug)]
pub(super) struct Hooked<H> {
    pub(super) store: MemoryEventStore,
    pub(super) hook: H,
}

/// The refusal of a store that is away.
pub(super) fn away() -> AppendError {
    AppendError::Unavailable(DriverError::new("it is away"))
}

#[async_trait]
impl<H: Hook> EventStore for Hooked<H> {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        self.hook.append(&self.store, commit).await
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        self.store.flush().await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        self.hook.before_read(&self.store).await;
        self.store.read_stream(stream, from, limit, direction).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        self.hook.before_read(&self.store).await;
        self.store.read_feed(partition, after, filter, limit).await
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.hook.before_read(&self.store).await;
        self.store.head(partition).await
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        self.store.wait_for_news(partition, after).await
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        self.store.find_command(stream, id).await
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        self.store.read_commands(stream, skip, limit).await
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        self.hook.before_read(&self.store).await;
        let page = self.store.read_commits(partition, from, limit).await?;
        Ok(self.hook.page(partition, page))
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        self.store.claim_holder(scope, key, now).await
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        self.store.stream_info(stream).await
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        self.store.event_type_counts().await
    }
}
