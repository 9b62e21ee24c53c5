//! Arguments, help, and a daemon that is not there.

use super::say_in;

#[test]
fn help_is_data_and_a_mistake_is_the_users_fault() {
    // Guards exit codes 0 and 1, and that standard output stays empty on a mistake.
    let folder = tempfile::tempdir().unwrap();
    let help = say_in(folder.path(), &["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.starts_with("Run event-sourced applications"), "{}", help.stdout);
    let version = say_in(folder.path(), &["--version"]).ok();
    assert_eq!(version, format!("annals {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&["serf"][..], &["serve", "--listn", "x"], &["command", "account"], &[]] {
        let said = say_in(folder.path(), arguments);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(!said.stderr.contains('\u{1b}'), "colour where nobody sees it: {}", said.stderr);
    }
}

#[test]
fn a_daemon_that_is_not_there_is_said_with_a_hint() {
    // Guards the first error everybody meets.
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let server = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let calls: [&[&str]; 6] = [
        &["command", "account", "a1", "close-account"],
        &["aggregate", "show", "account", "a1"],
        &["stream", "read", "account/a1"],
        &["stream", "tail"],
        &["view", "list", "account-balances", "accounts"],
        &["plugin", "list"],
    ];
    for call in calls {
        let arguments: Vec<_> = call.iter().copied().chain(["--server", &server]).collect();
        let error = say_in(folder.path(), &arguments).failed(1);
        assert_eq!(
            error,
            format!(
                "error: there is no daemon at `{server}`: Connection refused (os error 111)\n\n\
                 hint: start one with `annals serve`, or name another with `--server` or \
                 `ANNALS_SERVER`\n"
            ),
            "{call:?}"
        );
    }
}

#[test]
fn what_is_given_is_checked_before_anything_is_sent() {
    // Guards the text about JSON, streams and addresses that are none.
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (
            &["command", "account", "a1", "deposit-funds", "{cents: 1}"],
            "error: not JSON: key must be a string at line 1 column 2\n\nhint: put it in single \
             quotes: '{\"cents\": 100}', or use `@FILE` or `-`\n",
        ),
        (
            &["command", "account", "a1", "deposit-funds", "@nothing.json"],
            "error: failed to read `nothing.json`: No such file or directory (os error 2)\n",
        ),
        (
            &["stream", "read", "account"],
            "error: `account` is not a stream\n\nhint: write it as `category/id`, e.g. \
             `account/a1`\n",
        ),
        (
            &["plugin", "list", "--server", "https://example.org:1"],
            "error: `https://example.org:1` is not the address of a daemon: this program does not \
             speak TLS yet\n\nhint: write it as `http://127.0.0.1:7070`\n",
        ),
        (
            &["plugin", "list", "--server", "localhost"],
            "error: `localhost` is not the address of a daemon: there is no port\n\nhint: write it \
             as `http://127.0.0.1:7070`\n",
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(say_in(folder.path(), arguments).failed(1), expected, "{arguments:?}");
    }
}
