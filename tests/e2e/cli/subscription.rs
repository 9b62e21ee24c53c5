//! `annals subscription`: what it prints, and how it ends.

use serde_json::json;

use super::Talk;

#[test]
fn a_member_works_with_commands_alone() {
    // Guards `annals subscription`: make, take, say what became of it, look at what is parked.
    let talk = Talk::with_nothing();
    let say = |arguments: &[&str]| talk.say(&[&["subscription"], arguments].concat());
    assert_eq!(
        say(&["list"]).stderr,
        "there is no subscription; make one with `annals subscription create`\n"
    );
    say(&["create", "mail", "--type", "note-taken", "--attempts-max", "2"]).ok();
    let refused = say(&["create", "mail", "--from", "now"]).failed(1);
    assert!(
        refused.starts_with(
            "error: subscription `mail` is there with other settings: filter, start, attempts_max"
        ),
        "{refused}"
    );
    let nonsense = say(&["create", "other", "--from", "41"]).failed(1);
    assert!(nonsense.contains("hint: use `beginning`, `now`, or positions"), "{nonsense}");
    for text in ["one", "two"] {
        talk.say(&[
            "stream",
            "append",
            "note/n1",
            "note-taken",
            &json!({"text": text}).to_string(),
        ])
        .ok();
    }
    let lease = ["lease", "mail", "--member", "me"];
    let deliveries = say(&[&lease[..], &["--output", "json"]].concat()).ok();
    let deliveries: Vec<serde_json::Value> =
        deliveries.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = deliveries.iter().map(|it| it["delivery"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    let held = |call: &'static str, id: &str, more: &[&str]| {
        say(&[&[call, "mail", "--member", "me", id], more].concat())
    };
    assert_eq!(
        held("extend", ids[0], &["--lease-ms", "60000"]).ok(),
        format!("{}  done\n", ids[0])
    );
    assert_eq!(held("retry", ids[0], &["--cause", "busy"]).ok(), format!("{}  done\n", ids[0]));
    let late = held("ack", ids[1], &[]);
    assert_eq!((late.code, late.stdout), (Some(1), format!("{}  expired\n", ids[1])));
    let again = say(&lease).ok();
    assert!(again.contains("2  note/n1  0  note-taken  {\"text\":\"one\"}"), "{again}");
    let first = again.split_whitespace().next().unwrap();
    held("park", first, &["--cause", "no such address"]).ok();
    let parked = "note/n1  0  note-taken  no such address\nnote/n1  1  note-taken  (waits)\n";
    assert_eq!(say(&["parked", "mail"]).ok(), parked);
    assert_eq!(say(&["list"]).ok(), "mail  0 behind  0 in flight  1 parked  1 members\n");
    assert_eq!(say(&["discard", "mail", "note/n2"]).stderr, "0 streams go on\n");
    assert_eq!(say(&["replay", "mail"]).stderr, "1 streams go on\n");
    let again = say(&lease).ok();
    assert_eq!(again.lines().count(), 2);
    for line in again.lines() {
        held("ack", line.split_whitespace().next().unwrap(), &[]).ok();
    }
    let shown = say(&["show", "mail"]).ok();
    assert!(shown.starts_with("mail\nbehind       0 events\n"), "{shown}");
    assert_eq!(say(&["delete", "mail", "--output", "json"]).json(), json!({"name": "mail"}));
    let gone = say(&["show", "mail"]).failed(1);
    assert!(gone.starts_with("error: there is no subscription `mail`"), "{gone}");
}
