//! Requests that go wrong at each step, and what the port says of it (R11).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{AppendError, ReadError};
use annals_store_dynamodb::{DynamoEventStore, DynamoOptions};

use super::support::{command, counted, feed, stream_data};
use crate::support::emulator::Emulator;
use crate::support::faults::{Fault, Plan, Seen, http_with};

/// How long a store tries.
enum Patience {
    Little,
    Much,
}

/// An emulator with tables, and a store on it whose requests go wrong as `plan` says.
async fn open(plan: Plan, patience: Patience) -> (Emulator, DynamoEventStore, DynamoEventStore) {
    let emulator = Emulator::start().await;
    let honest = emulator.client().await;
    crate::support::tables::create(&honest, 2).await;
    let witness = DynamoEventStore::open(honest).await.unwrap();
    let (request_ms, operation_ms) = match patience {
        Patience::Little => (100, 400),
        Patience::Much => (1_000, 15_000),
    };
    let options = DynamoOptions {
        http_client: Some(http_with(plan)),
        request_wait_max: Duration::from_millis(request_ms),
        operation_wait_max: Duration::from_millis(operation_ms),
        retry_wait: Duration::from_millis(1),
        retry_wait_max: Duration::from_millis(20),
        ..emulator.options()
    };
    let store = DynamoEventStore::open(emulator.client_with(options).await).await.unwrap();
    (emulator, store, witness)
}

/// Goes wrong once per kind of fault, at the requests of `operation`, in turn with good ones.
fn each_in_turn(operation: &'static str, faults: &'static [Fault]) -> Plan {
    let count = AtomicU64::new(0);
    Arc::new(move |seen: &Seen| {
        if seen.operation != operation {
            return Fault::None;
        }
        let number = usize::try_from(count.fetch_add(1, Ordering::Relaxed)).unwrap();
        if number % 2 == 1 { Fault::None } else { faults[number / 2 % faults.len()] }
    })
}

const WRITE_FAULTS: &[Fault] = &[
    Fault::Refused,
    Fault::Dropped,
    Fault::ReplyLost,
    Fault::NeverAnswered,
    Fault::Late(Duration::from_millis(20)),
    Fault::Throttled,
    Fault::ServerError,
    Fault::ServerErrorAfter,
    Fault::Conflict,
];

#[tokio::test(flavor = "multi_thread")]
async fn an_append_outlives_every_fault_and_happens_once() {
    // Guards money: whatever happens to a request, the commit is there once.
    let (_emulator, store, witness) =
        open(each_in_turn("TransactWriteItems", WRITE_FAULTS), Patience::Much).await;
    for number in 0..30 {
        store.append(counted("faults", number)).await.unwrap();
    }
    let expected: Vec<_> = (0..30).map(|number| format!("{{\"number\":{number}}}")).collect();
    assert_eq!(stream_data(&witness, "faults").await, expected);
    assert_eq!(feed(&witness).await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_outlives_every_fault() {
    // Guards readers: a fault of one request is not an answer.
    for operation in ["Query", "GetItem", "BatchGetItem"] {
        let faults = &[Fault::Dropped, Fault::ReplyLost, Fault::Throttled, Fault::ServerError];
        let (_emulator, store, _) = open(each_in_turn(operation, faults), Patience::Much).await;
        for number in 0..5 {
            store.append(counted("read", number)).await.unwrap();
        }
        store.append(command("read", 7)).await.unwrap();
        assert_eq!(stream_data(&store, "read").await.len(), 6);
        assert_eq!(feed(&store).await.len(), 6);
        let id = command("read", 7).command.unwrap().id;
        let stream = super::support::stream("read");
        assert!(store.find_command(&stream, id).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_is_unavailable() {
    // Guards the promise of `Unavailable`: nothing was written, trying again is safe.
    for fault in [Fault::Refused, Fault::Throttled, Fault::Conflict] {
        let is_bad = Arc::new(AtomicBool::new(true));
        let bad = Arc::clone(&is_bad);
        let plan: Plan = Arc::new(move |seen: &Seen| {
            let goes_wrong = seen.operation == "TransactWriteItems" && bad.load(Ordering::Relaxed);
            if goes_wrong { fault } else { Fault::None }
        });
        let (_emulator, store, witness) = open(plan, Patience::Little).await;
        let refused = store.append(command("lost", 1)).await;
        assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{fault:?} {refused:?}");
        assert_eq!(feed(&witness).await, []);
        is_bad.store(false, Ordering::Relaxed);
        store.append(command("lost", 1)).await.unwrap();
        assert_eq!(feed(&witness).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_of_unknown_outcome_and_safe_to_repeat() {
    // Guards the repeat after a lost reply: the first outcome is found, or the commit is written now.
    for fault in [Fault::ReplyLost, Fault::Dropped, Fault::NeverAnswered, Fault::ServerErrorAfter] {
        let is_bad = Arc::new(AtomicBool::new(false));
        let bad = Arc::clone(&is_bad);
        // The look whether it is there fails too.
        let plan: Plan = Arc::new(move |seen: &Seen| match seen.operation.as_str() {
            "TransactWriteItems" if bad.load(Ordering::Relaxed) => fault,
            "GetItem" if bad.load(Ordering::Relaxed) => Fault::Dropped,
            _ => Fault::None,
        });
        let (_emulator, store, witness) = open(plan, Patience::Little).await;
        is_bad.store(true, Ordering::Relaxed);
        let unknown = store.append(command("maybe", 1)).await;
        assert!(matches!(unknown, Err(AppendError::OutcomeUnknown(_))), "{fault:?} {unknown:?}");
        is_bad.store(false, Ordering::Relaxed);
        let is_there = fault != Fault::Dropped;
        match store.append(command("maybe", 1)).await {
            Err(AppendError::AlreadyDecided { .. }) if is_there => {}
            Ok(_) if !is_there => {}
            other => panic!("{fault:?} {other:?}"),
        }
        assert_eq!(feed(&witness).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_found_out_by_looking() {
    // Guards against needless doubt: the feed item of a transaction says whether it was carried out.
    let plan: Plan = Arc::new(|seen: &Seen| match seen.operation.as_str() {
        "TransactWriteItems" => Fault::ReplyLost,
        _ => Fault::None,
    });
    let (_emulator, store, witness) = open(plan, Patience::Little).await;
    for number in 0..3 {
        store.append(counted("seen", number)).await.unwrap();
    }
    assert_eq!(stream_data(&witness, "seen").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_service_is_unavailable_to_readers() {
    // Guards callers: an error within the time limit, never a wait without end.
    let is_dead = Arc::new(AtomicBool::new(false));
    let dead = Arc::clone(&is_dead);
    let plan: Plan =
        Arc::new(
            move |_: &Seen| {
                if dead.load(Ordering::Relaxed) { Fault::NeverAnswered } else { Fault::None }
            },
        );
    let (_emulator, store, _) = open(plan, Patience::Little).await;
    is_dead.store(true, Ordering::Relaxed);
    let stream = super::support::stream("dead");
    let read = store.stream_info(&stream).await;
    assert!(matches!(read, Err(ReadError::Unavailable(_))), "{read:?}");
    let commit: Commit = counted("dead", 0);
    let refused = store.append(commit).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
}
