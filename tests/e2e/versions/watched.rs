//! `annals serve --watch-plugins`.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use annals_components::{account, account_build};
use tokio::time::{Instant, sleep};

use crate::support::{Daemon, at, folder, run};

const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until the log of the daemon has a line with all of `words`.
async fn logged(log: &Path, words: &[&str]) {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        let is_it = |line: &&str| words.iter().all(|word| line.contains(word));
        if text.lines().any(|line| is_it(&line)) {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "no {words:?} in {text}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_watched_folder_is_installed_from_whenever_it_changes() {
    // Guards the loop of a developer: what is there at the start, what changes, what is broken (told
    // once, by name, and the daemon serves on), and what goes away.
    run(async {
        let (home, data) = folder();
        let plugins = home.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        let log = home.path().join("log");
        let file = plugins.join("my-account.wasm");
        std::fs::write(&file, account()).unwrap();
        let stderr = File::create(&log).unwrap();
        let daemon = Daemon::start_with(&data, |command| {
            command.arg("--watch-plugins").arg(&plugins).stderr(stderr);
        });
        logged(&log, &["component installed", "my-account.wasm", r#"outcome="installed""#]).await;
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
        std::fs::write(&file, account_build(2)).unwrap();
        logged(&log, &["component installed", "my-account.wasm", r#"outcome="upgraded""#]).await;
        daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        std::fs::write(plugins.join("broken.wasm"), &account()[..1_000]).unwrap();
        std::fs::write(plugins.join("notes.txt"), b"no component").unwrap();
        logged(&log, &["component cannot be installed", "broken.wasm"]).await;
        std::fs::remove_file(&file).unwrap();
        // Further looks: the broken file is told once, the one that is gone changes nothing.
        std::fs::write(plugins.join("third.wasm"), account_build(3)).unwrap();
        logged(&log, &["component installed", "third.wasm", r#"outcome="upgraded""#]).await;
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.matches("broken.wasm").count(), 1, "{text}");
        daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        let versions = daemon.get("/v1/plugins/account").await.ok();
        assert_eq!(at(&versions, "/versions").as_array().unwrap().len(), 3);
        assert_eq!(daemon.stop(), Some(0));
    });
}
