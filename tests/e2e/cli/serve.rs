//! `annals serve`: how it starts, why it does not, and how it ends.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use rustix::process::{Signal, kill_process};

use super::{Talk, said, say_in};
use crate::support::{Daemon, annals, folder, run};

/// What `annals serve` says about an `annals.toml`.
#[track_caller]
fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("annals.toml"), text).unwrap();
    let error = say_in(folder.path(), &["serve"]).failed(1);
    assert!(!folder.path().join("annals-data").exists(), "a start in vain leaves something");
    error
}

#[test]
fn a_configuration_that_is_not_right_is_refused_with_file_and_key() {
    // Guards the bad inputs broken `annals.toml`, unknown key and bad value, on the real binary.
    assert!(refused("[server").starts_with("error: `annals.toml` is not TOML: line 1: "));
    assert_eq!(
        refused("[server]\nlisen = \"127.0.0.1:1\"\n"),
        "error: unknown key `server.lisen` in `annals.toml`\n\nhint: the nearest key is \
         `server.listen`\n"
    );
    assert_eq!(
        refused("[limits]\nmemory_bytes_max = \"64MB\"\n"),
        "error: `limits.memory_bytes_max` in `annals.toml`: `64MB` is not allowed: write a size \
         such as `512`, `16KiB`, `64MiB` or `1GiB`\n"
    );
    assert_eq!(
        refused("[server]\nlisten = \"0.0.0.0:0\"\n"),
        "error: `0.0.0.0:0` can be reached by other machines, and there is no authentication yet\n\n\
         hint: listen on `127.0.0.1` behind a proxy that authenticates, or pass `--insecure` if \
         everybody who reaches the port may do everything\n"
    );
}

#[test]
fn a_folder_that_is_no_app_is_refused_with_what_is_wrong() {
    // Guards the bad inputs of `--web` and `[web]`, before a store is opened.
    let folder = tempfile::tempdir().unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--web"];
    let error = |web: &str| say_in(folder.path(), &[&serve[..], &[web]].concat()).failed(1);
    assert_eq!(
        error("todo"),
        "error: `web.folders` in the flag `--web`: `todo` is not allowed: write a table such as \
         `{ todo = \"plugins/todo/web\" }`, or in a variable or flag `todo=plugins/todo/web`, \
         several with a comma between them\n"
    );
    let hint = "hint: name a folder with the files of a page, by `web.folders` or `--web NAME=DIR`";
    let nowhere = error("todo=nowhere");
    let why = "error: an app of `web.folders` cannot be served: failed to read `nowhere`: ";
    assert!(nowhere.starts_with(why) && nowhere.contains(hint), "{nowhere}");
    std::fs::create_dir(folder.path().join("web")).unwrap();
    assert_eq!(
        error("todo=web"),
        format!(
            "error: an app of `web.folders` cannot be served: there is no `index.html` in `web`\n\n\
             {hint}\n"
        )
    );
    assert!(!folder.path().join("annals-data").exists());
}

#[test]
fn settings_in_force_are_printed_as_a_file() {
    // Guards `--print-config` and the order file, variable, flag.
    let folder = tempfile::tempdir().unwrap();
    let file = "[server]\nconnections_max = 3\n[engine]\nshards_count = 1\n[store]\ndata = \"f\"\n";
    std::fs::write(folder.path().join("other.toml"), file).unwrap();
    let mut command = annals();
    command.current_dir(folder.path());
    command.args(["serve", "--config", "other.toml", "--data", "flag", "--print-config"]);
    command.env("ANNALS_ENGINE_SHARDS_COUNT", "2").env("ANNALS_STORE_DATA", "variable");
    let printed = said(&mut command).ok();
    for line in ["connections_max = 3", "shards_count = 2", "data = \"flag\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    std::fs::write(folder.path().join("annals.toml"), &printed).unwrap();
    assert_eq!(say_in(folder.path(), &["serve", "--print-config"]).ok(), printed);
}

#[test]
fn a_taken_port_and_a_folder_in_use_are_said_with_a_hint() {
    // Guards the bad inputs port taken and data folder locked.
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = say_in(folder.path(), &["serve", "--listen", &address]).failed(1);
    assert_eq!(
        error,
        format!(
            "error: failed to listen on `{address}`: Address already in use (os error 98)\n\nhint: \
             another program listens there: stop it, or choose a port with `--listen`, such as \
             `--listen 127.0.0.1:0` for a free one\n"
        )
    );
    let talk = Talk::with_nothing();
    let second = talk.say(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]).failed(1);
    let process = talk.daemon.pid().as_raw_nonzero();
    assert_eq!(
        second,
        format!(
            "error: `data` is in use by another annals (process {process})\n\nhint: stop the other \
             one, or choose another folder with `--data`\n"
        )
    );
}

