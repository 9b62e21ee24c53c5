//! `annals claim show`.

use serde_json::json;

use super::Talk;

#[test]
fn shows_who_holds_a_name_whatever_characters_it_has() {
    // Guards the command's text, JSON, exit codes and hints; the guide of claims has the rest.
    let talk = Talk::with_nothing();
    std::fs::write(talk.folder.path().join("user.wasm"), annals_components::user()).unwrap();
    talk.say(&["plugin", "install", "user.wasm"]).ok();
    let key = "a/b?%\u{fc}@example.org";
    let data = json!({ "email": key, "name": "Ada" }).to_string();
    talk.say(&["command", "user", "u1", "register", &data]).ok();
    let show = ["claim", "show", "email", key];
    assert_eq!(talk.say(&show).ok(), "user/u1  until it is released\n");
    assert_eq!(
        talk.say(&[&show[..], &["--output", "json"]].concat()).json(),
        json!({ "scope": "email", "key": key, "holder": "user/u1", "expires_at": null })
    );
    let error = talk.say(&["claim", "show", "email", "eve"]).failed(1);
    let text = "error: no stream holds `eve` of `email` now\n\nhint: a stream gets it when one of its \
                commands claims it\n";
    assert_eq!(error, text);
    let error = talk.say(&["claim", "show", "email", ""]).failed(1);
    assert_eq!(error, "error: the scope and the key of a claim are never empty\n");
}
