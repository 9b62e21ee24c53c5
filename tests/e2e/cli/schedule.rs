//! `annals schedule`: what it prints, and how it ends.

use serde_json::Value;

use super::Talk;

#[test]
fn a_schedule_is_made_looked_at_and_cancelled_with_commands_alone() {
    // Guards `annals schedule`: the three ways to say when, lists, what is shown, and refusals.
    let talk = Talk::with_bank();
    let say = |arguments: &[&str]| talk.say(&[&["schedule"], arguments].concat());
    assert_eq!(
        say(&["list"]).stderr,
        "there is no such schedule; make one with `annals schedule add`\n"
    );
    talk.say(&["command", "account", "a1", "open-account", r#"{"owner":"Ada","initial_cents":1}"#])
        .ok();
    let add = ["add", "account", "a1", "deposit-funds", r#"{"cents": 5}"#];
    let late = say(&[&add[..], &["--after", "36500d", "--id", "late"]].concat()).ok();
    let lines: Vec<_> = late.lines().collect();
    assert_eq!(
        lines[..3],
        ["late", r#"command   account/a1 deposit-funds {"cents": 5}"#, "status    waiting",]
    );
    let cron = ["--cron", "0 9 * * MON-FRI", "--time-zone", "Europe/Berlin", "--id", "weekly"];
    let weekly = say(&[&add[..], &cron].concat()).ok();
    assert!(weekly.contains("recurs    0 9 * * MON-FRI (Europe/Berlin)\n"), "{weekly}");
    let refused = ["--at", "2026-01-01T00:00:00Z", "--id", "refused"];
    say(&[&["add", "account", "a1", "withdraw-funds", r#"{"cents": 99}"#], &refused[..]].concat())
        .ok();
    let shown = (0..1_000).map(|_| say(&["show", "refused"]).ok());
    let shown = shown.into_iter().find(|shown| shown.contains("outcome")).unwrap();
    let outcome = "outcome  2026-01-01T00:00:00.000Z  rejected: insufficient-funds: ";
    assert!(shown.contains(outcome), "{shown}");
    let list = say(&["list"]).ok();
    let statuses: Vec<_> =
        list.lines().map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(statuses, ["waiting", "rejected", "waiting"], "{list}");
    let listed = say(&["list", "--status", "rejected", "--output", "json"]).json();
    assert_eq!(listed["id"], "refused");
    let cancelled: Value = say(&["cancel", "late", "--output", "json"]).json();
    assert_eq!(cancelled["status"], "cancelled");
    let failed = say(&["cancel", "refused"]).failed(1);
    assert!(failed.starts_with("error: schedule `refused` is rejected already"), "{failed}");
    let failed = say(&["retry", "weekly"]).failed(1);
    assert!(failed.starts_with("error: schedule `weekly` is waiting, not parked"), "{failed}");
    let failed = say(&["add", "account", "a1", "deposit-funds"]).failed(1);
    assert!(failed.contains("--at <TIME>|--after <DELAY>|--cron <EXPRESSION>"), "{failed}");
    let failed = say(&[&add[..], &["--after", "soon"]].concat()).failed(1);
    assert!(failed.starts_with("error: `after` is no delay: give one such as `90s`"), "{failed}");
    say(&["cancel", "weekly"]).ok();
}
