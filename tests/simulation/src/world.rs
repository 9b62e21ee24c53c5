//! What outlives a process: memory drivers, clock, ids, and what the client knows.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use annals_bus_local::LocalBus;
use annals_core::commit::RecordedCommit;
use annals_core::event::RecordedEvent;
use annals_core::id::{IdGenerator, StoreId};
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{Capabilities, FeedFilter};
use annals_core::port::{Bus, EventStore};
use annals_core::time::{Clock, Timestamp};
use annals_engine::Ports;
use annals_store_memory::faulty::{FaultyBus, FaultyEventStore, FaultyStateStores, Random};
use annals_store_memory::{MemoryBlobStore, MemoryStateStores, VolatileEventStore};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::broken::{Breach, Broken, BrokenStates};
use crate::courier::Mood;
use crate::guest::NativeRuntime;
use crate::held::HeldStates;
use crate::ledger::Ledger;
use crate::plan::Plan;

/// The drivers of a run, and the client's side of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Arc<VolatileEventStore>,
    pub(crate) states: Arc<MemoryStateStores>,
    blobs: Arc<MemoryBlobStore>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) mood: Arc<Mood>,
    ids: Arc<CountingIds>,
    breach: Option<Breach>,
    pub(crate) ledger: Ledger,
    /// The log at the last check; nothing of it may change.
    pub(crate) known: Vec<RecordedCommit>,
}

/// All that is durable.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) capabilities: Capabilities,
    /// Of all partitions, in the order in which they were accepted.
    pub(crate) commits: Vec<RecordedCommit>,
    pub(crate) partitions: Vec<PartitionLog>,
}

/// All that is durable of a partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    pub(crate) partition: Partition,
    pub(crate) commits: Vec<RecordedCommit>,
    /// The whole feed, the host's own events included.
    pub(crate) feed: Vec<RecordedEvent>,
}

impl Log {
    /// The events of all partitions, those of a stream in their order.
    pub(crate) fn events(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.partitions.iter().flat_map(|partition| &partition.feed)
    }

    /// The last event of each partition that has one.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (Partition, Position)> {
        let last = self.partitions.iter().filter_map(|partition| partition.feed.last());
        last.map(|event| (event.partition, event.position))
    }
}

impl World {
    pub(crate) fn new(random: &mut Random, breach: Option<Breach>) -> Self {
        let plan = Arc::new(Plan::new(random));
        let partitions_count = if random.happens(500) { 1 } else { 3 };
        let partitions_count = NonZeroU32::new(partitions_count).unwrap_or(NonZeroU32::MIN);
        let store_id = StoreId::new(Uuid::from_u64_pair(1, random.next()));
        let faults = Arc::<Plan>::clone(&plan);
        Self {
            store: Arc::new(VolatileEventStore::with_partitions(
                store_id,
                partitions_count,
                faults,
            )),
            states: Arc::new(MemoryStateStores::new()),
            blobs: Arc::new(MemoryBlobStore::new()),
            plan,
            clock: Arc::new(ManualClock::new()),
            mood: Arc::default(),
            ids: Arc::new(CountingIds::default()),
            breach,
            ledger: Ledger::default(),
            known: Vec::new(),
        }
    }

    /// The ports of a new process.
    pub(crate) fn ports(&self) -> Ports {
        let store = Arc::<VolatileEventStore>::clone(&self.store);
        let store: Arc<dyn EventStore> = match self.breach {
            Some(breach) => Arc::new(Broken::new(store, breach)),
            None => store,
        };
        let states =
            BrokenStates::around(Arc::<MemoryStateStores>::clone(&self.states), self.breach);
        let clock = Arc::clone(&self.clock);
        let states = Arc::new(HeldStates { stores: states, clock });
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let faults = Arc::<Plan>::clone(&self.plan);
        Ports {
            store: Arc::new(FaultyEventStore::new(store, Arc::<Plan>::clone(&faults))),
            states: Arc::new(FaultyStateStores::new(states, Arc::<Plan>::clone(&faults))),
            blobs: Arc::<MemoryBlobStore>::clone(&self.blobs),
            bus: Arc::new(FaultyBus::new(bus, faults)),
            runtime: Arc::new(NativeRuntime { mood: Arc::clone(&self.mood) }),
            clock: Arc::<ManualClock>::clone(&self.clock),
            ids: Arc::<CountingIds>::clone(&self.ids),
        }
    }

