//! The bank's account is the same in every language: what it says of itself, what it decides and
//! refuses, and the state it makes of events that another language decided.

use serde_json::{Value, json};

use super::Language;
use crate::support::{Answer, Daemon, annals, at, folder, run};

/// 2^53 + 1, which is no `number` of JavaScript and no `float` of Python.
const EXACT: i64 = 9_007_199_254_740_993;

/// Commands that are refused of an account with 10 on it, and of which `t1` took 4.
const REFUSED: [(&str, &str); 17] = [
    ("open-account", r#"{"owner":"Eve","initial_cents":5}"#),
    ("deposit-funds", r#"{"cents":0}"#),
    ("deposit-funds", r#"{"cents":9223372036854775807}"#),
    ("withdraw-funds", r#"{"cents":-9223372036854775808}"#),
    ("withdraw-funds", r#"{"cents":11}"#),
    ("close-account", "{}"),
    ("close-account", ""),
    ("debit-for-transfer", r#"{"transfer":"t2","cents":11}"#),
    ("credit-for-transfer", r#"{"transfer":"t2","cents":-1}"#),
    ("refund-transfer", r#"{"transfer":"constructor"}"#),
    ("refund-transfer", r#"{"transfer":"ä\u00e4\ud83d\ude00"}"#),
    // These are malformed.
    ("deposit-funds", ""),
    ("deposit-funds", r#"{"cents":"1"}"#),
    ("deposit-funds", r#"{"cents":1.5}"#),
    ("deposit-funds", r#"{"cents":9223372036854775808}"#),
    ("deposit-funds", r#"{"cents":1,"colour":"blue"}"#),
    ("refund-transfer", "[]"),
];

/// A daemon that need not compile the accounts.
fn daemon() -> (tempfile::TempDir, Daemon) {
    let (folder, data) = folder();
    Language::ALL.iter().for_each(|language| language.spare_compiling(&data));
    (folder, Daemon::start(&data))
}

#[test]
fn accounts_describe_themselves_alike() {
    // Guards the descriptor: names, schema versions and JSON Schemas do not depend on the language.
    let described = Language::ALL.map(|language| {
        let (folder, data) = folder();
        language.spare_compiling(&data);
        let file = folder.path().join("account.wasm");
        std::fs::write(&file, language.account()).unwrap();
        let mut inspect = annals();
        inspect.args(["plugin", "inspect"]).arg(file).args(["--output", "json"]);
        inspect.env("ANNALS_COMPILE_CACHE", data.join("cache"));
        let said = inspect.output().unwrap();
        let mut facts: Value = serde_json::from_slice(&said.stdout).unwrap();
        let facts = facts.as_object_mut().unwrap();
        for own in ["digest", "component_bytes"] {
            assert!(facts.remove(own).is_some(), "{own}");
        }
        assert_eq!(facts["imports"], json!(["annals:plugin/log@0.1.0"]), "{language:?}");
        Value::from(facts.clone())
    });
    let [rust, javascript, python] = described;
    assert_eq!(javascript, rust);
    assert_eq!(python, rust);
}

#[test]
fn a_stream_goes_on_in_another_language() {
    // Guards that events, answers and states are the same: each language in turn goes on with the
    // events of the others, and at the end all make the same state of all of them.
    run(async {
        let (_folder, daemon) = daemon();
        let (mut said, mut reopened) = (Vec::new(), Vec::new());
        for (turn, language) in Language::ALL.into_iter().enumerate() {
            daemon.install("account", language.account()).await.ok();
            let id = format!("refused-{turn}");
            daemon.account(&id, "open-account", r#"{"owner":"Ada","initial_cents":14}"#).await.ok();
            let debit = r#"{"transfer":"t1","cents":4}"#;
            daemon.account(&id, "debit-for-transfer", debit).await.ok();
            let mut answers = Vec::new();
            for (command, data) in REFUSED {
                answers.push(refusal(command, daemon.account(&id, command, data).await));
            }
            // Nested deeper than any SDK reads; a component's stack would not do for it.
            let deep = "[".repeat(5_000) + &"]".repeat(5_000);
            answers.push(refusal("nested", daemon.account(&id, "deposit-funds", &deep).await));
            said.push(answers);
            let open = format!(r#"{{"owner":"Ä\"\n{turn}","initial_cents":{EXACT}}}"#);
            let opened = daemon.account("shared", "open-account", &open).await;
            assert_eq!(opened.status, if turn == 0 { 200 } else { 422 }, "{:#}", opened.body);
            for (command, data) in [
                ("deposit-funds", format!(r#"{{"cents":{EXACT}}}"#)),
                ("debit-for-transfer", format!(r#"{{"transfer":"debit {turn}","cents":{EXACT}}}"#)),
                ("credit-for-transfer", format!(r#"{{"transfer":"\u00e9{turn}","cents":1}}"#)),
                ("refund-transfer", r#"{"transfer":"debit 0"}"#.to_owned()),
            ] {
                daemon.account("shared", command, &data).await.ok();
            }
            reopened.push(close_and_refund(&daemon, &format!("closed-{turn}")).await);
        }
        assert_eq!(at(&reopened[0], "/is_open"), true);
        assert_eq!(reopened, vec![reopened[0].clone(); 3]);
        assert_eq!(said[1], said[0], "JavaScript refuses as Rust does");
        assert_eq!(said[2], said[0], "Python refuses as Rust does");
        let mut states = Vec::new();
        for language in Language::ALL {
            daemon.install("account", language.account()).await.ok();
            states.push(daemon.get("/v1/aggregates/account/shared").await.ok());
        }
        assert_eq!(at(&states[0], "/state/balance_cents"), EXACT * 2 + 3);
        assert_eq!(at(&states[0], "/state/transfers").as_object().unwrap().len(), 6);
        assert_eq!(states[1], states[0]);
        assert_eq!(states[2], states[0]);
    });
}

/// The state of an account that is closed while its money is in a transfer, and then refunded.
async fn close_and_refund(daemon: &Daemon, id: &str) -> Value {
    for (command, data) in [
        ("open-account", r#"{"owner":"Ada","initial_cents":4}"#),
        ("debit-for-transfer", r#"{"transfer":"t1","cents":4}"#),
        ("close-account", "{}"),
        ("refund-transfer", r#"{"transfer":"t1"}"#),
    ] {
        daemon.account(id, command, data).await.ok();
    }
    let account = daemon.get(&format!("/v1/aggregates/account/{id}")).await.ok();
    at(&account, "/state").clone()
}

/// What a caller is told: of a rejection code and message, of malformed data that it is.
fn refusal(command: &str, answer: Answer) -> Value {
    match answer.status {
        422 => at(&answer.body, "/rejection").clone(),
        400 => json!(answer.code()),
        status => panic!("{command}: {status} {:#}", answer.body),
    }
}
