//! Torn ends are cut, damage is refused.

use std::fs;
use std::path::Path;

use annals_core::place::Revision;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{Direction, ReadError};
use pollster::block_on;

use super::faults::open;
use super::seed::Seed;
use super::simulated_folder::SimulatedFolder;
use super::stepped::{SeededIds, Stepped};
use super::support::{
    Contents, Folder, accept, accepted_command, append, contents, copy, plain, rejected_command,
    stream,
};
use crate::log::header::SEGMENT_HEADER_BYTES;
use crate::{LogError, LogOptions, RecoveryReport, TornTail};

const SEGMENT: &str = "00000000000000000000.seg";

/// The used bytes of a log of four commits, where its frames end, and what it holds after each.
fn history() -> (Vec<u8>, Vec<usize>, Vec<Contents>) {
    let folder = Folder::new();
    let commits = [
        plain("account/a1", &["{\"n\":1}"]),
        accepted_command(1),
        rejected_command("account/a2", 2),
        plain("account/a2", &["{}", "{}"]),
    ];
    let mut ends = vec![SEGMENT_HEADER_BYTES];
    let store = folder.open();
    let mut after = vec![contents(&store)];
    drop(store);
    for commit in commits {
        let store = folder.open();
        append(&store, commit);
        block_on(store.flush()).unwrap();
        after.push(contents(&store));
        drop(store);
        ends.push(folder.used_bytes().len());
    }
    // The last byte of a frame may be zero: its length says where it ends.
    let bytes = folder.used_bytes();
    let mut exact = vec![SEGMENT_HEADER_BYTES];
    while exact.len() < ends.len() {
        let start = *exact.last().unwrap();
        let length: [u8; 4] = copy(&folder.segment())[start..start + 4].try_into().unwrap();
        exact.push(start + usize::try_from(u32::from_le_bytes(length)).unwrap());
    }
    let mut bytes = bytes;
    bytes.resize(*exact.last().unwrap(), 0);
    (bytes, exact, after)
}

/// Opens a log in memory whose segment holds `bytes`.
fn open_in_memory(bytes: &[u8]) -> (Stepped, RecoveryReport, SimulatedFolder) {
    let folder = SimulatedFolder::new();
    folder.put(SEGMENT, bytes);
    let ids = SeededIds::new(Seed::new(1));
    let (stepped, report) = Stepped::open(&folder, &ids, LogOptions::default()).unwrap();
    (stepped, report, folder)
}

#[test]
fn a_log_cut_anywhere_in_its_last_frames_opens_with_all_whole_ones() {
    // Guards R3: every byte of the last three frames; what is whole stays, the rest is cut.
    let (bytes, ends, after) = history();
    for cut in ends[1]..bytes.len() {
        let whole = ends.iter().rposition(|&end| end <= cut).unwrap();
        let (mut stepped, report, folder) = open_in_memory(&bytes[..cut]);
        let is_torn = bytes[ends[whole]..cut].iter().any(|&byte| byte != 0);
        assert_eq!(report.cut.is_some(), is_torn, "cut at {cut}");
        assert_eq!(contents(&stepped.store), after[whole], "cut at {cut}");
        accept(&stepped.store, plain("account/a1", &["again"])).unwrap();
        stepped.flush();
        drop(stepped);
        let (_, report, _) = open_in_memory(&folder.content(SEGMENT));
        assert_eq!((report.cut, report.commits_count), (None, whole as u64 + 1), "cut at {cut}");
    }
}

#[test]
fn every_flipped_bit_of_the_last_frame_is_found_and_reported() {
    // Guards R3: the last frame is whole or gone, never something else.
    let (bytes, ends, after) = history();
    let start = ends[3];
    for bit in start * 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let used = flipped.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        let (stepped, report, _) = open_in_memory(&flipped);
        assert_eq!(contents(&stepped.store), after[3], "bit {bit}");
        let cut = report.cut.unwrap();
        let expected = TornTail {
            path: Path::new("simulated").join(SEGMENT),
            offset: start as u64,
            bytes_count: (used - start) as u64,
            what: cut.what.clone(),
        };
        assert_eq!(cut, expected, "bit {bit}");
    }
}

