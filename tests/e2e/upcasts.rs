//! Upcasters on the real binary: what a first program wrote, read by the plugins of today.

use annals_components::misbehaving_upcaster as misdeed;
use serde_json::{Value, json};

use crate::support::{Daemon, annals, at, folder, reached, run};

/// What the bank's first program recorded of an account.
fn first_events() -> Value {
    json!({ "events": [
        { "type": "account-registered", "data": { "name": "Ada", "paid_in_cents": 900 } },
        { "type": "balance-changed", "data": { "by": "-2.50" } },
        { "type": "balance-changed", "schema_version": 2, "data": { "by_cents": 100 } },
    ]})
}

#[test]
fn what_a_first_program_wrote_is_read_by_the_plugins_of_today() {
    // Guards the life of old events from outside: state, decisions, view, API and command line, over
    // a restart; what is stored never changes.
    run(async {
        let (_folder, data) = folder();
        let mut daemon = Daemon::start(&data);
        let stream = "/v1/streams/account/a1";
        daemon.post(stream, &[], &first_events().to_string()).await.ok();
        let as_stored = daemon.get(stream).await.ok();
        // The upcaster first: a view keeps what it has once passed by.
        daemon.install("first-accounts", annals_components::first_accounts()).await.ok();
        daemon.install("account", annals_components::account()).await.ok();
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        for cents in [30, 40] {
            let deposit = json!({ "cents": cents }).to_string();
            let last = daemon.account("a1", "deposit-funds", &deposit).await.ok();
            let row = format!("/v1/views/account-balances/accounts/a1?{}", reached(&last));
            let row = daemon.get(&row).await.ok();
            let state = daemon.get("/v1/aggregates/account/a1").await.ok();
            let expected = if cents == 30 { 780 } else { 820 };
            assert_eq!(at(&state, "/state/balance_cents"), expected);
            assert_eq!(at(&state, "/state/owner"), "Ada");
            assert_eq!(at(&row, "/value/balance_cents"), expected);
            daemon.kill();
            daemon = Daemon::start(&data);
        }
        let before = daemon.get("/v1/aggregates/account/a1?revision=1").await.ok();
        assert_eq!(at(&before, "/state/balance_cents"), 650);
        let now = daemon.get(stream).await.ok();
        assert_eq!(
            now["events"].as_array().unwrap()[..3],
            as_stored["events"].as_array().unwrap()[..]
        );
        let upcast = daemon.get(&format!("{stream}?upcast=true&limit=3")).await.ok();
        let shown: Vec<_> = upcast["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| json!([event["revision"], event["type"], event["data"], event["stored"]]))
            .collect();
        let stored = |name: &str, version: u32| json!({ "type": name, "schema_version": version });
        let registered = stored("account-registered", 1);
        let expected = [
            json!([0, "account-opened", { "owner": "Ada", "initial_cents": 0 }, registered]),
            json!([0, "funds-deposited", { "cents": 900 }, registered]),
            json!([1, "funds-withdrawn", { "cents": 250 }, stored("balance-changed", 1)]),
            json!([2, "funds-deposited", { "cents": 100 }, stored("balance-changed", 2)]),
        ];
        assert_eq!(shown, expected);
        let mut read = annals();
        read.args(["stream", "read", "account/a1", "--upcast", "--limit", "2"]);
        let read = read.args(["--server", daemon.url()]).output().unwrap();
        let lines = String::from_utf8(read.stdout).unwrap();
        let types: Vec<_> =
            lines.lines().map(|line| line.split_whitespace().nth(2).unwrap()).collect();
        assert_eq!(types, ["account-opened", "funds-deposited", "funds-withdrawn"], "{lines}");
    });
}

#[test]
fn an_upcaster_that_misbehaves_fails_those_who_read_the_event_only() {
    // Guards containment: each misdeed is told with its upcaster and event; the stored events stay
    // readable, and accounts without old events go on.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        let upcaster = annals_components::misbehaving_upcaster();
        daemon.install("misbehaving-upcaster", upcaster).await.ok();
        daemon.account("whole", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
        let cases = [
            (misdeed::REFUSED, "not this one"),
            (misdeed::TRAPPED, "trapped"),
            (misdeed::LOOPED, "fuel"),
            (misdeed::HOARDED, "memory"),
            (misdeed::VANISHED, "vanish"),
            (misdeed::UNDECLARED, "does not produce"),
            (misdeed::GARBLED, "not JSON"),
            (misdeed::MISNAMED, "utf-8"),
            (misdeed::MULTIPLIED, "upcast_events_max"),
            (misdeed::CIRCLED, "upcast_chain_max"),
        ];
        for (event, told) in cases {
            let stream = format!("/v1/streams/account/{event}");
            let events = json!({ "events": [{ "type": event, "data": {} }] }).to_string();
            daemon.post(&stream, &[], &events).await.ok();
            let shown = daemon.get(&format!("{stream}?upcast=true")).await;
            let failed = daemon.account(event, "deposit-funds", r#"{"cents":1}"#).await;
            for answer in [shown, failed] {
                assert_eq!((answer.status, answer.code()), (500, "upcast-failed"), "{event}");
                assert_eq!(answer.body["event_type"], event);
                assert!(answer.body.to_string().contains(told), "{event}: {:#}", answer.body);
            }
            assert_eq!(at(&daemon.get(&stream).await.ok(), "/events").as_array().unwrap().len(), 1);
            daemon.account("whole", "deposit-funds", r#"{"cents":1}"#).await.ok();
        }
    });
}
