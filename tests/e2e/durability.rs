//! What was acknowledged is there, whatever happened to the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Daemon, at, folder, run};

/// How many writers send at once, each to its own account.
const WRITERS: u128 = 64;
/// How often the daemon is killed.
const KILLS: u128 = 3;

fn command_id(writer: u128, number: u128) -> String {
    Uuid::from_u128(0x7000_u128 << 64 | 0x8000_u128 << 48 | writer << 32 | number).to_string()
}

#[test]
fn kill_9_under_load_loses_no_acknowledged_command_and_doubles_none() {
    // Guards R1 from outside: 64 writers, a kill while they write, three times. Every acknowledged
    // command is found as a repeat with its first revision; the balance is the count of events, so
    // nothing is there twice; revisions have no hole.
    run(async {
        let (_folder, data) = folder();
        let mut daemon = Arc::new(Daemon::start_with_account(&data).await);
        let mut acknowledged: HashMap<(u128, u128), Value> = HashMap::new();
        let mut sent = vec![0_u128; usize::try_from(WRITERS).unwrap()];
        for writer in 0..WRITERS {
            let open = r#"{"owner":"W","initial_cents":0}"#;
            daemon.account(&format!("w{writer}"), "open-account", open).await.ok();
        }
        for kill in 0..KILLS {
            let is_over = Arc::new(AtomicBool::new(false));
            let count = Arc::new(tokio::sync::Semaphore::new(0));
            let writers = (0..WRITERS).map(|writer| {
                let first = sent[usize::try_from(writer).unwrap()];
                let work = write(
                    Arc::clone(&daemon),
                    writer,
                    first,
                    Arc::clone(&is_over),
                    Arc::clone(&count),
                );
                tokio::spawn(work)
            });
            let writers: Vec<_> = writers.collect();
            // Killed in the middle of traffic: after some hundred acknowledgements, not after a time.
            let enough = 300 + 137 * u32::try_from(kill).unwrap();
            count.acquire_many(enough).await.unwrap().forget();
            // Only the process is killed here; the writers still hold the daemon.
            let pid = daemon.pid();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            is_over.store(true, Ordering::Relaxed);
            for (writer, done) in
                futures_util::future::join_all(writers).await.into_iter().enumerate()
            {
                let (next, seen) = done.unwrap();
                sent[writer] = next;
                acknowledged.extend(seen);
            }
            drop(daemon);
            daemon = Arc::new(Daemon::start(&data));
        }
        assert!(acknowledged.len() > 900, "{}", acknowledged.len());
        for ((writer, number), revision) in &acknowledged {
            let id = command_id(*writer, *number);
            let path = format!("/v1/aggregates/account/w{writer}/deposit-funds");
            let again = daemon.post(&path, &[("idempotency-key", &id)], r#"{"cents":1}"#).await;
            let again = again.ok();
            assert_eq!(
                (at(&again, "/is_repeat"), at(&again, "/revision")),
                (&json!(true), revision)
            );
        }
        for writer in 0..WRITERS {
            let state = daemon.get(&format!("/v1/aggregates/account/w{writer}")).await.ok();
            assert_eq!(at(&state, "/state/balance_cents"), at(&state, "/revision"));
            let revision = at(&state, "/revision").as_u64().unwrap();
            assert!(u128::from(revision) <= sent[usize::try_from(writer).unwrap()]);
        }
    });
}

/// Deposits one cent after the other until the daemon is gone; returns the next number and what was
/// acknowledged, with its revision.
async fn write(
    daemon: Arc<Daemon>,
    writer: u128,
    first: u128,
    is_over: Arc<AtomicBool>,
    count: Arc<tokio::sync::Semaphore>,
) -> (u128, HashMap<(u128, u128), Value>) {
    let mut acknowledged = HashMap::new();
    let mut number = first;
    while !is_over.load(Ordering::Relaxed) {
        let id = command_id(writer, number);
        let path = format!("/v1/aggregates/account/w{writer}/deposit-funds");
        let headers = [("idempotency-key", id.as_str()), ("content-type", "application/json")];
        let sent = daemon.try_send(hyper::Method::POST, &path, &headers, r#"{"cents":1}"#).await;
        let key = (writer, number);
        number += 1;
        let Some(answer) = sent.filter(|answer| answer.status == 200) else { break };
        acknowledged.insert(key, at(&answer.body, "/revision").clone());
        count.add_permits(1);
    }
    (number, acknowledged)
}

#[test]
fn what_is_installed_and_recorded_is_there_after_a_restart() {
    // Guards a plain restart: plugins, events, positions, and SIGTERM ends with exit code 0.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
        let before = daemon.get("/v1/events").await.ok();
        assert_eq!(daemon.stop(), Some(0));
        let daemon = Daemon::start(&data);
        assert_eq!(daemon.get("/v1/events").await.ok(), before);
        let plugin = daemon.get("/v1/plugins/account").await.ok();
        assert!(plugin.to_string().contains("open-account"), "{plugin:#}");
        daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
    });
}
