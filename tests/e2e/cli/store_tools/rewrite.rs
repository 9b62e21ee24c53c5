//! Changes to what was recorded.

use serde_json::{Value, json};

use super::{balance, bank, deposit, events};
use crate::cli::say_in;
use crate::support::{Daemon, at, folder, run};

#[test]
fn renaming_changes_the_events_of_a_type_and_nothing_else() {
    // Guards rename-event through the API: types changed in one category, everything else as it was,
    // the view right, and the change on record.
    let (folder, data) = folder();
    let folder = folder.path();
    let mut expected = Vec::new();
    run(async {
        let daemon = bank(&data).await;
        let note =
            r#"{"events":[{"type":"note-taken","data":{"z": 1.50}},{"type":"other","data":1}]}"#;
        for stream in ["note/n1", "note/n2", "task/t1"] {
            daemon.post(&format!("/v1/streams/{stream}"), &[], note).await.ok();
        }
        expected = events(&daemon).await;
        assert_eq!(daemon.stop(), Some(0));
    });
    let rename = ["store", "rename-event", "--from", "note-taken", "--to", "note-written"];
    let of_notes =
        ["--category", "note", "--data", "data", "--reason", "as the others are", "--yes"];
    let said = say_in(folder, &[&rename[..], &of_notes].concat()).ok();
    assert_eq!(
        said.lines().next(),
        Some(
            "renamed 2 events (the first at position 26) from `note-taken` to `note-written` of \
             category `note`"
        )
    );
    let mut renamed_count = 0;
    for event in &mut expected {
        let is_note = event["stream"].as_str().is_some_and(|stream| stream.starts_with("note/"));
        if is_note && event["type"] == "note-taken" {
            event["type"] = json!("note-written");
            renamed_count += 1;
        }
    }
    assert_eq!(renamed_count, 2);
    run(async {
        let daemon = Daemon::start(&data);
        assert_eq!(events(&daemon).await, expected);
        let log = daemon.get("/v1/streams/$maintenance/log").await.ok();
        assert_eq!(at(&log, "/events/0/type"), "event-renamed");
        let data = json!({
            "from": "note-taken",
            "to": "note-written",
            "category": "note",
            "events_count": 2,
            "reason": "as the others are",
        });
        assert_eq!(at(&log, "/events/0/data"), &data);
        let position = deposit(&daemon, "a1").await;
        assert_eq!(balance(&daemon, "a1", &position).await, json!(121));
    });
    let again = say_in(folder, &[&rename[..], &of_notes].concat()).failed(1);
    assert!(again.contains("is in use by another annals") || again.contains("no event"), "{again}");
}

#[test]
fn replacing_changes_one_event_and_all_that_is_derived_from_it() {
    // Guards replace-event through the API: one event changed, state and view made again, the old data
    // in no file of the log, and the record silent about it.
    let (folder, data) = folder();
    let folder = folder.path();
    let mut expected = Vec::new();
    run(async {
        let daemon = bank(&data).await;
        expected = events(&daemon).await;
        assert_eq!(daemon.stop(), Some(0));
    });
    let new = r#"{"owner":"nobody", "initial_cents":  700}"#;
    let replace = ["store", "replace-event", "account/a1", "0", "--data", "data", "--yes"];
    let with = |expected: &str, new: &str| {
        let rest =
            ["--expected", expected, "--event-data", new, "--reason", "asked to be forgotten"];
        say_in(folder, &[&replace[..], &rest].concat())
    };
    assert_eq!(
        with("19", new).failed(1),
        "error: stream `account/a1` is at revision 20, expected 19\n\nhint: nothing was changed: look \
         at what the stream has got since, then pass `--expected 20`\n"
    );
    std::fs::write(folder.join("new.json"), new).unwrap();
    let said = with("20", "@new.json").ok();
    assert_eq!(
        said.lines().next(),
        Some("replaced 1 event (at position 2) at revision 0 of `account/a1`")
    );
    let changed = expected.iter_mut().find(|event| event["position"] == 2).unwrap();
    changed["data"] = serde_json::from_str(new).unwrap();
    run(async {
        let daemon = Daemon::start(&data);
        assert_eq!(events(&daemon).await, expected);
        let state = daemon.get("/v1/aggregates/account/a1").await.ok();
        assert_eq!(at(&state, "/state/balance_cents"), 720);
        let position = deposit(&daemon, "a1").await;
        assert_eq!(balance(&daemon, "a1", &position).await, json!(721));
        let log = daemon.get("/v1/streams/$maintenance/log").await.ok();
        let told: Vec<&Value> = at(&log, "/events").as_array().unwrap().iter().collect();
        assert_eq!((told.len(), &told[0]["type"]), (1, &json!("event-replaced")));
        let reason = "asked to be forgotten";
        let data = json!({"stream": "account/a1", "revision": 0, "position": 2, "reason": reason});
        assert_eq!(told[0]["data"], data);
        assert_eq!(daemon.stop(), Some(0));
    });
    // Other parts of an event, and data that is not JSON for an event that has some.
    let rest = ["--expected", "21", "--reason", "a test"];
    let other = ["--type", "account-founded", "--schema-version", "2", "--metadata", r#"{"by":1}"#];
    say_in(folder, &[&replace[..], &rest, &other].concat()).ok();
    std::fs::write(folder.join("no.json"), "{").unwrap();
    let no_json =
        say_in(folder, &[&replace[..], &rest, &["--event-data-file", "no.json"]].concat());
    assert_eq!(
        no_json.failed(1),
        "error: the event has JSON, and the new data is not JSON\n\nhint: nothing was changed\n"
    );
    let daemon = Daemon::start(&data);
    run(async {
        let event = daemon.get("/v1/streams/account/a1?limit=1").await.ok();
        let event = at(&event, "/events/0");
        assert_eq!(
            (&event["type"], &event["schema_version"]),
            (&json!("account-founded"), &json!(2))
        );
    });
}
