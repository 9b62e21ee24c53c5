//! A subscription with members, and events to share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::name::{EventType, SubscriptionName};
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_core::time::{Clock, Timestamp};
use annals_engine::Engine;
use annals_engine::subscription::{
    Delivery, DeliveryId, LeaseRequest, MemberName, Settings, Settled, Settlement,
    SubscriptionError, SubscriptionStatus,
};
use annals_store_local::LocalStore;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::support::{CountingIds, World};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Time that goes on with the time of the test, which may be paused.
#[derive(Debug)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        Timestamp::from_ms(1_795_167_000_000 + elapsed)
    }
}

/// A host with one subscription, `mail`.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) engine: Engine,
}

impl Bench {
    /// A host of one partition, with a subscription as it is made by default.
    pub(super) async fn start() -> Self {
        Self::start_with(World::new(), Settings::default()).await
    }

    pub(super) async fn start_with(mut world: World, settings: Settings) -> Self {
        world.ports.clock = Arc::new(TestClock(Instant::now()));
        let engine = world.start().await;
        engine.subscriptions().create(&mail(), settings).await.unwrap();
        Self { world, engine }
    }

    /// Another host, or the same one after a crash: nothing of the engine is kept.
    pub(super) async fn restarted(self) -> Self {
        let Self { world, engine } = self;
        drop(engine);
        let engine = world.start().await;
        Self { world, engine }
    }

    /// Appends events to a stream; their data says which they are.
    pub(super) async fn append(&self, stream: &str, count: usize) {
        for _ in 0..count {
            self.append_type(stream, "note-taken").await;
        }
    }

    pub(super) async fn append_type(&self, stream: &str, event_type: &str) {
        let event = NewEvent::json(EventType::new(event_type).unwrap(), &b"{}"[..]);
        let stream = StreamId::parse(stream).unwrap();
        let now = self.world.ports.clock.now();
        let commit = Commit::plain(stream, ExpectedRevision::Any, vec![event], now);
        let accepted = self.world.ports.store.append(commit).await.unwrap();
        accepted.durability.wait().await.unwrap();
    }

    pub(super) async fn lease(&self, member: &str, events_max: usize) -> Vec<Delivery> {
        self.lease_waiting(member, events_max, Duration::ZERO).await
    }

    pub(super) async fn lease_waiting(
        &self,
        member: &str,
        events_max: usize,
        wait: Duration,
    ) -> Vec<Delivery> {
        self.try_lease(member, events_max, wait).await.unwrap()
    }

    pub(super) async fn try_lease(
        &self,
        member: &str,
        events_max: usize,
        wait: Duration,
    ) -> Result<Vec<Delivery>, SubscriptionError> {
        let request =
            LeaseRequest { member: self::member(member), events_max, wait, lease_ms: None };
        self.engine.subscriptions().lease(&mail(), request).await
    }

    pub(super) async fn settle(
        &self,
        member: &str,
        deliveries: &[Delivery],
        settlement: Settlement,
    ) -> Vec<Settled> {
        self.try_settle(member, deliveries, settlement).await.unwrap()
    }

    pub(super) async fn try_settle(
        &self,
        member: &str,
        deliveries: &[Delivery],
        settlement: Settlement,
    ) -> Result<Vec<Settled>, SubscriptionError> {
        let ids: Vec<_> = deliveries.iter().map(|delivery| Some(delivery.id.clone())).collect();
        let member = self::member(member);
        self.engine.subscriptions().settle(&mail(), &member, &ids, settlement).await
    }

    /// Acknowledges deliveries, all of which must be the member's.
    pub(super) async fn ack(&self, member: &str, deliveries: &[Delivery]) {
        if !deliveries.is_empty() {
            let settled = self.settle(member, deliveries, Settlement::Ack).await;
            assert_eq!(settled, vec![Settled::Done; deliveries.len()]);
        }
    }

    pub(super) async fn status(&self) -> SubscriptionStatus {
        self.engine.subscriptions().show(&mail()).await.unwrap()
    }

    /// The checkpoints and how much is in flight, leased and parked.
    pub(super) async fn figures(&self) -> (Vec<Option<u64>>, usize, usize, u64) {
        let status = self.status().await;
        let checkpoints = status.partitions.iter().map(|place| place.checkpoint.map(|it| it.get()));
        (checkpoints.collect(), status.in_flight_count, status.leased_count, status.parked_count)
    }

    /// Parked events in short: `stream revision`, with a `+` where it waits behind another one.
    pub(super) async fn parked(&self) -> Vec<String> {
        let page = self.engine.subscriptions().parked(&mail(), None, 1_000).await.unwrap();
        assert_eq!(page.next, None);
        page.events.iter().map(parked_in_short).collect()
    }
}

pub(super) fn parked_in_short(parked: &annals_engine::subscription::ParkedEvent) -> String {
    let waits = if parked.parked.is_none() { "+" } else { "" };
    format!("{} {}{waits}", parked.event.stream, parked.event.revision)
}

pub(super) fn mail() -> SubscriptionName {
    SubscriptionName::new("mail").unwrap()
}

pub(super) fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

/// Deliveries in short: `stream revision×attempt`.
pub(super) fn in_short(deliveries: &[Delivery]) -> Vec<String> {
    let text = |delivery: &Delivery| {
        format!("{} {}×{}", delivery.event.stream, delivery.event.revision, delivery.attempt)
    };
    deliveries.iter().map(text).collect()
}

pub(super) fn park(cause: &str) -> Settlement {
    Settlement::Park { cause: Arc::from(cause) }
}

pub(super) fn retry(after_ms: u64) -> Settlement {
    Settlement::Retry { after_ms, cause: None }
}

pub(super) fn id(text: &str) -> Option<DeliveryId> {
    DeliveryId::parse(text)
}

/// A world over the drivers of a data folder.
pub(super) fn local_world(folder: &Path) -> World {
    let ids = CountingIds::default();
    let LocalStore { events, states, blobs, .. } = LocalStore::open(folder, &ids).unwrap();
    let mut world = World::new();
    (world.ports.store, world.ports.states, world.ports.blobs) = (events, states, blobs);
    world
}

/// Runs a test on one thread with real time, for drivers that have threads.
pub(super) fn run_in_real_time<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}
