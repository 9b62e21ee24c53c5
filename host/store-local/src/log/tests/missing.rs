//! Segments that are missing, of another store, or damaged in the middle: found, named, and never
//! taken for a shorter log.

use annals_core::error::ErrorChain;
use annals_core::id::StoreId;
use annals_core::place::{Partition, Position};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{FeedFilter, ReadError};
use pollster::block_on;
use uuid::Uuid;

use super::sealed_log::{SealedLog, frames, with_header};

#[test]
fn a_segment_that_is_missing_is_damage() {
    // Guards promise 6: the first, one in the middle, or the last.
    let log = SealedLog::new(11, 4 << 10, 6);
    let segments = log.segments();
    for (at, name) in segments.iter().enumerate() {
        let folder = log.folder.copy();
        folder.take(name);
        if at == 0 {
            let what = log.assert_damaged(&folder, &segments[1], 0);
            assert_eq!(what, "the segments before it are missing");
        } else if at + 1 == segments.len() {
            let what = log.assert_damaged(&folder, &segments[at - 1], 0);
            assert_eq!(what, "the segments behind it are missing");
        } else {
            let bytes = log.folder.content(&segments[at - 1]);
            let end = *frames(&bytes).last().unwrap();
            let what = log.assert_damaged(&folder, &segments[at - 1], end as u64);
            assert!(what.contains("and the next segment begins with commit"), "{what}");
        }
    }
}

#[test]
fn a_header_that_is_damaged_or_of_another_segment_is_named() {
    // Guards R4: every segment is checked by its header before one of its frames is believed.
    let log = SealedLog::new(12, 4 << 10, 5);
    for name in log.segments() {
        let bytes = log.folder.content(&name);
        for at in [0, 12, 17, 33, 41, 50, 63] {
            let folder = log.folder.copy();
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            folder.put(&name, &damaged);
            log.assert_damaged(&folder, &name, 0);
        }
        for count in [0, 63] {
            let folder = log.folder.copy();
            folder.put(&name, &bytes[..count]);
            log.assert_damaged(&folder, &name, 0);
        }
    }
    let segments = log.segments();
    let folder = log.folder.copy();
    folder.put(&segments[2], &log.folder.content(&segments[1]));
    let what = log.assert_damaged(&folder, &segments[2], 0);
    assert_eq!(what, "it is not the segment that its name says");
    let folder = log.folder.copy();
    let early = with_header(&log.folder.content(&segments[2]), |header| header.first_position = 0);
    folder.put(&segments[2], &early);
    let what = log.assert_damaged(&folder, &segments[2], 0);
    assert_eq!(what, "it begins before the segment before it");
}

#[test]
fn a_segment_of_another_store_is_damage() {
    // Guards against two logs mixed by a copy: numbers may fit, and the store does not.
    let log = SealedLog::new(13, 4 << 10, 5);
    let segments = log.segments();
    for name in &segments[1..] {
        let folder = log.folder.copy();
        let other = with_header(&log.folder.content(name), |header| {
            header.store = StoreId::new(Uuid::from_u128(7));
        });
        folder.put(name, &other);
        let what = log.assert_damaged(&folder, name, 0);
        assert_eq!(what, "it belongs to another store");
    }
}

#[test]
fn damage_in_the_middle_of_a_sealed_segment_is_found_when_it_is_read_and_never_skipped() {
    // Guards promise 6 and R4: the read that needs the bytes names file and place; others go on.
    let log = SealedLog::new(14, 4 << 10, 6);
    let name = &log.segments()[2];
    let bytes = log.folder.content(name);
    let starts = frames(&bytes);
    let damaged_frame = starts.len() / 2;
    let offset = starts[damaged_frame];
    let mut damaged = bytes;
    damaged[offset + 60] ^= 0x40;
    let folder = log.folder.copy();
    folder.put(name, &damaged);
    let (stepped, report) = log.open(&folder).unwrap();
    assert_eq!(report.indexes_rebuilt_count, 0);
    let first = name.strip_suffix(".seg").unwrap().parse::<u64>().unwrap();
    let damaged_commit = first + damaged_frame as u64;
    let place = format!("the frame at byte {offset} of `simulated/{name}` is damaged");
    for commit in &log.everything.commits {
        let read = block_on(stepped.store.read_commits(Partition::ZERO, commit.number, 1));
        match read {
            Ok(found) => assert_eq!(found, std::slice::from_ref(commit)),
            Err(ReadError::Damaged(error)) if commit.number == damaged_commit => {
                let text = ErrorChain(&error).to_string();
                assert!(text.starts_with(&place), "{text}");
            }
            Err(error) => panic!("commit {}: {error}", commit.number),
        }
    }
    // The feed ends before the damage with an error, and goes on behind it when it is asked to.
    let read = |after| {
        let after = Some(Position::new(after));
        block_on(stepped.store.read_feed(Partition::ZERO, after, &FeedFilter::default(), 4_096))
    };
    assert!(matches!(read(0), Err(ReadError::Damaged(_))));
    let last = log.everything.feed.last().unwrap().position.get();
    assert!(read(last - 1).is_ok());
    drop(stepped);
    folder.kill();
    folder.take(&name.replace(".seg", ".idx"));
    log.assert_damaged(&folder, name, offset as u64);
}

#[test]
fn files_that_were_never_finished_are_removed() {
    // Guards against a full disk by leftovers, and against taking one for a segment.
    let log = SealedLog::new(15, 4 << 10, 4);
    let folder = log.folder.copy();
    let before = folder.names();
    let index = format!("{}.new", log.indexes()[0]);
    for name in ["next.seg.new", "00000000000000000000.seg.new", &index] {
        folder.put(name, b"not finished");
    }
    // What is not the log's stays.
    folder.put("notes.txt", b"mine");
    folder.put("7.seg", b"mine, too");
    let (stepped, _) = log.open(&folder).unwrap();
    log.assert_same(&stepped, "with leftovers");
    let mut expected = [before, vec!["notes.txt".to_owned(), "7.seg".to_owned()]].concat();
    expected.sort();
    assert_eq!(folder.names(), expected);
}
