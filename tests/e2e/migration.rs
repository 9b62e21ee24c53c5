//! Moving a store from one set of drivers to another and back.

use std::path::Path;

use serde_json::{Value, json};

use crate::drivers::Place;
use crate::drivers::dynamodb::Tables;
use crate::support::{Daemon, annals, at, folder, reached, run};

/// Runs `annals store …` and returns what it printed.
#[track_caller]
fn store(tables: Option<&Tables>, arguments: &[&str]) -> String {
    let mut command = annals();
    if let Some(tables) = tables {
        tables.configure(&mut command);
    }
    let done = command.arg("store").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

/// What accounts are worth, and what was decided.
async fn facts(daemon: &Daemon) -> Vec<Value> {
    let mut facts = Vec::new();
    for number in 0..20 {
        let state = daemon.get(&format!("/v1/aggregates/account/a{number}")).await.ok();
        let commands = daemon.get(&format!("/v1/streams/account/a{number}/commands")).await.ok();
        let mut events = daemon.get(&format!("/v1/streams/account/a{number}")).await.ok();
        for event in events["events"].as_array_mut().unwrap() {
            // Places in the feed are others where the number of partitions is.
            let event = event.as_object_mut().unwrap();
            event.remove("position");
            event.remove("partition");
        }
        let commands = at(&commands, "/commands").as_array().unwrap().len();
        facts.push(json!({ "state": state, "commands": commands, "events": events }));
    }
    facts
}

#[test]
fn a_store_moves_to_dynamodb_and_back_with_everything_in_it() {
    // Guards migration: states, events with ids and times, decided commands, plugins and repeats are
    // on DynamoDB what they were on the disk, and again on a disk.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        for number in 0..20 {
            let open = format!(r#"{{"owner":"Ada","initial_cents":{number}}}"#);
            daemon.account(&format!("a{number}"), "open-account", &open).await.ok();
            for _ in 0..number {
                let account = format!("a{number}");
                daemon.account(&account, "deposit-funds", r#"{"cents":1}"#).await.ok();
                daemon.account(&account, "withdraw-funds", r#"{"cents":900}"#).await;
            }
        }
        let id = [("idempotency-key", "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10")];
        let deposit = "/v1/aggregates/account/a7/deposit-funds";
        let first = daemon.post(deposit, &id, r#"{"cents":5}"#).await.ok();
        let before = facts(&daemon).await;
        assert_eq!(daemon.stop(), Some(0));

        let path = |name: &str| data.with_file_name(name).display().to_string();
        let (export, plugins) = (path("export.ndjson"), data.join("plugins"));
        store(None, &["export", "--data", &data.display().to_string(), "--to", &export]);
        let place = Place::dynamodb_and_redis();
        let tables = place.tables();
        let plugins = plugins.display().to_string();
        for _ in 0..2 {
            // Again is harmless: everything is there.
            store(Some(tables), &["import", &export, "--plugins", &plugins]);
        }
        let daemon = place.start();
        assert_eq!(facts(&daemon).await, before);
        let again = daemon.post(deposit, &id, r#"{"cents":5}"#).await.ok();
        assert_eq!(
            (at(&again, "/is_repeat"), at(&again, "/events")),
            (&json!(true), &first["events"])
        );
        let last = daemon.account("a7", "deposit-funds", r#"{"cents":1}"#).await.ok();
        let row =
            format!("/v1/views/account-balances/accounts/a7?{}&wait_ms=60000", reached(&last));
        assert_eq!(at(&daemon.get(&row).await.ok(), "/value/balance_cents"), 7 + 7 + 5 + 1);
        let moved = facts(&daemon).await;
        assert_eq!(daemon.stop(), Some(0));

        let (back, home) = (path("back.ndjson"), path("home"));
        store(Some(tables), &["export", "--to", &back]);
        store(None, &["import", &back, "--data", &home, "--plugins", &plugins]);
        let daemon = Daemon::start(Path::new(&home));
        assert_eq!(facts(&daemon).await, moved);
        daemon.account("a7", "deposit-funds", r#"{"cents":1}"#).await.ok();
    });
}
