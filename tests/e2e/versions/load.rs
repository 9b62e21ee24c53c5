//! Two builds of the bank's account that take over from each other while many clients send commands.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use annals_components::account_build;
use serde_json::Value;

use crate::support::{Daemon, at, folder, run};

const CLIENTS_COUNT: u64 = 16;
const ACCOUNTS_COUNT: u64 = 4;
/// Fewest rounds of a client.
const ROUNDS_COUNT: u64 = 30;
/// Fewest swaps while clients send.
const SWAPS_COUNT: u64 = 6;

/// Deposits into the client's own accounts and into one that all clients share, until there were enough
/// swaps; returns how many rounds it were.
async fn deposit_all(daemon: Arc<Daemon>, client: u64, swaps: Arc<AtomicU64>) -> u64 {
    let mut rounds_count = 0;
    while rounds_count < ROUNDS_COUNT || swaps.load(Ordering::Relaxed) < SWAPS_COUNT {
        rounds_count += 1;
        for account in 0..ACCOUNTS_COUNT {
            let id = format!("{client}-{account}");
            daemon.account(&id, "deposit-funds", r#"{"cents":1}"#).await.ok();
        }
        daemon.account("shared", "deposit-funds", r#"{"cents":1}"#).await.ok();
    }
    rounds_count
}

/// All events of an account.
async fn events(daemon: &Daemon, id: &str) -> Vec<Value> {
    let (mut events, mut from) = (Vec::new(), Some(0));
    while let Some(first) = from {
        let path = format!("/v1/streams/account/{id}?limit=1000&from={first}");
        let page = daemon.get(&path).await.ok();
        events.extend(at(&page, "/events").as_array().unwrap().clone());
        from = page["next"].as_u64();
    }
    events
}

/// Asserts that every command is there once, in dense revisions, and adds up.
async fn check(daemon: &Daemon, id: &str, deposits_count: u64) {
    let events = events(daemon, id).await;
    let revisions: Vec<_> =
        events.iter().map(|event| event["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (0..=deposits_count).collect::<Vec<_>>(), "{id}");
    let ids: HashSet<_> = events.iter().map(|event| event["causation_id"].to_string()).collect();
    assert_eq!(ids.len(), events.len(), "{id}");
    let state = daemon.get(&format!("/v1/aggregates/account/{id}")).await.ok();
    assert_eq!(at(&state, "/state/balance_cents"), &Value::from(deposits_count), "{id}");
}

#[test]
fn builds_that_swap_under_load_refuse_no_command_and_decide_none_twice() {
    // Guards activation and roll backs on the real binary, with real components.
    run(async {
        let (_folder, data) = folder();
        let daemon = Arc::new(Daemon::start_with_account(&data).await);
        let opening = r#"{"owner":"Ada","initial_cents":0}"#;
        daemon.account("shared", "open-account", opening).await.ok();
        for client in 0..CLIENTS_COUNT {
            for account in 0..ACCOUNTS_COUNT {
                daemon.account(&format!("{client}-{account}"), "open-account", opening).await.ok();
            }
        }
        let swaps = Arc::new(AtomicU64::new(0));
        let start = |client| deposit_all(Arc::clone(&daemon), client, Arc::clone(&swaps));
        let clients: Vec<_> =
            (0..CLIENTS_COUNT).map(|client| tokio::spawn(start(client))).collect();
        let is_done = Arc::new(AtomicBool::new(false));
        let swapping = {
            let (daemon, is_done) = (Arc::clone(&daemon), Arc::clone(&is_done));
            let swaps = Arc::clone(&swaps);
            tokio::spawn(async move {
                let mut swaps_count: u64 = 0;
                while !is_done.load(Ordering::Relaxed) {
                    let number = u8::try_from(swaps_count / 2 % 2).unwrap();
                    let upgraded = daemon.install("account", &account_build(number)).await.ok();
                    assert_eq!(at(&upgraded, "/outcome"), "upgraded");
                    let back = daemon.post("/v1/plugins/account/rollback", &[], "{}").await.ok();
                    assert_eq!(at(&back, "/outcome"), "rolled-back");
                    swaps_count += 2;
                    swaps.store(swaps_count, Ordering::Relaxed);
                }
                swaps_count
            })
        };
        let mut rounds_counts = Vec::new();
        for client in clients {
            rounds_counts.push(client.await.unwrap());
        }
        is_done.store(true, Ordering::Relaxed);
        let swaps_count = swapping.await.unwrap();
        for (client, rounds_count) in rounds_counts.iter().enumerate() {
            for account in 0..ACCOUNTS_COUNT {
                check(&daemon, &format!("{client}-{account}"), *rounds_count).await;
            }
        }
        check(&daemon, "shared", rounds_counts.iter().sum()).await;
        let history = daemon.get("/v1/plugins/account/history?limit=1000").await.ok();
        let entries_count = at(&history, "/entries").as_array().unwrap().len();
        assert_eq!(u64::try_from(entries_count).unwrap(), swaps_count + 1);
    });
}
