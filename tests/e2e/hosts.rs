//! Several daemons on one store, and a Redis that comes and goes.

use serde_json::json;

use crate::drivers::Place;
use crate::support::{Answer, Daemon, at, reached, run};

/// Reads until a condition holds, for a minute at most.
async fn until(daemon: &Daemon, path: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let answer = daemon.get(path).await;
        if answer.status == 200 && holds(&answer.body) {
            return;
        }
        let is_late = tokio::time::Instant::now() > deadline;
        assert!(!is_late, "`{path}` stays {} {:#}", answer.status, answer.body);
        tokio::task::yield_now().await;
    }
}

/// Twenty deposits of one cent at once.
async fn deposits(daemon: &Daemon) -> Vec<Answer> {
    let sends = (0..20).map(|_| daemon.account("a1", "deposit-funds", r#"{"cents":1}"#));
    futures_util::future::join_all(sends).await
}

#[test]
fn two_hosts_decide_one_stream_and_share_plugins_and_views() {
    // Guards C5: conflicts are decided again on fresh state, and what one host was given the other has.
    run(async {
        let place = Place::dynamodb_and_redis();
        let first = place.start_with_account().await;
        let second = place.start_another();
        until(&second, "/v1/plugins/account", |_| true).await;
        first.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
        let (ours, theirs) = tokio::join!(deposits(&first), deposits(&second));
        let mut accepted = 0;
        for answer in ours.into_iter().chain(theirs) {
            match (answer.status, answer.code()) {
                (200, _) => accepted += 1,
                (409, "contended") => {}
                other => panic!("{other:?} {:#}", answer.body),
            }
        }
        assert!(accepted >= 20, "only {accepted} of 40 were accepted");
        for daemon in [&first, &second] {
            daemon.account("a1", "deposit-funds", r#"{"cents":0}"#).await;
            let state = daemon.get("/v1/aggregates/account/a1").await.ok();
            assert_eq!(at(&state, "/state/balance_cents"), accepted);
            assert_eq!(at(&state, "/revision"), accepted);
        }
        second.install("account-balances", annals_components::account_balances()).await.ok();
        until(&first, "/v1/plugins/account-balances", |_| true).await;
        let last = first.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        for daemon in [&first, &second] {
            let row =
                format!("/v1/views/account-balances/accounts/a1?{}&wait_ms=60000", reached(&last));
            let row = daemon.get(&row).await.ok();
            assert_eq!(at(&row, "/value/balance_cents"), accepted + 1);
        }
    });
}

#[test]
fn commands_go_on_without_redis_and_publishing_catches_up_in_order() {
    // Guards P8 and R15: Redis away at the start, there, away and back empty.
    run(async {
        let mut place = Place::dynamodb_and_redis();
        place.redis_mut().stop();
        let daemon = place.start_with_account().await;
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
        place.redis_mut().restart_empty();
        for round in 1..=2_u64 {
            for _ in 0..5 {
                daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
            }
            let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
            let key = format!("annals:{{default:{}}}", at(&last, "/partition"));
            let expected = round * 6 + 1;
            let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
            loop {
                let length = place.redis().ask(&format!("XLEN {key}\r\n")).unwrap_or_default();
                if length == format!(":{expected}\r\n") {
                    break;
                }
                let is_late = tokio::time::Instant::now() > deadline;
                assert!(!is_late, "`{key}` has {length} entries, not {expected}");
                tokio::task::yield_now().await;
            }
            let caught_up = |relay: &serde_json::Value| {
                let all = relay["partitions"].as_array().unwrap();
                all.iter().all(|of| {
                    (&of["phase"], &of["lag_events_count"]) == (&json!("caught-up"), &json!(0))
                })
            };
            until(&daemon, "/v1/relay", caught_up).await;
            let first = place.redis().ask(&format!("XRANGE {key} - + COUNT 1\r\n")).unwrap();
            assert!(first.contains("account-opened"), "{first}");
            place.redis_mut().stop();
            daemon.account("a1", "withdraw-funds", r#"{"cents":100}"#).await;
            place.redis_mut().restart_empty();
        }
        let state = daemon.get("/v1/aggregates/account/a1").await.ok();
        assert_eq!(at(&state, "/state/balance_cents"), &json!(12));
    });
}
