//! Each fault of the decorators really happens, and does to the driver below what it says.

use std::sync::Arc;
use std::time::Duration;

use annals_bus_local::LocalBus;
use annals_core::commit::{Accepted, Commit};
use annals_core::event::NewEvent;
use annals_core::id::EventId;
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Partition, Position};
use annals_core::port::bus::{BusError, Wake};
use annals_core::port::event_store::{AppendError, Direction, FeedFilter, ReadError};
use annals_core::port::state_store::{
    KeyRange, RowKey, StateCommit, StateCondition, StateError, StateSpace, StateWrite,
};
use annals_core::port::{Bus as _, EventStore, StateStores};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_memory::faulty::{
    AppendFault, Call, FaultPlan, FaultRates, FaultyBus, FaultyEventStore, FaultyStateStores,
    Random, SeededFaults, StateCommitFault, WakeFault,
};
use annals_store_memory::{MemoryEventStore, MemoryStateStores};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;

use crate::support::STORE_ID;

const MINUTE: Duration = Duration::from_secs(60);

/// The same fault at every call.
#[derive(Debug, Clone, Copy, Default)]
struct Always {
    append: AppendFault,
    failing: Option<Call>,
    delayed_before: Option<Call>,
    delayed_after: Option<Call>,
    state_commit: StateCommitFault,
    wake: WakeFault,
}

impl FaultPlan for Always {
    fn delay_before(&self, call: Call) -> Duration {
        if self.delayed_before == Some(call) { MINUTE } else { Duration::ZERO }
    }

    fn delay_after(&self, call: Call) -> Duration {
        if self.delayed_after == Some(call) { MINUTE } else { Duration::ZERO }
    }

    fn fails(&self, call: Call) -> bool {
        self.failing == Some(call)
    }

    fn append(&self) -> AppendFault {
        self.append
    }

    fn state_commit(&self) -> StateCommitFault {
        self.state_commit
    }

    fn wake(&self) -> WakeFault {
        self.wake
    }
}

fn stream() -> StreamId {
    StreamId::parse("account/a1").unwrap()
}

fn commit() -> Commit {
    let event = NewEvent::json(EventType::new("opened").unwrap(), "{}");
    Commit::plain(stream(), ExpectedRevision::NoStream, vec![event], Timestamp::from_ms(1))
}

/// A store of which every append has one fault, and the store below.
fn with_append(append: AppendFault) -> (FaultyEventStore, Arc<MemoryEventStore>) {
    let below = Arc::new(MemoryEventStore::new(STORE_ID));
    let store: Arc<dyn EventStore> = Arc::clone(&below) as Arc<dyn EventStore>;
    (FaultyEventStore::new(store, Arc::new(Always { append, ..Always::default() })), below)
}

async fn events_count(store: &MemoryEventStore) -> u64 {
    store.stream_info(&stream()).await.unwrap().revision.events_count()
}

#[tokio::test]
async fn an_unavailable_append_has_no_effect() {
    // Guards the meaning of `Unavailable`: nothing was written.
    let (store, below) = with_append(AppendFault::Unavailable);
    let error = store.append(commit()).await.unwrap_err();
    assert!(matches!(error, AppendError::Unavailable(_)), "{error:?}");
    assert_eq!(events_count(&below).await, 0);
}

#[tokio::test]
async fn an_append_of_unknown_outcome_is_recorded_or_not() {
    // Guards both halves of "the commit may be there or not", and that a refusal stays one.
    for (is_recorded, expected) in [(true, 1), (false, 0)] {
        let (store, below) = with_append(AppendFault::OutcomeUnknown { is_recorded });
        let error = store.append(commit()).await.unwrap_err();
        assert!(matches!(error, AppendError::OutcomeUnknown(_)), "{error:?}");
        assert_eq!(events_count(&below).await, expected);
        let error = store.append(commit()).await.unwrap_err();
        let is_refusal = matches!(error, AppendError::WrongExpectedRevision { .. });
        assert_eq!(is_refusal, is_recorded, "{error:?}");
    }
}

