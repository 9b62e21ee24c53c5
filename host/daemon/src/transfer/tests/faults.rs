//! Lines that are not as an export has them.

use serde_json::{Value, json};

use super::support::{empty_store, exported, full_store, import};
use crate::transfer::ImportError;
use crate::transfer::file::LINE_BYTES_MAX;

/// What an import says of a text: the line, and what is wrong with it.
async fn said_of(text: impl AsRef<[u8]>) -> (u64, String) {
    match import(text, &empty_store(2)).await.unwrap_err() {
        ImportError::BadLine { line, fault } => (line, fault.to_string()),
        ImportError::NotAnExport(fault) => (0, fault.to_string()),
        error => (u64::MAX, error.to_string()),
    }
}

/// The export with the first line that `is_wanted` changed.
fn changed(
    text: &str,
    is_wanted: fn(&Value) -> bool,
    change: impl Fn(&mut Value),
) -> (u64, String) {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let index = lines.iter().position(|line| is_wanted(&parse(line))).unwrap();
    let mut line = parse(&lines[index]);
    change(&mut line);
    lines[index] = line.to_string();
    (u64::try_from(index + 1).unwrap(), lines.join("\n") + "\n")
}

fn is_note(line: &Value) -> bool {
    line["type"] == "note-taken"
}

/// An event of a commit that has a line of its own.
fn is_of_command(line: &Value) -> bool {
    is_note(line) && line["annalscausation"] == "00000000-0000-0000-0000-000000000001"
}

fn is_commit(line: &Value) -> bool {
    line["type"] == "annals.commit" && line["data"]["command"].is_object()
}

fn is_end(line: &Value) -> bool {
    line["type"] == "annals.end"
}

/// Which line, which attribute, what it becomes, and how what is said begins.
type Change = (fn(&Value) -> bool, &'static str, Value, &'static str);

const WRONG_PLACE: &str = "a line is missing before it, or is in the wrong place: ";

