//! From nothing to a plugin that runs: `plugin new`, `test`, `build`, `check`, `inspect`, `install`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::{Said, Talk, said, say_in};
use crate::support::annals;

/// Runs `annals` where it compiles: with a target folder that later runs find again, and without
/// the network, as everything it needs was fetched for the bank's plugins.
fn compiling(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = annals();
    command.args(arguments).current_dir(folder);
    command.env("CARGO_TARGET_DIR", target_dir()).env("CARGO_NET_OFFLINE", "true");
    command
}

fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_annals")).ancestors().nth(2).unwrap().join("plugins/scaffold")
}

/// What a command printed below `Next:`, as commands of a shell.
fn next(said: &Said) -> Vec<String> {
    let (_, next) = said.stderr.split_once("Next:\n").unwrap();
    let command = |line: &str| line.trim().split("    ").next().unwrap().to_owned();
    next.lines().map(command).collect()
}

#[test]
fn an_aggregate_runs_by_following_what_is_printed() {
    // Guards the promise of `plugin new`: the printed commands lead to an aggregate that decides.
    let talk = Talk::with_nothing();
    let folder = talk.folder.path();
    let created = talk.say(&["plugin", "new", "shop-cart", "--kind", "aggregate"]);
    assert_eq!(created.stdout, "created the aggregate `shop-cart` in `shop-cart`\n");
    assert_eq!(
        next(&created),
        ["cd shop-cart && annals plugin test", "annals plugin build", "annals plugin install"]
    );
    let plugin = folder.join("shop-cart");
    let tested = said(&mut compiling(&plugin, &["plugin", "test"])).ok();
    assert!(tested.contains("test result: ok. 3 passed; 0 failed"), "{tested}");
    let built = said(&mut compiling(&plugin, &["plugin", "build"])).ok();
    for line in ["shop-cart 0.1.0", "  kind      aggregate", "  imports   annals:plugin/log@0.1.0"]
    {
        assert!(built.lines().any(|built| built == line), "{line}\n{built}");
    }
    let install = ["plugin", "install", "shop-cart"];
    let installed = talk.say(&install);
    assert_eq!(installed.stdout, "installed the aggregate `shop-cart` 0.1.0\n");
    let example = r#"annals command shop-cart 1 add-item '{"item":"text","quantity":1}'"#;
    assert_eq!(installed.stderr, format!("\nTry it:\n  {example}\n"));
    let example = ["command", "shop-cart", "1", "add-item", r#"{"item":"text","quantity":1}"#];
    assert_eq!(
        talk.say(&example).ok(),
        "shop-cart/1 is at revision 0\n   0  item-added  {\"item\":\"text\",\"quantity\":1}\n"
    );
    let error = talk.say(&["command", "shop-cart", "2", "check-out"]).failed(1);
    assert_eq!(error, "error: rejected: there is nothing to check out (empty)\n");
    let again = talk.say(&install).ok();
    assert_eq!(again, "the aggregate `shop-cart` 0.1.0 is installed already\n");
    assert!(talk.say(&["plugin", "list"]).ok().starts_with("shop-cart  0.1.0  aggregate  "));

    talk.say(&["plugin", "new", "cart-contents", "--kind", "projection"]).ok();
    let plugin = folder.join("cart-contents");
    let tested = said(&mut compiling(&plugin, &["plugin", "test"])).ok();
    assert!(tested.contains("test result: ok. 1 passed; 0 failed"), "{tested}");
    said(&mut compiling(&plugin, &["plugin", "build"])).ok();
    talk.say(&["plugin", "install", "cart-contents"]).ok();
    let get = ["view", "get", "cart-contents", "contents", "1", "--position", "2"];
    let row: serde_json::Value = serde_json::from_str(&talk.say(&get).ok()).unwrap();
    assert_eq!(row, json!({ "items_count": 1, "is_checked_out": false }));
}

#[test]
fn an_upcaster_makes_of_old_events_what_the_aggregate_reads() {
    // Guards the template: its tests pass, and what it makes is read by the aggregate of the
    // template.
    let talk = Talk::with_nothing();
    let folder = talk.folder.path();
    let created = talk.say(&["plugin", "new", "old-carts", "--kind", "upcaster"]);
    assert_eq!(created.stdout, "created the upcaster `old-carts` in `old-carts`\n");
    let plugin = folder.join("old-carts");
    let tested = said(&mut compiling(&plugin, &["plugin", "test"])).ok();
    assert!(tested.contains("test result: ok. 2 passed; 0 failed"), "{tested}");
    let built = said(&mut compiling(&plugin, &["plugin", "build"])).ok();
    for line in ["  kind      upcaster", "  imports   nothing", "  produces  item-added"] {
        assert!(built.lines().any(|built| built == line), "{line}\n{built}");
    }
    talk.say(&["plugin", "install", "old-carts"]).ok();
    let data = r#"{"items":"tea:2, salt"}"#;
    talk.say(&["stream", "append", "shop-cart/1", "items-added", data]).ok();
    let upcast = talk.say(&["stream", "read", "shop-cart/1", "--upcast"]).ok();
    let data: Vec<_> = upcast.lines().map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(data, [r#"{"item":"tea","quantity":2}"#, r#"{"item":"salt","quantity":1}"#]);
}

#[test]
fn a_process_manager_passes_its_tests_and_says_what_it_sends() {
    // Guards the template: its tests pass, and who takes its commands can be read off the component.
    let talk = Talk::with_nothing();
    let created = talk.say(&["plugin", "new", "idle-carts", "--kind", "process-manager"]);
    assert_eq!(created.stdout, "created the process-manager `idle-carts` in `idle-carts`\n");
    let plugin = talk.folder.path().join("idle-carts");
    let tested = said(&mut compiling(&plugin, &["plugin", "test"])).ok();
    assert!(tested.contains("test result: ok. 3 passed; 0 failed"), "{tested}");
    let built = said(&mut compiling(&plugin, &["plugin", "build"])).ok();
    for line in [
        "  kind      process-manager",
        "  imports   annals:plugin/log@0.1.0",
        "  sends     shop-cart check-out",
        "  events    item-added, item-removed, checked-out",
    ] {
        assert!(built.lines().any(|built| built == line), "{line}\n{built}");
    }
}

#[test]
fn a_plugin_that_does_not_compile_or_does_not_pass_is_the_users_fault() {
    // Guards exit code 1 for what cargo refuses, with cargo's own words on standard error.
    let folder = tempfile::tempdir().unwrap();
    say_in(folder.path(), &["plugin", "new", "broken-cart", "--kind", "aggregate"]).ok();
    let plugin = folder.path().join("broken-cart");
    let error = say_in(&plugin, &["plugin", "install"]).failed(1);
    assert_eq!(error, "error: `.` is not built yet\n\nhint: build it with `annals plugin build`\n");
    std::fs::write(plugin.join("src/lib.rs"), "fn").unwrap();
    let error = said(&mut compiling(&plugin, &["plugin", "build"])).failed(1);
    assert!(error.contains("src/lib.rs:1"), "{error}");
    assert!(error.ends_with("error: the plugin does not compile\n"), "{error}");
    let error = said(&mut compiling(&plugin, &["plugin", "test"])).failed(1);
    assert!(error.ends_with("error: the tests of the plugin failed\n"), "{error}");
}

#[test]
fn names_and_folders_that_do_not_do_are_refused() {
    // Guards `plugin new`: nothing is written over, and a name that fails later fails now.
    let folder = tempfile::tempdir().unwrap();
    let new = |arguments: &[&str]| {
        let kind = [&["plugin", "new"], arguments, &["--kind", "aggregate"]].concat();
        say_in(folder.path(), &kind)
    };
    let error = new(&["ShopCart"]).failed(1);
    assert!(error.starts_with("error: the name of the plugin: `ShopCart` is not a plugin name"));
    assert!(error.ends_with("hint: try `shop-cart`\n"), "{error}");
    assert_eq!(
        new(&["event"]).failed(1),
        "error: a plugin cannot be named `event`: its code needs the word\n\nhint: choose a name of \
         your domain, e.g. `shop-cart`\n"
    );
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/note.txt"), "mine").unwrap();
    assert_eq!(
        new(&["shop-cart", "--dir", "full"]).failed(1),
        "error: the folder `full` is not empty\n\nhint: choose another name, or a folder with \
         `--dir`\n"
    );
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    new(&["shop-cart", "--dir", "empty"]).ok();
    assert!(folder.path().join("empty/.annals/guest-sdk/Cargo.toml").is_file());
}

#[test]
fn files_that_are_no_plugins_are_refused_with_the_reason() {
    // Guards the bad inputs not a component, truncated and wrong contract version.
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        say_in(folder.path(), &["plugin", "check", name])
    };
    let account = check("account.wasm", annals_components::account());
    assert_eq!(account.ok(), "`account.wasm` is the aggregate `account` and can be installed\n");
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("text", b"hello".to_vec(), "not a WebAssembly component: "),
        ("truncated", annals_components::truncated(), "not a WebAssembly component: "),
        ("module", annals_components::core_module(), "not a WebAssembly component: "),
        ("version", annals_components::other_contract_version(), "built for annals:plugin@9.0.0; "),
        (
            "imports",
            annals_components::forbidden_imports(),
            "a plugin of kind `aggregate` must not ",
        ),
    ];
    for (name, bytes, reason) in cases {
        let error = check(name, &bytes).failed(1);
        assert!(error.starts_with(&format!("error: `{name}`: {reason}")), "{error}");
    }
    let facts = say_in(folder.path(), &["plugin", "inspect", "account.wasm", "--output", "json"]);
    let facts = facts.json();
    assert_eq!(
        (&facts["name"], &facts["kind"], &facts["imports"]),
        (&json!("account"), &json!("aggregate"), &json!(["annals:plugin/log@0.1.0"]))
    );
    assert_eq!(facts["commands"][0]["schema"]["type"], "object");
}
