//! Requests that go wrong at each step, and what the port says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_core::port::StateStore;
use annals_core::port::state_store::{RowKey, StateCommit, StateError, StateWrite};
use annals_store_dynamodb::{DynamoOptions, DynamoStateStores};
use futures_util::future::join_all;

use super::{commit, condition, host, put, row, value};
use crate::support::emulator::Emulator;
use crate::support::faults::{Fault, Plan, Seen, http_with};
use crate::tables::make_tables;

/// How long a store tries.
#[derive(Debug, Clone, Copy)]
enum Patience {
    Little,
    Much,
}

/// The host's space by a client whose requests go wrong as `plan` says, and by one whose do not.
struct Opened {
    faulty: Arc<dyn StateStore>,
    honest: Arc<dyn StateStore>,
    _emulator: Emulator,
}

async fn open(plan: Plan, patience: Patience) -> Opened {
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let honest = host(&DynamoStateStores::open(client).await.unwrap()).await;
    let (request_ms, operation_ms) = match patience {
        Patience::Little => (100, 400),
        Patience::Much => (100, 20_000),
    };
    let options = DynamoOptions {
        http_client: Some(http_with(plan)),
        request_wait_max: Duration::from_millis(request_ms),
        operation_wait_max: Duration::from_millis(operation_ms),
        retry_wait: Duration::from_millis(1),
        retry_wait_max: Duration::from_millis(10),
        ..emulator.options()
    };
    let client = emulator.client_with(options).await;
    let faulty = host(&DynamoStateStores::open(client).await.unwrap()).await;
    // Registers the table, so that what goes wrong are commits.
    commit(&*honest, vec![], vec![put("registered", "1")]).await.unwrap();
    Opened { faulty, honest, _emulator: emulator }
}

/// Once `is_on`, a fault at each second request of `operation`, one after the other.
fn in_turn(operation: &'static str, faults: &'static [Fault], is_on: Arc<AtomicBool>) -> Plan {
    let count = AtomicU64::new(0);
    Arc::new(move |seen: &Seen| {
        if seen.operation != operation || !is_on.load(Ordering::SeqCst) {
            return Fault::None;
        }
        let number = usize::try_from(count.fetch_add(1, Ordering::Relaxed)).unwrap();
        if number % 2 == 1 { Fault::None } else { faults[number / 2 % faults.len()] }
    })
}

/// `fault` at every request of `operation`.
fn always(operation: &'static str, fault: Fault) -> Plan {
    Arc::new(move |seen: &Seen| if seen.operation == operation { fault } else { Fault::None })
}

const FAULTS: &[Fault] = &[
    Fault::Refused,
    Fault::Dropped,
    Fault::ReplyLost,
    Fault::NeverAnswered,
    Fault::Late(Duration::from_millis(20)),
    Fault::Throttled,
    Fault::ServerError,
    Fault::ServerErrorAfter,
];

