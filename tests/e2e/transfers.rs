//! Transfers of the bank: starting them, waiting for their end, and what must be true of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, Daemon, at};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Longest wait for what happens by itself; only for a daemon that does not get on.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Asks for a transfer.
pub(crate) async fn start(
    daemon: &Daemon,
    id: &str,
    (from, to, cents): (&str, &str, i64),
) -> Answer {
    let data = json!({ "from": from, "to": to, "cents": cents }).to_string();
    daemon.post(&format!("/v1/aggregates/money-transfer/{id}/start-transfer"), &[], &data).await
}

/// Waits for the end of a transfer, and returns how it ended.
pub(crate) async fn ended(daemon: &Daemon, id: &str) -> String {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let state = daemon.get(&format!("/v1/aggregates/money-transfer/{id}")).await.ok();
        let stage = at(&state, "/state/stage").as_str().unwrap().to_lowercase();
        if ["completed", "failed"].contains(&stage.as_str()) {
            return stage;
        }
        assert!(Instant::now() < deadline, "{state:#}");
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until all of `count` transfers have ended, and checks every event and row of the bank: no
/// money was made or lost, nothing happened twice, and the views are the fold of the events.
pub(crate) async fn the_bank_adds_up(daemon: &Daemon, count: usize, sum_cents: i64) {
    until_all_ended(daemon, count).await;
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    let (mut debited, mut credited, mut refunded) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in all_events(daemon).await {
        let (category, id) = at(&event, "/stream").as_str().unwrap().split_once('/').unwrap();
        let kind = at(&event, "/type").as_str().unwrap();
        if category == "money-transfer" {
            ends.entry(id.to_owned()).or_default().push(kind.to_owned());
            continue;
        }
        let data = at(&event, "/data");
        let cents = data.get("cents").or_else(|| data.get("initial_cents"));
        let cents = cents.and_then(Value::as_i64).unwrap_or_default();
        let transfer = || data["transfer"].as_str().unwrap().to_owned();
        let change = match kind {
            "account-opened" | "funds-deposited" => cents,
            "debited-for-transfer" => {
                assert!(debited.insert(transfer()), "debited twice: {event:#}");
                -cents
            }
            "credited-for-transfer" => {
                assert!(credited.insert(transfer()), "credited twice: {event:#}");
                cents
            }
            "transfer-refunded" => {
                assert!(refunded.insert(transfer()), "refunded twice: {event:#}");
                cents
            }
            other => panic!("{other}"),
        };
        *balances.entry(id.to_owned()).or_default() += change;
    }
    assert_eq!(balances.values().sum::<i64>(), sum_cents);
    assert!(balances.values().all(|cents| *cents >= 0), "{balances:?}");
    assert_eq!(ends.len(), count);
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, events) in &ends {
        let end = events.last().unwrap().as_str();
        let of_it = (debited.contains(id), credited.contains(id), refunded.contains(id));
        match end {
            "transfer-completed" => assert_eq!(of_it, (true, true, false), "{id}"),
            "transfer-failed" => {
                let is_right = [(false, false, false), (true, false, true)].contains(&of_it);
                assert!(is_right, "{id}: {of_it:?}");
            }
            _ => panic!("{id}: {events:?}"),
        }
        assert_eq!(events.iter().filter(|it| it.as_str() == "transfer-started").count(), 1);
        assert!(events.len() <= 3, "{id}: {events:?}");
        *totals.entry(end.trim_start_matches("transfer-")).or_default() += 1;
    }
    the_views_are_the_fold(daemon, &balances, &totals).await;
}

async fn until_all_ended(daemon: &Daemon, count: usize) {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let totals = totals(daemon).await;
        let of = |name: &str| totals.get(name).copied().unwrap_or_default();
        if of("completed") + of("failed") == i64::try_from(count).unwrap() {
            return;
        }
        assert!(Instant::now() < deadline, "{totals:?} of {count}");
        sleep(LOOK_EVERY).await;
    }
}

/// How many transfers there are of each status.
pub(crate) async fn totals(daemon: &Daemon) -> BTreeMap<String, i64> {
    let rows = daemon.get("/v1/views/transfer-overview/totals").await.ok();
    let rows = at(&rows, "/rows").as_array().unwrap();
    let row = |row: &Value| Some((row["key"].as_str()?.to_owned(), row["value"].as_i64()?));
    rows.iter().filter_map(row).collect()
}

async fn the_views_are_the_fold(
    daemon: &Daemon,
    balances: &BTreeMap<String, i64>,
    ends: &BTreeMap<&str, usize>,
) {
    let last = all_events(daemon).await.pop().unwrap();
    let reached = crate::support::reached(&last);
    for (id, cents) in balances {
        let path = format!("/v1/views/account-balances/accounts/{id}?{reached}");
        let row = daemon.get(&path).await.ok();
        assert_eq!(at(&row, "/value/balance_cents"), *cents, "{id}");
        let state = daemon.get(&format!("/v1/aggregates/account/{id}")).await.ok();
        assert_eq!(at(&state, "/state/balance_cents"), *cents, "{id}");
    }
    let totals = totals(daemon).await;
    for end in ["completed", "failed"] {
        let count = ends.get(end).copied().unwrap_or_default();
        let shown = totals.get(end).copied().unwrap_or_default();
        assert_eq!(shown, i64::try_from(count).unwrap());
    }
    for status in ["started", "debited"] {
        assert_eq!(totals.get(status).copied().unwrap_or_default(), 0, "{totals:?}");
    }
}

/// All events of accounts and transfers, of each partition in order.
async fn all_events(daemon: &Daemon) -> Vec<Value> {
    let mut all = Vec::new();
    for partition in 0.. {
        let mut after = String::new();
        loop {
            let path = format!("/v1/events?partition={partition}&limit=1000{after}");
            let page = daemon.get(&path).await;
            if page.status != 200 {
                return all;
            }
            let page = page.ok();
            let events = at(&page, "/events").as_array().unwrap();
            let of_bank = |event: &&Value| {
                let stream = event["stream"].as_str().unwrap();
                stream.starts_with("account/") || stream.starts_with("money-transfer/")
            };
            all.extend(events.iter().filter(of_bank).cloned());
            let Some(last) = events.last() else { break };
            after = format!("&after={}", at(last, "/position"));
        }
    }
    all
}
