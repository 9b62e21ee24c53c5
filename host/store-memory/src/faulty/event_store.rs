//! An event store that fails on request.

use std::sync::Arc;

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::{Durability, DurabilityLost};
use annals_core::id::{CommandId, CorrelationId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, CorrelatedPage, Direction, EventTypeCount, FeedFilter, FeedPage,
    ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;

use super::plan::{AppendFault, Call, FaultPlan};
use super::{injected, pause, with_faults};

/// Wraps any event store. Its faults are those the port allows: nothing it answers is wrong, so
/// whoever uses it must cope.
#[derive(Debug, Clone)]
pub struct FaultyEventStore {
    store: Arc<dyn EventStore>,
    plan: Arc<dyn FaultPlan>,
}

impl FaultyEventStore {
    /// `store` with the faults of `plan`.
    #[must_use]
    pub const fn new(store: Arc<dyn EventStore>, plan: Arc<dyn FaultPlan>) -> Self {
        Self { store, plan }
    }

    async fn read<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        with_faults(&self.plan, call, ReadError::Unavailable, work).await
    }

    async fn append_with(
        &self,
        commit: Commit,
        fault: AppendFault,
    ) -> Result<Accepted, AppendError> {
        match fault {
            AppendFault::None => self.store.append(commit).await,
            AppendFault::Unavailable => Err(AppendError::Unavailable(injected())),
            AppendFault::OutcomeUnknown { is_recorded } => {
                if is_recorded {
                    // What the store refuses it has not recorded, and then that is the answer.
                    self.store.append(commit).await?;
                }
                Err(AppendError::OutcomeUnknown(injected()))
            }
            AppendFault::DurabilityLate(delay) => {
                let Accepted { receipt, durability } = self.store.append(commit).await?;
                let news = async move {
                    let news = durability.wait().await;
                    pause(delay).await;
                    news
                };
                Ok(Accepted { receipt, durability: told_by(news) })
            }
            AppendFault::DurabilityLost(delay) => {
                let Accepted { receipt, .. } = self.store.append(commit).await?;
                let news = async move {
                    pause(delay).await;
                    Err(DurabilityLost { cause: Arc::from("a fault was injected") })
                };
                Ok(Accepted { receipt, durability: told_by(news) })
            }
        }
    }
}

/// Durability as `news` tells it.
fn told_by(news: impl Future<Output = Result<(), DurabilityLost>> + Send + 'static) -> Durability {
    let (notifier, durability) = Durability::pending();
    // Ends by itself; when the runtime ends before, whoever waits is told that it may be lost.
    tokio::spawn(async move { notifier.notify(news.await) });
    durability
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventStore for FaultyEventStore {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        let fault = self.plan.append();
        pause(self.plan.delay_before(Call::Append)).await;
        let outcome = self.append_with(commit, fault).await;
        pause(self.plan.delay_after(Call::Append)).await;
        outcome
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        let lost = |_| DurabilityLost { cause: Arc::from("a fault was injected") };
        with_faults(&self.plan, Call::Flush, lost, self.store.flush()).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        let work = self.store.read_stream(stream, from, limit, direction);
        self.read(Call::ReadEvents, work).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        let work = self.store.read_feed(partition, after, filter, limit);
        self.read(Call::ReadFeed, work).await
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.read(Call::ReadFeed, self.store.head(partition)).await
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        self.read(Call::WaitForNews, self.store.wait_for_news(partition, after)).await
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        self.read(Call::ReadEvents, self.store.find_command(stream, id)).await
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        self.read(Call::ReadEvents, self.store.read_commands(stream, skip, limit)).await
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        self.read(Call::ReadEvents, self.store.read_commits(partition, from, limit)).await
    }

    async fn read_correlated(
        &self,
        partition: Partition,
        correlation_id: &CorrelationId,
        from: u64,
    ) -> Result<CorrelatedPage, ReadError> {
        let work = self.store.read_correlated(partition, correlation_id, from);
        self.read(Call::ReadEvents, work).await
    }

    async fn first_commit_since(
        &self,
        partition: Partition,
        since: Timestamp,
    ) -> Result<u64, ReadError> {
        self.read(Call::ReadEvents, self.store.first_commit_since(partition, since)).await
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        self.read(Call::ReadEvents, self.store.claim_holder(scope, key, now)).await
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        self.read(Call::ReadEvents, self.store.stream_info(stream)).await
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        self.read(Call::ReadEvents, self.store.event_type_counts()).await
    }
}
