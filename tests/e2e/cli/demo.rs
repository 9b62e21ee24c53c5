//! `annals demo --exit`: the story is told, and nothing is left.

use std::path::Path;

use serde_json::json;

use super::{said, say_in};
use crate::support::annals;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_story_ends_as_the_scenario_says_and_leaves_nothing() {
    // Guards B1, from the first command of the README.
    let mut command = annals();
    command.args(["demo", "--exit", "--output", "json"]).current_dir(checkout());
    let story = said(&mut command).json();
    let row = |key: &str, owner: &str, cents: i64| json!({ "key": key, "value": { "owner": owner, "balance_cents": cents, "is_open": true } });
    assert_eq!(story["balances"], json!([row("a1", "Athena", 90), row("a2", "Hades", 20)]));
    let types = |stream: usize| -> Vec<String> {
        let events = story["streams"][stream]["events"].as_array().unwrap();
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let a1 = ["account-opened", "funds-deposited", "funds-withdrawn", "debited-for-transfer"];
    assert_eq!(types(0), a1);
    assert_eq!(types(1), ["account-opened", "credited-for-transfer"]);
    assert_eq!(types(2), ["transfer-started", "transfer-debited", "transfer-completed"]);
    assert_eq!(types(3), ["transfer-started", "transfer-failed"]);
    let transfer = |key: &str, from: &str, to: &str, end: (i64, &str, Option<&str>)| {
        let (cents, status, reason) = end;
        json!({
            "key": key,
            "value": { "from": from, "to": to, "cents": cents, "status": status, "reason": reason },
        })
    };
    let completed = transfer("t1", "a1", "a2", (10, "completed", None));
    let failed = transfer("t2", "a2", "a1", (100, "failed", Some("insufficient-funds")));
    assert_eq!(story["transfers"], json!([completed, failed]));
    assert_eq!(story["streams"][0]["rejected"], json!([]));
    let rejection = json!({ "code": "insufficient-funds", "message": "the balance is 10" });
    let withdrawal = json!({
        "command": "withdraw-funds", "data": { "cents": 100 }, "rejection": rejection,
    });
    let debit = json!({
        "command": "debit-for-transfer",
        "data": { "cents": 100, "transfer": "t2" },
        "rejection": { "code": "insufficient-funds", "message": "the balance is 20" },
    });
    assert_eq!(story["streams"][1]["rejected"], json!([withdrawal, debit]));
    assert_eq!(story["outcomes"][4]["rejection"], rejection);
    assert!(!Path::new(story["data"].as_str().unwrap()).exists(), "the data is left");
}

#[test]
fn the_story_is_told_in_words_and_with_commands_to_try() {
    // Guards what a newcomer reads.
    let mut command = annals();
    command.args(["demo", "--exit"]).current_dir(checkout());
    let told = said(&mut command).ok();
    for text in [
        "A daemon serves on http://127.0.0.1:",
        "accepted",
        "rejected, insufficient-funds: the balance is 10",
        "(a rejected command: no event, but in the log as well)",
        "t1  10 cents from a1 to a2   completed",
        "t2  100 cents from a2 to a1  failed, insufficient-funds",
        "a1  Athena  90 cents",
        "a2  Hades   20 cents",
        "/v1/aggregates/account/a1",
    ] {
        assert!(told.contains(text), "{text}\n{told}");
    }
}

#[test]
fn without_a_checkout_it_says_where_to_run() {
    // Guards the hint for those who have the binary alone.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("annals");
    std::fs::copy(env!("CARGO_BIN_EXE_annals"), &program).unwrap();
    let mut command = std::process::Command::new(program);
    let error = said(command.arg("demo").current_dir(folder.path())).failed(1);
    assert!(error.contains("error: there is no checkout of Annals here"), "{error}");
    assert!(error.contains("hint: run it inside a checkout"), "{error}");
    assert_eq!(say_in(folder.path(), &["demo", "--extra"]).code, Some(1));
}
