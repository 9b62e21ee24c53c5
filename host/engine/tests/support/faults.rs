//! Drivers that misbehave on request, around real ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::error::DriverError;
use annals_core::event::NewEvent;
use annals_core::id::{CommandId, Digest, StoreId};
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position, Revision};
use annals_core::port::BlobStore;
use annals_core::port::blob_store::BlobError;
use annals_core::port::event_store::{
    AppendError, Capabilities, Direction, EventStore, EventTypeCount, FeedFilter, FeedPage,
    ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_memory::faulty::{Call, FaultPlan, StateCommitFault};
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
        let stream = commit.streams[0].stream.clone();
        let has_rival = (commit.command.is_some() || stream.is_system())
            && self.rivals.load(Ordering::Relaxed) > 0;
        if has_rival {
            let number = self.rivals.fetch_sub(1, Ordering::Relaxed);
            let event = if stream.is_system() {
                // Another plugin, whose bytes are not there.
                let mut event = commit.streams[0].events[0].clone();
                let mut data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
                data["name"] = format!("rival-{number}").into();
                data["digest"] = "00".repeat(32).into();
                event.data = serde_json::to_vec(&data).unwrap().into();
                event
            } else {
                NewEvent::json(EventType::new("added").unwrap(), &br#"{"amount":1000}"#[..])
            };
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

/// A plan in which reading and writing state fails at every call.
#[derive(Debug)]
pub(crate) struct StateDown;

impl FaultPlan for StateDown {
    fn fails(&self, call: Call) -> bool {
        matches!(call, Call::ReadState | Call::WriteState)
    }
}

/// A plan in which the outcome of some commits of state is not told: every second of them is there.
#[derive(Debug, Default)]
pub(crate) struct StateCommitsUnknown {
    pub(crate) unknown_left: AtomicU64,
}

impl FaultPlan for StateCommitsUnknown {
    fn state_commit(&self) -> StateCommitFault {
        let left = self.unknown_left.load(Ordering::Relaxed);
        if left == 0 {
            return StateCommitFault::None;
        }
        self.unknown_left.store(left - 1, Ordering::Relaxed);
        StateCommitFault::OutcomeUnknown { is_written: left.is_multiple_of(2) }
    }
}

/// A plan in which commits of state begin half a minute late.
#[derive(Debug, Default)]
pub(crate) struct StateCommitsLate {
    pub(crate) is_late: AtomicBool,
}

impl FaultPlan for StateCommitsLate {
    fn delay_before(&self, call: Call) -> Duration {
        let is_late = call == Call::WriteState && self.is_late.load(Ordering::Relaxed);
        if is_late { Duration::from_secs(30) } else { Duration::ZERO }
    }
}

/// A blob store that does not answer while it is down.
#[derive(Debug)]
pub(crate) struct BlobsDown {
    blobs: Arc<dyn BlobStore>,
    pub(crate) is_down: AtomicBool,
}

impl BlobsDown {
    pub(crate) fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs, is_down: AtomicBool::new(true) }
    }

    fn check(&self) -> Result<(), BlobError> {
        let is_down = self.is_down.load(Ordering::Relaxed);
        if is_down { Err(BlobError::Unavailable(DriverError::new("down"))) } else { Ok(()) }
    }
}

#[async_trait]
impl BlobStore for BlobsDown {
    async fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        self.check()?;
        self.blobs.put(bytes).await
    }

    async fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlobError> {
        self.check()?;
        self.blobs.get(digest).await
    }

    async fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        self.check()?;
        self.blobs.remove(digest).await
    }
}
