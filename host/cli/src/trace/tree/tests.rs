//! Trees of commits that say who caused them.

use serde_json::{Value, json};

use super::*;

/// A commit that was recorded so many milliseconds after the first.
fn commit(ms: u64, causation: &str, command: Option<&str>, events: &[&str]) -> Value {
    let causation = (!causation.is_empty()).then_some(causation);
    let events = events.iter().map(|id| {
        json!({ "id": id, "stream": "s/1", "revision": 0, "type": "happened", "schema_version": 1 })
    });
    let command = command.map(|id| {
        json!({ "command_id": id, "command": format!("do-{id}"), "stream": "s/1", "outcome": "accepted" })
    });
    json!({
        "recorded_at": Timestamp::from_ms(1_795_167_000_000 + ms).to_string(),
        "causation_id": causation,
        "command": command,
        "events": events.collect::<Vec<_>>(),
    })
}

#[track_caller]
fn check(commits: Vec<Value>, expected: &[&str]) {
    let commits = commits.into_iter().map(|commit| serde_json::from_value(commit).unwrap());
    assert_eq!(Tree::new(commits.collect()).lines(), expected);
}

#[test]
fn commands_are_below_the_events_and_commands_that_caused_them() {
    // Guards the picture: events of a command, what they caused, what the command itself caused; siblings
    // by time, whatever the order in which they were found.
    check(
        vec![
            commit(9, "c1", Some("c4"), &[]),
            commit(3, "e1", Some("c2"), &["e3"]),
            commit(0, "", Some("c1"), &["e1", "e2"]),
            commit(5, "e1", Some("c3"), &[]),
            commit(7, "e3", None, &["e4"]),
        ],
        &[
            "2026-11-20T09:30:00.000Z do-c1 → s/1   accepted",
            "├─ +0 ms happened s/1@0",
            "│  ├─ +3 ms do-c2 → s/1   accepted",
            "│  │  └─ +3 ms happened s/1@0",
            "│  │     └─ +7 ms append → s/1",
            "│  │        └─ +7 ms happened s/1@0",
            "│  └─ +5 ms do-c3 → s/1   accepted",
            "├─ +0 ms happened s/1@0",
            "└─ +9 ms do-c4 → s/1   accepted",
        ],
    );
}

#[test]
fn rejections_tell_their_code_and_who_asked() {
    // Guards the answer to "why did it stop here".
    let mut rejected = commit(2, "e1", Some("c2"), &[]);
    rejected["principal"] = json!("ada");
    rejected["command"]["outcome"] = json!("rejected");
    rejected["command"]["rejection"] =
        json!({ "code": "insufficient-funds", "message": "the balance is 10" });
    check(
        vec![commit(0, "", None, &["e1"]), rejected],
        &[
            "2026-11-20T09:30:00.000Z append → s/1",
            "└─ +0 ms happened s/1@0",
            "   └─ +2 ms do-c2 → s/1   rejected (insufficient-funds): the balance is 10   (by ada)",
        ],
    );
}

#[test]
fn who_names_an_unknown_cause_or_itself_begins_a_tree() {
    // Guards causes from outside, and those that clients made up.
    check(
        vec![commit(1, "unknown", Some("c1"), &[]), commit(2, "c2", Some("c2"), &[])],
        &[
            "2026-11-20T09:30:00.001Z do-c1 → s/1   accepted   (caused by unknown, which is not in \
             here)",
            "2026-11-20T09:30:00.002Z do-c2 → s/1   accepted   (caused by c2, in a circle)",
        ],
    );
}

#[test]
fn what_a_schedule_sends_begins_a_tree_and_says_so() {
    // Guards the root of what nobody asked for just then: its cause is no message that could be in here.
    let mut sent = commit(0, "incarnation", Some("c1"), &[]);
    sent["principal"] = json!("schedule/pocket-money");
    check(
        vec![sent],
        &["2026-11-20T09:30:00.000Z do-c1 → s/1   accepted   (by schedule/pocket-money)"],
    );
}

#[test]
fn times_are_as_exact_as_people_read_them() {
    // Guards lines of what waited for a timer, where milliseconds say nothing.
    let times = [
        (9_999, "9999 ms"),
        (10_000, "10.0 s"),
        (60_250, "60.2 s"),
        (119_999, "119.9 s"),
        (120_000, "2 min 0 s"),
        (7_199_999, "119 min 59 s"),
        (7_200_000, "2 h 0 min"),
        (172_799_999, "47 h 59 min"),
        (172_800_000, "2 d 0 h"),
        (90_000_000_000, "1041 d 16 h"),
    ];
    for (ms, text) in times {
        assert_eq!(elapsed(ms), text);
    }
}

#[test]
fn those_who_name_each_other_as_cause_are_all_shown_once() {
    // Guards against causes in a circle, which clients can make: nothing is left out, nothing is for ever.
    check(
        vec![
            commit(1, "e3", Some("c1"), &["e1"]),
            commit(2, "e1", Some("c2"), &["e2"]),
            commit(3, "e2", Some("c3"), &["e3"]),
        ],
        &[
            "2026-11-20T09:30:00.001Z do-c1 → s/1   accepted   (caused by e3, in a circle)",
            "└─ +0 ms happened s/1@0",
            "   └─ +1 ms do-c2 → s/1   accepted",
            "      └─ +1 ms happened s/1@0",
            "         └─ +2 ms do-c3 → s/1   accepted",
            "            └─ +2 ms happened s/1@0",
        ],
    );
}

#[test]
fn a_chain_of_thousands_is_printed_in_lines_of_bounded_length() {
    // Guards stack and terminal against a chain that went on and on.
    let chain = (0..20_000).map(|number| {
        let cause = if number == 0 { String::new() } else { format!("e{}", number - 1) };
        let (id, event) = (format!("c{number}"), format!("e{number}"));
        serde_json::from_value(commit(number, &cause, Some(&id), &[&event])).unwrap()
    });
    let lines = Tree::new(chain.collect()).lines();
    assert_eq!(lines.len(), 40_000);
    assert!(lines.iter().all(|line| line.chars().count() < 3 * INDENTED_MAX + 80));
}
