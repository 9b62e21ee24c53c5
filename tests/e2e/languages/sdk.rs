//! The SDKs' own tests and those of the accounts, and a new plugin in each language.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::built::{Built, copied_account};
use crate::support::{Daemon, annals, at, folder, run};

/// Runs a command that must end well, and returns all that it printed.
#[track_caller]
fn said(command: &mut Command) -> String {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `./test` says how to install it"));
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(done.status.success(), "{command:?}\n{text}");
    text
}

/// The command of a program, without traces in the folder that it runs in.
fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn the_sdks_and_the_accounts_pass_their_own_tests() {
    // Guards the native tests of both SDKs, and that `plugin test` runs those of a plugin.
    let folder = tempfile::tempdir().unwrap();
    let [javascript, python] =
        ["account-js", "account-python"].map(|name| copied_account(folder.path(), name));
    let sdk = folder.path().join("guest-sdk");
    let tests = [
        said(program("node", &sdk.join("js")).args(["--test", "--test-reporter", "tap"])),
        said(program("python3", &sdk.join("python")).args(["-m", "unittest"])),
        said(annals().args(["plugin", "test"]).arg(javascript).args([
            "--",
            "--test-reporter",
            "tap",
        ])),
        said(annals().args(["plugin", "test"]).arg(python)),
    ];
    for (text, passed) in tests.iter().zip(["# pass 18", "Ran 19", "# pass 14", "Ran 13"]) {
        assert!(text.contains(passed), "{passed}\n{text}");
    }
}

#[test]
fn a_new_plugin_in_each_language_decides() {
    // Guards `plugin new --lang`: its tests pass, it builds where there is nothing but what was
    // written, and it decides.
    run(async {
        for lang in ["js", "python"] {
            let built = Built::of(&format!("new-{lang}"), |root| {
                let plugin = root.join("shop-cart");
                let new = ["plugin", "new", "shop-cart", "--kind", "aggregate", "--lang", lang];
                said(annals().args(new).arg("--dir").arg(&plugin));
                plugin
            });
            let (_folder, data) = folder();
            built.spare_compiling(&data);
            let daemon = Daemon::start(&data);
            daemon.install("shop-cart", &built.component).await.ok();
            let add = "/v1/aggregates/shop-cart/1/add-item";
            let added = daemon.post(add, &[], r#"{"item":"tea","quantity":2}"#).await.ok();
            assert_eq!(at(&added, "/events/0/data"), &json!({ "item": "tea", "quantity": 2 }));
            let none = daemon.post(add, &[], r#"{"item":"tea","quantity":0}"#).await;
            assert_eq!((none.status, at(&none.body, "/pointer")), (400, &json!("/quantity")));
        }
    });
}

#[test]
fn the_tests_of_a_new_plugin_pass_and_can_fail() {
    // Guards the templates, and the exit code of `plugin test`.
    for (lang, rules) in [("js", "src/aggregate.js"), ("python", "rules.py")] {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("shop-cart");
        let new = ["plugin", "new", "shop-cart", "--kind", "aggregate", "--lang", lang];
        said(annals().args(new).current_dir(folder.path()));
        said(annals().args(["plugin", "test"]).arg(&plugin));
        let rules = plugin.join(rules);
        let broken = std::fs::read_to_string(&rules).unwrap().replace("not-enough", "too-many");
        std::fs::write(&rules, broken).unwrap();
        let done = annals().args(["plugin", "test"]).arg(&plugin).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.ends_with("error: the tests of the plugin failed\n"), "{said}");
    }
}

#[test]
fn what_cannot_be_built_says_what_to_do() {
    // Guards the next step where a program is missing, a projection is asked for, or a manifest does
    // not do.
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], path: Option<&str>| {
        let mut command = annals();
        command.arg("plugin").args(arguments).current_dir(folder.path());
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let done = command.output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        String::from_utf8(done.stderr).unwrap()
    };
    let projection = fails(&["new", "cart", "--kind", "projection", "--lang", "js"], None);
    assert!(projection.starts_with("error: projections are written in Rust\n\nhint: leave out"));
    for (lang, program) in [("js", "node"), ("python", "python3")] {
        let new = ["plugin", "new", lang, "--kind", "aggregate", "--lang", lang];
        said(annals().args(new).current_dir(folder.path()));
        for command in ["build", "test"] {
            let missing = fails(&[command, lang], Some("/nowhere"));
            assert!(
                missing.starts_with(&format!("error: failed to run `{program}`: ")),
                "{missing}"
            );
            assert!(missing.contains("\n\nhint: install "), "{missing}");
        }
    }
    std::fs::remove_dir_all(folder.path().join("python/.annals")).unwrap();
    let without_sdk = fails(&["test", "python"], None);
    assert!(without_sdk.contains("there is no package `annals_sdk` in"), "{without_sdk}");
    std::fs::remove_file(folder.path().join("js/src/aggregate.js")).unwrap();
    let without_main = fails(&["build", "js"], None);
    assert!(without_main.contains("there is no `js/src/aggregate.js`"), "{without_main}");
    let nothing = fails(&["build", "nowhere"], None);
    assert!(nothing.contains("there is no `Cargo.toml`, `package.json` or `pyproject.toml`"));
}
