//! The event store: what its parts share, and the port.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::error::DriverError;
use annals_core::id::{CommandId, CorrelationId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, CommandIdsRemembered, CorrelatedPage, Direction, EventTypeCount,
    FeedFilter, FeedPage, ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::claim;
use super::counts::FeedCounts;
use super::feed::Hints;
use super::key;
use super::news::News;
use super::query;
use super::streams::recorded_command;
use super::windows::{COMMITS_REMEMBERED, KnownId, Windows};
use super::writer::{APPENDS_QUEUED_MAX, PartitionState, Pending};
use crate::client::DynamoClient;
use crate::tables::{TableError, load_store_item};

/// Keeps events in the table `<prefix>-events`. What is accepted is durable.
#[derive(Debug)]
pub struct DynamoEventStore {
    shared: Arc<Shared>,
    /// The queue of each partition's writer, which ends with it.
    queues: Vec<mpsc::Sender<Pending>>,
    /// Looks now and then whether the tables still hold this store.
    guard: JoinHandle<()>,
}

impl Drop for DynamoEventStore {
    fn drop(&mut self) {
        self.guard.abort();
    }
}

/// How often the tables are asked whose they are: tables that were deleted and made again hold another
/// store, whose events would begin at 0 under a daemon that goes on.
const IDENTITY_LOOK_WAIT: Duration = Duration::from_secs(5);

async fn watch_identity(shared: Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        // A failure says nothing about the identity; what needs the tables fails by itself.
        let is_other = match load_store_item(&shared.client).await {
            Ok(item) => item.id != shared.store,
            Err(TableError::Missing { .. } | TableError::Unfinished { .. }) => true,
            Err(_) => false,
        };
        if is_other && !shared.is_replaced.swap(true, Ordering::Relaxed) {
            tracing::error!(
                store = %shared.store,
                "the tables no longer hold this store, nothing is read or written: stop the daemon"
            );
        }
        let client = shared.client.clone();
        drop(shared);
        client.pause(IDENTITY_LOOK_WAIT).await;
    }
}

/// What reading and writing share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: DynamoClient,
    pub(super) store: StoreId,
    pub(super) capabilities: Capabilities,
    /// By number of the partition. Locked by whoever writes it.
    pub(super) partitions: Vec<Arc<Mutex<PartitionState>>>,
    pub(super) windows: Windows,
    pub(super) news: News,
    pub(super) hints: Hints<Option<Position>>,
    pub(super) commit_hints: Hints<u64>,
    pub(super) counts: Vec<Mutex<FeedCounts>>,
    /// Whether the tables were found to hold another store.
    is_replaced: AtomicBool,
}

impl Shared {
    /// The namespace that is served.
    pub(super) fn namespace(&self) -> &str {
        &self.client.options().namespace
    }

    /// Refuses to work on the tables of another store.
    fn check_identity(&self) -> Result<(), DriverError> {
        if self.is_replaced.load(Ordering::Relaxed) {
            return Err(DriverError::new("the tables no longer hold the store that was opened"));
        }
        Ok(())
    }

    /// Refuses to read the tables of another store.
    fn check_store(&self) -> Result<(), ReadError> {
        self.check_identity().map_err(ReadError::Unavailable)
    }

    fn check(&self, partition: Partition) -> Result<(), ReadError> {
        self.check_store()?;
        if partition.0 < self.capabilities.partitions_count {
            Ok(())
        } else {
            Err(ReadError::UnknownPartition { partition })
        }
    }
}

impl DynamoEventStore {
    /// Opens the store whose tables were made by [`create`](crate::tables::create).
    ///
    /// # Errors
    /// [`TableError`], which says what to do when a table is missing.
    pub async fn open(client: DynamoClient) -> Result<Self, TableError> {
        let item = load_store_item(&client).await?;
        let partitions_count = item.partitions_count.get();
        let capabilities = Capabilities {
            partitions_count,
            command_ids_remembered: CommandIdsRemembered::LastCommits(COMMITS_REMEMBERED),
        };
        let shared = Arc::new(Shared {
            client,
            store: item.id,
            capabilities,
            partitions: (0..partitions_count).map(|_| Arc::default()).collect(),
            windows: Windows::default(),
            news: News::new(partitions_count),
            hints: Hints::default(),
            commit_hints: Hints::default(),
            counts: (0..partitions_count).map(|_| Mutex::default()).collect(),
            is_replaced: AtomicBool::new(false),
        });
        let start = |partition| {
            let (sender, queue) = mpsc::channel(APPENDS_QUEUED_MAX);
            let writer = Arc::clone(&shared).write_partition(Partition(partition), queue);
            // Ends when the queue's last sender is dropped, with the store.
            drop(shared.client.runtime().spawn(writer));
            sender
        };
        let queues = (0..partitions_count).map(start).collect();
        let guard = shared.client.runtime().spawn(watch_identity(Arc::downgrade(&shared)));
        Ok(Self { shared, queues, guard })
    }

