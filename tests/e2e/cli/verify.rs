//! `annals plugin verify` and `annals plugin install --verify`, with real components.

use hyper::Method;
use serde_json::{Value, json};

use super::{Talk, said};
use crate::drivers::Place;
use crate::support::{annals, at, run};

/// A bank with ten accounts: three deposits of 100 cents each, one more of 5 000 on the first two, and
/// a withdrawal that was rejected.
async fn bank() -> Talk {
    let talk = Talk::with_bank();
    for number in 0..10 {
        let account = format!("a{number}");
        let account = |command, data: Value| {
            let (daemon, id) = (&talk.daemon, account.clone());
            async move { daemon.account(&id, command, &data.to_string()).await }
        };
        account("open-account", json!({"owner": "Ada", "initial_cents": 10})).await.ok();
        for _ in 0..3 {
            account("deposit-funds", json!({"cents": 100})).await.ok();
        }
        if number < 2 {
            account("deposit-funds", json!({"cents": 5_000})).await.ok();
        }
        assert_eq!(account("withdraw-funds", json!({"cents": 90_000})).await.status, 422);
    }
    let capped = talk.folder.path().join("capped.wasm");
    std::fs::write(capped, annals_components::capped_account()).unwrap();
    talk
}

#[test]
fn a_new_limit_shows_as_drift_and_is_not_installed() {
    // Guards the whole path: the same component is identical, a changed one drifts, with examples as
    // text and JSON, the exit code tells, and `install --verify` refuses it.
    run(async {
        let talk = bank().await;
        let same = talk.say(&["plugin", "verify", "account.wasm"]);
        let text = "account 0.1.0 beside 0.1.0: identical\n  streams   10 with 42 events\n  \
                    commands  52 decided again, 0 otherwise\n  states    10 compared, 0 differ\n";
        assert_eq!((same.code, same.stdout.as_str(), same.stderr.as_str()), (Some(0), text, ""));

        let drift = talk.say(&["plugin", "verify", "capped.wasm"]);
        assert_eq!(drift.code, Some(1));
        let expected = "account 0.2.0 beside 0.1.0: drift\n  streams   10 with 42 events\n  \
                        commands  52 decided again, 2 otherwise\n  states    10 compared, 0 differ\n\n\
                        deposit-funds  2 of 32  2 outcome\n\n\
                        account/a0 after revision 3: deposit-funds ";
        assert!(drift.stdout.starts_with(expected), "{}", drift.stdout);
        let difference = "\n  /outcome: \"accepted\" became \"rejected\"\n";
        assert_eq!(drift.stdout.matches(difference).count(), 2, "{}", drift.stdout);
        let error = "error: `account` 0.2.0 does not decide as it was recorded\n\nhint: when that is what \
                     you want, install it with `--verify --accept-drift`, or without `--verify`: what was \
                     recorded stays as it is\n";
        assert_eq!(drift.stderr, error);
        let json = talk.say(&["plugin", "verify", "capped.wasm", "--output", "json"]);
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(
            (at(&json, "/verdict"), at(&json, "/commands/outcome_count")),
            (&json!("drift"), &json!(2))
        );
        let sample = talk.say(&["plugin", "verify", "account.wasm", "--sample", "4"]).ok();
        assert!(sample.contains("streams   4 with "), "{sample}");
        assert!(sample.contains(", a sample\n"), "{sample}");

        let refused = talk.say(&["plugin", "install", "capped.wasm", "--verify"]).failed(1);
        assert!(refused.contains("account 0.2.0 beside 0.1.0: drift"), "{refused}");
        assert!(refused.ends_with(error), "{refused}");
        talk.say(&["plugin", "install", "capped.wasm", "--accept-drift"]).failed(1);
        let version =
            async || at(&talk.daemon.get("/v1/plugins/account").await.ok(), "/version").clone();
        assert_eq!(version().await, "0.1.0");
        // What is missing is not to be accepted as drift.
        talk.daemon
            .account("gone", "open-account", r#"{"owner":"Bob","initial_cents":0}"#)
            .await
            .ok();
        talk.daemon.account("gone", "close-account", "{}").await.ok();
        let accepted = ["plugin", "install", "capped.wasm", "--verify", "--accept-drift"];
        let broken = talk.say(&accepted).failed(1);
        assert!(
            broken.contains("`account-closed` of schema version 1 is not read: 1\n"),
            "{broken}"
        );
        assert!(broken.contains("account/gone is not folded after revision 0\n"), "{broken}");
        assert!(broken.contains("error: `account` 0.2.0 cannot fold its history"), "{broken}");
        assert_eq!(version().await, "0.1.0");
    });
}

#[test]
fn a_first_version_has_nothing_to_verify_and_drift_can_be_accepted() {
    // Guards `install --verify` where there is no history, and where its drift is meant.
    run(async {
        let fresh = Talk::with_nothing();
        let from = fresh.folder.path();
        for (name, component) in [
            ("account.wasm", annals_components::account()),
            ("account-balances.wasm", annals_components::account_balances()),
            ("capped.wasm", annals_components::capped_account()),
        ] {
            std::fs::write(from.join(name), component).unwrap();
        }
        let install = |name: &str| fresh.say(&["plugin", "install", name, "--verify"]);
        let first = install("account.wasm");
        assert_eq!(
            (first.code, first.stdout.as_str()),
            (Some(0), "installed the aggregate `account` 0.1.0\n")
        );
        assert!(
            first.stderr.contains("`account` has no active version: there is nothing to verify\n")
        );
        let view = install("account-balances.wasm");
        assert!(
            view.stderr.contains("decides nothing: there is nothing to verify\n"),
            "{}",
            view.stderr
        );
        let big = r#"{"owner":"Ada","initial_cents":9}"#;
        fresh.daemon.account("a1", "open-account", big).await.ok();
        fresh.daemon.account("a1", "deposit-funds", r#"{"cents":2000}"#).await.ok();
        let accepted = ["plugin", "install", "capped.wasm", "--verify", "--accept-drift"];
        let done = fresh.say(&accepted);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let start = "upgraded the aggregate `account` 0.2.0\n  removed command `close-account` (breaking)\n";
        assert!(done.stdout.starts_with(start), "{}", done.stdout);
        let refused = fresh.daemon.account("a1", "deposit-funds", r#"{"cents":2000}"#).await;
        assert_eq!(refused.status, 422);
    });
}

#[test]
fn commands_are_accepted_while_a_version_is_verified() {
    // Guards serving: a client deposits all the time while the history is folded, and none of its
    // commands fails.
    run(async {
        let talk = bank().await;
        for number in 10..200 {
            let open = r#"{"owner":"Eve","initial_cents":1}"#;
            talk.daemon.account(&format!("a{number}"), "open-account", open).await.ok();
        }
        let (server, folder) = (talk.daemon.url().to_owned(), talk.folder.path().to_owned());
        let verifying = tokio::task::spawn_blocking(move || {
            let verify = || {
                let mut command = annals();
                command.args(["plugin", "verify", "account.wasm", "--output", "json"]);
                said(command.current_dir(&folder).env("ANNALS_SERVER", &server)).json()
            };
            [(); 3].map(|()| at(&verify(), "/verdict").clone())
        });
        let mut deposits = 0;
        while !verifying.is_finished() {
            talk.daemon.account("a0", "deposit-funds", r#"{"cents":1}"#).await.ok();
            deposits += 1;
        }
        assert_eq!(verifying.await.unwrap(), ["identical", "identical", "identical"]);
        assert!(deposits > 0);
    });
}

#[test]
fn every_partition_of_a_shared_store_is_verified() {
    // Guards DynamoDB: streams of all four partitions are found once, refused ones too, and compared on
    // what another daemon has written.
    run(async {
        let place = Place::dynamodb_and_redis();
        let daemon = place.start_with_account().await;
        for number in 0..12 {
            let account = format!("a{number}");
            assert_eq!(daemon.account(&account, "close-account", "{}").await.status, 422);
            if number < 8 {
                let open = r#"{"owner":"Ada","initial_cents":1}"#;
                daemon.account(&account, "open-account", open).await.ok();
                daemon.account(&account, "deposit-funds", r#"{"cents":2000}"#).await.ok();
            }
        }
        let other = place.start_another();
        let verify = async |component: &'static [u8]| {
            let (path, headers) =
                ("/v1/plugins/account/verify", [("content-type", "application/wasm")]);
            let answer =
                other.try_send(Method::POST, path, &headers, component).await.unwrap().ok();
            let line = answer.as_str().unwrap().lines().last().unwrap().to_owned();
            let verdict: Value = serde_json::from_str(&line).unwrap();
            ["verdict", "streams_count", "events_count", "commands_count"]
                .map(|name| at(&verdict, &format!("/verdict/{name}")).clone())
        };
        let same = [json!("identical"), json!(12), json!(16), json!(28)];
        assert_eq!(verify(annals_components::account()).await, same);
        let drift = [json!("drift"), json!(12), json!(16), json!(28)];
        assert_eq!(verify(annals_components::capped_account()).await, drift);
    });
}
