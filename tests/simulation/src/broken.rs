//! Drivers that break their contract, so that the simulation can be seen to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::command::{RecordedCommand, RecordedRange};
use annals_core::commit::{Accepted, ClaimHolder, Commit, Receipt, RecordedCommit, StreamReceipt};
use annals_core::durability::{Durability, DurabilityLost};
use annals_core::error::DriverError;
use annals_core::id::{CommandId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::event_store::{
    AppendError, Capabilities, Direction, EventStore, EventTypeCount, FeedFilter, FeedPage,
    ReadError, StreamInfo, StreamPage,
};
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCapabilities, StateCommit, StateError, StateSpace, StateStore,
    StateStores,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;

/// How a driver breaks its contract, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// The event store acknowledges a commit and forgets it.
    LosesCommit,
    /// The event store says that a commit is durable when it is only accepted.
    TellsDurableEarly,
    /// The event store records a commit and says that it did not.
    RecordsRefused,
    /// The event store records an event twice.
    DoublesRecordedEvent,
    /// The feed gives an event twice.
    DoublesReadEvent,
    /// The feed leaves an event out.
    SkipsEvent,
    /// A stream ends an event too early for its reader.
    ReadsShort,
    /// The event store forgets which events a command led to.
    ForgetsOutcome,
    /// A state commit writes its last row only, e.g. the checkpoint.
    TearsStateCommit,
    /// A state commit happens whether its conditions hold or not.
    IgnoresConditions,
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::LosesCommit,
        Self::TellsDurableEarly,
        Self::RecordsRefused,
        Self::DoublesRecordedEvent,
        Self::DoublesReadEvent,
        Self::SkipsEvent,
        Self::ReadsShort,
        Self::ForgetsOutcome,
        Self::TearsStateCommit,
        Self::IgnoresConditions,
    ];
}

/// Of how many calls one is answered wrongly.
const CALLS_PER_BREACH: u64 = 7;

/// An event store that breaks one rule.
#[derive(Debug)]
pub(crate) struct Broken {
    store: Arc<dyn EventStore>,
    breach: Breach,
    calls: AtomicU64,
}

impl Broken {
    pub(crate) fn new(store: Arc<dyn EventStore>, breach: Breach) -> Self {
        Self { store, breach, calls: AtomicU64::new(0) }
    }

    /// Whether to break this rule now.
    fn breaks(&self, breach: Breach) -> bool {
        self.breach == breach
            && self.calls.fetch_add(1, Ordering::Relaxed) % CALLS_PER_BREACH == CALLS_PER_BREACH - 1
    }

    /// What a store would have said of a commit of one stream.
    async fn forged(&self, commit: &Commit) -> Result<Accepted, AppendError> {
        let unavailable =
            |error| AppendError::Unavailable(DriverError::with_source("a read failed", error));
        let mut streams = Vec::new();
        for part in &commit.streams {
            let partition = self.store.capabilities().partition_of(&part.stream);
            let head = self.store.head(partition).await.map_err(unavailable)?;
            let first = head.map_or(0, |head| head.get().saturating_add(1));
            let before = self.store.stream_info(&part.stream).await.map_err(unavailable)?.revision;
            let count = u64::try_from(part.events.len()).unwrap_or_default();
            let events = count.checked_sub(1).map(|more| RecordedRange {
                first_revision: before.next(),
                last_revision: before.next().plus(more),
                first_position: Position::new(first),
                last_position: Position::new(first.saturating_add(more)),
            });
            let revision = events.map_or(before, |range| range.last_revision.into());
            streams.push(StreamReceipt { revision, events });
        }
        let receipt = Receipt { recorded_at: commit.recorded_at, streams };
        Ok(Accepted { receipt, durability: Durability::done() })
    }
}

#[async_trait]
impl EventStore for Broken {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn append(&self, mut commit: Commit) -> Result<Accepted, AppendError> {
        let of_plugins = commit.streams.iter().any(|part| part.stream.is_system());
        if of_plugins {
            return self.store.append(commit).await;
        }
        if self.breaks(Breach::LosesCommit) {
            return self.forged(&commit).await;
        }
        if self.breaks(Breach::RecordsRefused) {
            self.store.append(commit).await?;
            return Err(AppendError::Unavailable(DriverError::new("not available")));
        }
        let has_event = commit.command.is_some() && commit.events_count() > 0;
        if has_event && self.breaks(Breach::DoublesRecordedEvent) {
            let events = commit.streams.iter_mut().map(|part| &mut part.events);
            for events in events.filter(|events| !events.is_empty()) {
                events.extend_from_within(..1);
            }
        }
        let accepted = self.store.append(commit).await?;
        if self.breach == Breach::TellsDurableEarly {
            return Ok(Accepted { durability: Durability::done(), ..accepted });
        }
        Ok(accepted)
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
        let mut page = self.store.read_stream(stream, from, limit, direction).await?;
        if !stream.is_system() && self.breaks(Breach::ReadsShort) {
            page.events.pop();
        }
        Ok(page)
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        let mut page = self.store.read_feed(partition, after, filter, limit).await?;
        let is_empty = page.events.is_empty();
        if !is_empty && self.breaks(Breach::DoublesReadEvent) {
            page.events.extend_from_within(..1);
        } else if !is_empty && self.breaks(Breach::SkipsEvent) {
            page.events.remove(0);
        }
        Ok(page)
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
        let found = self.store.find_command(stream, id).await?;
        let forget = |found: RecordedCommand| RecordedCommand { events: None, ..found };
        Ok(if self.breaks(Breach::ForgetsOutcome) { found.map(forget) } else { found })
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

/// State stores that break one rule.
#[derive(Debug)]
pub(crate) struct BrokenStates {
    stores: Arc<dyn StateStores>,
    breach: Breach,
}

impl BrokenStates {
    /// `stores`, broken when `breach` is about them.
    pub(crate) fn around(
        stores: Arc<dyn StateStores>,
        breach: Option<Breach>,
    ) -> Arc<dyn StateStores> {
        match breach {
            Some(breach @ (Breach::TearsStateCommit | Breach::IgnoresConditions)) => {
                Arc::new(Self { stores, breach })
            }
            _ => stores,
        }
    }
}

#[async_trait]
impl StateStores for BrokenStates {
    fn capabilities(&self) -> StateCapabilities {
        self.stores.capabilities()
    }

    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let state = self.stores.open(space).await?;
        Ok(Arc::new(BrokenState { state, breach: self.breach, calls: AtomicU64::new(0) }))
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        self.stores.remove(space).await
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        self.stores.list().await
    }
}

#[derive(Debug)]
struct BrokenState {
    state: Arc<dyn StateStore>,
    breach: Breach,
    calls: AtomicU64,
}

#[async_trait]
impl StateStore for BrokenState {
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.state.get(table, key).await
    }

    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        self.state.get_many(keys).await
    }

    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.state.scan(table, range, limit).await
    }

    async fn commit(&self, mut commit: StateCommit) -> Result<(), StateError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.breach == Breach::IgnoresConditions {
            commit.conditions.clear();
        } else if call % CALLS_PER_BREACH == CALLS_PER_BREACH - 1 {
            commit.writes.drain(..commit.writes.len().saturating_sub(1));
        }
        self.state.commit(commit).await
    }

    async fn clear(&self, table: &str) -> Result<(), StateError> {
        self.state.clear(table).await
    }
}
