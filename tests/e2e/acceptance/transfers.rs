//! The whole bank over HTTP: transfers between accounts, moved by the process manager `transfer`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::drivers::Place;
use crate::support::{Daemon, at, reached};
use crate::transfers::{ended, start, the_bank_adds_up};

/// Revision and balance of an account.
async fn account(daemon: &Daemon, id: &str) -> (Value, Value) {
    let state = daemon.get(&format!("/v1/aggregates/account/{id}")).await.ok();
    (at(&state, "/revision").clone(), at(&state, "/state/balance_cents").clone())
}

/// The types of a stream's events, in order.
async fn types(daemon: &Daemon, stream: &str) -> Vec<String> {
    let answer = daemon.get(&format!("/v1/streams/{stream}")).await;
    if answer.status == 404 {
        return Vec::new();
    }
    let stream = answer.ok();
    let events = at(&stream, "/events").as_array().unwrap();
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// The commands of a stream that were rejected, and why.
async fn rejected(daemon: &Daemon, stream: &str) -> Vec<(String, String)> {
    let commands = daemon.get(&format!("/v1/streams/{stream}/commands")).await.ok();
    let text = |json: &Value| json.as_str().unwrap().to_owned();
    let commands = at(&commands, "/commands").as_array().unwrap();
    let rejected = commands.iter().filter(|command| !command["rejection"].is_null());
    rejected.map(|it| (text(&it["command"]), text(&it["rejection"]["code"]))).collect()
}

async fn open(daemon: &Daemon, id: &str, cents: i64) -> Value {
    let data = json!({ "owner": "Ada", "initial_cents": cents });
    daemon.account(id, "open-account", &data.to_string()).await.ok()
}

/// Plays B1 with accounts and transfers of these names, and returns all that came of it.
async fn play(daemon: &Daemon, name: &str) -> Value {
    let [a1, a2, t1, t2] = ["a1", "a2", "t1", "t2"].map(|id| format!("{id}{name}"));
    open(daemon, &a1, 10).await;
    open(daemon, &a2, 10).await;
    daemon.account(&a1, "deposit-funds", r#"{"cents":190}"#).await.ok();
    daemon.account(&a1, "withdraw-funds", r#"{"cents":100}"#).await.ok();
    let refused = daemon.account(&a2, "withdraw-funds", r#"{"cents":100}"#).await;
    assert_eq!(refused.status, 422);
    start(daemon, &t1, (&a1, &a2, 10)).await.ok();
    assert_eq!(ended(daemon, &t1).await, "completed");
    start(daemon, &t2, (&a2, &a1, 100)).await.ok();
    assert_eq!(ended(daemon, &t2).await, "failed");
    let last = daemon.get(&format!("/v1/streams/account/{a2}")).await.ok();
    let last = reached(at(&last, "/events").as_array().unwrap().last().unwrap());
    let mut balances = BTreeMap::new();
    for id in [&a1, &a2] {
        let path = format!("/v1/views/account-balances/accounts/{id}?{last}");
        let row = daemon.get(&path).await.ok();
        balances.insert(id.clone(), at(&row, "/value/balance_cents").clone());
    }
    json!({
        "accounts": [account(daemon, &a1).await, account(daemon, &a2).await],
        "balances": balances.values().collect::<Vec<_>>(),
        "transfers": [
            types(daemon, &format!("money-transfer/{t1}")).await,
            types(daemon, &format!("money-transfer/{t2}")).await,
        ],
        "events": [
            types(daemon, &format!("account/{a1}")).await,
            types(daemon, &format!("account/{a2}")).await,
        ],
        "rejected": rejected(daemon, &format!("account/{a2}")).await,
    })
}

fn as_the_scenario_says() -> Value {
    json!({
        "accounts": [[3, 90], [1, 20]],
        "balances": [90, 20],
        "transfers": [
            ["transfer-started", "transfer-debited", "transfer-completed"],
            ["transfer-started", "transfer-failed"],
        ],
        "events": [
            ["account-opened", "funds-deposited", "funds-withdrawn", "debited-for-transfer"],
            ["account-opened", "credited-for-transfer"],
        ],
        "rejected": [
            ["withdraw-funds", "insufficient-funds"],
            ["debit-for-transfer", "insufficient-funds"],
        ],
    })
}

pub(super) async fn money_moves_and_comes_back_as_the_scenario_says(place: &Place) {
    // Guards B1 in full.
    let daemon = place.start_with_bank().await;
    assert_eq!(play(&daemon, "").await, as_the_scenario_says());
    let overview = daemon.get("/v1/views/transfer-overview/transfers/t2").await.ok();
    assert_eq!(at(&overview, "/value/reason"), "insufficient-funds");
}

pub(super) async fn the_same_story_has_the_same_end_each_time(place: &Place) {
    // Guards B8.
    let daemon = place.start_with_bank().await;
    for number in 0..place.many(100) {
        let played = play(&daemon, &format!("-{number}")).await;
        assert_eq!(played, as_the_scenario_says(), "{number}");
    }
}

pub(super) async fn what_cannot_arrive_comes_back(place: &Place) {
    // Guards B2: the target was never opened.
    let daemon = place.start_with_bank().await;
    open(&daemon, "a1", 50).await;
    start(&daemon, "t1", ("a1", "nobody", 20)).await.ok();
    assert_eq!(ended(&daemon, "t1").await, "failed");
    assert_eq!(account(&daemon, "a1").await, (json!(2), json!(50)));
    let expected = ["account-opened", "debited-for-transfer", "transfer-refunded"];
    assert_eq!(types(&daemon, "account/a1").await, expected);
    assert_eq!(types(&daemon, "account/nobody").await, Vec::<String>::new());
    let stream = daemon.get("/v1/streams/money-transfer/t1").await.ok();
    let last = at(&stream, "/events").as_array().unwrap().last().unwrap().clone();
    assert_eq!(at(&last, "/data/reason"), "target-not-open");
}

pub(super) async fn transfers_that_cannot_be_are_refused_or_fail(place: &Place) {
    // Guards B3.
    let daemon = place.start_with_bank().await;
    open(&daemon, "a1", 50).await;
    for (to, cents, code) in [("a2", -5, "invalid-amount"), ("a1", 5, "same-account")] {
        let refused = start(&daemon, "t1", ("a1", to, cents)).await;
        assert_eq!(at(&refused.body, "/rejection/code"), code);
    }
    start(&daemon, "t2", ("nobody", "a1", 5)).await.ok();
    assert_eq!(ended(&daemon, "t2").await, "failed");
    let stream = daemon.get("/v1/streams/money-transfer/t2").await.ok();
    assert_eq!(at(&stream, "/events/1/data/reason"), "not-open");
    assert_eq!(account(&daemon, "a1").await, (json!(0), json!(50)));
}

pub(super) async fn a_debit_that_is_delivered_twice_is_one_debit(place: &Place) {
    // Guards B5: the same id, and a new one.
    let daemon = place.start_with_bank().await;
    open(&daemon, "a1", 50).await;
    let (path, data) =
        ("/v1/aggregates/account/a1/debit-for-transfer", r#"{"transfer":"t1","cents":20}"#);
    let key = [("idempotency-key", "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10")];
    for headers in [&key[..], &key[..], &[]] {
        daemon.post(path, headers, data).await.ok();
    }
    assert_eq!(account(&daemon, "a1").await, (json!(1), json!(30)));
}

pub(super) async fn a_transfer_without_an_answer_times_out_and_gives_back(place: &Place) {
    // Guards the time-out: the account is away when the time is up, and decides later.
    let mut daemon = place.start_with_bank().await;
    open(&daemon, "a1", 50).await;
    open(&daemon, "a2", 0).await;
    let removed = daemon.try_send(Method::DELETE, "/v1/plugins/account", &[], "").await;
    removed.unwrap().ok();
    let data = json!({ "from": "a1", "to": "a2", "cents": 20, "timeout_ms": 300 }).to_string();
    let path = "/v1/aggregates/money-transfer/t1/start-transfer";
    daemon.post(path, &[], &data).await.ok();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let shown = daemon.get("/v1/processes/transfer/instances/t1").await;
        let has_fired = |it: &Value| it["message"]["timer"] == "time-out";
        let history = shown.body["history"].as_array();
        if history.is_some_and(|history| history.iter().any(has_fired)) {
            break;
        }
        assert!(Instant::now() < deadline, "{:#}", shown.body);
        sleep(Duration::from_millis(20)).await;
    }
    // Nothing of it is forgotten by a crash.
    daemon.kill();
    daemon = place.start();
    place.install_account(&daemon).await;
    assert_eq!(ended(&daemon, "t1").await, "failed");
    let stream = daemon.get("/v1/streams/money-transfer/t1").await.ok();
    let last = at(&stream, "/events").as_array().unwrap().last().unwrap().clone();
    assert_eq!(at(&last, "/data/reason"), "timed-out");
    let (_, balance) = account(&daemon, "a1").await;
    assert_eq!(balance, 50);
    let events = types(&daemon, "account/a1").await;
    let expected = ["account-opened", "debited-for-transfer", "transfer-refunded"];
    assert_eq!(events, expected);
}

pub(super) async fn many_transfers_at_once_conserve_money(place: &Place) {
    // Guards B6: 2 000 transfers over 20 accounts, 64 at once.
    const ACCOUNTS: usize = 20;
    let daemon = place.start_with_bank().await;
    for account in 0..ACCOUNTS {
        open(&daemon, &format!("a{account}"), 1_000).await;
    }
    let count = place.many(2_000);
    let numbers: Vec<_> = (0..count).collect();
    for numbers in numbers.chunks(64) {
        let daemon = &daemon;
        let sent = numbers.iter().map(|number| async move {
            let (from, to) = (number % ACCOUNTS, (number / 7 + 1 + number) % ACCOUNTS);
            let to = if to == from { (to + 1) % ACCOUNTS } else { to };
            let (from, to) = (format!("a{from}"), format!("a{to}"));
            let cents = i64::try_from(1 + number % 50).unwrap();
            start(daemon, &format!("t{number}"), (&from, &to, cents)).await.ok();
        });
        join_all(sent).await;
    }
    the_bank_adds_up(&daemon, count, 20_000).await;
}