    /// The process is gone, and with it a random tail of what was not durable; returns how many
    /// commits were lost.
    pub(crate) async fn crash(&mut self, random: &mut Random) -> anyhow::Result<u64> {
        self.plan.calm_down();
        self.ledger.process_died();
        let not_durable = self.store.not_durable_count();
        let kept = random.below(not_durable.saturating_add(1));
        self.store = Arc::new(self.store.reopen(kept).await?);
        Ok(not_durable - kept)
    }

    /// Reads all that is durable, past all faults.
    pub(crate) async fn log(&self) -> anyhow::Result<Log> {
        let capabilities = self.store.capabilities();
        let commits = self.store.durable_commits();
        let mut partitions = Vec::new();
        for partition in (0..capabilities.partitions_count).map(Partition) {
            let (commits, feed) = (self.commits(partition).await?, self.feed(partition).await?);
            partitions.push(PartitionLog { partition, commits, feed });
        }
        Ok(Log { capabilities, commits, partitions })
    }

    async fn commits(&self, partition: Partition) -> anyhow::Result<Vec<RecordedCommit>> {
        let mut commits: Vec<RecordedCommit> = Vec::new();
        loop {
            let from = u64::try_from(commits.len())?;
            let page = self.store.read_commits(partition, from, READ_EVENTS_MAX).await?;
            if page.is_empty() {
                return Ok(commits);
            }
            commits.extend(page);
        }
    }

    async fn feed(&self, partition: Partition) -> anyhow::Result<Vec<RecordedEvent>> {
        let of_the_host = FeedFilter {
            categories: Some([Arc::from("$plugins")].into()),
            ..FeedFilter::default()
        };
        let mut feed = Vec::new();
        for filter in [FeedFilter::default(), of_the_host] {
            let mut after = None;
            loop {
                let page = self.store.read_feed(partition, after, &filter, READ_EVENTS_MAX);
                let page = page.await?;
                feed.extend(page.events);
                after = page.read_up_to;
                if page.is_at_head {
                    break;
                }
            }
        }
        feed.sort_by_key(|event: &RecordedEvent| event.position);
        Ok(feed)
    }
}

/// Time that stands still unless the simulation moves it.
#[derive(Debug)]
pub(crate) struct ManualClock {
    ms: AtomicU64,
    is_held: AtomicBool,
    /// Wakes in the order in which they wait; a `watch` would not.
    released: Notify,
}

/// The time while the clock is held: before anything that is ever due.
const HELD_MS: u64 = 1_700_000_000_000;

impl ManualClock {
    fn new() -> Self {
        Self {
            ms: AtomicU64::new(1_795_167_000_000),
            is_held: AtomicBool::new(false),
            released: Notify::new(),
        }
    }

    /// Holds the clock at a time long ago: while plugins are loaded on other threads, of which the seed
    /// knows nothing, nothing is due.
    pub(crate) fn hold(&self) {
        self.is_held.store(true, Ordering::Relaxed);
    }

    /// Lets it go on where it was.
    pub(crate) fn release(&self) {
        self.is_held.store(false, Ordering::Relaxed);
        self.released.notify_waiters();
    }

    /// Waits until it goes on.
    pub(crate) async fn released(&self) {
        while self.is_held.load(Ordering::Relaxed) {
            self.released.notified().await;
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: std::time::Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Moves the clock, forwards more often than back.
    pub(crate) fn step(&self, random: &mut Random) {
        let now = self.ms.load(Ordering::Relaxed);
        let moved = if random.happens(200) {
            now.saturating_sub(random.below(600_000))
        } else {
            now.saturating_add(random.below(60_000))
        };
        self.ms.store(moved, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let is_held = self.is_held.load(Ordering::Relaxed);
        Timestamp::from_ms(if is_held { HELD_MS } else { self.ms.load(Ordering::Relaxed) })
    }
}

/// Ids 1, 2, 3 …
#[derive(Debug, Default)]
struct CountingIds(AtomicU64);

impl IdGenerator for CountingIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
    }
}
