//! What the tools refuse, and what they say then.

use super::bank;
use crate::cli::say_in;
use crate::support::{folder, run};

#[test]
fn what_needs_the_daemon_stopped_says_so() {
    // Guards two writers of one log: repair and both changes are refused beside a running daemon.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async {
        let daemon = bank(&data).await;
        let process = daemon.pid().as_raw_nonzero();
        let calls: [&[&str]; 3] = [
            &["repair", "--to", "3"],
            &["rename-event", "--from", "account-opened", "--to", "opened", "--reason", "a test"],
            &[
                "replace-event",
                "account/a1",
                "0",
                "--expected",
                "20",
                "--type",
                "opened",
                "--reason",
                "a test",
            ],
        ];
        for call in calls {
            let arguments = [&["store"], call, &["--data", "data", "--yes"]].concat();
            assert_eq!(
                say_in(folder, &arguments).failed(1),
                format!(
                    "error: `data` is in use by another annals (process {process})\n\nhint: stop the \
                     daemon, with Ctrl-C or SIGTERM, and run the same command again\n"
                ),
                "{call:?}"
            );
        }
        assert_eq!(super::events(&daemon).await.len(), 24);
    });
}

#[test]
fn mistakes_are_said_with_the_next_step() {
    // Guards against a change that was not meant, and folders that were.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async { assert_eq!(bank(&data).await.stop(), Some(0)) });
    let before = say_in(folder, &["store", "export", "--data", "data"]).ok();
    let no_log = "error: `nothing` holds no log: it is not the data folder of an annals\n\nhint: name \
                  the data folder of a daemon with `--data`; if its log was lost, restore a backup\n";
    let replace = ["store", "replace-event", "account/a1", "0", "--reason", "a test", "--yes"];
    let replace_in = |more: &[&'static str]| [&replace[..], &["--data", "data"], more].concat();
    let rename = ["store", "rename-event", "--data", "data", "--yes", "--from", "account-opened"];
    let rename_with = |more: &[&'static str]| [&rename[..], more].concat();
    let cases: [(Vec<&str>, &str); 13] = [
        (vec!["store", "verify", "--data", "nothing"], no_log),
        (vec!["store", "backup", "copy", "--data", "nothing"], no_log),
        (vec!["store", "repair", "--to", "1", "--yes", "--data", "nothing"], no_log),
        (
            vec!["store", "restore", "data", "--data", "new"],
            "error: `data` is not a whole backup: it has no `BACKUP.json`\n\nhint: name a folder",
        ),
        (
            vec!["store", "repair", "--to", "27", "--yes", "--data", "data"],
            "error: the log has 26 commits, not 27\n\nhint: nothing was changed: the most that can \
             stay is `--to 26`\n",
        ),
        (vec!["store", "repair", "--data", "data"], "error: the following required arguments"),
        (rename_with(&["--to", "opened"]), "error: the following required arguments were not"),
        (
            rename_with(&["--to", "opened", "--reason", ""]),
            "error: the reason has 0 bytes, 1 to 4096 are allowed\n\nhint: nothing was changed\n",
        ),
        (
            rename_with(&["--to", "account-opened", "--reason", "a test"]),
            "error: the event type is `account-opened` already\n\nhint: nothing was changed\n",
        ),
        (
            rename_with(&["--to", "opened", "--reason", "a test", "--category", "$plugins"]),
            "error: invalid value '$plugins' for '--category <CATEGORY>': `$plugins` is not a category",
        ),
        (
            replace_in(&["--expected", "20"]),
            "error: there is nothing to change\n\nhint: name what the event becomes, with ",
        ),
        (
            replace_in(&["--expected", "20", "--event-data", "{cents: 1}"]),
            "error: not JSON: key must be a string at line 1 column 2\n\nhint: put it in single",
        ),
        (
            vec![
                "store",
                "replace-event",
                "$plugins/registry",
                "0",
                "--expected",
                "1",
                "--type",
                "gone",
                "--reason",
                "a test",
                "--data",
                "data",
            ],
            "error: `$plugins/registry` belongs to the host: its events cannot be replaced\n\nhint: \
             nothing was changed\n",
        ),
    ];
    for (arguments, start) in cases {
        let error = say_in(folder, &arguments).failed(1);
        assert!(error.starts_with(start), "{arguments:?}\n{error}");
    }
    assert!(!folder.join("nothing").exists() && !folder.join("copy").exists());
    assert_eq!(say_in(folder, &["store", "export", "--data", "data"]).ok(), before);
}
