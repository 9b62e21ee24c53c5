//! An event store with a disk that is slower than it: what is accepted becomes durable later, and a
//! crash takes the rest back.
//!
//! ```text
//!   commits of all partitions   0  1  2  3  4 │ 5  6 │
//!                               durable       │ not  │ ◄── accepted
//!                                             └──────┴── a crash leaves all of the left and
//!                                                        some first ones of the right
//! ```

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::{Durability, DurabilityLost};
use annals_core::id::{CommandId, CorrelationId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, CorrelatedPage, Direction, EventTypeCount, FeedFilter, FeedPage,
    ReadError, StreamInfo, StreamPage, correlated,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::event_store::MemoryEventStore;
use crate::faulty::FaultPlan;

/// Keeps events in memory, and makes them durable when its plan says:
/// [`FaultPlan::durable_after`].
#[derive(Debug)]
pub struct VolatileEventStore {
    partitions_count: NonZeroU32,
    log: MemoryEventStore,
    plan: Arc<dyn FaultPlan>,
    durable: Arc<Durable>,
    // What makes commits durable. Ends with the store.
    syncing: Mutex<JoinSet<()>>,
}

/// How many commits are durable. Those who wait are told in the order in which they came, so that a
/// simulation is the same each time; a `watch` would choose at random.
#[derive(Debug, Default)]
struct Durable {
    // Never goes back.
    count: AtomicU64,
    news: Notify,
}

impl Durable {
    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn reach(&self, count: u64) {
        let before = self.count.fetch_max(count, Ordering::AcqRel);
        if before < count {
            self.news.notify_waiters();
        }
    }

    async fn wait_until(&self, is_enough: impl Fn(u64) -> bool) {
        loop {
            // Listening before looking: no news is missed in between.
            let mut news = pin!(self.news.notified());
            news.as_mut().enable();
            if is_enough(self.count()) {
                return;
            }
            news.await;
        }
    }
}

impl VolatileEventStore {
    /// An empty store of one partition.
    #[must_use]
    pub fn new(store_id: StoreId, plan: Arc<dyn FaultPlan>) -> Self {
        Self::with_partitions(store_id, NonZeroU32::MIN, plan)
    }

    /// An empty store of this many partitions.
    #[must_use]
    pub fn with_partitions(
        store_id: StoreId,
        partitions_count: NonZeroU32,
        plan: Arc<dyn FaultPlan>,
    ) -> Self {
        Self {
            partitions_count,
            log: MemoryEventStore::with_partitions(store_id, partitions_count),
            plan,
            durable: Arc::default(),
            syncing: Mutex::default(),
        }
    }

    /// How many commits a crash could take back now.
    #[must_use]
    pub fn not_durable_count(&self) -> u64 {
        self.log.accepted_count().saturating_sub(self.durable.count())
    }

    /// The durable commits of all partitions, in the order in which they were accepted.
    #[must_use]
    pub fn durable_commits(&self) -> Vec<RecordedCommit> {
        self.log.first_accepted(self.durable.count())
    }

    /// The store as it is after a crash: with every durable commit, and the first `kept_count` of
    /// the others. This one makes nothing durable any more.
    ///
    /// # Errors
    /// None, as long as the log holds what it accepted: [`EventStore::append`]'s are passed on.
    pub async fn reopen(&self, kept_count: u64) -> Result<Self, AppendError> {
        self.syncing.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        let (store_id, plan) = (self.log.store_id(), Arc::clone(&self.plan));
        let reopened = Self::with_partitions(store_id, self.partitions_count, plan);
        let end = self.durable.count().saturating_add(kept_count);
        for recorded in self.log.first_accepted(end) {
            reopened.log.append(recorded.commit).await?;
        }
        reopened.durable.reach(reopened.log.accepted_count());
        Ok(reopened)
    }

    /// The position of the last durable event of a partition.
    fn durable_head(&self, partition: Partition) -> Option<Position> {
        self.log.head_before(partition, self.durable.count())
    }

    /// Waits until everything accepted before the call is durable.
    async fn all_durable(&self) {
        let accepted = self.log.accepted_count();
        self.durable.wait_until(|durable| durable >= accepted).await;
    }

    /// Makes the first `accepted` commits durable after a while, and tells.
    fn sync_later(&self, accepted: u64) -> Durability {
        let delay = self.plan.durable_after();
        let due = Instant::now() + delay;
        let (notifier, told) = Durability::pending();
        let durable = Arc::clone(&self.durable);
        let mut syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        // Ended ones are let go, so that there are no more than commits on their way.
        while syncing.try_join_next().is_some() {}
        syncing.spawn(async move {
            if !delay.is_zero() {
                sleep_until(due).await;
            }
            durable.reach(accepted);
            notifier.notify(Ok(()));
        });
        told
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventStore for VolatileEventStore {
    fn store_id(&self) -> StoreId {
        self.log.store_id()
    }

    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        let accepted = self.log.append(commit).await?;
        // Counts this commit, or for a repeat the first.
        let count = self.log.accepted_count();
        let is_durable = self.durable.count() >= count;
        let durability = if is_durable { Durability::done() } else { self.sync_later(count) };
        Ok(Accepted { receipt: accepted.receipt, durability })
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        self.all_durable().await;
        Ok(())
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        let page = self.log.read_stream(stream, from, limit, direction).await?;
        self.all_durable().await;
        Ok(page)
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        let head = self.durable_head(partition);
        let mut page = self.log.read_feed(partition, after, filter, limit).await?;
        page.events.retain(|event| Some(event.position) <= head);
        page.read_up_to = page.read_up_to.min(head.max(after));
        page.is_at_head = page.read_up_to >= head;
        Ok(page)
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.log.head(partition).await?;
        Ok(self.durable_head(partition))
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        self.log.head(partition).await?;
        self.durable.wait_until(|durable| self.log.head_before(partition, durable) > after).await;
        Ok(())
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        let found = self.log.find_command(stream, id).await?;
        self.all_durable().await;
        Ok(found)
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        let commands = self.log.read_commands(stream, skip, limit).await?;
        self.all_durable().await;
        Ok(commands)
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        let durable = self.log.commits_before(partition, self.durable.count());
        let mut commits = self.log.read_commits(partition, from, limit).await?;
        commits.retain(|commit| commit.number < durable);
        Ok(commits)
    }

    async fn read_correlated(
        &self,
        partition: Partition,
        correlation_id: &CorrelationId,
        from: u64,
    ) -> Result<CorrelatedPage, ReadError> {
        correlated::by_commits(self, partition, correlation_id, from).await
    }

    async fn first_commit_since(
        &self,
        partition: Partition,
        since: Timestamp,
    ) -> Result<u64, ReadError> {
        correlated::since_by_commits(self, partition, since).await
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        let holder = self.log.claim_holder(scope, key, now).await?;
        self.all_durable().await;
        Ok(holder)
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        let info = self.log.stream_info(stream).await?;
        self.all_durable().await;
        Ok(info)
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        let counts = self.log.event_type_counts().await?;
        self.all_durable().await;
        Ok(counts)
    }
}
