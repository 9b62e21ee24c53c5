//! `annals store verify`, `repair`, `backup`, `restore`, `rename-event` and `replace-event`, on folders
//! that real daemons wrote.

mod backup;
mod damage;
mod interrupted;
mod refusals;
mod rewrite;
mod segments;

use std::path::Path;

use serde_json::Value;

use crate::support::{Daemon, at};

/// Opens accounts and deposits, with the view of their balances; `Ada` has the first, `Eve` the third.
async fn bank(data: &Path) -> Daemon {
    let daemon = Daemon::start_with_account(data).await;
    daemon.install("account-balances", annals_components::account_balances()).await.ok();
    for (id, owner) in [("a1", "Ada"), ("a2", "Bob"), ("a3", "Eve"), ("a4", "Joe")] {
        let open = format!(r#"{{"owner":"{owner}","initial_cents":100}}"#);
        daemon.account(id, "open-account", &open).await.ok();
        for _ in 0..5 {
            daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        }
    }
    daemon
}

/// Every event of the feed, in order.
async fn events(daemon: &Daemon) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = String::new();
    loop {
        let page = daemon.get(&format!("/v1/events?limit=1000{after}")).await.ok();
        events.extend(at(&page, "/events").as_array().unwrap().iter().cloned());
        if at(&page, "/is_at_head") == true {
            return events;
        }
        after = format!("&after={}", at(&page, "/read_up_to"));
    }
}

/// The balance of an account in the view, when it is at `position`.
async fn balance(daemon: &Daemon, account: &str, position: &Value) -> Value {
    let row = format!("/v1/views/account-balances/accounts/{account}?position={position}");
    at(&daemon.get(&format!("{row}&wait_ms=60000")).await.ok(), "/value/balance_cents").clone()
}

/// Deposits a cent, and gives the position of the event.
async fn deposit(daemon: &Daemon, account: &str) -> Value {
    let deposited = daemon.account(account, "deposit-funds", r#"{"cents":1}"#).await.ok();
    at(&deposited, "/position").clone()
}
