//! Drivers that misbehave on request, around real ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::error::DriverError;
use annals_core::event::NewEvent;
use annals_core::id::{CommandId, StoreId};
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position, Revision};
use annals_core::port::event_store::{
    AppendError, Capabilities, Direction, EventStore, EventTypeCount, FeedFilter, FeedPage,
    ReadError, StreamInfo, StreamPage,
};
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCommit, StateError, StateSpace, StateStore, StateStores,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

/// Writes to the stream of a command just before the command does, as another host would, as long as
/// `rivals` is not 0.
#[derive(Debug)]
pub(crate) struct Rivalled {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) rivals: Arc<AtomicU64>,
}

#[async_trait]
impl EventStore for Rivalled {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        let has_rival = commit.command.is_some() && self.rivals.load(Ordering::Relaxed) > 0;
        if has_rival {
            self.rivals.fetch_sub(1, Ordering::Relaxed);
            let event =
                NewEvent::json(EventType::new("added").unwrap(), &br#"{"amount":1000}"#[..]);
            let stream = commit.streams[0].stream.clone();
            let rival =
                Commit::plain(stream, ExpectedRevision::Any, vec![event], Timestamp::default());
            self.store.append(rival).await?;
        }
        self.store.append(commit).await
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
        self.store.read_stream(stream, from, limit, direction).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        self.store.read_feed(partition, after, filter, limit).await
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
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
        self.store.read_commits(partition, from, limit).await
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

/// State stores of which the host's own fails at every call.
#[derive(Debug)]
pub(crate) struct HostStateDown(pub(crate) Arc<dyn StateStores>);

#[async_trait]
impl StateStores for HostStateDown {
    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let store = self.0.open(space).await?;
        Ok(if *space == StateSpace::Host { Arc::new(Down) } else { store })
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        self.0.remove(space).await
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        self.0.list().await
    }
}

#[derive(Debug)]
struct Down;

fn down() -> StateError {
    StateError::Unavailable(DriverError::new("down"))
}

#[async_trait]
impl StateStore for Down {
    async fn get(&self, _: &str, _: &[u8]) -> Result<Option<Bytes>, StateError> {
        Err(down())
    }

    async fn get_many(&self, _: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        Err(down())
    }

    async fn scan(&self, _: &str, _: KeyRange, _: usize) -> Result<Vec<Row>, StateError> {
        Err(down())
    }

    async fn commit(&self, _: StateCommit) -> Result<(), StateError> {
        Err(down())
    }

    async fn clear(&self, _: &str) -> Result<(), StateError> {
        Err(down())
    }
}
