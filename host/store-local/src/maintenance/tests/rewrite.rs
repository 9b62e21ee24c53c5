//! A change concerns the events it names, and no others; it happens once, whatever is interrupted.

use std::fs;

use annals_core::commit::RecordedCommit;
use annals_core::limits::METADATA_BYTES_MAX;
use annals_core::name::EventType;
use annals_core::place::{Position, Revision};
use annals_core::port::StateStores as _;
use annals_core::port::state_store::StateSpace;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use pollster::block_on;

use super::super::{EventChange, EventEdit, MaintenanceError, PlannedRewrite, RewriteRequest};
use super::{Data, commits, has_row, quietly, rewrite, verify};
use crate::log::CountedIds;

fn event_type(text: &str) -> EventType {
    EventType::new(text).unwrap()
}

fn request(change: EventChange) -> RewriteRequest {
    RewriteRequest { change, reason: "a typing error".into(), now: Timestamp::from_ms(500) }
}

fn rename(category: Option<&str>) -> RewriteRequest {
    request(EventChange::Rename {
        from: event_type("opened"),
        to: event_type("account-opened"),
        category: category.map(str::to_owned),
    })
}

fn replace(stream: &str, revision: u64, expected: u64, edit: EventEdit) -> RewriteRequest {
    request(EventChange::Replace {
        stream: StreamId::parse(stream).unwrap(),
        revision: Revision::new(revision),
        expected: Revision::new(expected),
        edit,
    })
}

fn data(text: &'static str) -> EventEdit {
    EventEdit { data: Some(Bytes::from_static(text.as_bytes())), ..EventEdit::default() }
}

/// The commits without the one that tells of the change, which must be the last.
#[track_caller]
fn without_record(mut commits: Vec<RecordedCommit>, event_type: &str) -> Vec<RecordedCommit> {
    let record = commits.pop().unwrap();
    let append = &record.commit.streams[0];
    assert_eq!(append.stream.as_str(), "$maintenance/log");
    assert_eq!(append.events[0].event_type.as_str(), event_type);
    assert_eq!(record.commit.recorded_at, Timestamp::from_ms(500));
    commits
}

#[test]
fn renaming_changes_the_type_and_leaves_everything_else_alone() {
    // Guards what known systems fail: other events, positions, ids and times stay byte for byte.
    let data = Data::filled(120);
    let mut expected = commits(&data.open());
    let mut renamed_count = 0;
    for event in expected.iter_mut().flat_map(|it| &mut it.commit.streams[0].events) {
        if event.event_type.as_str() == "opened" {
            event.event_type = event_type("account-opened");
            renamed_count += 1;
        }
    }
    let done = rewrite(&data.path(), &rename(None)).unwrap();
    assert_eq!((done.events_count, done.first_position), (renamed_count, Position::new(0)));
    assert_eq!(verify(&data.path()).unwrap().damages, []);
    let store = data.open();
    assert_eq!(without_record(commits(&store), "event-renamed"), expected);
    // What was derived from the old events is made again.
    assert!(has_row(&store, "timers") && !has_row(&store, "snapshots"));
    assert_eq!(block_on(store.states.list()).unwrap(), [StateSpace::Host]);
}

#[test]
fn renaming_in_another_category_or_of_another_type_is_refused() {
    // Guards against a change that nobody sees: the operator mistyped.
    let data = Data::filled(30);
    let before = commits(&data.open());
    let long = EventEdit {
        metadata: Some(vec![0; METADATA_BYTES_MAX + 1].into()),
        ..EventEdit::default()
    };
    for request in [
        rename(Some("transfer")),
        rename(Some("$maintenance")),
        replace("account/0", 99, 5, self::data("{}")),
        replace("account/0", 0, 5, self::data("{")),
        replace("account/0", 0, 5, long),
        replace("$plugins/registry", 0, 5, self::data("{}")),
        RewriteRequest { reason: String::new(), ..rename(None) },
        RewriteRequest { reason: "\u{1}".repeat(4_097), ..rename(None) },
    ] {
        let refused = rewrite(&data.path(), &request);
        assert!(matches!(refused, Err(MaintenanceError::Refused(_))), "{refused:?}");
    }
    assert_eq!(commits(&data.open()), before);
    let reason = "\u{1}".repeat(4_096);
    let longest = RewriteRequest { reason, ..rename(Some("account")) };
    rewrite(&data.path(), &longest).unwrap();
    assert_eq!(commits(&data.open()).len(), 31);
}

#[test]
fn replacing_changes_one_event_if_the_stream_ends_where_it_should() {
    // Guards one event's data, e.g. what must be forgotten: it is gone from the files.
    let data = Data::filled(60);
    let mut expected = commits(&data.open());
    let events_count = |commits: &[RecordedCommit]| -> u64 {
        let of_stream = |it: &&RecordedCommit| it.commit.streams[0].stream.as_str() == "account/2";
        commits.iter().filter(of_stream).map(|it| it.commit.events_count() as u64).sum()
    };
    let last = events_count(&expected) - 1;
    let request = |expected| replace("account/2", 1, expected, self::data("{\"n\":\"longer\"}"));
    let refused = rewrite(&data.path(), &request(last + 1)).unwrap_err();
    let text = format!("stream `account/2` is at revision {last}, expected {}", last + 1);
    assert_eq!(refused.to_string(), text);
    let done = rewrite(&data.path(), &request(last)).unwrap();
    assert_eq!((done.events_count, done.segments_count), (1, 1));
    let changed = expected.iter_mut().find(|it| it.commit.streams[0].events[0].data == "{\"n\":9}");
    changed.unwrap().commit.streams[0].events[0].data = Bytes::from_static(b"{\"n\":\"longer\"}");
    assert_eq!(without_record(commits(&data.open()), "event-replaced"), expected);
    for segment in data.segments() {
        let bytes = fs::read(segment).unwrap();
        assert!(!bytes.windows(7).any(|it| it == b"{\"n\":9}"));
    }
}

#[test]
fn an_interrupted_change_happens_once_or_not_at_all() {
    // Guards the swap: before it is decided nothing happened, after it everything will.
    for swapped_count in [None, Some(0), Some(1), Some(usize::MAX)] {
        let data = Data::filled(60);
        let before = commits(&data.open());
        let ids = CountedIds::default();
        let request = rename(None);
        let planned = PlannedRewrite::new(&data.path(), &request, &ids, &mut quietly).unwrap();
        planned.decide(&ids).unwrap();
        let log = data.path().join("log");
        if swapped_count.is_none() {
            // Interrupted just before it was decided.
            fs::remove_file(log.join("REWRITE.json")).unwrap();
        }
        for segment in data.segments().iter().take(swapped_count.unwrap_or_default()) {
            let rewritten = segment.with_extension("seg.rewritten.new");
            fs::rename(rewritten, segment).unwrap();
        }
        let found = commits(&data.open());
        assert_eq!(commits(&data.open()), found);
        if swapped_count.is_none() {
            assert_eq!(found, before);
            continue;
        }
        let types = |commits: &[RecordedCommit]| -> Vec<_> {
            let events = commits.iter().flat_map(|it| &it.commit.streams[0].events);
            events.map(|event| event.event_type.clone()).collect()
        };
        let renamed =
            |it| if it == event_type("opened") { event_type("account-opened") } else { it };
        let expected: Vec<_> = types(&before).into_iter().map(renamed).collect();
        assert_eq!(types(&without_record(found, "event-renamed")), expected);
        let left = fs::read_dir(log).unwrap().map(|it| it.unwrap().file_name());
        let left: Vec<_> = left.filter(|it| it.to_str().unwrap().contains("rewr")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
