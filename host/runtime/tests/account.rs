//! The bank's aggregate `account`, through its whole life.

use annals_core::columns::History;
use annals_core::place::Revision;
use annals_core::plugin::{PluginKind, Refusal};
use annals_core::port::guest::EntityHandle;
use annals_core::time::Timestamp;

use crate::support::{Resident, load, text};

fn account() -> Resident {
    Resident::new(&load(annals_components::account()))
}

fn event(name: &str, data: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), data.to_owned())]
}

#[track_caller]
fn rejected(account: &mut Resident, command: &str, data: &str, expected: &str) {
    match account.decide(command, data).unwrap() {
        Err(Refusal::Rejected { code, .. }) => assert_eq!(code, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_account_is_opened_used_and_told_no() {
    // Guards B1 and B4 as far as one sandbox goes.
    let mut account = account();
    assert_eq!(account.plugin.inspection().kind, PluginKind::Aggregate);
    rejected(&mut account, "deposit-funds", r#"{"cents":1}"#, "not-open");
    let opened = r#"{"owner":"Athena","initial_cents":10}"#;
    assert_eq!(account.accept("open-account", opened), event("account-opened", opened));
    rejected(&mut account, "open-account", opened, "already-open");
    let deposit = r#"{"cents":190}"#;
    assert_eq!(account.accept("deposit-funds", deposit), event("funds-deposited", deposit));
    let withdraw = r#"{"cents":100}"#;
    assert_eq!(account.accept("withdraw-funds", withdraw), event("funds-withdrawn", withdraw));
    rejected(&mut account, "withdraw-funds", r#"{"cents":101}"#, "insufficient-funds");
    let state: serde_json::Value = serde_json::from_str(&account.snapshot()).unwrap();
    assert_eq!(
        state,
        serde_json::json!({
            "owner": "Athena", "balance_cents": 100, "in_transfers_cents": 0, "is_open": true,
            "transfers": {},
        })
    );
}

#[test]
fn what_does_not_decode_is_malformed_and_the_entity_goes_on() {
    // Guards C2: the caller's fault is not the plugin's.
    let mut account = account();
    for data in ["", "{", r#"{"cents":"ten"}"#, "\u{1}"] {
        let refused = account.decide("deposit-funds", data).unwrap();
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{data}: {refused:?}");
    }
    account.accept("open-account", r#"{"owner":"A","initial_cents":0}"#);
}

#[test]
fn a_snapshot_restores_to_the_same_state() {
    // Guards S1: an entity of a snapshot is the entity.
    let mut account = account();
    account.accept("open-account", r#"{"owner":"Hermes","initial_cents":7}"#);
    account.accept("debit-for-transfer", r#"{"transfer":"t1","cents":3}"#);
    let snapshot = account.snapshot();
    let restored = account.guest.restore("account/1", snapshot.as_bytes()).unwrap();
    account.entity = restored.unwrap();
    assert_eq!(account.snapshot(), snapshot);
    // What it was debited for once, it is not debited for again.
    assert_eq!(account.accept("debit-for-transfer", r#"{"transfer":"t1","cents":3}"#), []);
}

#[test]
fn a_snapshot_that_is_none_is_refused_and_the_guest_goes_on() {
    // Guards S2: corrupt bytes lead to a full load, not to a failure.
    let mut account = account();
    for bytes in [&b""[..], b"{", b"\xff\xfe"] {
        assert!(account.guest.restore("account/1", bytes).unwrap().is_err());
    }
    account.accept("open-account", r#"{"owner":"A","initial_cents":0}"#);
}

#[test]
fn entities_of_one_sandbox_do_not_share_state_and_go_one_by_one() {
    // Guards streams against one another.
    let mut account = account();
    account.accept("open-account", r#"{"owner":"A","initial_cents":1}"#);
    let first = account.entity;
    account.entity = account.guest.create("account/2").unwrap();
    rejected(&mut account, "deposit-funds", r#"{"cents":1}"#, "not-open");
    account.guest.remove(account.entity).unwrap();
    account.entity = first;
    rejected(&mut account, "open-account", r#"{"owner":"A","initial_cents":1}"#, "already-open");
}

#[test]
fn a_handle_that_names_nothing_is_a_failure() {
    // Guards against a mistake of the engine reaching a stranger's entity.
    let failure =
        |call| format!("plugin `account` broke the contract in `{call}`: there is no such entity");
    let mut removed = account();
    removed.guest.remove(removed.entity).unwrap();
    assert_eq!(text(removed.decide("close-account", "{}")), failure("decide"));
    let mut never = account();
    assert_eq!(text(never.guest.remove(EntityHandle(7))), failure("destructor"));
}

#[test]
fn a_long_history_is_evolved_in_one_call() {
    // Guards bulk loading: one call, whatever the number of events.
    let mut account = account();
    account.accept("open-account", r#"{"owner":"A","initial_cents":0}"#);
    let deposited = account.event_index("funds-deposited");
    let mut history = History::starting_at(Revision::new(1));
    for _ in 0..4_096 {
        history.push(deposited, Timestamp::from_ms(2), br#"{"cents":2}"#).unwrap();
    }
    account.guest.evolve(account.entity, &history).unwrap();
    let state: serde_json::Value = serde_json::from_str(&account.snapshot()).unwrap();
    assert_eq!(state["balance_cents"], 8_192);
}

#[test]
fn the_same_calls_give_the_same_answers() {
    // Guards B8 and C9: two sandboxes, one history, the same bytes.
    let run = || {
        let mut account = account();
        let mut answers =
            vec![account.accept("open-account", r#"{"owner":"A","initial_cents":5}"#)];
        for cents in 1..50 {
            let data = format!(r#"{{"cents":{cents}}}"#);
            answers.push(account.accept("deposit-funds", &data));
        }
        (answers, account.snapshot())
    };
    assert_eq!(run(), run());
}

#[test]
fn memory_is_told_and_given_back() {
    // Guards the number by which the engine decides when a sandbox is too large.
    let mut account = account();
    let (bytes, bytes_max) = (account.guest.memory_bytes(), account.guest.memory_bytes_max());
    assert_eq!(bytes_max, 64 << 20);
    assert!((64 << 10..4 << 20).contains(&bytes), "{bytes}");
    for number in 0..1_000 {
        let entity = account.guest.create(&format!("account/{number}")).unwrap();
        account.guest.remove(entity).unwrap();
    }
    assert_eq!(account.guest.memory_bytes(), bytes);
}
