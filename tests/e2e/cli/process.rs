//! `annals process`: what an operator sees of process managers, and does about what is parked.

use std::time::Duration;

use tokio::time::Instant;

use super::Talk;

/// A bank with transfers between two accounts.
fn bank() -> Talk {
    let talk = Talk::with_bank();
    for (name, component) in [
        ("money-transfer.wasm", annals_components::money_transfer()),
        ("transfer.wasm", annals_components::transfer()),
    ] {
        std::fs::write(talk.folder.path().join(name), component).unwrap();
        talk.say(&["plugin", "install", name]).ok();
    }
    for (id, cents) in [("a", 1_000), ("b", 0)] {
        let open = format!(r#"{{"owner":"Ada","initial_cents":{cents}}}"#);
        talk.say(&["command", "account", id, "open-account", &open]).ok();
    }
    talk
}

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

/// What a history says, without times.
fn story(shown: &str) -> Vec<&str> {
    let history = shown.split_once("\nhistory\n").unwrap().1;
    let lines = history
        .lines()
        .map(|line| line.split_once("Z  ").map_or_else(|| line.trim_start(), |(_, what)| what));
    lines.collect()
}

#[test]
fn the_history_of_an_instance_says_what_happened_and_what_it_led_to() {
    // Guards the story of a transfer as an operator reads it, with a real component.
    let talk = bank();
    let start = r#"{"from":"a","to":"b","cents":300}"#;
    talk.say(&["command", "money-transfer", "t1", "start-transfer", start]).ok();
    let list = ["process", "list", "transfer", "--state", "ended"];
    let listed = until(&talk, &list, |said| said.starts_with("t1"));
    assert!(listed.starts_with("t1  ended  ") && listed.lines().count() == 1, "{listed}");
    let shown = talk.say(&["process", "show", "transfer", "t1"]).ok();
    assert!(shown.starts_with("t1 of transfer: ended\n"), "{shown}");
    assert_eq!(
        story(&shown),
        [
            "event transfer-started, money-transfer/t1 at revision 0",
            "-> sends debit-for-transfer to account/a",
            "-> starts timer time-out",
            "accepted: debit-for-transfer to account/a",
            "-> sends mark-debited to money-transfer/t1",
            "-> sends credit-for-transfer to account/b",
            "accepted: mark-debited to money-transfer/t1",
            "accepted: credit-for-transfer to account/b",
            "-> sends complete-transfer to money-transfer/t1",
            "-> cancels timer time-out",
            "accepted: complete-transfer to money-transfer/t1",
            "-> ends",
        ]
    );
    let listed = talk.say(&["process", "list"]).ok();
    assert!(listed.starts_with("transfer  0.1.0  caught-up  1 event  0 running"), "{listed}");
    let none = talk.say(&["process", "show", "transfer", "t9"]).failed(1);
    assert!(none.contains("hint: list those there are with `annals process list NAME`"), "{none}");
    let removed = talk.say(&["plugin", "remove", "transfer", "--delete-view"]).ok();
    assert_eq!(removed, "removed `transfer` and its instances\n");
}

#[test]
fn what_cannot_be_handled_is_shown_replayed_in_vain_and_discarded() {
    // Guards an operator's way out, for an instance and for a stream that nobody can correlate.
    let talk = bank();
    for (id, data) in [
        ("t1", r#"{"from":"","to":"b","cents":5,"timeout_ms":30000}"#),
        ("t2", r#"{"from":"a","to":"b","cents":"many","timeout_ms":30000}"#),
    ] {
        let stream = format!("money-transfer/{id}");
        talk.say(&["stream", "append", &stream, "transfer-started", data]).ok();
    }
    let show = ["process", "show", "transfer"];
    let shown = until(&talk, &show, |said| said.contains("\nstreams that wait\n"));
    let event = "  event transfer-started, money-transfer/t2 at revision 0\n    since  ";
    assert!(shown.contains(event), "{shown}");
    let list = ["process", "list", "transfer", "--state", "parked"];
    let listed = until(&talk, &list, |said| said.starts_with("t1"));
    assert!(listed.contains("plugin `transfer` broke the contract in `on-event`"), "{listed}");
    let again = talk.say(&["process", "replay", "transfer", "--all"]);
    let said = "parked again: t1\nparked again: money-transfer/t2\n";
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), said));
    let hint = "1 instance and 1 stream still cannot go on\n\nhint: see why with `annals process show \
                transfer t1`";
    assert!(again.stderr.contains(hint), "{}", again.stderr);
    let discarded = talk.say(&["process", "discard", "transfer", "t1"]).ok();
    assert_eq!(discarded, "discarded, goes on: t1\n");
    let discard = ["process", "discard", "transfer", "--all", "--output", "json"];
    let discarded = talk.say(&discard).json();
    let expected = serde_json::json!({
        "going_on": {"instances": [], "streams": ["money-transfer/t2"]},
        "parked": {"instances": [], "streams": []},
    });
    assert_eq!(discarded, expected);
    let shown = talk.say(&["process", "show", "transfer", "t1"]).ok();
    assert!(shown.starts_with("t1 of transfer: ended\n"), "{shown}");
    assert!(story(&shown)[0].starts_with("left out by an operator: event "), "{shown:#}");
    let nothing = talk.say(&["process", "replay", "transfer", "t1"]).failed(1);
    assert!(nothing.contains("`t1` is not parked"), "{nothing}");
    let nothing = talk.say(&["process", "replay", "transfer", "--all"]).ok();
    assert_eq!(nothing, "nothing of that is parked\n");
}
