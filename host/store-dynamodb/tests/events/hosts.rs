//! Several hosts on one store, without any lease: correct, and nobody starves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_core::commit::{Claim, ClaimHolder, Commit, Release};
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use annals_core::time::Timestamp;
use annals_store_dynamodb::{DynamoEventStore, DynamoOptions};
use tokio::time::{Instant, timeout};

use super::support::{NOW, command, counted, feed, stream, stream_data};
use crate::support::emulator::Emulator;
use crate::support::faults::{Fault, Plan, Seen, http_with};

/// How many hosts there are.
const HOSTS: usize = 6;

/// Longest wait for what must happen.
const DEADLINE: Duration = Duration::from_secs(60);

async fn open_many(partitions: u32, plan: Option<Plan>) -> (Emulator, Vec<Arc<DynamoEventStore>>) {
    let emulator = Emulator::start().await;
    crate::support::tables::create(&emulator.client().await, partitions).await;
    let mut hosts = Vec::new();
    for _ in 0..HOSTS {
        let mut options = DynamoOptions {
            operation_wait_max: DEADLINE,
            request_wait_max: Duration::from_millis(500),
            retry_wait: Duration::from_millis(2),
            retry_wait_max: Duration::from_millis(100),
            ..emulator.options()
        };
        if let Some(plan) = &plan {
            options.http_client = Some(http_with(Arc::clone(plan)));
        }
        let client = emulator.client_with(options).await;
        hosts.push(Arc::new(DynamoEventStore::open(client).await.unwrap()));
    }
    (emulator, hosts)
}

