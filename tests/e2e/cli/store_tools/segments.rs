//! A log of many segments, by configuration.

use std::path::Path;

use serde_json::json;

use super::{balance, events};
use crate::cli::say_in;
use crate::support::{Daemon, at, folder, run};

const ID: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";

fn segments_count(data: &Path) -> usize {
    let names = std::fs::read_dir(data.join("log")).unwrap().map(|it| it.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|it| it == "seg")).count()
}

#[test]
fn a_log_of_small_segments_is_served_killed_and_served_again() {
    // Guards `segment_bytes` and sealed segments on the real binary: events, views, states and first
    // outcomes are as before after `kill -9`, also with another size.
    let (folder, data) = folder();
    let folder = folder.path();
    let file = "[store]\nsegment_bytes = \"4KiB\"\nindex_cache_bytes_max = \"64KiB\"\n\
                filter_bytes_max = \"1KiB\"\n";
    std::fs::write(folder.join("annals.toml"), file).unwrap();
    run(async {
        let mut daemon = Daemon::start_with_account(&data).await;
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        let open = r#"{"owner":"Ada","initial_cents":0}"#;
        daemon.account("a1", "open-account", open).await.ok();
        let deposit = "/v1/aggregates/account/a1/deposit-funds";
        let id = [("idempotency-key", ID)];
        let first = daemon.post(deposit, &id, r#"{"cents":1}"#).await.ok();
        let headers = [("content-type", "application/x-ndjson")];
        let line =
            r#"{"aggregate":"account","id":"a1","command":"deposit-funds","data":{"cents":1}}"#;
        // One request after the other: however its commits are grouped, each is more than a segment holds.
        for _ in 0..10 {
            let lines = vec![line; 30].join("\n");
            let sent = daemon.try_send(hyper::Method::POST, "/v1/commands", &headers, lines).await;
            assert_eq!(sent.unwrap().status, 200);
        }
        let before = events(&daemon).await;
        assert_eq!(before.len(), 302);
        daemon.kill();
        assert!(segments_count(&data) > 5, "{}", segments_count(&data));
        say_in(folder, &["store", "verify", "--data", "data"]).ok();
        for segment_bytes in ["4KiB", "1MiB"] {
            let mut daemon = Daemon::start_with(&data, |command| {
                command.env("ANNALS_STORE_SEGMENT_BYTES", segment_bytes);
            });
            assert_eq!(events(&daemon).await[..302], before);
            let again = daemon.post(deposit, &id, r#"{"cents":1}"#).await.ok();
            assert_eq!(at(&again, "/is_repeat"), true);
            assert_eq!(at(&again, "/position"), at(&first, "/position"));
            let last = super::deposit(&daemon, "a1").await;
            let cents = 302 + i32::from(segment_bytes == "1MiB");
            assert_eq!(balance(&daemon, "a1", &last).await, json!(cents));
            daemon.kill();
        }
        say_in(folder, &["store", "verify", "--data", "data"]).ok();
    });
    let bad = "[store]\nsegment_bytes = \"2GiB\"\n";
    std::fs::write(folder.join("annals.toml"), bad).unwrap();
    assert_eq!(
        say_in(folder, &["serve"]).failed(1),
        "error: `store.segment_bytes` in `annals.toml`: `2GiB` is not allowed: write a size from \
         `4KiB` to `1GiB`, such as `64MiB`\n"
    );
}
