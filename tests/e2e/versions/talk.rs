//! `annals plugin show`, `history`, `rollback` and `remove`.

use std::path::PathBuf;

use annals_components::{account, account_balances, account_build};

use crate::support::{Daemon, annals, folder, reached, run};

/// What a command said on standard output, and on standard error, and its exit code.
fn say(daemon: &Daemon, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = annals().args(arguments).args(["--server", daemon.url()]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[track_caller]
fn done(daemon: &Daemon, arguments: &[&str]) -> String {
    let (stdout, stderr, code) = say(daemon, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    stdout
}

#[test]
fn an_operator_looks_at_versions_goes_back_and_removes() {
    // Guards the way back on the command line, across a restart, and what is printed at each step.
    run(async {
        let (folder, data) = folder();
        let mut daemon = Daemon::start(&data);
        let file = |name: &str, bytes: &[u8]| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let one = file("one.wasm", account());
        let two = file("two.wasm", &account_build(2));
        for (file, outcome) in [(&one, "installed"), (&two, "upgraded"), (&two, "the aggregate")] {
            let printed = done(&daemon, &["plugin", "install", file.to_str().unwrap()]);
            assert!(printed.starts_with(outcome), "{printed}");
        }
        let shown = done(&daemon, &["plugin", "show", "account"]);
        let table = shown.lines().skip_while(|line| *line != "versions").skip(1);
        let versions: Vec<_> = table.take_while(|line| !line.is_empty()).collect();
        assert_eq!(versions.len(), 2, "{shown}");
        assert!(versions[0].contains("  active  ") && versions[1].contains("  kept "), "{shown}");
        let back = done(&daemon, &["plugin", "rollback", "account"]);
        assert_eq!(back, "the aggregate `account` 0.1.0 is active again\n");
        daemon.kill();
        let daemon = Daemon::start(&data);
        let (_, stderr, code) = say(&daemon, &["plugin", "rollback", "account"]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("no earlier version of `account` is kept"), "{stderr}");
        let (_, stderr, _) = say(&daemon, &["plugin", "rollback", "account", "--to", "0.1.0"]);
        assert!(stderr.contains("`0.1.0` is not one version of `account`"), "{stderr}");
        let digest = versions[0].split_whitespace().nth(4).unwrap();
        done(&daemon, &["plugin", "rollback", "account", "--to", digest]);
        let history = done(&daemon, &["plugin", "history", "account"]);
        let what: Vec<_> =
            history.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(what, ["rolled-back", "rolled-back", "installed", "installed"]);
        assert!(history.lines().next().unwrap().contains(digest), "{history}");
        assert_eq!(done(&daemon, &["plugin", "remove", "account"]), "removed `account`\n");
        assert_eq!(done(&daemon, &["plugin", "list"]), "");
        let (_, stderr, _) = say(&daemon, &["plugin", "rollback", "account", "--to", "7"]);
        assert!(stderr.contains("no version `7` of `account` is kept"), "{stderr}");
        done(&daemon, &["plugin", "rollback", "account", "--to", digest]);
        assert!(done(&daemon, &["plugin", "list"]).starts_with("account  0.1.0  aggregate  "));
    });
}

#[test]
fn a_view_is_removed_when_asked() {
    // Guards the disk and the warning: the file of the view is there until `--delete-view`.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("account-balances", account_balances()).await.ok();
        let opening = r#"{"owner":"Ada","initial_cents":5}"#;
        let opened = daemon.account("a1", "open-account", opening).await.ok();
        let row = format!("/v1/views/account-balances/accounts/a1?{}", reached(&opened));
        daemon.get(&row).await.ok();
        let views = || {
            let files = std::fs::read_dir(data.join("state/views")).unwrap();
            let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.ends_with(".sqlite")).count()
        };
        assert_eq!(
            done(&daemon, &["plugin", "remove", "account-balances"]),
            "removed `account-balances`\n"
        );
        assert_eq!((views(), daemon.get(&row).await.status), (1, 404));
        let removed = done(&daemon, &["plugin", "remove", "account-balances", "--delete-view"]);
        assert_eq!(removed, "removed `account-balances` and its view\n");
        assert_eq!(views(), 0);
        daemon.install("account-balances", account_balances()).await.ok();
        daemon.get(&row).await.ok();
    });
}
