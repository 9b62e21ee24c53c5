//! `annals parked`: what an operator does about an event that a projection cannot handle.

use std::time::Duration;

use tokio::time::Instant;

use super::Talk;

/// Waits until a command says something; returns what.
fn until(talk: &Talk, arguments: &[&str], is_so: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let said = talk.say(arguments).ok();
        if is_so(&said) {
            return said;
        }
        assert!(Instant::now() < deadline, "{said}");
    }
}

#[test]
fn an_event_that_cannot_be_handled_is_shown_replayed_in_vain_and_discarded() {
    // Guards P4 with a real component: its stream waits, the other goes on, the cause is shown, and
    // after the decision of the operator nothing is missing but that event.
    let talk = Talk::with_bank();
    for id in ["a1", "a2"] {
        let open = r#"{"owner":"Ada","initial_cents":10}"#;
        talk.say(&["command", "account", id, "open-account", open]).ok();
    }
    talk.say(&["stream", "append", "account/a1", "funds-deposited", r#"{"cents":"many"}"#]).ok();
    for id in ["a1", "a2"] {
        talk.say(&[
            "stream",
            "append",
            &format!("account/{id}"),
            "funds-deposited",
            r#"{"cents":5}"#,
        ])
        .ok();
    }
    let list = ["parked", "list", "account-balances"];
    let listed = until(&talk, &list, |said| said.starts_with("account/a1 1"));
    let row = "account/a1 1  funds-deposited  1 event waiting  ";
    assert!(listed.starts_with(row) && listed.lines().count() == 1, "{listed}");
    let a2 = ["view", "get", "account-balances", "accounts", "a2", "--output", "json"];
    until(&talk, &a2, |said| said.contains(r#""balance_cents":15"#));
    let shown = talk.say(&["parked", "show", "account-balances", "account/a1"]).ok();
    assert!(shown.starts_with("funds-deposited, account/a1 at revision 1\n"), "{shown}");
    assert!(shown.contains("  waiting   1 later event\n  cause     "), "{shown}");
    let again = talk.say(&["parked", "replay", "account-balances", "--all"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), "parked again: account/a1 1\n"));
    let hint = "hint: see why with `annals parked show account-balances account/a1`";
    assert!(again.stderr.contains(hint), "{}", again.stderr);
    let discarded = talk.say(&["parked", "discard", "account-balances", "account/a1"]).ok();
    assert_eq!(discarded, "discarded, goes on: account/a1\n");
    let a1 = ["view", "get", "account-balances", "accounts", "a1", "--output", "json"];
    let row = talk.say(&a1).ok();
    assert!(row.contains(r#""balance_cents":15"#), "{row}");
    assert_eq!(talk.say(&list).ok(), "no event of `account-balances` is parked\n");
    let none = talk.say(&["parked", "show", "account-balances", "account/a1"]).failed(1);
    assert!(none.starts_with("error: `account/a1` does not wait in `account-balances`"), "{none}");
}