const TRANSACTION_FAULTS: &[Fault] = &[
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
async fn a_conditional_commit_of_one_row_outlives_every_fault_and_happens_once() {
    // Guards leases and checkpoints: whatever happens to a request, none is taken for refused that
    // happened, and none happens twice.
    let is_on = Arc::new(AtomicBool::new(false));
    let opened = open(in_turn("PutItem", FAULTS, Arc::clone(&is_on)), Patience::Much).await;
    commit(&*opened.faulty, vec![], vec![put("registered", "2")]).await.unwrap();
    is_on.store(true, Ordering::SeqCst);
    let mut before: Option<String> = None;
    for number in 0..24 {
        let after = number.to_string();
        let conditions = vec![condition("epoch", before.as_deref())];
        commit(&*opened.faulty, conditions, vec![put("epoch", &after)]).await.unwrap();
        assert_eq!(value(&*opened.honest, "epoch").await.as_ref(), Some(&after));
        before = Some(after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_many_rows_outlives_every_fault_and_happens_once() {
    // Guards views: a batch of a projection is counted once.
    let is_on = Arc::new(AtomicBool::new(true));
    let plan = in_turn("TransactWriteItems", TRANSACTION_FAULTS, is_on);
    let opened = open(plan, Patience::Much).await;
    for number in 0..27 {
        let before = (number > 0).then(|| number.to_string());
        let writes = vec![
            put("checkpoint", &(number + 1).to_string()),
            StateWrite::Add(row("events"), 1),
            StateWrite::Add(row("sum"), number),
        ];
        let conditions = vec![condition("checkpoint", before.as_deref())];
        commit(&*opened.faulty, conditions, writes).await.unwrap();
    }
    let found = [value(&*opened.honest, "events").await, value(&*opened.honest, "sum").await];
    assert_eq!(found, [Some("27".to_owned()), Some("351".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn additions_of_many_writers_count_once_each() {
    // Guards counters: of one that is not known to have happened it is said so, and no other is lost
    // or counted twice.
    let is_on = Arc::new(AtomicBool::new(true));
    let opened = open(in_turn("PutItem", FAULTS, is_on), Patience::Much).await;
    let adders = (0..4).map(|_| {
        let state = Arc::clone(&opened.faulty);
        tokio::spawn(async move {
            let mut counts = (0, 0);
            for _ in 0..12 {
                match commit(&*state, vec![], vec![StateWrite::Add(row("counter"), 1)]).await {
                    Ok(()) => counts.0 += 1,
                    Err(StateError::OutcomeUnknown(_)) => counts.1 += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
            counts
        })
    });
    let counts: Vec<(u64, u64)> = join_all(adders).await.into_iter().map(Result::unwrap).collect();
    let happened: u64 = counts.iter().map(|(happened, _)| happened).sum();
    let unknown: u64 = counts.iter().map(|(_, unknown)| unknown).sum();
    let counter: u64 = value(&*opened.honest, "counter").await.unwrap().parse().unwrap();
    assert_eq!(happened + unknown, 48);
    assert!((happened..=happened + unknown).contains(&counter), "{counter}, {counts:?}");
    assert!(happened > 24, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_a_condition_is_not_repeated_blindly() {
    // Guards the commits of others: one whose answer was lost is there, or nobody knows, and it is
    // not written over what came later.
    for (fault, is_there) in [(Fault::ReplyLost, true), (Fault::Dropped, false)] {
        let opened = open(always("PutItem", Fault::None), Patience::Much).await;
        commit(&*opened.honest, vec![], vec![put("a", "before")]).await.unwrap();
        let faulty = open_again(&opened, always_row_puts(fault)).await;
        let outcome = commit(&*faulty, vec![], vec![put("a", "after")]).await;
        if is_there {
            outcome.unwrap();
        } else {
            assert!(matches!(outcome, Err(StateError::OutcomeUnknown(_))), "{outcome:?}");
        }
        let expected = if is_there { "after" } else { "before" };
        assert_eq!(value(&*opened.honest, "a").await.as_deref(), Some(expected));
    }
}

/// `fault` at every write of a row after the first, which registers the table.
fn always_row_puts(fault: Fault) -> Plan {
    let count = AtomicU64::new(0);
    Arc::new(move |seen: &Seen| {
        let is_put = seen.operation == "PutItem";
        if is_put && count.fetch_add(1, Ordering::SeqCst) > 0 { fault } else { Fault::None }
    })
}

/// The same space by a client with another plan.
async fn open_again(opened: &Opened, plan: Plan) -> Arc<dyn StateStore> {
    let options =
        DynamoOptions { http_client: Some(http_with(plan)), ..opened._emulator.options() };
    let client = opened._emulator.client_with(options).await;
    host(&DynamoStateStores::open(client).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_whose_answer_was_lost_is_told_from_one_that_was_not_done() {
    // Guards deletes: without a condition a row that is gone is what was asked for; with one it may
    // be the work of others.
    let cases = [
        (None, Fault::ReplyLost, "done"),
        (None, Fault::Dropped, "unknown"),
        (Some("1"), Fault::ReplyLost, "unknown"),
    ];
    for (expected, fault, outcome) in cases {
        let opened = open(always("DeleteItem", fault), Patience::Little).await;
        commit(&*opened.honest, vec![], vec![put("a", "1")]).await.unwrap();
        let conditions = expected.map(|value| condition("a", Some(value)));
        let writes = vec![StateWrite::Delete(row("a"))];
        let found = commit(&*opened.faulty, conditions.into_iter().collect(), writes).await;
        let found = match found {
            Ok(()) => "done",
            Err(StateError::OutcomeUnknown(_)) => "unknown",
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(found, outcome, "{expected:?} {fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_others_wrote_over_may_have_happened() {
    // Guards the readers of outcomes: the answer is lost, another writer changes the row before it is
    // looked at, and so nobody can know.
    let is_looking = Arc::new(AtomicBool::new(false));
    let plan = {
        let is_looking = Arc::clone(&is_looking);
        let puts = AtomicU64::new(0);
        Arc::new(move |seen: &Seen| match seen.operation.as_str() {
            // The first registers the table.
            "PutItem" if puts.fetch_add(1, Ordering::SeqCst) == 1 => Fault::ReplyLost,
            "GetItem" if puts.load(Ordering::SeqCst) == 2 => {
                is_looking.store(true, Ordering::SeqCst);
                Fault::Late(Duration::from_millis(1_000))
            }
            _ => Fault::None,
        })
    };
    let opened = open(always("none", Fault::None), Patience::Much).await;
    let faulty = open_again(&opened, plan).await;
    let committing = tokio::spawn(async move {
        commit(&*faulty, vec![condition("a", None)], vec![put("a", "ours")]).await
    });
    while !is_looking.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    commit(&*opened.honest, vec![condition("a", Some("ours"))], vec![put("a", "theirs")])
        .await
        .unwrap();
    let outcome = committing.await.unwrap();
    assert!(matches!(outcome, Err(StateError::OutcomeUnknown(_))), "{outcome:?}");
    assert_eq!(value(&*opened.honest, "a").await.as_deref(), Some("theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_surely_did_not_happen_is_unavailable_and_what_may_have_is_unknown() {
    // Guards callers that try again: each fault that stays, at one row and at many.
    let cases = [
        (Fault::Refused, "unavailable"),
        (Fault::Throttled, "unavailable"),
        (Fault::Conflict, "unavailable"),
        (Fault::Dropped, "unknown"),
        (Fault::ServerError, "unknown"),
        (Fault::NeverAnswered, "unknown"),
    ];
    for (fault, expected) in cases {
        for writes in [vec![put("a", "1")], vec![put("a", "1"), put("b", "2")]] {
            let operation = if writes.len() == 1 { "PutItem" } else { "TransactWriteItems" };
            if operation == "PutItem" && fault == Fault::Conflict {
                continue;
            }
            let conditions = vec![condition("a", Some("0"))];
            let is_on = Arc::new(AtomicBool::new(false));
            let plan = {
                let is_on = Arc::clone(&is_on);
                Arc::new(move |seen: &Seen| {
                    let is_hit = is_on.load(Ordering::SeqCst) && seen.operation == operation;
                    if is_hit { fault } else { Fault::None }
                })
            };
            let opened = open(plan, Patience::Little).await;
            commit(&*opened.faulty, vec![], vec![put("a", "0")]).await.unwrap();
            is_on.store(true, Ordering::SeqCst);
            let outcome = commit(&*opened.faulty, conditions, writes).await;
            // One that is answered by nobody is carried out: its commit id tells, for one row.
            let is_told = fault == Fault::NeverAnswered && operation == "PutItem";
            let found = match outcome {
                Ok(()) => "done",
                Err(StateError::Unavailable(_)) => "unavailable",
                Err(StateError::OutcomeUnknown(_)) => "unknown",
                Err(error) => panic!("{error:?}"),
            };
            let expected = if is_told { "done" } else { expected };
            assert_eq!(found, expected, "{fault:?} at {operation}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_outlive_faults_and_end_with_the_time() {
    // Guards readers: what the network loses is asked for again, and not for ever.
    for operation in ["GetItem", "BatchGetItem", "Query"] {
        let is_on = Arc::new(AtomicBool::new(true));
        let opened = open(in_turn(operation, FAULTS, is_on), Patience::Much).await;
        commit(&*opened.honest, vec![], vec![put("a", "1")]).await.unwrap();
        for _ in 0..16 {
            read(&*opened.faulty, operation).await.unwrap();
        }
    }
    for operation in ["GetItem", "BatchGetItem", "Query"] {
        let opened = open(always("none", Fault::None), Patience::Little).await;
        let is_on = Arc::new(AtomicBool::new(false));
        let plan = {
            let is_on = Arc::clone(&is_on);
            Arc::new(
                move |_: &Seen| {
                    if is_on.load(Ordering::SeqCst) { Fault::Throttled } else { Fault::None }
                },
            )
        };
        let options = DynamoOptions {
            http_client: Some(http_with(plan)),
            operation_wait_max: Duration::from_millis(50),
            ..opened._emulator.options()
        };
        let client = opened._emulator.client_with(options).await;
        let faulty = host(&DynamoStateStores::open(client).await.unwrap()).await;
        is_on.store(true, Ordering::SeqCst);
        let failed = read(&*faulty, operation).await;
        assert!(matches!(failed, Err(StateError::Unavailable(_))), "{operation}: {failed:?}");
    }
}

/// Reads by one operation.
async fn read(state: &dyn StateStore, operation: &str) -> Result<(), StateError> {
    match operation {
        "GetItem" => state.get(super::TABLE, b"a").await.map(drop),
        "BatchGetItem" => {
            let keys: Vec<RowKey> = vec![row("a"), row("b")];
            state.get_many(&keys).await.map(drop)
        }
        _ => state.scan(super::TABLE, Default::default(), 10).await.map(drop),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_with_other_writers_are_not_refusals() {
    // Guards conditions: a transaction that met another one is tried again until it is decided.
    let opened = open(
        in_turn("TransactWriteItems", &[Fault::Conflict], Arc::new(AtomicBool::new(true))),
        Patience::Much,
    )
    .await;
    let writes = || vec![put("a", "1"), put("b", "2")];
    let commit_if_absent = StateCommit { conditions: vec![condition("a", None)], writes: writes() };
    opened.faulty.commit(commit_if_absent.clone()).await.unwrap();
    let refused = opened.faulty.commit(commit_if_absent).await;
    assert!(matches!(refused, Err(StateError::ConditionFailed { .. })), "{refused:?}");
}