#[tokio::test]
async fn after_an_unknown_outcome_repeating_the_append_is_safe_and_tells() {
    // Guards R8: whichever it was, the repeat succeeds with the receipt of the one recording.
    for is_recorded in [true, false] {
        let (store, below) = with_append(AppendFault::OutcomeUnknown { is_recorded });
        let mut commit = commit();
        commit.streams[0].events[0].id = Some(EventId::new(uuid::Uuid::from_u128(7)));
        store.append(commit.clone()).await.unwrap_err();
        let first = below.append(commit.clone()).await.unwrap().receipt;
        assert_eq!(below.append(commit).await.unwrap().receipt, first);
        assert_eq!(events_count(&below).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn durability_is_told_late_or_as_lost() {
    // Guards replies: they wait for the news, and one that it may be lost is passed on.
    for (fault, is_durable) in
        [(AppendFault::DurabilityLate(MINUTE), true), (AppendFault::DurabilityLost(MINUTE), false)]
    {
        let (store, below) = with_append(fault);
        let before = Instant::now();
        let Accepted { durability, .. } = store.append(commit()).await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(durability.wait().await.is_ok(), is_durable);
        assert!(before.elapsed() >= MINUTE);
        assert_eq!(events_count(&below).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_before_or_after_the_effect() {
    // Guards simulated deaths: a call that never answers has had its effect, or not.
    let before = Always { delayed_before: Some(Call::Append), ..Always::default() };
    let after = Always { delayed_after: Some(Call::Append), ..Always::default() };
    for (plan, at_once) in [(before, 0), (after, 1)] {
        let below = Arc::new(MemoryEventStore::new(STORE_ID));
        let store: Arc<dyn EventStore> = Arc::clone(&below) as Arc<dyn EventStore>;
        let store = FaultyEventStore::new(store, Arc::new(plan));
        let start = Instant::now();
        let mut appending = store.append(commit());
        assert!((&mut appending).now_or_never().is_none());
        assert_eq!(events_count(&below).await, at_once);
        appending.await.unwrap();
        assert_eq!((events_count(&below).await, start.elapsed() >= MINUTE), (1, true));
    }
}

#[tokio::test]
async fn every_read_of_events_can_fail() {
    // Guards that no read is forgotten: each fails while its call does, and only then.
    for failing in [Call::ReadEvents, Call::ReadFeed, Call::WaitForNews, Call::Flush] {
        let plan = Arc::new(Always { failing: Some(failing), ..Always::default() });
        let store = FaultyEventStore::new(Arc::new(MemoryEventStore::new(STORE_ID)), plan);
        store.append(commit()).await.unwrap();
        let (name, zero) = (stream(), Partition::ZERO);
        let first = annals_core::place::Revision::FIRST;
        let id = annals_core::id::CommandId::new(uuid::Uuid::nil());
        let filter = FeedFilter::default();
        let reads = [
            store.read_stream(&name, first, 1, Direction::Forwards).await.err(),
            store.find_command(&name, id).await.err(),
            store.read_commands(&name, 0, 1).await.err(),
            store.read_commits(zero, 0, 1).await.err(),
            store.claim_holder("a", "b", Timestamp::from_ms(1)).await.err(),
            store.stream_info(&name).await.err(),
            store.event_type_counts().await.err(),
        ];
        let feed =
            [store.read_feed(zero, None, &filter, 1).await.err(), store.head(zero).await.err()];
        let all_fail = |errors: &[Option<ReadError>]| {
            errors.iter().all(|error| matches!(error, Some(ReadError::Unavailable(_))))
        };
        let none_fails = |errors: &[Option<ReadError>]| errors.iter().all(Option::is_none);
        let (reads_failing, feed_failing) =
            (failing == Call::ReadEvents, failing == Call::ReadFeed);
        assert!(if reads_failing { all_fail(&reads) } else { none_fails(&reads) }, "{reads:?}");
        assert!(if feed_failing { all_fail(&feed) } else { none_fails(&feed) }, "{feed:?}");
        let waited = store.wait_for_news(zero, None).await;
        assert_eq!(waited.is_err(), failing == Call::WaitForNews);
        assert_eq!(store.flush().await.is_err(), failing == Call::Flush);
    }
}

#[tokio::test]
async fn state_calls_fail_before_they_have_an_effect() {
    // Guards the contract of state commits: on any error none of it is written.
    for failing in [Call::Spaces, Call::ReadState, Call::WriteState] {
        let below = Arc::new(MemoryStateStores::new());
        let stores: Arc<dyn StateStores> = Arc::clone(&below) as Arc<dyn StateStores>;
        let state_below = below.open(&StateSpace::Host).await.unwrap();
        let calm = FaultyStateStores::new(Arc::clone(&stores), Arc::new(Always::default()));
        let plan = Arc::new(Always { failing: Some(failing), ..Always::default() });
        let faulty = FaultyStateStores::new(stores, plan);
        let spaces = [
            faulty.open(&StateSpace::Host).await.err(),
            faulty.list().await.err(),
            faulty.remove(&StateSpace::Host).await.err().filter(|_| failing == Call::Spaces),
        ];
        let is_failing = |errors: &[Option<StateError>]| {
            errors.iter().all(|error| matches!(error, Some(StateError::Unavailable(_))))
        };
        if failing == Call::Spaces {
            assert!(is_failing(&spaces), "{spaces:?}");
            assert_eq!(calm.list().await.unwrap(), [StateSpace::Host]);
            drop(state_below);
            continue;
        }
        let state = faulty.open(&StateSpace::Host).await.unwrap();
        let row = RowKey { table: "table".into(), key: b"a"[..].into() };
        let commit = StateCommit {
            conditions: Vec::new(),
            writes: vec![StateWrite::Put(row.clone(), b"1"[..].into())],
        };
        let writes = [state.commit(commit).await.err(), state.clear("other").await.err()];
        let reads = [
            state.get("table", b"a").await.err(),
            state.get_many(&[row]).await.err(),
            state.scan("table", KeyRange::default(), 1).await.err(),
        ];
        assert_eq!(is_failing(&writes), failing == Call::WriteState, "{writes:?}");
        assert_eq!(is_failing(&reads), failing == Call::ReadState, "{reads:?}");
        let below = calm.open(&StateSpace::Host).await.unwrap();
        let written = below.get("table", b"a").await.unwrap().is_some();
        assert_eq!(written, failing != Call::WriteState);
    }
}

#[tokio::test]
async fn a_commit_of_state_of_unknown_outcome_is_written_or_not() {
    // Guards both halves of "all of it was written or nothing", and that a refusal stays one.
    for is_written in [true, false] {
        let below: Arc<dyn StateStores> = Arc::new(MemoryStateStores::new());
        let state_commit = StateCommitFault::OutcomeUnknown { is_written };
        let plan = Arc::new(Always { state_commit, ..Always::default() });
        let faulty = FaultyStateStores::new(Arc::clone(&below), plan);
        let state = faulty.open(&StateSpace::Host).await.unwrap();
        let row = RowKey { table: "table".into(), key: b"a"[..].into() };
        let commit = StateCommit {
            conditions: vec![StateCondition { row: row.clone(), value: None }],
            writes: vec![StateWrite::Put(row, b"1"[..].into())],
        };
        let error = state.commit(commit.clone()).await.unwrap_err();
        assert!(matches!(error, StateError::OutcomeUnknown(_)), "{error:?}");
        let written = state.get("table", b"a").await.unwrap();
        assert_eq!(written.is_some(), is_written);
        let error = state.commit(commit).await.unwrap_err();
        let is_refusal = matches!(error, StateError::ConditionFailed { .. });
        assert_eq!(is_refusal, is_written, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wakes_are_dropped_repeated_and_late() {
    // Guards listeners: what is heard of one wake under each fault, and when.
    let wake = Wake { partition: Partition::ZERO, head: Position::new(7) };
    let cases = [
        (WakeFault::None, 1, Duration::ZERO),
        (WakeFault::Dropped, 0, Duration::ZERO),
        (WakeFault::Repeated, 2, Duration::ZERO),
        (WakeFault::Late(MINUTE), 1, MINUTE),
    ];
    for (fault, expected, delay) in cases {
        let plan = Arc::new(Always { wake: fault, ..Always::default() });
        let bus = FaultyBus::new(Arc::new(LocalBus::new()), plan);
        let mut wakes = bus.wakes();
        let start = Instant::now();
        bus.wake(wake.partition, wake.head).await.unwrap();
        let mut heard = Vec::new();
        while let Ok(Some(next)) = tokio::time::timeout(2 * MINUTE, wakes.next()).await {
            heard.push((next, start.elapsed() >= delay));
        }
        assert_eq!(heard, vec![(wake, true); expected], "{fault:?}");
    }
    let plan = Arc::new(Always { failing: Some(Call::Publish), ..Always::default() });
    let bus = FaultyBus::new(Arc::new(LocalBus::new()), plan);
    assert!(matches!(bus.publish(&[]).await, Err(BusError::Unavailable(_))));
    bus.wake(wake.partition, wake.head).await.unwrap();
}

#[test]
fn seeded_faults_are_those_of_their_seed_and_of_each_kind() {
    // Guards that a seed repeats a run, and that none of the faults is never drawn.
    let rates = FaultRates {
        failing_per_mille: 200,
        unknown_per_mille: 200,
        late_per_mille: 400,
        delayed_per_mille: 200,
        wakes_per_mille: 500,
        delay_ms_max: 10,
        durable_ms_max: 10,
    };
    let draw = |seed| {
        let plan = SeededFaults::new(Random::new(seed), rates);
        let draw = |_| {
            let delays = (plan.delay_before(Call::Append), plan.delay_after(Call::ReadState));
            let state_commit = plan.state_commit();
            let rest = (plan.fails(Call::ReadFeed), plan.durable_after());
            (plan.append(), state_commit, plan.wake(), rest, delays)
        };
        (0..200).map(draw).collect::<Vec<_>>()
    };
    let drawn = draw(1);
    assert_eq!(drawn, draw(1));
    assert_ne!(drawn, draw(2));
    let appends: [fn(AppendFault) -> bool; 6] = [
        |fault| fault == AppendFault::None,
        |fault| fault == AppendFault::Unavailable,
        |fault| fault == AppendFault::OutcomeUnknown { is_recorded: true },
        |fault| fault == AppendFault::OutcomeUnknown { is_recorded: false },
        |fault| matches!(fault, AppendFault::DurabilityLate(_)),
        |fault| matches!(fault, AppendFault::DurabilityLost(_)),
    ];
    assert!(appends.iter().all(|is_kind| drawn.iter().any(|(append, ..)| is_kind(*append))));
    let wakes: [fn(WakeFault) -> bool; 4] = [
        |fault| fault == WakeFault::None,
        |fault| fault == WakeFault::Dropped,
        |fault| fault == WakeFault::Repeated,
        |fault| matches!(fault, WakeFault::Late(_)),
    ];
    assert!(wakes.iter().all(|is_kind| drawn.iter().any(|(_, _, wake, ..)| is_kind(*wake))));
    let state_commits = [
        StateCommitFault::None,
        StateCommitFault::OutcomeUnknown { is_written: true },
        StateCommitFault::OutcomeUnknown { is_written: false },
    ];
    assert!(state_commits.iter().all(|kind| drawn.iter().any(|(_, it, ..)| it == kind)));
    assert!(drawn.iter().any(|(.., (before, _))| !before.is_zero()));
    // A view's reader holds up its thread while it reads.
    assert!(drawn.iter().all(|(.., (_, after))| after.is_zero()));
}
