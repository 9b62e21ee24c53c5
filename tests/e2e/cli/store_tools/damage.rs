//! Damage: found, named, and cut off.

use std::path::Path;

use serde_json::{Value, json};

use super::{balance, bank, deposit, events};
use crate::cli::say_in;
use crate::support::{Daemon, at, folder, run};

/// A bank that is verified beside its daemon, which then stops; its events.
fn whole(folder: &Path, data: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    run(async {
        let daemon = bank(data).await;
        found = events(&daemon).await;
        let whole = say_in(folder, &["store", "verify", "--data", "data", "--output", "json"]);
        let whole = whole.json();
        assert_eq!((&whole["is_whole"], &whole["damages"]), (&json!(true), &json!([])));
        assert_eq!((&whole["commits_count"], &whole["events_count"]), (&json!(26), &json!(26)));
        let whole = say_in(folder, &["store", "verify", "--data", "data"]).ok();
        let start = "`data` is whole: 26 commits with 26 events in 1 segment, ";
        assert!(whole.starts_with(start), "{whole}");
        assert_eq!(daemon.stop(), Some(0));
    });
    found
}

/// Changes a byte of the event that opened the third account; the file then, and where.
fn damage(segment: &Path) -> (Vec<u8>, usize) {
    let mut bytes = std::fs::read(segment).unwrap();
    let place = bytes.windows(3).position(|text| text == b"Eve").unwrap();
    bytes[place] ^= 0x20;
    std::fs::write(segment, &bytes).unwrap();
    (bytes, place)
}

#[test]
fn a_damaged_log_is_refused_named_repaired_and_served_up_to_the_damage() {
    // Guards promise 6 from the first error to the last step, doing only what is printed.
    let (folder, data) = folder();
    let folder = folder.path();
    let before = whole(folder, &data);
    let name = "data/log/00000000000000000000.seg";
    let segment = folder.join(name);
    let (bytes, place) = damage(&segment);

    let error = say_in(folder, &["serve", "--data", "data", "--listen", "127.0.0.1:0"]).failed(2);
    let found = say_in(folder, &["store", "verify", "--data", "data", "--output", "json"]);
    assert_eq!(found.code, Some(1));
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let at_byte = at(&found, "/damages/0/at_byte");
    assert!((1..place as u64).contains(&at_byte.as_u64().unwrap()), "{at_byte} {place}");
    assert!(error.contains(&format!("`{name}` is damaged at byte {at_byte}: ")), "{error}");
    assert!(error.contains("hint: nothing was changed: `annals store verify` names"), "{error}");
    // Two plugins, two accounts with five deposits each.
    let next = "annals store repair --to 14 --data data";
    assert_eq!(
        found["damages"],
        json!([{
            "file": name,
            "at_byte": at_byte,
            "what": "its checksum does not match",
            "remedy": "restore-or-repair",
            "advice":
                "restore a backup, or stop the daemon and cut the log off before the first damage:",
            "next": next,
        }])
    );
    let told = say_in(folder, &["store", "verify", "--data", "data"]);
    assert_eq!(told.code, Some(1));
    assert!(told.stdout.lines().any(|line| line.trim() == next), "{}", told.stdout);
    assert_eq!(
        told.stderr,
        "error: `data` is damaged in 1 place\n\nhint: nothing was changed: keep a copy of the folder \
         before you do anything about it\n"
    );

    let repair: Vec<_> = next.split(' ').skip(1).collect();
    assert_eq!(
        say_in(folder, &repair).failed(1),
        "error: nothing was changed; this would cut 12 commits with 12 events off the log of `data` \
         and keep 14 commits\n\nhint: nobody can be asked here: pass `--yes` to do it\n"
    );
    assert!(std::fs::read(&segment).unwrap() == bytes, "the damaged log was changed");
    let repaired = say_in(folder, &[&repair[..], &["--yes", "--output", "json"]].concat()).json();
    assert_eq!(
        (&repaired["cut_off_commits_count"], &repaired["cut_off_events_count"]),
        (&json!(12), &json!(12))
    );
    let removed_to = folder.join(repaired["removed_to"].as_str().unwrap());
    let aside = removed_to.join("log/00000000000000000000.seg");
    assert!(std::fs::read(aside).unwrap() == bytes, "what was cut off is not there");
    say_in(folder, &["store", "verify", "--data", "data"]).ok();
    run(async {
        let daemon = Daemon::start(&data);
        let kept = before.into_iter().filter(|event| event["position"].as_u64() < Some(14));
        assert_eq!(events(&daemon).await, kept.collect::<Vec<_>>());
        let position = deposit(&daemon, "a1").await;
        assert_eq!(position, json!(14));
        // 100 at first, ten deposits, and the one just now.
        assert_eq!(balance(&daemon, "a1", &position).await, json!(111));
        let gone = daemon.get("/v1/views/account-balances/accounts/a3").await;
        assert_eq!(gone.status, 404);
        assert_eq!(daemon.account("a3", "deposit-funds", r#"{"cents":1}"#).await.status, 422);
    });
}

#[test]
fn what_can_be_made_again_is_named_with_the_command_that_removes_it() {
    // Guards the remedies for a view and a component, done as they are printed.
    let (folder, data) = folder();
    let folder = folder.path();
    run(async { assert_eq!(bank(&data).await.stop(), Some(0)) });
    let view = std::fs::read_dir(data.join("state/views")).unwrap().map(|it| it.unwrap().path());
    let view = view.into_iter().find(|path| path.extension().is_some_and(|it| it == "sqlite"));
    let view = view.unwrap();
    let length = std::fs::metadata(&view).unwrap().len();
    std::fs::File::options().write(true).open(&view).unwrap().set_len(length / 2).unwrap();
    let found = say_in(folder, &["store", "verify", "--data", "data", "--output", "json"]);
    assert_eq!(found.code, Some(1));
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(at(&found, "/damages/0/remedy"), "remove");
    assert_eq!(at(&found, "/commits_count"), 26);
    let next = at(&found, "/damages/0/next").as_str().unwrap();
    let done = std::process::Command::new("sh").args(["-c", next]).current_dir(folder).status();
    assert!(done.unwrap().success());
    say_in(folder, &["store", "verify", "--data", "data"]).ok();
    run(async {
        let daemon = Daemon::start(&data);
        let position = deposit(&daemon, "a1").await;
        assert_eq!(balance(&daemon, "a1", &position).await, json!(121));
    });
}
