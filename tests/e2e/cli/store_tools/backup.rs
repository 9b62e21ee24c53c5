//! Backups while a daemon runs, and what is restored of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{balance, bank, deposit, events};
use crate::cli::say_in;
use crate::support::{Daemon, folder, run};

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_backup_made_under_load_is_served_as_the_beginning_of_the_original() {
    // Guards R13 on the real binary: backup while a client writes, restore elsewhere, serve both; then
    // a view of the original, which is ahead of what was restored, is refused.
    let (folder, data) = folder();
    let folder = folder.path();
    let restored = folder.join("restored");
    run(async {
        let daemon = bank(&data).await;
        let is_made = AtomicBool::new(false);
        let writing = async {
            let mut count = 0;
            while !is_made.load(Ordering::Relaxed) || count < 20 {
                deposit(&daemon, "a2").await;
                count += 1;
            }
        };
        let backing_up = async {
            let folder = folder.to_owned();
            let arguments = ["store", "backup", "copy", "--data", "data", "--output", "json"];
            let made = tokio::task::spawn_blocking(move || say_in(&folder, &arguments)).await;
            is_made.store(true, Ordering::Relaxed);
            made.unwrap().json()
        };
        let ((), made) = tokio::join!(writing, backing_up);
        let commits_count = made["commits_count"].as_u64().unwrap();
        assert!(commits_count >= 26, "{made:#}");
        say_in(folder, &["store", "verify", "--data", "copy"]).ok();
        let arguments = ["store", "restore", "copy", "--data", "restored", "--output", "json"];
        let said = say_in(folder, &arguments).json();
        assert_eq!(said["commits_count"], made["commits_count"]);

        let elsewhere = Daemon::start(&restored);
        let mut last = json!(null);
        for _ in 0..5 {
            last = deposit(&daemon, "a2").await;
        }
        balance(&daemon, "a2", &last).await;
        let (original, copied) = (events(&daemon).await, events(&elsewhere).await);
        // Without those of the plugins.
        assert_eq!(copied.len() as u64, made["events_count"].as_u64().unwrap() - 2);
        assert_eq!(copied[..], original[..copied.len()]);
        let position = deposit(&elsewhere, "a1").await;
        assert_eq!(balance(&elsewhere, "a1", &position).await, json!(121));
        assert_eq!((daemon.stop(), elsewhere.stop()), (Some(0), Some(0)));
    });

    // As somebody does who wants to spare the views their way from the first event.
    std::fs::remove_dir_all(restored.join("state")).unwrap();
    copy_folder(&data.join("state"), &restored.join("state"));
    run(async {
        let log = std::fs::File::create(folder.join("stderr")).unwrap();
        let daemon = Daemon::start_with(&restored, |command| {
            command.stderr(log);
        });
        let said = std::fs::read_to_string(folder.join("stderr")).unwrap();
        let line = said.lines().find(|line| line.contains("plugin does not start")).unwrap();
        assert!(line.contains("plugin=account-balances"), "{line}");
        assert!(line.contains(", ahead of the store"), "{line}");
        let row = daemon.get("/v1/views/account-balances/accounts/a2").await;
        assert_eq!((row.status, row.code()), (404, "unknown-projection"));
        assert_eq!(daemon.stop(), Some(0));
    });
    // Views are made again when they are not there.
    std::fs::remove_dir_all(restored.join("state")).unwrap();
    run(async {
        let daemon = Daemon::start(&restored);
        let position = deposit(&daemon, "a1").await;
        assert_eq!(balance(&daemon, "a1", &position).await, json!(122));
    });
}

#[test]
fn a_backup_is_not_served_and_not_written_over() {
    // Guards the copy that one may need: neither a daemon nor another task touches it.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async { assert_eq!(bank(&data).await.stop(), Some(0)) });
    let made = say_in(folder, &["store", "backup", "copy", "--data", "data"]).ok();
    assert!(made.starts_with("copied 26 commits with 26 events of `data` to `copy`: "), "{made}");
    assert_eq!(
        say_in(folder, &["serve", "--data", "copy", "--listen", "127.0.0.1:0"]).failed(1),
        "error: `copy` is a backup, and stays as it is: restore it to another folder\n\nhint: restore \
         it with `annals store restore BACKUP --data NEW`, then use `NEW`\n"
    );
    let not_empty = |path: &str| {
        format!(
            "error: `{path}` is not empty\n\nhint: nothing was written: choose a folder that is \
             empty, or not there yet\n"
        )
    };
    let again = say_in(folder, &["store", "backup", "copy", "--data", "data"]);
    assert_eq!(again.failed(1), not_empty("copy"));
    let over = say_in(folder, &["store", "restore", "copy", "--data", "data"]);
    assert_eq!(over.failed(1), not_empty("data"));
    let inside = say_in(folder, &["store", "backup", "data/copy", "--data", "data"]);
    assert_eq!(
        inside.failed(1),
        "error: `data/copy` is inside the data folder\n\nhint: nothing was changed\n"
    );
    let segment = folder.join("copy/log/00000000000000000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let changed = say_in(folder, &["store", "restore", "copy", "--data", "restored"]).failed(1);
    let start =
        "error: `copy/log/00000000000000000000.seg` is not a whole backup: it is not what was";
    assert!(changed.starts_with(start), "{changed}");
    let part = say_in(folder, &["serve", "--data", "restored", "--listen", "127.0.0.1:0"]);
    assert!(part.failed(1).contains("`restored` is not whole: restoring a backup was interrupted"));
}
