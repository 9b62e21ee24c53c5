//! Tasks that are killed in the middle leave what nobody takes for whole.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::Instant;

use super::bank;
use crate::cli::say_in;
use crate::support::{Daemon, annals, folder, run};

/// Runs a task that stops at a pipe nobody writes to, and kills it there, when `marker` is there.
fn kill_at_pipe(folder: &Path, pipe: &Path, arguments: &[&str], marker: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut command = annals();
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !marker.exists() {
        assert!(Instant::now() < deadline, "the task did not begin");
        assert_eq!(child.try_wait().unwrap(), None, "the task ended");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(pipe).unwrap();
}

/// That nobody takes the folder for whole, and what it is said to be.
#[track_caller]
fn not_whole(folder: &Path, name: &str, task: &str, hint: &str) {
    assert_eq!(
        say_in(folder, &["serve", "--data", name, "--listen", "127.0.0.1:0"]).failed(1),
        format!("error: `{name}` is not whole: {task} was interrupted\n\nhint: {hint}\n")
    );
    let verified = say_in(folder, &["store", "verify", "--data", name]);
    assert_ne!(verified.code, Some(0), "{}", verified.stdout);
}

#[test]
fn a_backup_or_restore_that_is_killed_is_not_taken_for_whole() {
    // Guards Ctrl-C and `kill -9` in the middle of a copy: the part is named, and doing it again with
    // an empty folder gives the whole.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async { assert_eq!(bank(&data).await.stop(), Some(0)) });
    let backup = ["store", "backup", "copy", "--data", "data"];
    let restore = ["store", "restore", "copy", "--data", "restored"];

    // Before the log, which is copied last.
    let pipe = data.join("plugins/stopped.wasm");
    kill_at_pipe(folder, &pipe, &backup, &folder.join("copy/state/host.sqlite"));
    let hint = "remove this folder, and make the backup again with `annals store backup`";
    not_whole(folder, "copy", "making a backup", hint);
    let refused = say_in(folder, &restore).failed(1);
    assert!(refused.starts_with("error: `copy` is not a whole backup: it has no `BACKUP.json`"));
    assert!(!folder.join("restored").exists());
    assert!(say_in(folder, &backup).failed(1).starts_with("error: `copy` is not empty"));
    std::fs::remove_dir_all(folder.join("copy")).unwrap();
    say_in(folder, &backup).ok();

    let segment = folder.join("copy/log/00000000000000000000.seg");
    let aside = folder.join("aside");
    std::fs::rename(&segment, &aside).unwrap();
    kill_at_pipe(folder, &segment, &restore, &folder.join("restored/UNFINISHED"));
    std::fs::rename(&aside, &segment).unwrap();
    let hint = "remove this folder, and restore the backup again with `annals store restore`";
    not_whole(folder, "restored", "restoring a backup", hint);
    assert!(say_in(folder, &restore).failed(1).starts_with("error: `restored` is not empty"));
    std::fs::remove_dir_all(folder.join("restored")).unwrap();
    say_in(folder, &restore).ok();
    let daemon = Daemon::start(&folder.join("restored"));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn an_interrupted_repair_is_named_and_done_again_as_it_says() {
    // Guards the way out: the command that `verify` prints makes the folder whole.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async { assert_eq!(bank(&data).await.stop(), Some(0)) });
    std::fs::write(data.join("UNFINISHED"), "repairing the log").unwrap();
    let hint = "repair it again: `annals store verify` says with which command";
    not_whole(folder, "data", "repairing the log", hint);
    let found = say_in(folder, &["store", "verify", "--data", "data"]);
    let next = "annals store repair --to 26 --data data";
    assert!(found.stdout.lines().any(|line| line.trim() == next), "{}", found.stdout);
    let repair: Vec<_> = next.split(' ').skip(1).chain(["--yes"]).collect();
    say_in(folder, &repair).ok();
    assert_eq!(
        say_in(folder, &repair).ok(),
        "the log ends there: 26 commits with 26 events\n",
        "a repaired log is left alone"
    );
    assert_eq!(Daemon::start(&data).stop(), Some(0));
}