async fn assert_each_is_named(changes: impl IntoIterator<Item = Change>) {
    let (text, _) = exported(&full_store(1).await).await;
    for (is_wanted, name, value, told) in changes {
        let (number, text) = changed(&text, is_wanted, |line| line[name] = value.clone());
        let (line, said) = said_of(text).await;
        assert_eq!(line, number, "{name} {value}: {said}");
        assert!(said.starts_with(told), "{name} {value}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_attribute_is_named_with_its_line() {
    // Guards whoever must put a line right: which line, which attribute, what is wrong.
    let changes: [Change; 17] = [
        (is_note, "id", json!("x"), "`id` is not valid: invalid"),
        (is_note, "specversion", json!("0.3"), "`specversion` is not valid: `0.3` is not `1.0`"),
        (is_note, "type", json!("A b"), "`type` is not valid: `A b` is not a event type"),
        (is_note, "subject", json!("note"), "`subject` is not valid: `note` is not a stream id"),
        (is_note, "subject", Value::Null, "`subject` is missing"),
        (is_note, "time", json!("now"), "`time` is not valid: `now` is not a time such as"),
        (is_note, "annalspartition", json!("1"), WRONG_PLACE),
        (is_note, "annalscommit", json!("1"), WRONG_PLACE),
        (is_note, "annalsrevision", json!("x"), "`annalsrevision` is not valid: `x` is not a"),
        (is_note, "annalsschema", json!("4294967296"), "`annalsschema` is not valid"),
        (is_note, "annalsmetadatabase64", json!("!"), "`annalsmetadatabase64` is not valid"),
        (is_note, "datacontenttype", Value::Null, "`datacontenttype` is missing"),
        (is_note, "data_base64", json!("AA=="), "`data` is there twice, as JSON and as base64"),
        (is_note, "other", json!("1"), "it is not a line of an export: unknown field `other`"),
        (is_commit, "data", json!({"streams": 1}), "`data` is not valid: invalid type"),
        (is_commit, "data", json!({"streams": [], "more": 1}), "`data` is not valid: unknown"),
        (is_end, "data", json!({}), "`data` is not valid: missing field"),
    ];
    assert_each_is_named(changes).await;
}

#[tokio::test]
async fn a_line_that_contradicts_the_others_is_named() {
    // Guards that nothing a line says is ignored, also not what follows from other lines.
    let other_id = json!("00000000-0000-0000-0000-000000000009");
    let any = json!({"streams": [{"stream": "note/n1", "expected": "any", "events_count": 0}]});
    let changes: [Change; 7] = [
        (is_note, "source", json!("urn:x"), "`source` is `urn:x`, and the rest of the export says"),
        (is_of_command, "annalsrevision", json!("7"), "`annalsrevision` is `7`, and the rest of"),
        (is_of_command, "annalsprincipal", json!("eve"), "`annalsprincipal` is `eve`, and the"),
        (is_of_command, "id", other_id, "`id` is `00000000-0000-0000-0000-000000000009`, and the"),
        (is_of_command, "subject", json!("note/x"), WRONG_PLACE),
        (is_commit, "subject", json!("note/x"), "`subject` is `note/x`, and the rest of the"),
        (is_commit, "data", any, "`data.streams.expected` is not valid: it is not said at which"),
    ];
    assert_each_is_named(changes).await;
    let (text, _) = exported(&full_store(1).await).await;
    let (number, text) = changed(&text, is_end, |line| line["data"]["events_count"] = json!(1));
    let (line, said) = said_of(text).await;
    assert!(line == number && said.starts_with("it says 1 events, and there are "), "{said}");
}

#[tokio::test]
async fn lines_that_are_missing_doubled_or_moved_are_found() {
    // Guards order: a hole would be a lost event, a repeat one that never happened.
    let (text, _) = exported(&full_store(1).await).await;
    let lines: Vec<_> = text.lines().collect();
    // The first, and the last before the end, are found by the first line and by the counts.
    for index in 1..lines.len() - 1 {
        let mut without = lines.clone();
        without.remove(index);
        let mut doubled = lines.clone();
        doubled.insert(index, lines[index]);
        let mut moved = lines.clone();
        moved.swap(index - 1, index);
        for changed in [without, doubled, moved] {
            let (line, said) = said_of(changed.join("\n") + "\n").await;
            assert!(line < u64::MAX, "line {}: {said}", index + 1);
        }
    }
    let after = said_of(format!("{text}{}\n", lines[1])).await;
    let number = u64::try_from(lines.len() + 1).unwrap();
    assert_eq!(after, (number, "it comes after the last line of the export".to_owned()));
}

#[tokio::test]
async fn what_is_no_export_is_told_apart() {
    // Guards whoever names the wrong file, or has a newer one.
    let (text, _) = exported(&full_store(1).await).await;
    let event = text.lines().nth(1).unwrap();
    let cases = [
        (String::new(), "there is nothing in it"),
        ("\n".to_owned(), "there is nothing in it"),
        ("hello\n".to_owned(), "it is not a line of an export: expected value, at column 1"),
        (format!("{event}\n"), "`type` is not valid: `note-taken` is not `annals.export`"),
        ("{\"a\": 1}\n".to_owned(), "it is not a line of an export: unknown field `a`"),
    ];
    for (text, told) in cases {
        let (line, said) = said_of(&text).await;
        assert!(line == 0 && said.starts_with(told), "{text}: {said}");
    }
    assert_eq!(said_of(b"\xff\n").await.0, 0);
    let newer = changed(&text, |_| true, |line| line["data"] = json!({"format": 2, "more": 1})).1;
    let (_, said) = said_of(newer).await;
    assert_eq!(said, "the export has format 2, and this version of annals reads format 1");
    let more = changed(&text, |_| true, |line| line["data"]["partitions_count"] = json!(2)).1;
    let (line, said) = said_of(more).await;
    let told = "`annalspartition` is `0`, and the rest of the export says `1`";
    assert!(line > 1 && line < u64::MAX && said == told, "{line}: {said}");
}

#[tokio::test]
async fn lines_and_commits_over_their_limits_are_refused() {
    // Guards memory: a file without line ends, and a commit that goes on and on.
    let (text, _) = exported(&full_store(1).await).await;
    let head = text.lines().next().unwrap();
    let endless = format!("{head}\n{}", "x".repeat(LINE_BYTES_MAX));
    assert_eq!(said_of(endless).await, (2, format!("it has more than {LINE_BYTES_MAX} bytes")));
    let many = |line: &mut Value| line["data"]["streams"][0]["events_count"] = json!(1_001);
    let (number, many) = changed(&text, is_commit, many);
    let too_large = "its commit is larger than any commit can be";
    assert_eq!(said_of(many).await, (number, too_large.to_owned()));
    // Five lines of almost the limit each are more than a commit can have.
    let of_one = text.lines().position(|line| is_commit(&serde_json::from_str(line).unwrap()));
    let first = of_one.unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for line in lines.iter_mut().skip(first + 1).take(5) {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event["annalsmetadata"] = json!("x".repeat(7 << 20));
        *line = event.to_string();
    }
    let number = u64::try_from(first + 1 + 5).unwrap();
    assert_eq!(said_of(lines.join("\n")).await, (number, too_large.to_owned()));
}
