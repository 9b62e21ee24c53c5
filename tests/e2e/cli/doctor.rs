//! `annals doctor`: what it finds, with and without a daemon.

use serde_json::Value;

use super::{Said, Talk, said};
use crate::support::annals;

/// Name and verdict of every finding.
fn verdicts(said: &Said) -> Vec<(String, String)> {
    let findings: Value = serde_json::from_str(&said.stdout).unwrap();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = findings["findings"].as_array().unwrap();
    findings.iter().map(|finding| (text(finding, "name"), text(finding, "verdict"))).collect()
}

fn expected(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, verdict)| ((*name).to_owned(), (*verdict).to_owned())).collect()
}

#[test]
fn everything_is_well_beside_a_daemon() {
    // Guards the ordinary case: the folder and the port are the daemon's own.
    let talk = Talk::with_bank();
    let address = talk.daemon.url().strip_prefix("http://").unwrap();
    let file = format!("[server]\nlisten = \"{address}\"\n[store]\ndata = \"data\"\n");
    std::fs::write(talk.folder.path().join("annals.toml"), file).unwrap();
    let said = talk.say(&["doctor", "--output", "json"]);
    let names = ["rust", "wasm", "node", "python", "settings", "data", "port", "daemon", "plugins"];
    assert_eq!(verdicts(&said), expected(&names.map(|name| (name, "ok"))));
    assert_eq!(said.code, Some(0));
    let text = talk.say(&["doctor"]).ok();
    assert!(text.contains("2 installed: account, account-balances"), "{text}");
}

#[test]
fn what_is_wrong_is_found_with_a_hint() {
    // Guards the other case: no daemon, a taken port, a log that is no log.
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap();
    std::fs::create_dir_all(folder.path().join("annals-data/log")).unwrap();
    let segment = folder.path().join("annals-data/log/00000000000000000000.seg");
    std::fs::write(&segment, "no log").unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let mut command = annals();
    command.args(["doctor", "--output", "json", "--server", &nobody]).current_dir(folder.path());
    let said = said(command.env("ANNALS_SERVER_LISTEN", address.to_string()));
    assert_eq!(
        verdicts(&said),
        expected(&[
            ("rust", "ok"),
            ("wasm", "ok"),
            ("node", "ok"),
            ("python", "ok"),
            ("settings", "ok"),
            ("data", "fail"),
            ("port", "fail"),
            ("daemon", "warn"),
        ])
    );
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), "error: 2 checks failed\n"));
    assert_eq!(std::fs::read_to_string(segment).unwrap(), "no log");
}
