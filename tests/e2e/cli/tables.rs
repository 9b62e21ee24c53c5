//! `annals store create`, `describe` and `delete`: the tables of a store on DynamoDB.

use std::process::Command;

use serde_json::{Value, json};

use super::Said;
use crate::drivers::dynamodb::Tables;
use crate::support::annals;

/// A command on tables.
fn store(tables: &Tables, arguments: &[&str]) -> Said {
    let mut command = annals();
    tables.set_environment(&mut command);
    command.args(["store"]).args(arguments);
    command.args(["--driver", "dynamodb", "--prefix", &tables.prefix]);
    said(command)
}

fn said(mut command: Command) -> Said {
    Said::of(command.stdin(std::process::Stdio::null()).output().unwrap())
}

fn json_of(said: Said) -> Value {
    serde_json::from_str(&said.ok()).unwrap()
}

#[test]
fn tables_are_made_described_and_deleted() {
    // Guards the life of a store on DynamoDB, as programs see it: made once, the same at every look,
    // and gone in the end.
    let tables = Tables::unmade();
    let prefix = tables.prefix.as_str();
    let missing = store(&tables, &["describe"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    let expected = format!(
        "error: there is no table `{prefix}-events`; there is no table `{prefix}-state`\n\nhint: what \
         is missing is made by `annals store create --driver dynamodb --prefix {prefix}`\n"
    );
    assert_eq!(missing.stderr, expected);

    let made = json_of(store(&tables, &["create", "--partitions", "4", "--output", "json"]));
    let warning = |table| {
        format!("`{prefix}-{table}`: this service knows no point-in-time recovery, it is not on")
    };
    let expected = json!({
        "prefix": prefix,
        "store": made["store"],
        "partitions_count": 4,
        "made": [format!("{prefix}-state"), format!("{prefix}-events")],
        "warnings": [warning("state"), warning("events")],
    });
    assert_eq!(made, expected);
    let again = store(&tables, &["create"]).ok();
    let expected = format!(
        "the tables of `{prefix}` were there already\nthey hold the store {} with 4 partitions\n",
        made["store"].as_str().unwrap()
    );
    assert_eq!(again, expected);

    let found = json_of(store(&tables, &["describe", "--output", "json"]));
    assert_eq!((&found["store"], &found["can_be_served"]), (&made["store"], &json!(true)));
    let lines = store(&tables, &["describe"]).ok();
    let lines: Vec<_> = lines.lines().skip(2).take(3).collect();
    let expected = [
        "  what expired is removed, by `ttl`",
        "  this service does not say whether point-in-time recovery is on",
        "  protected against deletion",
    ];
    assert_eq!(lines, expected);

    let refused = store(&tables, &["delete"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("nobody can be asked here: pass `--yes`"), "{refused:?}");
    let deleted = json_of(store(&tables, &["delete", "--yes", "--output", "json"]));
    let names = [format!("{prefix}-state"), format!("{prefix}-events")];
    assert_eq!(deleted, json!({ "prefix": prefix, "deleted": names }));
    let nothing = store(&tables, &["delete", "--yes"]).ok();
    assert_eq!(nothing, format!("there are no tables of `{prefix}`\n"));
}

#[test]
fn a_dry_run_prints_requests_and_sends_none() {
    // Guards operators who look first, or who give the requests to somebody else.
    let tables = Tables::unmade();
    let printed = store(&tables, &["create", "--dry-run", "--output", "json"]).ok();
    let planned: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let operations: Vec<_> = planned.iter().map(|it| it["operation"].as_str().unwrap()).collect();
    let expected = [
        "CreateTable",
        "CreateTable",
        "UpdateTimeToLive",
        "UpdateContinuousBackups",
        "UpdateTimeToLive",
        "UpdateContinuousBackups",
        "PutItem",
    ];
    assert_eq!(operations, expected);
    assert_eq!(planned[6]["request"]["Item"]["p"], json!({ "N": "16" }));
    assert_eq!(store(&tables, &["delete", "--dry-run"]).code, Some(0));
    assert_eq!(store(&tables, &["describe"]).code, Some(1));
}

#[test]
fn the_doctor_and_the_daemon_look_at_the_tables() {
    // Guards the first start: what is missing is named with the command that makes it.
    let tables = Tables::unmade();
    let run = |arguments: &[&str]| {
        let mut annals = annals();
        tables.configure(&mut annals);
        annals.args(arguments).args(["--output", "json"]);
        said(annals)
    };
    let data = || {
        let said: Value =
            serde_json::from_str(&run(&["doctor", "--server", "http://127.0.0.1:1"]).stdout)
                .unwrap();
        let findings = said["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["name"] == "data").unwrap().clone()
    };
    let prefix = &tables.prefix;
    let text = format!(
        "there is no table `{prefix}-events`: make it with `annals store create --driver dynamodb \
         --prefix {prefix}`"
    );
    assert_eq!(data(), json!({ "name": "data", "verdict": "fail", "detail": text }));
    let refused = run(&["serve"]);
    assert_eq!((refused.code, refused.stderr), (Some(1), format!("error: {text}\n")));
    store(&tables, &["create"]).ok();
    let text = format!("the tables of `{prefix}` hold a store of 16 partitions");
    assert_eq!(data(), json!({ "name": "data", "verdict": "ok", "detail": text }));
}

#[test]
fn drivers_without_tables_say_so() {
    // Guards newcomers who forget `--driver`: what is meant, and what to pass.
    let cases = [
        ("local", "it keeps the store in a data folder, which `annals serve` makes"),
        ("memory", "it keeps the store in memory"),
    ];
    for (driver, kept) in cases {
        for command in ["create", "describe", "delete"] {
            let mut annals = annals();
            annals.args(["store", command, "--driver", driver]);
            let said = said(annals);
            let expected = format!(
                "error: the driver `{driver}` needs no tables: {kept}\n\nhint: for tables, pass \
                 `--driver dynamodb`\n"
            );
            assert_eq!((said.code, said.stderr), (Some(1), expected));
        }
    }
}

#[test]
fn what_cannot_be_made_is_refused_at_once() {
    // Guards against tables that are half made: bad numbers and names, no region, no credentials.
    let tables = Tables::unmade();
    let over = store(&tables, &["create", "--partitions", "1025"]);
    let text = "error: 1025 partitions are too many, at most 1024 are allowed\n";
    assert_eq!((over.code, over.stderr.as_str()), (Some(1), text));
    let without = |variable: &str| {
        let mut annals = annals();
        tables.set_environment(&mut annals);
        annals.env_remove(variable).env("HOME", "/nowhere");
        annals.args(["store", "create", "--driver", "dynamodb"]);
        said(annals)
    };
    let said = without("AWS_REGION");
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.starts_with("error: no region is known: set `dynamodb.region`"),
        "{said:?}"
    );
    let said = without("AWS_ACCESS_KEY_ID");
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.starts_with("error: no AWS credentials were found: set "), "{said:?}");
}
