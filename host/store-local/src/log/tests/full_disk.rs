//! A disk without room, wherever the log needs some: appends are refused as retryable or wait, reads
//! go on, and when there is room again it goes on without a restart.

use std::collections::BTreeSet;

use annals_core::place::Partition;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use pollster::block_on;

use super::history::History;
use super::seed::{Repeat, seeds};
use super::simulated_folder::{Kind, Operation, Room};
use super::stepped::Stepped;
use super::support::{accept, plain};
use crate::log::folder::OpenedBy;
use crate::log::worker::Step;

/// What needed room.
fn part(operation: &Operation) -> &'static str {
    let is_spare = operation.name == "next.seg.new";
    match operation.opened_by {
        OpenedBy::Index => "index",
        OpenedBy::Space => "zeros",
        OpenedBy::Log if is_spare && operation.kind == Kind::Create => "new segment",
        OpenedBy::Log if is_spare => "zeros or first commits of a new segment",
        OpenedBy::Log => "commits",
    }
}

/// Sends commits while there is no room; gives how many were refused.
fn work_without_room(history: &mut History, stepped: &mut Stepped) -> usize {
    let mut refused_count = 0;
    for _ in 0..30 {
        match history.model.append(stepped) {
            Ok(()) => {}
            Err(AppendError::Unavailable(error)) => {
                let text = error.to_string();
                assert!(text.starts_with("no space is left on the disk"), "{text}");
                refused_count += 1;
            }
            Err(error) => panic!("{error}"),
        }
        while history.seed.percent(60) {
            stepped.step(&mut history.seed);
        }
    }
    // Reads of what is durable go on.
    let durable_count = history.model.durable_count();
    let read = block_on(stepped.store.read_commits(Partition::ZERO, 0, 4_096)).unwrap();
    assert!(read.len() >= durable_count);
    refused_count
}

#[test]
fn a_full_disk_delays_and_refuses_and_goes_on_when_there_is_room() {
    // Guards R5: whatever the log was doing when the room ended, nothing is lost and no restart is
    // needed.
    let mut parts = BTreeSet::new();
    let mut refused_count = 0;
    for number in seeds(0, 25) {
        let _repeat = Repeat(number);
        let what = format!("seed {number}");
        let mut history = History::new(number);
        let mut stepped = history.open_first();
        for _ in 0..4 {
            let commits_count = history.seed.index(12);
            history.work(&mut stepped, commits_count).unwrap();
            let room = history.seed.pick(&[Room::NoGrowth, Room::Nothing]);
            history.folder.set_room(room);
            refused_count += work_without_room(&mut history, &mut stepped);
            history.folder.set_room(Room::Plenty);
            stepped.settle();
            for _ in 0..6 {
                history.model.append(&stepped).expect(&what);
                stepped.settle();
            }
            history.model.assert_same(&stepped, &mut history.seed, &what);
        }
        parts.extend(history.folder.refused().iter().map(part));
        drop(stepped);
        history.end();
        history.recover(&what);
    }
    assert!(refused_count > 0);
    let expected =
        ["commits", "index", "new segment", "zeros", "zeros or first commits of a new segment"];
    assert_eq!(parts.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_full_disk_at_the_end_of_a_segment_is_asked_again() {
    // Guards R5: a segment that could not be begun, and has nobody who tries, must not refuse for
    // ever.
    let mut history = History::new(1);
    let mut stepped = history.open_first();
    accept(&stepped.store, plain("account/a1", &["1"])).unwrap();
    stepped.flush();
    history.folder.set_room(Room::NoGrowth);
    assert_eq!(stepped.keep_space(), Step::Idle);
    // It does not fit into this segment, and there is no room for another one.
    let large = "x".repeat(4_000);
    let answers: Vec<_> =
        (0..3).map(|_| accept(&stepped.store, plain("account/a1", &[&large]))).collect();
    assert!(answers.iter().any(Result::is_err), "{answers:?}");
    stepped.settle();
    history.folder.set_room(Room::Plenty);
    stepped.settle();
    let accepted = accept(&stepped.store, plain("account/a1", &["2"])).unwrap();
    stepped.settle();
    block_on(accepted.durability.wait()).unwrap();
    for answer in answers.into_iter().flatten() {
        block_on(answer.durability.wait()).unwrap();
    }
}

#[test]
fn indexes_that_cannot_be_written_stop_nothing_and_are_written_later() {
    // Guards R5: an index is derived; its disk may be full for long.
    let mut history = History::new(3);
    let mut stepped = history.open_first();
    history.folder.set_room(Room::NoIndexes);
    history.work(&mut stepped, 150).unwrap();
    stepped.flush();
    assert_eq!(history.folder.names_ending(".idx"), Vec::<String>::new());
    history.model.assert_same(&stepped, &mut history.seed, "without indexes");
    history.folder.set_room(Room::Plenty);
    stepped.settle();
    let segments = history.folder.names_ending(".seg");
    assert!(segments.len() > 3);
    assert_eq!(history.folder.names_ending(".idx").len(), segments.len() - 1);
    history.model.assert_same(&stepped, &mut history.seed, "with indexes");
}