/// Each host appends to one stream at the revision it believes in, until its commits are there.
async fn race(hosts: &[Arc<DynamoEventStore>], commits_each: u128) {
    let writers = hosts.iter().enumerate().map(|(host, store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in 0..commits_each {
                let id = u128::try_from(host).unwrap() * 1_000_000 + number;
                loop {
                    let info = store.stream_info(&stream("race")).await.unwrap();
                    let mut commit = command("race", id);
                    commit.streams[0].expected = ExpectedRevision::at(info.revision);
                    match store.append(commit).await {
                        Ok(_) | Err(AppendError::AlreadyDecided { .. }) => break,
                        Err(
                            AppendError::WrongExpectedRevision { .. }
                            | AppendError::OutcomeUnknown(_)
                            | AppendError::Unavailable(_),
                        ) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        timeout(DEADLINE, writer).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hosts_write_one_stream_without_losing_or_doubling_anything() {
    // Guards C5 without any lease: every commit once, revisions and positions dense.
    let (_emulator, hosts) = open_many(1, None).await;
    race(&hosts, 20).await;
    let events = feed(&*hosts[0]).await;
    assert_eq!(events.len(), HOSTS * 20);
    let revisions: Vec<_> = events.iter().map(|event| event.revision).collect();
    let expected: Vec<_> = (0..120).map(Revision::new).collect();
    assert_eq!(revisions, expected);
    assert_eq!(stream_data(&*hosts[1], "race").await.len(), HOSTS * 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hosts_stay_correct_while_requests_go_wrong() {
    // Guards R11: each request delayed, dropped, lost after commit, cancelled or throttled, by chance
    // of a fixed sequence.
    let state = AtomicU64::new(20_261_121);
    let plan: Plan = Arc::new(move |seen: &Seen| {
        let random = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let random = (random ^ (random >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        let is_write = seen.operation == "TransactWriteItems";
        match random % 20 {
            0 => Fault::Dropped,
            1 => Fault::ReplyLost,
            2 => Fault::Throttled,
            3 => Fault::ServerErrorAfter,
            4 => Fault::Late(Duration::from_millis(5)),
            5 if is_write => Fault::Conflict,
            6 => Fault::NeverAnswered,
            _ => Fault::None,
        }
    });
    let (_emulator, hosts) = open_many(1, Some(plan)).await;
    race(&hosts, 8).await;
    let events = feed(&*hosts[0]).await;
    let revisions: Vec<_> = events.iter().map(|event| event.revision).collect();
    let expected: Vec<_> = (0..48).map(Revision::new).collect();
    assert_eq!(revisions, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hosts_that_claim_one_name_at_once_exactly_one_wins() {
    // Guards C8 across hosts and partitions: a name that is free, that was released and that expired.
    let (_emulator, hosts) = open_many(4, None).await;
    let claiming = |id: &str, now: Timestamp, expires_at: Option<Timestamp>| {
        let (scope, key) = (Arc::from("e-mail"), Arc::from("ada"));
        let claim = Claim { scope, key, stream: stream(id), expires_at };
        let plain = Commit { claims: vec![claim], ..counted(id, 0) };
        Commit { recorded_at: now, ..plain }
    };
    let late = Timestamp::from_ms(NOW.ms() + 10_000);
    let mut holder = None::<String>;
    for (round, now, expires_at) in
        [("free", NOW, None), ("released", NOW, Some(late)), ("expired", late, None)]
    {
        if round == "released" {
            let stream = stream(holder.as_deref().unwrap());
            let release = Release { scope: Arc::from("e-mail"), key: Arc::from("ada"), stream };
            let commit = counted("releasing", 0);
            hosts[0].append(Commit { releases: vec![release], ..commit }).await.unwrap();
        }
        let claims = hosts.iter().enumerate().map(|(host, store)| {
            let (store, id) = (Arc::clone(store), format!("{round}-{host}"));
            let commit = claiming(&id, now, expires_at);
            tokio::spawn(async move { (id, store.append(commit).await) })
        });
        let (mut winners, mut told) = (Vec::new(), Vec::new());
        for claim in claims.collect::<Vec<_>>() {
            match timeout(DEADLINE, claim).await.unwrap().unwrap() {
                (id, Ok(_)) => winners.push(id),
                (_, Err(AppendError::ClaimHeld { holder, .. })) => told.push(holder),
                (id, Err(error)) => panic!("{id} {error:?}"),
            }
        }
        let [winner] = winners.as_slice() else { panic!("{round} {winners:?}") };
        assert_eq!(told, vec![stream(winner); HOSTS - 1], "{round}");
        let found = hosts[1].claim_holder("e-mail", "ada", now).await.unwrap();
        assert_eq!(found, Some(ClaimHolder { stream: stream(winner), expires_at }), "{round}");
        holder = Some(winner.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_writes_now_and_then_is_not_starved_by_one_that_always_writes() {
    // Guards fairness: a writer can only write after the last item it has seen, and the busy one
    // sees its own first.
    let (_emulator, hosts) = open_many(1, None).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let busy: Vec<_> = (0..32)
        .map(|lane| {
            let (store, is_over) = (Arc::clone(&hosts[0]), Arc::clone(&is_over));
            let written = Arc::clone(&written);
            tokio::spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    store.append(counted(&format!("busy-{lane}"), number)).await.unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
            })
        })
        .collect();
    let is_busy = async {
        while written.load(Ordering::Relaxed) < 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, is_busy).await.unwrap();
    let begun = Instant::now();
    for (host, store) in hosts.iter().enumerate().skip(1) {
        for number in 0..5 {
            let commit = counted(&format!("shy-{host}"), number);
            timeout(DEADLINE, store.append(commit)).await.unwrap().unwrap();
        }
    }
    println!("25 appends beside {} took {:?}", written.load(Ordering::Relaxed), begun.elapsed());
    is_over.store(true, Ordering::Relaxed);
    for lane in busy {
        lane.await.unwrap();
    }
    let events = feed(&*hosts[2]).await;
    let expected = usize::try_from(written.load(Ordering::Relaxed)).unwrap() + 25;
    assert_eq!(events.len(), expected);
}
