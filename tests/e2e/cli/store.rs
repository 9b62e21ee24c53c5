//! `annals store export` and `annals store import`: a store as text and back.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Said, said, say_in};
use crate::support::{Daemon, annals, at, folder, run};

const OPEN: &str = r#"{"owner":"Ada","initial_cents":100}"#;

/// A data folder with accounts, a refused command, and an event of a client; the daemon is stopped.
fn with_history(data: &Path) {
    run(async {
        let daemon = Daemon::start_with_account(data).await;
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        for id in ["a1", "a2", "a3"] {
            daemon.account(id, "open-account", OPEN).await.ok();
            let deposit = "/v1/aggregates/account/a1/deposit-funds";
            let id = [("idempotency-key", ID)];
            daemon.post(deposit, &id, r#"{"cents": 5}"#).await.ok();
        }
        let refused = daemon.account("a2", "withdraw-funds", r#"{"cents":101}"#).await;
        assert_eq!(refused.status, 422);
        let note = r#"{"events":[{"type":"note-taken","data":{"z": 1.50, "a":null}}]}"#;
        daemon.post("/v1/streams/note/n1", &[], note).await.ok();
        assert_eq!(daemon.stop(), Some(0));
    });
}

const ID: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";

/// What a daemon on a data folder says of everything in it.
fn everything(data: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    run(async {
        let daemon = Daemon::start(data);
        let mut paths = vec!["/v1/events".to_owned()];
        for id in ["a1", "a2", "a3"] {
            paths.push(format!("/v1/streams/account/{id}"));
            paths.push(format!("/v1/streams/account/{id}/commands"));
            paths.push(format!("/v1/aggregates/account/{id}"));
            paths.push(format!("/v1/views/account-balances/accounts/{id}?position=6"));
        }
        for path in paths {
            all.push(daemon.get(&path).await.ok());
        }
        let again = "/v1/aggregates/account/a1/deposit-funds";
        let again = daemon.post(again, &[("idempotency-key", ID)], r#"{"cents": 5}"#).await.ok();
        assert_eq!(at(&again, "/is_repeat"), true);
        all.push(again);
        assert_eq!(daemon.stop(), Some(0));
    });
    all
}

fn copy_plugins(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("plugins")).unwrap();
    for file in std::fs::read_dir(from.join("plugins")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join("plugins").join(file.file_name())).unwrap();
    }
}

/// The number in the summary of an import.
#[track_caller]
fn count(said: &Value, name: &str) -> u64 {
    said[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {said:#}"))
}

#[test]
fn what_was_exported_and_imported_is_served_as_before() {
    // Guards moving a store: a daemon on the new folder gives the same streams, commands, positions,
    // states, views and first outcomes, and the new store exports to the same lines.
    let (folder, data) = folder();
    with_history(&data);
    let folder = folder.path();
    let export = ["store", "export", "--data", "data", "--to", "export.ndjson"];
    let exported = say_in(folder, &[&export[..], &["--output", "json"]].concat()).json();
    assert_eq!((count(&exported, "commits_count"), count(&exported, "events_count")), (8, 7));
    let import = ["store", "import", "export.ndjson", "--data", "new"];
    let imported = say_in(folder, &import);
    assert!(imported.stderr.contains("with `--plugins`"), "{}", imported.stderr);
    assert_eq!(
        imported.ok(),
        "imported 8 commits with 7 events into `new`\nthe store was read again and is the same\n"
    );
    copy_plugins(&data, &folder.join("new"));
    assert_eq!(everything(&folder.join("new")), everything(&data));
    let again = say_in(folder, &[&import[..], &["--output", "json"]].concat());
    assert_eq!(again.stderr, "");
    let again = again.json();
    assert_eq!(count(&again, "appended_count"), 0);
    assert_eq!(again["sha256"], exported["sha256"]);
    let lines = |data: &str| {
        let text = say_in(folder, &["store", "export", "--data", data]).ok();
        let store: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let store = store["data"]["store"].as_str().unwrap().to_owned();
        let lines = text.lines().filter(|line| !line.contains("annals.end"));
        lines.map(|line| line.replace(&store, "STORE")).collect::<Vec<_>>()
    };
    assert_eq!(lines("new"), lines("data"));
}

#[test]
fn an_export_goes_to_standard_output_or_to_a_new_file() {
    // Guards data that is there: a file is only replaced when asked, and nothing is left beside it.
    let (folder, data) = folder();
    with_history(&data);
    let folder = folder.path();
    let to_stdout = say_in(folder, &["store", "export", "--data", "data"]);
    assert!(to_stdout.stderr.starts_with("exported 8 commits with 7 events, "), "{to_stdout:?}");
    let text = to_stdout.ok();
    assert_eq!(text.lines().last().map(|line| line.contains("annals.end")), Some(true));
    let to_stdout = say_in(folder, &["store", "export", "--data", "data", "--output", "json"]);
    let summary: Value = serde_json::from_str(&to_stdout.stderr).unwrap();
    assert_eq!((count(&summary, "commits_count"), &to_stdout.ok()), (8, &text));

    std::fs::write(folder.join("export.ndjson"), "precious").unwrap();
    let export = ["store", "export", "--data", "data", "--to", "export.ndjson"];
    assert_eq!(
        say_in(folder, &export).failed(1),
        "error: `export.ndjson` is there already\n\nhint: choose another name, or replace it with \
         `--overwrite`\n"
    );
    assert_eq!(std::fs::read_to_string(folder.join("export.ndjson")).unwrap(), "precious");
    let said = say_in(folder, &[&export[..], &["--overwrite"]].concat()).ok();
    assert!(said.starts_with("exported 8 commits with 7 events, "), "{said}");
    assert!(said.contains("sha256 of all lines but the last: "), "{said}");
    assert_eq!(std::fs::read_to_string(folder.join("export.ndjson")).unwrap(), text);
    let nowhere = ["store", "export", "--data", "data", "--to", "no/where.ndjson"];
    let nowhere = say_in(folder, &nowhere).failed(1);
    assert!(nowhere.starts_with("error: failed to write `no/where.ndjson`: "), "{nowhere}");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["data", "export.ndjson"]);
}

#[test]
fn what_cannot_be_exported_or_imported_is_said_with_a_hint() {
    // Guards the mistakes: a daemon that runs, a folder without a store, a store with other content,
    // a file that is no export, a file that is not there.
    let (folder, data) = folder();
    with_history(&data);
    let folder = folder.path();
    let daemon = Daemon::start(&data);
    let export = ["store", "export", "--data", "data", "--to", "export.ndjson"];
    let process = daemon.pid().as_raw_nonzero();
    assert_eq!(
        say_in(folder, &export).failed(1),
        format!(
            "error: `data` is in use by another annals (process {process})\n\nhint: stop the daemon, \
             with Ctrl-C or SIGTERM, or restore a backup elsewhere and export that\n"
        )
    );
    assert_eq!(daemon.stop(), Some(0));
    say_in(folder, &export).ok();
    assert_eq!(
        say_in(folder, &["store", "export", "--data", "nothing"]).failed(1),
        "error: there is no store in `nothing`\n\nhint: name the data folder of a daemon with \
         `--data`\n"
    );
    std::fs::write(folder.join("other.txt"), "hello\n").unwrap();
    assert_eq!(
        say_in(folder, &["store", "import", "other.txt", "--data", "new"]).failed(1),
        "error: this is not an export of annals: it is not a line of an export: expected value, at \
         column 1\n\nhint: name a file that `annals store export` wrote\n"
    );
    assert_eq!(
        say_in(folder, &["store", "import", "missing", "--data", "new"]).failed(1),
        "error: failed to read `missing`: No such file or directory (os error 2)\n"
    );
    assert!(!folder.join("nothing").exists() && !folder.join("new").exists());
    let wrong = say_in(folder, &["store", "export", "--date", "data"]).failed(1);
    assert!(wrong.contains("--data"), "{wrong}");
    run(async {
        let daemon = Daemon::start(&folder.join("other"));
        let note = r#"{"events":[{"type":"note-taken","data":1}]}"#;
        daemon.post("/v1/streams/note/n1", &[], note).await.ok();
        assert_eq!(daemon.stop(), Some(0));
    });
    let before = say_in(folder, &["store", "export", "--data", "other"]).ok();
    assert_eq!(
        say_in(folder, &["store", "import", "export.ndjson", "--data", "other"]).failed(1),
        "error: the store is not empty, and holds something else than this export: commit 0 of \
         partition 0 is another one\n\nhint: nothing was written; import into an empty store\n"
    );
    assert_eq!(say_in(folder, &["store", "export", "--data", "other"]).ok(), before);
}

#[test]
fn a_cut_off_or_broken_export_is_imported_as_far_as_it_goes_and_then_on() {
    // Guards an interrupted import on the real binary and a real disk: what was whole is there, and
    // the same command with the whole file does the rest.
    let (folder, data) = folder();
    with_history(&data);
    let folder = folder.path();
    let export = ["store", "export", "--data", "data", "--to", "export.ndjson"];
    let exported = say_in(folder, &[&export[..], &["--output", "json"]].concat()).json();
    let text = std::fs::read_to_string(folder.join("export.ndjson")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let import = |from: &str| say_in(folder, &["store", "import", from, "--data", "new"]);

    // The installed plugins, and half of the first account.
    std::fs::write(folder.join("part"), format!("{}\n{{\"spec", lines[..4].join("\n"))).unwrap();
    assert_eq!(
        import("part").failed(1),
        "error: the export ends early, after 4 whole lines; its first 2 commits are in the \
         store\n\nhint: take the whole file, or export again, and run the same command again: it \
         goes on where it ended\n"
    );
    // Nobody works on what is not all there.
    let refused = format!("error: {HALF}\n\nhint: {WHEN_HALF}\n");
    let serve = ["serve", "--data", "new", "--listen", "127.0.0.1:0"];
    let refusal = say_in(folder, &serve).failed(1);
    // Before it come lines of the log.
    let refusal_text = refusal.find("error: ").and_then(|at| refusal.get(at..));
    assert_eq!(without_store(refusal_text.unwrap_or_default()), refused);
    let mut broken = lines.clone();
    broken[6] = "{\"specversion\": 1}";
    std::fs::write(folder.join("broken"), broken.join("\n")).unwrap();
    let error = import("broken").failed(1);
    let start = "error: line 7 of the export: it is not a line of an export: invalid type: ";
    assert!(error.starts_with(start), "{error}");
    assert!(error.contains("hint: every commit before it is in the store; put the line right"));
    let mut command = annals();
    command.args(["store", "import", "-", "--data", "new", "--output", "json"]);
    command.current_dir(folder).stdin(std::fs::File::open(folder.join("export.ndjson")).unwrap());
    let imported = said(&mut command).json();
    let commits_count = count(&exported, "commits_count");
    assert_eq!(count(&imported, "appended_count"), commits_count - 3);
    assert_eq!(imported["sha256"], exported["sha256"]);
    copy_plugins(&data, &folder.join("new"));
    assert_eq!(everything(&folder.join("new")), everything(&data));
}

/// What a daemon says of half an import.
const HALF: &str = "the store holds a part of the export of STORE: its import has not ended";
const WHEN_HALF: &str = "run the same `annals store import` again until it says that the store was \
                         read again; or, if the rest of the export is lost, accept what is there with \
                         `annals store import FILE --accept-partial`";

/// A text with the id of a store replaced.
fn without_store(text: &str) -> String {
    let Some((before, id)) = text.split_once("urn:uuid:") else { return text.to_owned() };
    let rest = id.get(36..).unwrap_or_default();
    format!("{before}STORE{rest}")
}

#[test]
fn half_an_import_is_served_when_somebody_accepts_it() {
    // Guards those who have lost the rest of an export: what is there is theirs, if they say so.
    let (folder, data) = folder();
    with_history(&data);
    let folder = folder.path();
    let text = say_in(folder, &["store", "export", "--data", "data"]).ok();
    let half = text.lines().take(6).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.join("half"), format!("{half}\n")).unwrap();
    let plugins = ["--plugins", "data/plugins"];
    let import = ["store", "import", "half", "--data", "new"];
    let failed = say_in(folder, &[&import[..], &plugins].concat()).failed(1);
    assert!(failed.contains("the export ends early"), "{failed}");
    let accepted = say_in(folder, &[&import[..], &["--accept-partial"]].concat()).failed(1);
    let warning = "warning: the import did not come to its end; a daemon may serve what is there\n";
    assert!(accepted.starts_with(warning), "{accepted}");
    run(async {
        let daemon = Daemon::start(&folder.join("new"));
        daemon.account("a9", "open-account", OPEN).await.ok();
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[test]
fn an_import_that_is_interrupted_says_how_to_go_on() {
    // Guards Ctrl-C: whoever presses it is told that nothing is lost, and what to do.
    let (folder, data) = folder();
    with_history(&data);
    let folder = folder.path();
    let text = say_in(folder, &["store", "export", "--data", "data"]).ok();
    let mut command = annals();
    command.args(["store", "import", "-", "--data", "new"]).current_dir(folder);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &text.as_bytes()[..text.len() / 2]).unwrap();
    // It listens to Ctrl-C before it makes the folder.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.join("new/log").exists() {
        assert!(Instant::now() < deadline, "the import did not begin");
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!(
        said.failed(130),
        "error: interrupted\n\nhint: run the same command again: it goes on where it ended. Until it \
         has ended, no daemon serves the store\n"
    );
    drop(stdin);
}

#[test]
fn an_import_that_is_killed_goes_on() {
    // Guards `kill -9` while importing: the store opens, and the import ends as if nothing was.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async {
        let daemon = Daemon::start(&data);
        let event = format!(r#"{{"type":"note-taken","data":"{}"}}"#, "x".repeat(2_000));
        let body = format!(r#"{{"events":[{}]}}"#, vec![event; 500].join(","));
        for number in 0..20 {
            daemon.post(&format!("/v1/streams/note/n{number}"), &[], &body).await.ok();
        }
        assert_eq!(daemon.stop(), Some(0));
    });
    let text = say_in(folder, &["store", "export", "--data", "data"]).ok();
    let import = || {
        let mut command = annals();
        command.args(["store", "import", "-", "--data", "new", "--output", "json"]);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    // Killed while it waits for the second half: what it has read by then is random, and it ends in
    // the middle of a commit.
    let mut child = import();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &text.as_bytes()[..text.len() / 2]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);
    let mut child = import();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
        text
    });
    let imported = Said::of(child.wait_with_output().unwrap()).json();
    assert_eq!((count(&imported, "commits_count"), count(&imported, "events_count")), (20, 10_000));
    let text = writer.join().unwrap();
    let new = say_in(folder, &["store", "export", "--data", "new"]).ok();
    assert_eq!(new.lines().count(), text.lines().count());
}
