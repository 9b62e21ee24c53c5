//! `annals store create`, `describe` and `delete`: the tables of a store on DynamoDB.

use std::borrow::BorrowMut;
use std::process::Command;

use serde_json::{Value, json};

use super::Said;
use crate::drivers::dynamodb::{Tables, emulator};
use crate::support::annals;

/// A command on tables.
fn store(tables: &Tables, arguments: &[&str]) -> Said {
    let mut command = annals();
    tables.set_environment(&mut command);
    command.args(["store"]).args(arguments);
    command.args(["--driver", "dynamodb", "--prefix", &tables.prefix]);
    said(command)
}

fn said(mut command: impl BorrowMut<Command>) -> Said {
    let command = command.borrow_mut();
    Said::of(command.stdin(std::process::Stdio::null()).output().unwrap())
}

/// The command that makes tables, as errors name it.
fn create_command(tables: &Tables) -> String {
    let (endpoint, prefix) = (emulator(), &tables.prefix);
    format!(
        "ANNALS_DYNAMODB_ENDPOINT={endpoint} annals store create --driver dynamodb --prefix {prefix}"
    )
}

fn json_of(said: Said) -> Value {
    serde_json::from_str(&said.ok()).unwrap()
}

/// Looks at tables that are not there.
#[track_caller]
fn describe_missing(tables: &Tables) {
    let prefix = tables.prefix.as_str();
    let missing = store(tables, &["describe"]);
    let place = format!("DynamoDB at {}\n", emulator());
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), place.as_str()));
    let expected = format!(
        "error: there is no table `{prefix}-events`; there is no table `{prefix}-state`\n\nhint: what \
         is missing is made by `{}`\n",
        create_command(tables)
    );
    assert_eq!(missing.stderr, expected);
    let missing = store(tables, &["describe", "--output", "json"]).stdout;
    let expected = json!({
        "prefix": prefix,
        "region": "eu-central-1",
        "endpoint": emulator(),
        "can_be_served": false,
        "events": { "name": format!("{prefix}-events"), "exists": false },
        "state": { "name": format!("{prefix}-state"), "exists": false },
    });
    assert_eq!(serde_json::from_str::<Value>(&missing).unwrap(), expected);
}

#[test]
fn tables_are_made_described_and_deleted() {
    // Guards the life of a store on DynamoDB, as programs see it: made once, the same at every look,
    // and gone in the end.
    let tables = Tables::unmade();
    describe_missing(&tables);
    let prefix = tables.prefix.as_str();
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
    let table = |name: &str| {
        json!({
            "name": format!("{prefix}-{name}"),
            "exists": true,
            "status": "ACTIVE",
            // How much the emulator counts is its own affair.
            "items_count_about": found[name]["items_count_about"],
            "bytes_count_about": found[name]["bytes_count_about"],
            "billing": "PAY_PER_REQUEST",
            "is_deletion_protected": true,
            "ttl_attribute": "ttl",
        })
    };
    let expected = json!({
        "prefix": prefix,
        "region": "eu-central-1",
        "endpoint": emulator(),
        "can_be_served": true,
        "store": made["store"],
        "partitions_count": 4,
        "layout_version": 1,
        "events": table("events"),
        "state": table("state"),
    });
    assert_eq!(found, expected);
    let lines = store(&tables, &["describe"]).ok();
    let lines: Vec<_> = lines.lines().skip(3).take(3).collect();
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
    // Nothing is asked of AWS, so neither region nor credentials are needed.
    for command in ["create", "delete"] {
        let mut annals = annals();
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"] {
            annals.env_remove(variable);
        }
        annals.env("HOME", "/nowhere").args(["store", command, "--driver", "dynamodb"]);
        annals.args(["--prefix", &tables.prefix, "--dry-run"]);
        said(annals).ok();
    }
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
    let text =
        format!("there is no table `{prefix}-events`: make it with `{}`", create_command(&tables));
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
    let run_without = |variable: &str, arguments: &[&str]| {
        let mut annals = annals();
        tables.set_environment(&mut annals);
        annals.env_remove(variable).env("HOME", "/nowhere").env("ANNALS_STORE_DRIVER", "dynamodb");
        annals.args(arguments);
        said(annals)
    };
    let without = |variable| run_without(variable, &["store", "create"]);
    let said = without("AWS_REGION");
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.starts_with("error: no region is known: set `dynamodb.region`"),
        "{said:?}"
    );
    let said = without("AWS_ACCESS_KEY_ID");
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.starts_with("error: no AWS credentials were found: set "), "{said:?}");
    // Nor does a daemon, whose log has no warnings of the SDK before it.
    let (folder, data) = crate::support::folder();
    let data = data.display().to_string();
    let said = run_without("AWS_ACCESS_KEY_ID", &["serve", "--data", &data]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.starts_with("error: no AWS credentials were found: set "), "{said:?}");
    drop(folder);
}

#[test]
fn commands_that_are_suggested_can_be_pasted() {
    // Guards whoever names a file with the settings: the next command names it too.
    let tables = Tables::unmade();
    let (folder, data) = crate::support::folder();
    let file = data.with_file_name("shop settings.toml");
    let prefix = &tables.prefix;
    let text = format!(
        "[store]\ndriver = \"dynamodb\"\n[dynamodb]\nprefix = \"{prefix}\"\nendpoint = \"{}\"\n",
        emulator()
    );
    std::fs::write(&file, text).unwrap();
    let run = |arguments: &[&str]| {
        let mut annals = annals();
        tables.set_environment(&mut annals);
        annals.env_remove("ANNALS_DYNAMODB_ENDPOINT").args(["store"]).args(arguments);
        said(annals.args(["--config"]).arg(&file))
    };
    let path = file.display();
    let missing = run(&["describe"]).stderr;
    let expected = format!("made by `annals store create --config '{path}'`\n");
    assert!(missing.ends_with(&expected), "{missing}");
    let other = run(&["describe", "--driver", "dynamodb", "--prefix", "other"]).stderr;
    let expected = format!(
        "made by `annals store create --driver dynamodb --prefix other --config '{path}'`\n"
    );
    assert!(other.ends_with(&expected), "{other}");
    let made = run(&["create"]).stderr;
    assert!(made.ends_with(&format!("serve it: annals serve --config '{path}'\n")), "{made}");
    let again = store(&tables, &["create"]).stderr;
    let expected = format!(
        "serve it: ANNALS_STORE_DRIVER=dynamodb ANNALS_DYNAMODB_PREFIX={prefix} \
         ANNALS_DYNAMODB_ENDPOINT={} annals serve\n",
        emulator()
    );
    assert!(again.ends_with(&expected), "{again}");
    drop(folder);
}
