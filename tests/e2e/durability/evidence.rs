//! What must be true after the daemon was killed: the events against what the clients were told.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use serde_json::Value;
use uuid::Uuid;

use super::clients::{Client, Told, Wish};
use super::{ACCOUNTS, INITIAL_CENTS};
use crate::support::{Daemon, at};

/// A recorded event of an account.
#[derive(Debug)]
pub(super) struct Event {
    account: String,
    revision: u64,
    position: u64,
    command: Uuid,
    event_type: String,
    /// What it adds to the balance.
    cents: i64,
}

impl Event {
    fn of(json: &Value) -> Self {
        let text = |pointer| at(json, pointer).as_str().unwrap().to_owned();
        let number = |pointer| at(json, pointer).as_u64().unwrap();
        let event_type = text("/type");
        let cents = |pointer| at(json, pointer).as_i64().unwrap();
        let cents = match event_type.as_str() {
            "account-opened" => cents("/data/initial_cents"),
            "funds-deposited" => cents("/data/cents"),
            "funds-withdrawn" => -cents("/data/cents"),
            other => panic!("no client wished for `{other}`"),
        };
        Self {
            account: text("/stream").strip_prefix("account/").unwrap().to_owned(),
            revision: number("/revision"),
            position: number("/position"),
            command: text("/command_id").parse().unwrap(),
            event_type,
            cents,
        }
    }
}

fn accepted(clients: &[Client]) -> impl Iterator<Item = (&Wish, u64)> {
    let answered = clients.iter().flat_map(|client| &client.answered);
    answered.filter_map(|(wish, told)| match told {
        Told::Accepted(revision) => Some((wish, *revision)),
        Told::Refused => None,
    })
}

/// The cheap look after each restart: every account is at least where a client was told it is.
pub(super) async fn nothing_acknowledged_is_missing(daemon: &Daemon, clients: &[Client]) {
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for (wish, revision) in accepted(clients) {
        let last = told.entry(&wish.account).or_default();
        *last = revision.max(*last);
    }
    for (account, told) in told {
        let last = format!("/v1/streams/account/{account}?direction=backwards&limit=1");
        let last = daemon.get(&last).await.ok();
        let revision = at(&last, "/events/0/revision").as_u64().unwrap();
        assert!(revision >= told, "{account} is at {revision}, a client was told {told}");
    }
}

/// Every event of every account, in the order of the feed.
pub(super) async fn all_events(daemon: &Daemon) -> Vec<Event> {
    let mut events = Vec::new();
    let mut after = String::new();
    loop {
        let page = daemon.get(&format!("/v1/events?limit=1000{after}")).await.ok();
        let found = at(&page, "/events").as_array().unwrap();
        events.extend(found.iter().map(Event::of));
        if at(&page, "/is_at_head") == true {
            return events;
        }
        after = format!("&after={}", at(&page, "/read_up_to"));
    }
}

/// The events are exactly what was accepted, once each, with no hole in revisions and positions, and
/// nothing of what was refused.
pub(super) fn every_event_was_acknowledged_once(events: &[Event], clients: &[Client]) {
    let mut next_revisions: HashMap<&str, u64> = HashMap::new();
    // The plugins were installed before, by an event each.
    for (position, event) in (2..).zip(events) {
        let revision = next_revisions.entry(&event.account).or_default();
        assert_eq!((event.position, event.revision), (position, *revision), "{event:?}");
        *revision += 1;
    }
    let mut of_clients: HashMap<Uuid, &Event> = HashMap::new();
    for event in events.iter().filter(|event| event.event_type != "account-opened") {
        let other = of_clients.insert(event.command, event);
        assert!(other.is_none(), "twice: {event:?} {other:?}");
    }
    for (wish, revision) in accepted(clients) {
        let event = of_clients.remove(&wish.id);
        let event = event.unwrap_or_else(|| panic!("acknowledged and not there: {wish:?}"));
        let found = (event.account.as_str(), event.cents, event.revision);
        assert_eq!(found, (wish.account.as_str(), wish.cents, revision));
    }
    let (left_count, left) = (of_clients.len(), of_clients.values().next());
    assert!(left.is_none(), "{left_count} refused, or never sent, and there: {left:?}");
}

/// States and views are the fold of the events, no account was ever overdrawn, and the sum of all
/// balances is what the clients were told.
pub(super) async fn states_and_views_are_the_fold(
    daemon: &Daemon,
    events: &[Event],
    clients: &[Client],
) {
    let mut balances: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events {
        let balance = balances.entry(&event.account).or_default();
        *balance += event.cents;
        assert!(*balance >= 0, "overdrawn: {event:?}");
    }
    assert_eq!(u64::try_from(balances.len()), Ok(ACCOUNTS));
    let position = events.last().unwrap().position;
    let wait = format!("position={position}&wait_ms=30000");
    for (account, balance) in &balances {
        let state = daemon.get(&format!("/v1/aggregates/account/{account}")).await.ok();
        assert_eq!(at(&state, "/state/balance_cents"), balance, "{account}");
        let row = format!("/v1/views/account-balances/accounts/{account}?{wait}");
        let row = daemon.get(&row).await.ok();
        assert_eq!(at(&row, "/value/balance_cents"), balance, "{account}");
    }
    let initial = i64::try_from(ACCOUNTS * INITIAL_CENTS).unwrap();
    let told = initial + accepted(clients).map(|(wish, _)| wish.cents).sum::<i64>();
    assert_eq!(balances.values().sum::<i64>(), told);
    let total = format!("/v1/views/account-balances/totals/balance_cents?{wait}");
    assert_eq!(at(&daemon.get(&total).await.ok(), "/value"), told);
}

/// Every command that was acknowledged, sent once more, is a repeat with its first revision. A refused
/// one may be decided again: a crash may have lost that it was refused.
pub(super) async fn repeats_are_told_the_first_outcome(daemon: &Daemon, clients: &[Client]) {
    let repeats = clients.iter().map(async |client| {
        for (wish, told) in &client.answered {
            if let Told::Accepted(revision) = told {
                let again = wish.send(daemon).await.unwrap().ok();
                assert_eq!(at(&again, "/is_repeat"), true, "{wish:?}");
                assert_eq!(at(&again, "/revision"), *revision, "{wish:?}");
            }
        }
    });
    join_all(repeats).await;
}
