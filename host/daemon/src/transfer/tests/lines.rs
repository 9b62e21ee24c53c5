//! What the lines of an export look like.

use annals_core::command::Outcome;
use annals_core::commit::{Commit, StreamAppend};
use annals_core::id::Digest;
use annals_core::place::ExpectedRevision;
use annals_core::port::EventStore as _;
use serde_json::Value;

use super::support::{at, command, empty_store, event, exported, full_store, note, stream};

#[tokio::test]
async fn lines_are_as_they_are_documented() {
    // Guards the format: other programs read it, and later versions must.
    let store = empty_store(7);
    store.append(note(br#"{"text": "milk"}"#, 0)).await.unwrap();
    let opened = Commit {
        recorded_at: at(2),
        origin: std::sync::Arc::default(),
        command: Some(command(3, "note/n1", Outcome::Accepted)),
        streams: vec![StreamAppend {
            stream: stream("note/n1"),
            expected: ExpectedRevision::StreamExists,
            events: vec![event(b""), event(b"2")],
        }],
        claims: Vec::new(),
        releases: Vec::new(),
        id_is_new: false,
    };
    store.append(opened).await.unwrap();
    let (text, said) = exported(&store).await;
    let source = r#""source":"urn:uuid:00000000-0000-0000-0000-000000000007""#;
    let time = r#""subject":"note/n1","time":"2026-11-20T09:30:00."#;
    let cause = r#""annalscausation":"00000000-0000-0000-0000-000000000003""#;
    let json = r#""datacontenttype":"application/json""#;
    let data = r#"{"streams":[{"stream":"note/n1","expected":"0","events_count":2}],"command":{"id":"00000000-0000-0000-0000-000000000003","name":"take-note","stream":"note/n1","content_type":"application/json","data":{"cents": 1.50, "a":null},"decided_at":"2026-11-20T09:30:00.001Z","seed":["18446744073709551615","7"],"plugin":"#;
    let plugin = Digest::of(b"plugin");
    let ids: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    let (made, first, second) = (&ids[1], &ids[3], &ids[4]);
    let lines = [
        format!(
            r#"{{"specversion":"1.0","id":"export",{source},"type":"annals.export",{json},"data":{{"format":1,"store":"00000000-0000-0000-0000-000000000007","partitions_count":1}}}}"#
        ),
        format!(
            r#"{{"specversion":"1.0","id":"{made}",{source},"type":"note-taken",{time}000Z","annalspartition":"0","annalscommit":"0","annalsposition":"0","annalsrevision":"0","annalsschema":"1",{json},"data":{{"text": "milk"}}}}"#
        ),
        format!(
            r#"{{"specversion":"1.0","id":"commit-0-1",{source},"type":"annals.commit",{time}002Z","annalspartition":"0","annalscommit":"1","annalsposition":"1",{json},"data":{data}"{plugin}"}}}}}}"#
        ),
        format!(
            r#"{{"specversion":"1.0","id":"{first}",{source},"type":"note-taken",{time}002Z","annalspartition":"0","annalscommit":"1","annalsposition":"1","annalsrevision":"1","annalsschema":"1",{cause},{json},"data_base64":""}}"#
        ),
        format!(
            r#"{{"specversion":"1.0","id":"{second}",{source},"type":"note-taken",{time}002Z","annalspartition":"0","annalscommit":"1","annalsrevision":"2","annalsschema":"1",{cause},{json},"data":2}}"#
        ),
    ];
    let body = format!("{}\n", lines.join("\n"));
    let sha256 = Digest::of(body.as_bytes());
    let end = format!(
        r#"{{"specversion":"1.0","id":"end",{source},"type":"annals.end",{json},"data":{{"commits_count":2,"events_count":3,"sha256":"{sha256}"}}}}"#
    );
    assert_eq!(text, format!("{body}{end}\n"));
    let bytes_count = u64::try_from(text.len()).unwrap();
    assert_eq!((said.sha256, said.bytes_count, said.events_count), (sha256, bytes_count, 3));
}

#[tokio::test]
async fn every_line_is_a_cloud_event() {
    // Guards the rules of CloudEvents 1.0: attributes that must be there and are not empty, names of
    // lower-case letters and digits, texts as values, data once.
    let (text, _) = exported(&full_store(1).await).await;
    assert!(text.lines().count() > 50);
    let mut seen = std::collections::HashSet::new();
    for line in text.lines() {
        let Ok(Value::Object(event)) = serde_json::from_str(line) else { panic!("{line}") };
        assert_eq!(event["specversion"], "1.0", "{line}");
        for name in ["id", "source", "type"] {
            assert!(event[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {line}");
        }
        let source_and_id = (event["source"].clone(), event["id"].clone());
        assert!(seen.insert(source_and_id), "twice: {line}");
        let is_once = event.contains_key("data") != event.contains_key("data_base64");
        assert!(is_once, "{line}");
        for (name, value) in event.iter().filter(|(name, _)| !name.starts_with("data_base64")) {
            let is_name = name.len() <= 20
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            assert!(is_name && (name == "data" || value.is_string()), "{name}: {line}");
        }
    }
}
