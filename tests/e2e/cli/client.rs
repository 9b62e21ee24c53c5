//! Commands that talk to a daemon: what they print, as text and as JSON.

use serde_json::{Value, json};

use super::Talk;

const ID: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
const OPEN: &str = r#"{"owner":"Athena","initial_cents":10}"#;

#[test]
fn commands_print_where_the_stream_is_and_what_happened() {
    // Guards `annals command`: accepted, repeated, rejected, malformed, unknown, C4.
    let talk = Talk::with_bank();
    let deposit = ["command", "account", "a1", "deposit-funds"];
    let opened = talk.say(&["command", "account", "a1", "open-account", OPEN]).ok();
    let event = r#"{"owner":"Athena","initial_cents":10}"#;
    assert_eq!(opened, format!("account/a1 is at revision 0\n   0  account-opened  {event}\n"));

    let with_id = [&deposit[..], &[r#"{"cents":190}"#, "--id", ID, "--expected", "0"]].concat();
    let first = talk.say(&with_id);
    let text = "account/a1 is at revision 1\n   1  funds-deposited  {\"cents\":190}\n";
    assert_eq!((first.code, first.stdout.as_str(), first.stderr.as_str()), (Some(0), text, ""));
    let again = talk.say(&with_id);
    let note = "this command was decided before; nothing happened now\n";
    assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (Some(0), text, note));

    let cases: [(&[&str], &str); 4] = [
        (
            &["command", "account", "a1", "withdraw-funds", r#"{"cents":900}"#],
            "error: rejected: the balance is 200 (insufficient-funds)\n",
        ),
        (
            &[&deposit[..], &[r#"{"cents":1}"#, "--expected", "7"]].concat(),
            "error: stream `account/a1` is at revision 1, expected 7\n\nhint: read the stream and \
             decide again, or pass `--expected any`\n",
        ),
        (
            &["command", "acount", "a1", "deposit-funds"],
            "error: there is no aggregate `acount`\n\nhint: there is `account`\n",
        ),
        (
            &["command", "account", "a/1", "deposit-funds", r#"{"cents":1}"#],
            "error: `a/1` is not the id of a stream: it has 1 to 256 bytes and no `/` or control \
             characters\n",
        ),
    ];
    for (arguments, expected) in cases {
        let error = talk.say(arguments).failed(1);
        assert!(error.starts_with(expected.trim_end()), "{error}\n{expected}");
    }
    let malformed = [&deposit[..], &[r#"{"cents":"ten"}"#]].concat();
    let malformed = talk.say(&malformed).failed(1);
    assert!(malformed.contains("hint: look at `/cents` of the data"), "{malformed}");
    let accepted = talk.say(&[&deposit[..], &[r#"{"cents":1}"#, "--output", "json"]].concat());
    let accepted = accepted.json();
    assert_eq!(
        (&accepted["revision"], &accepted["outcome"], &accepted["events"][0]["data"]),
        (&json!(2), &json!("accepted"), &json!({ "cents": 1 }))
    );
}

#[test]
fn commands_wait_for_a_view_and_say_when_it_is_late() {
    // Guards `--wait-for`: what happened can be read after it; a view that is not there is a note, and
    // not a failure; an unknown one is said before anything happens.
    let talk = Talk::with_bank();
    let open = ["command", "account", "a1", "open-account", OPEN];
    let error = talk.say(&[&open[..], &["--wait-for", "balances"]].concat()).failed(1);
    let expected =
        "error: there is no projection `balances`\n\nhint: there is `account-balances`\n";
    assert_eq!(error, expected);
    talk.say(&["stream", "read", "account/a1"]).failed(1);
    let said = talk.say(&[&open[..], &["--wait-for", "account-balances"]].concat());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let row = talk.say(&["view", "get", "account-balances", "accounts", "a1"]).ok();
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row, json!({ "owner": "Athena", "balance_cents": 10, "is_open": true }));
    let error = talk.say(&[&open[..], &["--wait-ms", "1"]].concat()).failed(1);
    assert!(error.contains("--wait-for <PROJECTION>"), "{error}");
}

#[test]
fn states_and_streams_are_shown_now_and_as_they_were() {
    // Guards `aggregate show` and `stream read`, in text and JSON, and C9.
    let talk = Talk::with_bank();
    talk.say(&["command", "account", "a1", "open-account", OPEN]).ok();
    talk.say(&["command", "account", "a1", "deposit-funds", r#"{"cents":5}"#]).ok();
    talk.say(&["command", "account", "a1", "withdraw-funds", r#"{"cents":99}"#]).failed(1);
    let show = ["aggregate", "show", "account", "a1"];
    assert!(talk.say(&show).ok().starts_with("account/a1 at revision 1\n{\n"));
    let balance_at = |arguments: &[&str]| {
        let state = talk.say(&[&show[..], arguments, &["--output", "json"]].concat()).json();
        state["state"]["balance_cents"].clone()
    };
    assert_eq!((balance_at(&[]), balance_at(&["--revision", "0"])), (json!(15), json!(10)));

    let read = talk.say(&["stream", "read", "account/a1"]).ok();
    let types: Vec<_> = read.lines().map(|line| line.split_whitespace().nth(2).unwrap()).collect();
    assert_eq!(types, ["account-opened", "funds-deposited"]);
    let last = ["stream", "read", "account/a1", "--backwards", "--limit", "1", "--output", "json"];
    let last = talk.say(&last).json();
    assert_eq!((&last["revision"], &last["type"]), (&json!(1), &json!("funds-deposited")));
    let commands = talk.say(&["stream", "read", "account/a1", "--commands"]).ok();
    let refused = "rejected (insufficient-funds: the balance is 15)";
    assert!(commands.lines().count() == 3 && commands.contains(refused), "{commands}");
    let error = talk.say(&["stream", "read", "account/nobody"]).failed(1);
    assert!(error.starts_with("error: stream `account/nobody` has no event"), "{error}");
}

#[test]
fn streams_are_read_past_one_page() {
    // Guards that paging neither skips nor repeats: 2 500 events are three pages.
    let talk = Talk::with_nothing();
    let event = r#"{"type":"note-taken","data":{}}"#;
    let body = format!(r#"{{"events":[{}]}}"#, vec![event; 500].join(","));
    crate::support::run(async {
        for _ in 0..5 {
            talk.daemon.post("/v1/streams/note/n1", &[], &body).await.ok();
        }
    });
    let revisions = |arguments: &[&str]| -> Vec<u64> {
        let read = ["stream", "read", "note/n1", "--output", "json"];
        let text = talk.say(&[&read[..], arguments].concat()).ok();
        let event = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        text.lines().map(|line| event(line)["revision"].as_u64().unwrap()).collect()
    };
    assert_eq!(revisions(&[]), (0..2_500).collect::<Vec<_>>());
    assert_eq!(revisions(&["--backwards"]), (0..2_500).rev().collect::<Vec<_>>());
    assert_eq!(revisions(&["--from", "990", "--limit", "20"]), (990..1_010).collect::<Vec<_>>());
    let tail = ["stream", "tail", "note/n1", "--no-follow", "--output", "json"];
    assert_eq!(talk.say(&tail).ok().lines().count(), 2_500);
}

#[test]
fn events_are_appended_once_and_followed() {
    // Guards `stream append` and `stream tail`, with a filter that is exact.
    let talk = Talk::with_nothing();
    let append = ["stream", "append", "note/n1", "note-taken", r#"{"text":"milk"}"#];
    let with_id = [&append[..], &["--id", ID]].concat();
    assert_eq!(talk.say(&with_id).ok(), "note/n1 is at revision 0\n");
    assert_eq!(talk.say(&with_id).ok(), "note/n1 is at revision 0\n");
    talk.say(&["stream", "append", "note/n10", "note-taken"]).ok();
    let error = talk.say(&[&append[..], &["--expected", "no-stream"]].concat()).failed(1);
    assert!(error.contains("is at revision 0, expected no-stream"), "{error}");
    let tail = talk.say(&["stream", "tail", "note/n1", "--no-follow"]).ok();
    assert_eq!(tail.trim_start(), "0  note/n1 0  note-taken  {\"text\":\"milk\"}\n");
    let all = talk.say(&["stream", "tail", "--category", "note", "--no-follow"]).ok();
    assert_eq!(all.lines().count(), 2);
    let after = talk.say(&["stream", "tail", "--after", "0", "--no-follow"]).ok();
    assert_eq!(after.lines().count(), 1);
    let error = talk.say(&["stream", "append", "$plugins/x", "note-taken"]).failed(1);
    assert!(error.starts_with("error: categories that start with `$`"), "{error}");
}

#[test]
fn views_are_read_by_key_by_prefix_and_by_question() {
    // Guards `annals view`, and P5 from the command line.
    let talk = Talk::with_bank();
    let mut position = Value::Null;
    for id in ["a1", "a2", "b1"] {
        let open = ["command", "account", id, "open-account", OPEN, "--output", "json"];
        position = talk.say(&open).json()["position"].clone();
    }
    let position = position.to_string();
    let get = ["view", "get", "account-balances", "accounts", "a1", "--position", &position];
    let row: Value = serde_json::from_str(&talk.say(&get).ok()).unwrap();
    assert_eq!(row, json!({ "owner": "Athena", "balance_cents": 10, "is_open": true }));
    let list = ["view", "list", "account-balances", "accounts"];
    let keys = |arguments: &[&str]| -> Vec<String> {
        let text = talk.say(&[&list[..], arguments].concat()).ok();
        text.lines().map(|line| line.split("  ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&[]), ["a1", "a2", "b1"]);
    assert_eq!(keys(&["--prefix", "a"]), ["a1", "a2"]);
    assert_eq!(keys(&["--limit", "1"]), ["a1"]);
    let query = ["view", "query", "account-balances", "richest-accounts", r#"{"limit":2}"#];
    assert_eq!(talk.say(&[&query[..], &["--output", "json"]].concat()).json()[1]["id"], "a2");
    let error = talk.say(&["view", "get", "account-balances", "accounts", "nobody"]).failed(1);
    assert!(error.contains("has no such row"), "{error}");
    let never = [&get[..5], &["--position", "999999", "--wait-ms", "50"]].concat();
    let error = talk.say(&never).failed(2);
    assert!(error.contains("did not reach position 999999 within 50 ms"), "{error}");
}