#[test]
fn garbage_and_stale_frames_behind_the_end_are_cut() {
    // Guards R3: bytes of an earlier file or an earlier run are never read as commits.
    let (bytes, ends, after) = history();
    let other = {
        let folder = Folder::new();
        let ids = super::support::CountedIds::default();
        annals_core::id::IdGenerator::next_uuid(&ids);
        let options = crate::LogOptions::default();
        let create = crate::WhenMissing::Create;
        let opened = crate::LocalEventStore::open(&folder.log(), create, &ids, options);
        let store = opened.unwrap().0;
        for _ in 0..6 {
            append(&store, plain("account/a1", &["{\"n\":1}"]));
        }
        drop(store);
        folder.used_bytes()[SEGMENT_HEADER_BYTES..].to_vec()
    };
    let own_frame = bytes[ends[1]..ends[2]].to_vec();
    let behind_zeros = [vec![0; 10_000], vec![7; 100]].concat();
    for tail in [vec![0xa5; 3], vec![0xff; 5_000], other, own_frame, behind_zeros] {
        let folder = Folder::with_segment(&[bytes.clone(), tail].concat());
        let (store, report) = folder.try_open().unwrap();
        assert_eq!(report.cut.unwrap().offset, bytes.len() as u64);
        assert_eq!(contents(&store), after[4]);
        append(&store, plain("account/a1", &["again"]));
        drop(store);
        let (_, report) = folder.try_open().unwrap();
        assert_eq!((report.cut, report.commits_count), (None, 5));
    }
}

#[test]
fn damage_before_a_synced_frame_is_refused_and_nothing_is_changed() {
    // Guards promise 6 and R4: a broken frame with a good one behind it is not a torn end.
    let (bytes, ends, _) = history();
    for (at, offset) in [
        (0, 0),
        (20, 0),
        (63, 0),
        (ends[0], ends[0]),
        (ends[0] + 60, ends[0]),
        (ends[1] + 5, ends[1]),
        (ends[3] - 1, ends[2]),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let folder = Folder::with_segment(&damaged);
        let error = folder.try_open().unwrap_err();
        let LogError::Damaged { path, offset: found, .. } = &error else {
            panic!("byte {at}: {error}");
        };
        assert_eq!((path, *found), (&folder.segment(), offset as u64), "byte {at}");
        assert_eq!(copy(&folder.segment()), damaged);
    }
    let mut wiped = bytes.clone();
    wiped[ends[1]..ends[2]].fill(0);
    let folder = Folder::with_segment(&wiped);
    assert!(matches!(folder.try_open(), Err(LogError::Damaged { .. })));
}

#[test]
fn frames_lost_out_of_one_unsynced_group_are_a_torn_end() {
    // Guards crashes of a disk that wrote the end of a group and not its beginning: none of the
    // group was acknowledged, so it is no damage.
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    let (accepted, start) = {
        let _held = faults.hold_syncs();
        accept(&store, plain("account/a1", &["acknowledged"])).unwrap();
        faults.wait_until_held();
        let start = folder.used_bytes().len();
        // These wait together for the first sync, and are one group.
        let commit = || plain("account/a1", &["in flight"]);
        ([1, 2, 3].map(|_| accept(&store, commit()).unwrap()), start)
    };
    for accepted in accepted {
        block_on(accepted.durability.wait()).unwrap();
    }
    drop(store);
    let mut bytes = folder.used_bytes();
    bytes[start + 50] ^= 1;
    let folder = Folder::with_segment(&bytes);
    let (store, report) = folder.try_open().unwrap();
    assert!(report.cut.is_some());
    assert_eq!(super::support::feed(&store).len(), 1);
}

#[test]
fn an_empty_or_short_file_is_damage_and_not_a_new_store() {
    // Guards R4: metadata of zero bytes is not a new store.
    for count in [0, 1, 63] {
        let folder = Folder::with_segment(&vec![0; count]);
        assert!(matches!(folder.try_open(), Err(LogError::Damaged { offset: 0, .. })));
        assert_eq!(copy(&folder.segment()).len(), count);
    }
    let folder = Folder::new();
    fs::create_dir(folder.log()).unwrap();
    fs::write(folder.log().join("00000000000000000007.seg"), b"").unwrap();
    assert!(matches!(folder.try_open(), Err(LogError::Damaged { offset: 0, .. })));
}

#[test]
fn a_read_of_damaged_bytes_names_file_and_place() {
    // Guards promise 6 while running: damage is found when it is read, and never returned.
    let folder = Folder::new();
    let store = folder.open();
    append(&store, plain("account/a1", &["{\"n\":1}"]));
    let mut bytes = copy(&folder.segment());
    bytes[SEGMENT_HEADER_BYTES + 70] ^= 1;
    fs::write(folder.segment(), bytes).unwrap();
    let account = stream("account/a1");
    let read = store.read_stream(&account, Revision::FIRST, 1, Direction::Forwards);
    let Err(ReadError::Damaged(cause)) = block_on(read) else {
        panic!("damage was not found");
    };
    let path = folder.segment();
    let text = format!(
        "the frame at byte 64 of `{}` is damaged: its checksum does not match",
        path.display()
    );
    assert_eq!(cause.to_string(), text);
}
