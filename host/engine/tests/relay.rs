//! The relay: the bus gets every event once and in order, whatever happens to it.

mod recording;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::id::StoreId;
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position};
use annals_core::port::EventStore as _;
use annals_core::port::bus::{BusCapabilities, Wake};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::relay::{RelayPhase, RelayProgress};
use annals_engine::{Engine, EngineOptions};
use annals_store_memory::MemoryEventStore;
use annals_store_memory::faulty::{
    Call, FaultPlan, FaultRates, FaultyBus, FaultyEventStore, Random, SeededFaults,
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::support::{World, run};
use recording::RecordingBus;

const HOUR: Duration = Duration::from_secs(3_600);

/// A bus for outsiders.
const COPIES: BusCapabilities = BusCapabilities { keeps_copies: true, reaches_other_hosts: false };

/// A bus between hosts.
const WAKES: BusCapabilities = BusCapabilities { keeps_copies: false, reaches_other_hosts: true };

/// A store with partitions and a bus to look into; what goes wrong is set by each test.
struct Setup {
    world: World,
    store: Arc<MemoryEventStore>,
    bus: Arc<RecordingBus>,
}

impl Setup {
    fn new(partitions_count: u32) -> Self {
        Self::with_bus(partitions_count, RecordingBus::new(COPIES))
    }

    fn with_bus(partitions_count: u32, bus: RecordingBus) -> Self {
        let partitions_count = NonZeroU32::new(partitions_count).unwrap();
        let store_id = StoreId::new(Uuid::from_u128(1));
        let store = Arc::new(MemoryEventStore::with_partitions(store_id, partitions_count));
        let bus = Arc::new(bus);
        let mut world = World::new();
        world.ports.store = Arc::clone(&store) as _;
        world.ports.bus = Arc::clone(&bus) as _;
        Self { world, store, bus }
    }

    fn faulty(mut self, plan: impl FaultPlan + 'static) -> Self {
        let plan: Arc<dyn FaultPlan> = Arc::new(plan);
        let ports = &mut self.world.ports;
        ports.store = Arc::new(FaultyEventStore::new(Arc::clone(&ports.store), Arc::clone(&plan)));
        ports.bus = Arc::new(FaultyBus::new(Arc::clone(&ports.bus), plan));
        self
    }

    fn options(mut self, change: impl FnOnce(&mut EngineOptions)) -> Self {
        change(&mut self.world.options);
        self
    }

    /// An engine, tried again when the faults are against it.
    async fn start(&self) -> Engine {
        loop {
            let World { ports, options, .. } = self.world.clone();
            if let Ok(engine) = Engine::start(ports, options).await {
                return engine;
            }
        }
    }

    /// Appends an event to each of so many streams.
    async fn append(&self, category: &str, events_count: u64) {
        for number in 0..events_count {
            let stream = StreamId::parse(&format!("{category}/{number}")).unwrap();
            let event = NewEvent::json(EventType::new("counted").unwrap(), "{}");
            let any = ExpectedRevision::Any;
            let commit = Commit::plain(stream, any, vec![event], Timestamp::default());
            self.store.append(commit).await.unwrap();
        }
    }

    async fn head(&self, partition: u32) -> Option<Position> {
        self.store.head(Partition(partition)).await.unwrap()
    }

    /// Asserts that the bus has every event of the partition but the host's own.
    async fn assert_complete(&self, partition: u32) {
        let head = self.head(partition).await.map_or(0, |head| head.get() + 1);
        assert_eq!(self.bus.copies(partition), (0..head).collect::<Vec<_>>());
    }
}

/// Waits until a partition's relay says so.
async fn reported(engine: &Engine, partition: usize, says: impl FnMut(&RelayProgress) -> bool) {
    let mut progress = engine.relay_progress()[partition].clone();
    let said = timeout(HOUR, progress.wait_for(says)).await.map(|said| said.map(|it| it.clone()));
    assert!(matches!(said, Ok(Ok(_))), "{said:?}; {:?}", engine.relay_progress()[partition]);
}

async fn caught_up(engine: &Engine, partition: usize, published: Option<Position>) {
    let says = |progress: &RelayProgress| {
        progress.published == published && progress.phase == RelayPhase::CaughtUp
    };
    reported(engine, partition, says).await;
}

/// A plan in which some calls always fail, or take a time before their effect.
#[derive(Debug)]
struct Always(Call, Duration);

impl FaultPlan for Always {
    fn fails(&self, call: Call) -> bool {
        call == self.0 && self.1.is_zero()
    }

    fn delay_before(&self, call: Call) -> Duration {
        if call == self.0 { self.1 } else { Duration::ZERO }
    }
}

#[test]
fn hands_over_history_and_then_what_follows() {
    // Guards outsiders: each partition whole and in order, in pages of the limit.
    run(async {
        let setup = Setup::new(3).options(|options| options.relay_page_events_max = 7);
        setup.append("account", 100).await;
        let engine = setup.start().await;
        for _ in 0..10 {
            setup.append("account", 10).await;
            for partition in 0..3 {
                let head = setup.head(partition).await;
                caught_up(&engine, usize::try_from(partition).unwrap(), head).await;
                setup.assert_complete(partition).await;
            }
        }
        let calls = setup.bus.calls();
        assert_eq!(calls.iter().sum::<usize>(), 200);
        assert_eq!(calls.iter().max(), Some(&7));
    });
}

#[test]
fn goes_on_after_a_restart_where_the_bus_is() {
    // Guards the cost of a restart: nothing is handed over again.
    run(async {
        let setup = Setup::new(1);
        for round in 1..=3 {
            setup.append("account", 10).await;
            let engine = setup.start().await;
            caught_up(&engine, 0, setup.head(0).await).await;
            engine.stop().await;
            assert_eq!(setup.bus.calls(), vec![10; round]);
        }
        setup.assert_complete(0).await;
    });
}

#[test]
fn faults_neither_skip_nor_reorder() {
    // Guards P8: store and bus fail at random, and the bus forgets; afterwards it has everything.
    for seed in 0..50 {
        run(async move {
            let rates = FaultRates {
                failing_per_mille: 300,
                delayed_per_mille: 100,
                delay_ms_max: 50,
                ..FaultRates::default()
            };
            let setup = Setup::new(2)
                .faulty(SeededFaults::new(Random::new(seed), rates))
                .options(|options| options.relay_page_events_max = 5);
            let engine = setup.start().await;
            for round in 0..10_usize {
                setup.append("account", 9).await;
                setup.bus.fail_half(2);
                tokio::time::sleep(Duration::from_millis(70)).await;
                setup.bus.lose(round * 4);
            }
            for partition in 0..2 {
                let head = setup.head(partition).await;
                let complete = |progress: &RelayProgress| progress.published == head;
                reported(&engine, usize::try_from(partition).unwrap(), complete).await;
                // What was lost after the last look is noticed at the next one.
                tokio::time::sleep(Duration::from_secs(600)).await;
                setup.assert_complete(partition).await;
            }
            engine.stop().await;
        });
    }
}

#[test]
fn a_page_that_failed_half_way_is_gone_on_with() {
    // Guards the middle of a page: the bus says how far it is, and nothing is skipped.
    run(async {
        let setup = Setup::new(1).options(|options| options.relay_page_events_max = 10);
        setup.append("account", 40).await;
        setup.bus.fail_half(3);
        let engine = setup.start().await;
        caught_up(&engine, 0, setup.head(0).await).await;
        setup.assert_complete(0).await;
        assert_eq!(setup.bus.calls(), [10, 10, 10, 10, 10, 5]);
    });
}

#[test]
fn a_bus_that_lost_something_is_given_it_again() {
    // Guards R15 with and without news: all of it lost, or the last of it.
    run(async {
        let setup = Setup::new(1);
        setup.append("account", 20).await;
        let engine = setup.start().await;
        for kept_count in [0, 15] {
            caught_up(&engine, 0, setup.head(0).await).await;
            setup.bus.lose(kept_count);
            let begun = Instant::now();
            let every = setup.world.options.relay_check_every;
            while setup.bus.copies(0).len() < 20 {
                assert!(begun.elapsed() <= 2 * every, "not within {every:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            setup.assert_complete(0).await;
        }
        setup.bus.lose(10);
        setup.append("account", 1).await;
        caught_up(&engine, 0, setup.head(0).await).await;
        setup.assert_complete(0).await;
    });
}

#[test]
fn a_bus_without_copies_is_given_the_newest_events() {
    // Guards `relay_tail_events_max`: a large store is not handed over from its first event.
    run(async {
        for (events_count, first) in [(0, 0), (1, 0), (10, 0), (11, 1), (25, 15)] {
            let setup = Setup::new(1).options(|options| options.relay_tail_events_max = 10);
            setup.append("account", events_count).await;
            let engine = setup.start().await;
            caught_up(&engine, 0, setup.head(0).await).await;
            assert_eq!(setup.bus.copies(0), (first..events_count).collect::<Vec<_>>());
            // Behind by more than that, with copies, nothing is left out.
            engine.stop().await;
            setup.append("account", 30).await;
            let engine = setup.start().await;
            caught_up(&engine, 0, setup.head(0).await).await;
            let first = if events_count == 0 { 20 } else { first };
            assert_eq!(setup.bus.copies(0), (first..events_count + 30).collect::<Vec<_>>());
            engine.stop().await;
        }
    });
}

#[test]
fn the_hosts_own_events_are_left_out() {
    // Guards outsiders against internals, and the loop against reading them for ever.
    run(async {
        let setup = Setup::new(1);
        setup.append("$plugins", 3).await;
        let engine = setup.start().await;
        caught_up(&engine, 0, None).await;
        setup.append("account", 2).await;
        setup.append("$plugins", 4).await;
        let lag = |progress: &RelayProgress| (progress.published, progress.lag_events_count);
        let last = Some(Position::new(4));
        reported(&engine, 0, |progress| lag(progress) == (last, 0)).await;
        tokio::time::sleep(HOUR).await;
        assert_eq!(setup.bus.copies(0), [3, 4]);
        assert_eq!(setup.bus.calls(), [2]);
        assert_eq!(lag(&engine.relay_progress()[0].borrow()), (last, 0));
    });
}

#[test]
fn a_bus_ahead_of_the_store_is_said_and_waited_for() {
    // Guards restored backups: what the bus has is of another history, and an operator must know.
    run(async {
        let setup = Setup::new(1);
        setup.append("account", 3).await;
        setup.bus.take(0, 5);
        let engine = setup.start().await;
        let cause = "the bus has copies up to position 5, but the store ends at 2: \
                     if the store was restored from a backup, remove the copies";
        let says = |progress: &RelayProgress| match &progress.phase {
            RelayPhase::Failing { cause: said, attempts } => said == cause && *attempts >= 3,
            _ => false,
        };
        reported(&engine, 0, says).await;
        assert_eq!(setup.bus.calls(), Vec::<usize>::new());
        setup.append("account", 5).await;
        caught_up(&engine, 0, setup.head(0).await).await;
        assert_eq!(setup.bus.copies(0), [5, 6, 7]);
    });
}

#[test]
fn progress_tells_lag_and_cause() {
    // Guards operators: how far behind and why, while it fails and after.
    run(async {
        let setup = Setup::new(1).faulty(Always(Call::Publish, Duration::ZERO));
        let engine = setup.start().await;
        for lag_events_count in [10, 20] {
            setup.append("account", 10).await;
            let says = |progress: &RelayProgress| {
                let cause = "the bus is not available: a fault was injected".to_owned();
                let RelayPhase::Failing { attempts, .. } = progress.phase else { return false };
                let phase = RelayPhase::Failing { cause, attempts };
                let partition = Partition::ZERO;
                *progress == RelayProgress { partition, published: None, lag_events_count, phase }
            };
            reported(&engine, 0, says).await;
        }
        engine.stop().await;
    });
}

#[test]
fn waits_longer_after_each_failure() {
    // Guards a bus that is down for long: neither a busy loop nor a long wait when it is back.
    run(async {
        #[derive(Debug, Default)]
        struct Counting(std::sync::atomic::AtomicU64);
        impl FaultPlan for Counting {
            fn fails(&self, call: Call) -> bool {
                if call == Call::Publish {
                    self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                call == Call::Publish
            }
        }
        let plan: Arc<Counting> = Arc::default();
        let mut setup = Setup::new(1);
        setup.world.ports.bus =
            Arc::new(FaultyBus::new(Arc::clone(&setup.bus) as _, Arc::clone(&plan) as _));
        let engine = setup.start().await;
        let calls = || plan.0.load(std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        // At 0, 100, 300 and 700 ms.
        assert_eq!(calls(), 4);
        tokio::time::sleep(Duration::from_secs(999)).await;
        let about_each_ten_seconds = 100..110;
        assert!(about_each_ten_seconds.contains(&calls()), "{}", calls());
        engine.stop().await;
    });
}

#[test]
fn stops_at_once_whatever_it_waits_for() {
    // Guards shutdown: a bus or a store that does not answer, and no news.
    for call in [Call::Publish, Call::ReadFeed, Call::WaitForNews] {
        run(async move {
            let setup = Setup::new(2).faulty(Always(call, HOUR));
            setup.append("account", 10).await;
            let engine = setup.start().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let begun = Instant::now();
            engine.stop().await;
            assert_eq!(begun.elapsed(), Duration::ZERO, "{call:?}");
        });
    }
}

#[test]
fn pages_in_flight_are_limited() {
    // Guards memory: however many partitions catch up, only so many pages are held.
    run(async {
        let setup = Setup::new(16)
            .options(|options| options.relay_pages_in_flight_max = NonZeroUsize::new(2).unwrap());
        setup.append("account", 200).await;
        let engine = setup.start().await;
        for partition in 0..16 {
            let head = setup.head(partition).await;
            caught_up(&engine, usize::try_from(partition).unwrap(), head).await;
        }
        assert_eq!(setup.bus.publishing_max(), 2);
        engine.stop().await;
    });
}

#[test]
fn other_hosts_are_told_once_of_news() {
    // Guards hosts on one store: who has heard of news does not tell it again, nobody tells of what
    // was there before, and a wake that fails is no reason to stop.
    run(async {
        let setup = Setup::with_bus(2, RecordingBus::new(WAKES));
        setup.append("account", 10).await;
        let (one, other) = (setup.start().await, setup.start().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(setup.bus.told(), []);
        let mut expected = Vec::new();
        for _ in 0..5 {
            let before = [setup.head(0).await, setup.head(1).await];
            setup.append("account", 3).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            for (partition, before) in [0, 1].into_iter().zip(before) {
                let head = setup.head(partition).await;
                if let Some(head) = head.filter(|_| head > before) {
                    expected.push(Wake { partition: Partition(partition), head });
                }
            }
        }
        let mut told = setup.bus.told();
        let by_place = |wake: &Wake| (wake.partition, wake.head);
        told.sort_by_key(by_place);
        expected.sort_by_key(by_place);
        assert_eq!(told, expected);
        assert!(one.relay_progress().is_empty() && other.relay_progress().is_empty());
        one.stop().await;
        other.stop().await;
    });
}

#[test]
fn wakes_that_fail_are_made_up_for_by_the_next() {
    // Guards a bus that is down for a while: telling goes on.
    run(async {
        let setup = Setup::with_bus(1, RecordingBus::new(WAKES));
        let rates = FaultRates { failing_per_mille: 500, ..FaultRates::default() };
        let setup = setup.faulty(SeededFaults::new(Random::new(7), rates));
        let engine = setup.start().await;
        for _ in 0..20 {
            setup.append("account", 1).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        let told = setup.bus.told();
        assert!((3..18).contains(&told.len()), "{told:?}");
        assert!(told.is_sorted_by_key(|wake| wake.head));
        engine.stop().await;
    });
}

#[test]
fn a_bus_inside_of_the_process_needs_no_relay() {
    // Guards the embedded host: nothing runs for it.
    run(async {
        let world = World::new();
        let engine = world.start().await;
        assert!(engine.relay_progress().is_empty());
        engine.stop().await;
    });
}