    /// Tells the store that somebody says there are events up to `head`. A hint: it only ends waits.
    pub fn hear_of(&self, partition: Partition, head: Position) {
        self.shared.news.tell(partition, head);
    }

    /// The partitions that a commit writes.
    fn partitions_of(&self, commit: &Commit) -> Vec<Partition> {
        let capabilities = self.shared.capabilities;
        let writing = commit.streams.iter().filter(|append| !append.events.is_empty());
        let streams = writing.map(|append| &append.stream).chain(commit.home());
        let mut partitions: Vec<_> =
            streams.map(|stream| capabilities.partition_of(stream)).collect();
        partitions.sort();
        partitions.dedup();
        partitions
    }
}

#[async_trait]
impl EventStore for DynamoEventStore {
    fn store_id(&self) -> StoreId {
        self.shared.store
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        commit.check()?;
        self.shared.check_identity().map_err(AppendError::Unavailable)?;
        let partitions = self.partitions_of(&commit);
        let (reply, answer) = oneshot::channel();
        let pending = Pending { commit, reply };
        let gone = || AppendError::Unavailable(DriverError::new("the store is being closed"));
        if let [partition] = partitions.as_slice() {
            let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
            let queue = self.queues.get(index).ok_or_else(gone)?;
            queue.send(pending).await.map_err(|_| gone())?;
        } else {
            let shared = Arc::clone(&self.shared);
            // Owned by whoever awaits the answer; it goes on to its end if nobody does.
            let writing = async move { shared.write_across(partitions, pending).await };
            drop(self.shared.client.runtime().spawn(writing));
        }
        let lost = || {
            let cause = DriverError::new("the writer ended before it answered");
            AppendError::OutcomeUnknown(cause)
        };
        answer.await.unwrap_or_else(|_| Err(lost()))
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
        self.shared.check_store()?;
        self.shared.read_stream_page(stream, from, limit, direction).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        self.shared.check(partition)?;
        self.shared.read_feed_page(partition, after, filter, limit).await
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.shared.check(partition)?;
        self.shared.head(partition).await
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        self.shared.check(partition)?;
        self.shared.news_after(partition, after).await
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        self.shared.check_store()?;
        let wanted = [KnownId::Command(id.uuid())];
        let Some((_, place)) = self.shared.remembered(stream, &wanted, None).await? else {
            return Ok(None);
        };
        let pk = key::stream(self.shared.namespace(), stream);
        let found = query::get(&self.shared.client, &pk, &place.sort_key()).await?;
        let item = found.map(|item| Shared::read_item(&item, stream)).transpose()?;
        Ok(item.and_then(|item| recorded_command(&item, stream)))
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        self.shared.check_store()?;
        self.shared.read_command_page(stream, skip, limit).await
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        self.shared.check(partition)?;
        self.shared.read_commit_page(partition, from, limit).await
    }

    async fn read_correlated(
        &self,
        partition: Partition,
        correlation_id: &CorrelationId,
        from: u64,
    ) -> Result<CorrelatedPage, ReadError> {
        self.shared.check(partition)?;
        self.shared.read_correlated_page(partition, correlation_id, from).await
    }

    async fn first_commit_since(
        &self,
        partition: Partition,
        since: Timestamp,
    ) -> Result<u64, ReadError> {
        self.shared.check(partition)?;
        self.shared.first_commit_since(partition, since).await
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        self.shared.check_store()?;
        let holder = claim::read(&self.shared.client, scope, key).await?;
        Ok(holder.filter(|holder| holder.expires_at.is_none_or(|expiry| expiry > now)))
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        self.shared.check_store()?;
        let tail = self.shared.tail(stream).await?;
        Ok(StreamInfo {
            partition: self.shared.capabilities.partition_of(stream),
            revision: tail.revision(),
            commands_count: tail.commands,
        })
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        self.shared.check_store()?;
        self.shared.count_event_types().await
    }
}
