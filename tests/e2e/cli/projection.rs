//! `annals projection`: listing, showing, rebuilding and going back.

use super::Talk;

const NAME: &str = "account-balances";

fn with_an_account() -> Talk {
    let talk = Talk::with_bank();
    let open = r#"{"owner":"Ada","initial_cents":10}"#;
    talk.say(&["command", "account", "a1", "open-account", open]).ok();
    talk.say(&["view", "get", NAME, "accounts", "a1", "--position", "2"]).ok();
    talk
}

#[test]
fn a_rebuild_tells_how_it_ended_and_how_to_go_back() {
    // Guards what operators do: rebuild, see that nothing differs, look, go back, and to JSON.
    let talk = with_an_account();
    let said = talk.say(&["projection", "rebuild", NAME]);
    assert!(said.stderr.contains("annals projection rollback account-balances"), "{}", said.stderr);
    let text = said.ok();
    assert!(
        text.contains("4 rows in the old view, 4 in the new one\n  no row differs\n"),
        "{text}"
    );
    assert!(text.ends_with("serves the view that was rebuilt\n"), "{text}");
    let shown = talk.say(&["projection", "show", NAME]).ok();
    for part in ["view     build 1", "previous view", "no row differs"] {
        assert!(shown.contains(part), "{shown}");
    }
    let listed = talk.say(&["projection", "list"]).ok();
    assert!(listed.starts_with(NAME) && listed.contains("rollback until"), "{listed}");
    let back = talk.say(&["projection", "rollback", NAME]).ok();
    assert!(back.ends_with("serves the view of before again\n"), "{back}");
    let error = talk.say(&["projection", "rollback", NAME]).failed(1);
    assert!(error.starts_with("error: there is no view of `account-balances`"), "{error}");
    let json = talk.say(&["projection", "show", NAME, "--output", "json"]).json();
    assert_eq!(
        (&json["build"], &json["previous"]),
        (&serde_json::json!(0), &serde_json::Value::Null)
    );
}

#[test]
fn a_rebuild_with_another_version_waits_on_request() {
    // Guards `--with`, `--on-request`, `cut-over` and `cancel`, and the note of a plain installation.
    let talk = with_an_account();
    let file = talk.folder.path().join("next.wasm");
    std::fs::write(&file, annals_components::account_balances_build(1)).unwrap();
    let ready = talk.say(&["projection", "rebuild", NAME, "--with", "next.wasm", "--on-request"]);
    assert!(ready.ok().ends_with("a view of `account-balances` is ready to take over\n"));
    let cancelled = talk.say(&["projection", "cancel", NAME]).ok();
    assert_eq!(cancelled, "the rebuild of `account-balances` is cancelled\n");
    talk.say(&["projection", "rebuild", NAME, "--with", "next.wasm", "--on-request"]).ok();
    let cut_over = talk.say(&["projection", "cut-over", NAME]).ok();
    assert!(cut_over.ends_with("serves the view that was rebuilt\n"), "{cut_over}");
    let history = talk.say(&["plugin", "history", NAME]).ok();
    assert!(history.contains("cut-over") && history.contains("rebuild-cancelled"), "{history}");
    let detached = talk.say(&["projection", "rebuild", NAME, "--detach"]).ok();
    assert_eq!(detached, "a view of `account-balances` is being built\n");
    let error = talk.say(&["projection", "rebuild", "account"]).failed(1);
    assert!(error.starts_with("error: there is no projection `account`"), "{error}");
    let gone = talk.say(&["projection", "rebuild", NAME, "--with", "gone.wasm"]).failed(1);
    assert!(gone.contains("failed to read `gone.wasm`"), "{gone}");
}

#[test]
fn installing_another_version_of_a_projection_says_how_to_keep_the_old_view() {
    // Guards whoever upgrades a projection: its view begins anew, and there is a way without that.
    let talk = with_an_account();
    let file = talk.folder.path().join("next.wasm");
    std::fs::write(&file, annals_components::account_balances_build(1)).unwrap();
    let said = talk.say(&["plugin", "install", "next.wasm"]);
    assert!(said.stderr.contains("annals projection rebuild account-balances --with"), "{said:?}");
}