#[test]
fn a_damaged_log_is_named_and_is_not_the_users_fault() {
    // Guards promise 6 on the real binary: exit code 2, with file and place, and nothing changed.
    let (_folder, data) = folder();
    run(async {
        let daemon = Daemon::start_with_account(&data).await;
        for id in 0..20 {
            let open = r#"{"owner":"Ada","initial_cents":5}"#;
            daemon.account(&format!("a{id}"), "open-account", open).await.ok();
        }
        assert_eq!(daemon.stop(), Some(0));
    });
    let segment = data.join("log/00000000000000000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let place = bytes.windows(3).rposition(|text| text == b"Ada").unwrap() / 2;
    bytes[place] ^= 0xff;
    std::fs::write(&segment, &bytes).unwrap();
    let data_text = data.to_str().unwrap();
    let said = say_in(Path::new("/"), &["serve", "--data", data_text, "--listen", "127.0.0.1:0"]);
    let error = said.failed(2);
    assert!(error.contains("error: failed to open the log: `"), "{error}");
    assert!(error.contains("is damaged at byte "), "{error}");
    assert!(error.contains("hint: nothing was changed"), "{error}");
    assert!(std::fs::read(&segment).unwrap() == bytes, "the damaged log was changed");
}

#[test]
fn a_log_that_fails_ends_the_daemon_with_exit_code_2_and_keeps_what_was_acknowledged() {
    // Guards R5 and the poisoned log on the real binary: the operating system refuses to write past
    // 32 MiB of a file.
    let (folder, data) = folder();
    let log = folder.path().join("log");
    let mut command = std::process::Command::new("sh");
    let script =
        "trap '' XFSZ; ulimit -f 65536; exec \"$0\" serve --data data --listen 127.0.0.1:0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_annals")]).current_dir(folder.path());
    command.stderr(std::fs::File::create(&log).unwrap());
    let daemon = Daemon::spawn(command);
    let mut acknowledged_count = 0;
    run(async {
        let text = "x".repeat(200_000);
        let event = format!(r#"{{"type":"note-taken","data":"{text}"}}"#);
        let body = format!(r#"{{"events":[{}]}}"#, vec![event; 10].join(","));
        for number in 0..100 {
            let answer = daemon.post(&format!("/v1/streams/note/n{number}"), &[], &body).await;
            if answer.status != 200 {
                assert_eq!(answer.code(), "outcome-unknown");
                break;
            }
            acknowledged_count += 1;
        }
    });
    assert!((1..100).contains(&acknowledged_count), "{acknowledged_count}");
    assert_eq!(daemon.wait(), Some(2));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(
        said.contains("error: the log failed, the daemon has stopped: failed to write"),
        "{said}"
    );
    assert!(said.contains("hint: look at the disk, then start the daemon again"), "{said}");
    let daemon = Daemon::start(&data);
    run(async {
        for number in 0..acknowledged_count {
            let page = daemon.get(&format!("/v1/streams/note/n{number}?limit=1")).await.ok();
            assert_eq!(page["events"][0]["revision"], 0);
        }
    });
}

#[test]
fn both_signals_end_it_with_exit_code_0() {
    // Guards the graceful end: SIGTERM and Ctrl-C.
    for signal in [Signal::TERM, Signal::INT] {
        let talk = Talk::with_nothing();
        talk.say(&["stream", "append", "note/n1", "note-taken"]).ok();
        kill_process(talk.daemon.pid(), signal).unwrap();
        let Talk { daemon, folder } = talk;
        assert_eq!(daemon.wait(), Some(0));
        let daemon = Daemon::start(&folder.path().join("data"));
        let talk = Talk { daemon, folder };
        assert_eq!(talk.say(&["stream", "read", "note/n1"]).ok().lines().count(), 1);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // Guards the impatient: a request that never ends and a limit of a day do not keep the daemon,
    // and what was acknowledged is there.
    let (_folder, data) = folder();
    let daemon = Daemon::start_with(&data, |command| {
        command.env("ANNALS_SHUTDOWN_REQUESTS_WAIT_MAX", "24h");
    });
    let address = daemon.url().strip_prefix("http://").unwrap().to_owned();
    run(async {
        let body = r#"{"events":[{"type":"note-taken","data":{}}]}"#;
        daemon.post("/v1/streams/note/n1", &[], body).await.ok();
    });
    let mut endless = TcpStream::connect(&address).unwrap();
    let head = "POST /v1/streams/note/n1 HTTP/1.1\r\nhost: annals\r\ncontent-type: \
                application/json\r\ncontent-length: 1000\r\n\r\n{";
    endless.write_all(head.as_bytes()).unwrap();
    // Only after this is answered the other connection is accepted, in the order of their coming.
    run(async { assert_eq!(daemon.get("/health/live").await.status, 200) });
    kill_process(daemon.pid(), Signal::INT).unwrap();
    // The first signal is seen when nobody is accepted any more.
    while TcpStream::connect(&address).is_ok() {}
    kill_process(daemon.pid(), Signal::INT).unwrap();
    assert_eq!(daemon.wait(), Some(0));
    let daemon = Daemon::start(&data);
    run(async { drop(daemon.get("/v1/streams/note/n1").await.ok()) });
}

#[test]
fn log_lines_are_json_when_asked() {
    // Guards `--log-format json`: every line of standard error is an object.
    let (folder, data) = folder();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let daemon = Daemon::start_with(&data, |command| {
        command.args(["--log-format", "json"]).stderr(log);
    });
    assert_eq!(daemon.stop(), Some(0));
    let text = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let messages: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].clone())
        .collect();
    assert!(messages.iter().any(|message| message == "serving"), "{text}");
    assert!(messages.iter().any(|message| message == "stopped"), "{text}");
}
