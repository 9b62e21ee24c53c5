//! Index files that are missing, cut, damaged or of another segment are made again: they hold
//! nothing that the segments do not.

use annals_core::place::{Partition, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::ReadError;
use pollster::block_on;

use super::history::History;
use super::sealed_log::SealedLog;
use super::simulated_folder::SimulatedFolder;
use super::support::{accept, command_id, plain, stream};
use super::workload::STREAMS;

const PAGE_BYTES: usize = 4_096;

/// Opens the log with one changed index file: it must say the same, and have a good index afterwards.
#[track_caller]
fn assert_made_again(log: &SealedLog, folder: &SimulatedFolder, what: &str) -> usize {
    let (mut stepped, report) = log.open(folder).unwrap();
    log.assert_same(&stepped, what);
    stepped.settle();
    log.assert_same(&stepped, what);
    stepped.close();
    folder.kill();
    let (stepped, again) = log.open(folder).unwrap();
    assert_eq!(again.indexes_rebuilt_count, 0, "{what}");
    log.assert_same(&stepped, what);
    drop(stepped);
    folder.kill();
    report.indexes_rebuilt_count
}

#[test]
fn an_index_that_is_missing_or_cut_is_made_again_when_the_log_is_opened() {
    // Guards R4: an index is derived; without it nothing is lost and nothing is different.
    let log = SealedLog::new(1, 4 << 10, 8);
    for (at, name) in log.indexes().iter().enumerate() {
        let folder = log.folder.copy();
        folder.take(name);
        assert_eq!(assert_made_again(&log, &folder, name), 1);
        let bytes = log.folder.content(name);
        let lengths = [0, 1, 100, PAGE_BYTES - 1, bytes.len() / 2 + at, bytes.len() - 1];
        for count in lengths.into_iter().skip(at % 2).step_by(2) {
            let what = format!("{name} cut at {count}");
            let folder = log.folder.copy();
            folder.put(name, &bytes[..count]);
            assert_eq!(assert_made_again(&log, &folder, &what), 1);
        }
        let folder = log.folder.copy();
        folder.put(name, &[&bytes[..], &[0; PAGE_BYTES]].concat());
        assert_eq!(assert_made_again(&log, &folder, "a page too long"), 1);
    }
    let folder = log.folder.copy();
    for name in log.indexes() {
        folder.take(&name);
    }
    assert_eq!(assert_made_again(&log, &folder, "no index"), log.indexes().len());
}

#[test]
fn an_index_of_another_segment_or_of_zeros_is_not_believed() {
    // Guards R4: an index that is whole and wrong would hide commands and claims.
    let log = SealedLog::new(2, 4 << 10, 6);
    let other = SealedLog::new(3, 4 << 10, 6);
    let indexes = log.indexes();
    for (name, next) in indexes.iter().zip(indexes.iter().skip(1)) {
        let zeros = vec![0; log.folder.content(name).len()];
        let of_next = log.folder.content(next);
        let of_other = other.folder.content(&other.indexes()[0]);
        for content in [zeros, of_next, of_other] {
            let folder = log.folder.copy();
            folder.put(name, &content);
            assert_eq!(assert_made_again(&log, &folder, name), 1);
        }
    }
}

#[test]
fn every_page_of_an_index_may_be_damaged() {
    // Guards R4: a damaged page is found when it is looked at, and the index is made again then.
    let log = SealedLog::new(4, 200 << 10, 3);
    let (mut pages_count, mut rebuilt_count) = (0, 0);
    for name in log.indexes() {
        let bytes = log.folder.content(&name);
        assert!(bytes.len() > 2 * PAGE_BYTES, "{} bytes", bytes.len());
        for page in 0..bytes.len() / PAGE_BYTES {
            let mut damaged = bytes.clone();
            damaged[page * PAGE_BYTES + 7 + page * 300] ^= 0x20;
            let folder = log.folder.copy();
            folder.put(&name, &damaged);
            rebuilt_count += assert_made_again(&log, &folder, &format!("page {page} of {name}"));
            assert_ne!(folder.content(&name), damaged, "page {page} of {name}");
            pages_count += 1;
        }
    }
    // The first page and the filter are looked at when the log is opened, the others later.
    assert!(rebuilt_count > 0 && rebuilt_count < pages_count, "{rebuilt_count} of {pages_count}");
}

#[test]
fn an_index_that_is_damaged_while_the_log_is_open_is_made_again_when_it_is_looked_at() {
    // Guards R4 while running: reads and appends go on without a restart.
    let log = SealedLog::new(5, 4 << 10, 8);
    let folder = log.folder.copy();
    let (mut stepped, report) = log.open(&folder).unwrap();
    assert_eq!(report.indexes_rebuilt_count, 0);
    for name in log.indexes() {
        let mut bytes = folder.content(&name);
        bytes[600] ^= 1;
        folder.put(&name, &bytes);
    }
    log.assert_same(&stepped, "with damaged indexes");
    stepped.settle();
    log.assert_same(&stepped, "with new indexes");
    drop(stepped);
    folder.kill();
    let (stepped, report) = log.open(&folder).unwrap();
    // One page of all indexes is remembered however little memory there is: its damage shows now.
    assert!(report.indexes_rebuilt_count <= 1, "{report:?}");
    log.assert_same(&stepped, "after a restart");
}

#[test]
fn an_index_that_is_gone_while_the_log_is_open_is_made_again_when_it_is_looked_at() {
    // Guards R4 while running, for a log of more files than are kept open.
    let mut history = History::new(7);
    let mut stepped = history.open_first();
    let large = "x".repeat(4_100);
    for number in 0..140 {
        let name = if number == 0 { "account/a1" } else { "account/a2" };
        accept(&stepped.store, plain(name, &[&large])).unwrap();
        stepped.settle();
    }
    stepped.close();
    history.folder.kill();
    let (mut stepped, _) = history.open().unwrap();
    let name = "00000000000000000000.idx";
    history.folder.take(name);
    let info = block_on(stepped.store.stream_info(&stream("account/a1"))).unwrap();
    assert_eq!(info.revision, Revision::FIRST.into());
    assert!(!history.folder.names().contains(&name.to_owned()));
    stepped.settle();
    assert!(history.folder.names().contains(&name.to_owned()));
}

#[test]
fn an_index_that_cannot_be_made_again_names_the_damage() {
    // Guards promise 6: with index and segment damaged, a look-up fails and is never "not there".
    let log = SealedLog::new(6, 4 << 10, 8);
    let folder = log.folder.copy();
    let (stepped, _) = log.open(&folder).unwrap();
    let (index, segment) = (&log.indexes()[2], &log.segments()[2]);
    for (name, at) in [(index, 600), (segment, 100)] {
        let mut bytes = folder.content(name);
        bytes[at] ^= 1;
        folder.put(name, &bytes);
    }
    let info = |name| block_on(stepped.store.stream_info(&stream(name)));
    let find = |name| block_on(stepped.store.find_command(&stream(name), command_id(1 << 100)));
    let infos_fail = STREAMS.iter().any(|name| matches!(info(name), Err(ReadError::Damaged(_))));
    let found: Vec<_> = STREAMS.iter().filter_map(|name| find(name).err()).collect();
    assert!(infos_fail || !found.is_empty());
    let text = annals_core::error::ErrorChain(&found[0]).to_string();
    assert!(text.contains(index.as_str()) && text.contains(segment.as_str()), "{text}");
    let last = log.everything.commits.last().unwrap();
    let read = block_on(stepped.store.read_commits(Partition::ZERO, last.number, 1)).unwrap();
    assert_eq!(read, std::slice::from_ref(last));
}
