//! That every crate is under the same lints, and that the SDK stands on its own.

use toml::{Table, Value};

use crate::files::{assert_none, texts};

/// Crates that `annals plugin new` puts beside a plugin, outside of any workspace.
const SELF_CONTAINED: &[&str] = &["guest-sdk/Cargo.toml", "guest-sdk/macros/Cargo.toml"];

fn workspace() -> Table {
    let root = texts("Cargo.toml").find(|(file, _)| file.path == "Cargo.toml").unwrap();
    let table: Table = root.1.parse().unwrap();
    table["workspace"].as_table().unwrap().clone()
}

/// What one member's manifest breaks.
fn breaches(path: &str, manifest: &Table, lints: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let own = manifest.get("lints");
    if SELF_CONTAINED.contains(&path) {
        if own != Some(lints) {
            found.push(format!("{path}: its lints are not those of the workspace, word for word"));
        }
        let mut inherited = inherited_keys(manifest, "");
        inherited.sort();
        found.extend(inherited.into_iter().map(|key| {
            format!("{path}: `{key}` comes from the workspace, which is not there for a plugin")
        }));
    } else if own.and_then(|own| own.get("workspace")) != Some(&Value::Boolean(true)) {
        found.push(format!("{path}: lacks `[lints] workspace = true`"));
    }
    found
}

/// The keys whose value is `workspace = true`, with their path.
fn inherited_keys(table: &Table, within: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        let name = if within.is_empty() { key.clone() } else { format!("{within}.{key}") };
        match value {
            Value::Boolean(true) if key == "workspace" => found.push(within.to_owned()),
            Value::Table(inner) => found.extend(inherited_keys(inner, &name)),
            _ => {}
        }
    }
    found
}

#[test]
fn a_manifest_that_goes_its_own_way_is_named() {
    // Guards the rule itself, for a crate of the workspace and one of the SDK.
    let lints: Table = "[rust]\nunsafe_code = 'deny'".parse().unwrap();
    let lints = Value::Table(lints);
    let bare: Table = "[package]\nname = 'a'".parse().unwrap();
    assert_eq!(
        breaches("host/a/Cargo.toml", &bare, &lints),
        ["host/a/Cargo.toml: lacks `[lints] workspace = true`"]
    );
    let inherits = "[package]\nedition.workspace = true\n[lints]\nworkspace = true";
    let inherits: Table = inherits.parse().unwrap();
    assert_eq!(breaches("host/a/Cargo.toml", &inherits, &lints), Vec::<String>::new());
    assert_eq!(
        breaches("guest-sdk/Cargo.toml", &inherits, &lints),
        [
            "guest-sdk/Cargo.toml: its lints are not those of the workspace, word for word",
            "guest-sdk/Cargo.toml: `lints` comes from the workspace, which is not there for a \
             plugin",
            "guest-sdk/Cargo.toml: `package.edition` comes from the workspace, which is not \
             there for a plugin",
        ]
    );
}

#[test]
fn every_crate_is_under_the_lints_of_the_workspace() {
    // Guards against a crate that escapes the lints, and an SDK that only builds in here.
    let workspace = workspace();
    let lints = &workspace["lints"];
    let members = workspace["members"].as_array().unwrap();
    let mut found = Vec::new();
    for member in members {
        let path = format!("{}/Cargo.toml", member.as_str().unwrap());
        match texts(&path).find(|(file, _)| file.path == path) {
            Some((_, text)) => found.extend(breaches(&path, &text.parse().unwrap(), lints)),
            None => found.push(format!("{path}: is a member and not there")),
        }
    }
    assert_none(&found);
}
