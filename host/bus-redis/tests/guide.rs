//! `docs/guide/redis.md`: what it says to run does what it says, on a host and a Redis.

use std::num::NonZeroU64;
use std::path::Path;
use std::process::Stdio;

use annals_bus_redis::RedisOptions;
use annals_core::place::Partition;
use annals_core::port::Bus as _;
use redis::Value;
use tokio::process::{Child, Command};

use crate::support::{Host, Logs, Server, connect, eventually, options, position};

const GUIDE: &str = include_str!("../../../docs/guide/redis.md");

/// The fenced blocks of the guide, with their language.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut is_inside = false;
    for line in GUIDE.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_inside = !is_inside;
            if is_inside {
                blocks.push((language, String::new()));
            }
        } else if is_inside {
            let (_, text) = blocks.last_mut().unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    blocks
}

/// The commands of the guide that print something, and what.
fn commands() -> Vec<(String, String)> {
    let blocks = blocks();
    let pairs = blocks.iter().zip(blocks.iter().skip(1));
    let printing = pairs.filter(|((before, _), (after, _))| *before == "sh" && *after == "text");
    printing.map(|((_, command), (_, output))| (command.clone(), output.clone())).collect()
}

/// A program of the guide, by the words it begins with, as a file in `folder`.
fn program(folder: &Path, begin: &str) -> std::path::PathBuf {
    let (_, text) = blocks().into_iter().find(|(_, text)| text.starts_with(begin)).unwrap();
    let path = folder.join("program.py");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs commands in a shell in which `redis-cli` talks to the server; gives what they print.
async fn run(server: &Server, commands: &str) -> String {
    let function = format!("redis-cli() {{ command redis-cli -p {} \"$@\"; }}\n", server.port);
    let ran = Command::new("bash").arg("-c").arg(function + commands).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{commands}");
    String::from_utf8(ran.stdout).unwrap().trim_end().to_owned() + "\n"
}

async fn assert_python_has_redis() {
    let program = "import redis; assert int(redis.__version__.split('.')[0]) >= 5";
    let ran = Command::new("python3").arg("-c").arg(program).output().await;
    let has_redis = ran.is_ok_and(|ran| ran.status.success());
    assert!(
        has_redis,
        "the programs of the guide need Python 3 with the package `redis` (5 or later): \
         install it with `python3 -m pip install redis`"
    );
}

/// Starts a program of the guide in `folder`; it ends with what is given back.
fn start(program: &Path, argument: &str, host: &Host, server: &Server) -> Child {
    let log = program.with_extension("log");
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    Command::new("python3")
        .arg(program)
        .arg(argument)
        .current_dir(program.parent().unwrap())
        .env("ANNALS_URL", &host.url)
        .env("REDIS_URL", server.url())
        .env("IDLE_MS", "50")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits until a query of a program's database prints this.
async fn prints(program: &Path, database: &str, query: &str, expected: &str) {
    let script = "import sqlite3, sys\n\
                  print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())";
    let printed = eventually(|| async {
        let mut command = Command::new("python3");
        command.arg("-c").arg(script).args([database, query]);
        let ran = command.current_dir(program.parent().unwrap()).output().await.unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        if printed.trim() == expected { Ok(()) } else { Err(printed) }
    });
    let log = || std::fs::read_to_string(program.with_extension("log")).unwrap_or_default();
    tokio::select! {
        () = printed => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(50)) => {
            panic!("`{query}` never printed `{expected}`; the program said: {}", log());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_commands_print_what_it_says() {
    // Guards the guide, line by line, in its order; and that the user it makes is enough for a host.
    let server = Server::start().await;
    let host = Host::start(&options(&server.url()), 1).await;
    host.append("account/alice", r#"{"amount":100}"#).await;
    host.append("account/bob", r#"{"amount":7}"#).await;
    host.append("account/alice", r#"{"amount":23}"#).await;
    host.caught_up().await;
    let commands = commands();
    assert_eq!(commands.len(), 7);
    for (command, output) in commands {
        assert_eq!(run(&server, &command).await, output, "{command}");
    }
    host.stop().await;
}

#[tokio::test]
async fn the_user_it_makes_is_enough_for_a_host() {
    // Guards the permissions of the guide, with its URL.
    let logs = Logs::begin();
    let server = Server::start().await;
    let commands = commands();
    let (command, _) = commands.iter().find(|(text, _)| text.contains("SETUSER annals")).unwrap();
    run(&server, command).await;
    assert!(GUIDE.contains("`redis://annals:a%20password@…`"));
    let bus = connect(&options(&format!("redis://annals:a%20password@127.0.0.1:{}", server.port)));
    crate::support::publish_all(&bus, 3).await;
    eventually(|| bus.wake(Partition::ZERO, position(2).unwrap())).await;
    assert_eq!(bus.last_published(Partition::ZERO).await.unwrap(), position(2));
    assert_eq!(logs.text(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_reader_counts_every_event_once_whatever_redis_loses() {
    // Guards consumers written after the guide: trimmed past the reader, emptied, and restarted, with
    // the reader killed in between.
    assert_python_has_redis().await;
    let mut server = Server::start().await;
    let stream_entries_max = NonZeroU64::new(100).unwrap();
    let redis = RedisOptions { stream_entries_max, ..options(&server.url()) };
    let host = Host::start(&redis, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), "\"\"\"Counts the events");
    let start =
        |server: &Server| ["0", "1"].map(|partition| start(&program, partition, &host, server));
    let append = async |count: u64| {
        for number in 0..count {
            host.append(&format!("account/{}", number % 10), "{}").await;
        }
    };
    // Ten streams, each with the same number of events.
    let counts = "SELECT count(*), min(events_count), max(events_count) FROM counts";
    let are = async |each: u64| {
        prints(&program, "counts.db", counts, &format!("(10, {each}, {each})")).await;
    };

    append(1_000).await;
    host.caught_up().await;
    for key in ["annals:{default:0}", "annals:{default:1}"] {
        assert!(server.entry_numbers(key).await[0] > 100, "not trimmed");
    }
    let readers = start(&server);
    are(100).await;
    append(20).await;
    are(102).await;

    server.ask::<Value>(&["FLUSHALL"]).await;
    append(20).await;
    are(104).await;

    for mut reader in readers {
        reader.kill().await.unwrap();
    }
    server.kill().await;
    append(800).await;
    server.go().await;
    host.caught_up().await;
    let _readers = start(&server);
    are(184).await;
    append(10).await;
    are(185).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_workers_handle_every_event_once() {
    // Guards groups: two workers, one killed with entries in hand, a pointer, an entry trimmed while
    // it was pending, and a group that is gone with its stream.
    assert_python_has_redis().await;
    let server = Server::start().await;
    let redis = RedisOptions { event_bytes_max: 100, ..options(&server.url()) };
    let host = Host::start(&redis, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), "\"\"\"Writes one mail");
    let key = crate::support::KEY;
    for number in 0..10 {
        host.append("account/alice", &format!("{{\"number\":{number}}}")).await;
    }
    host.append("account/bob", &format!("\"{}\"", "x".repeat(200))).await;
    host.caught_up().await;
    // A worker that took three and died; one of them is trimmed before another takes over.
    server.ask::<Value>(&["XGROUP", "CREATE", key, "mailer", "0"]).await;
    let read = ["XREADGROUP", "GROUP", "mailer", "dead", "COUNT", "3", "STREAMS", key, ">"];
    server.ask::<Value>(&read).await;
    server.ask::<Value>(&["XDEL", key, "2-0"]).await;

    let _workers = [start(&program, "ann", &host, &server), start(&program, "ben", &host, &server)];
    let mails = "SELECT count(*), count(DISTINCT text), sum(length(text)) FROM mails";
    // Ten of `account/alice: {"number": 0}` and one of `account/bob: "xxx…"`.
    let expected = |count: usize| format!("({count}, {count}, {})", (count - 1) * 28 + 15 + 200);
    prints(&program, "mails.db", mails, &expected(11)).await;

    server.ask::<Value>(&["DEL", key]).await;
    host.append("account/carl", &format!("{{\"number\":{}}}", "10")).await;
    host.caught_up().await;
    let all = format!("(12, 12, {})", 10 * 28 + 15 + 200 + 28);
    prints(&program, "mails.db", mails, &all).await;
    let pending = eventually(|| async {
        let pending: Vec<Value> = server.ask(&["XPENDING", key, "mailer"]).await;
        if pending[0] == Value::Int(0) { Ok(()) } else { Err(pending) }
    });
    pending.await;
    host.stop().await;
}
