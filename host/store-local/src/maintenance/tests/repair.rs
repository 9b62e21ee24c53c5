//! A log can be cut off anywhere, and what was cut off is still somewhere.

use std::fs;

use annals_core::port::StateStores as _;
use annals_core::port::state_store::StateSpace;
use pollster::block_on;

use super::super::completion::write_marker;
use super::super::{CutOff, InterruptedTask, MaintenanceError, Remedy};
use super::{Data, append, commits, has_row, repair, verify};
use crate::OpenError;

#[test]
fn a_log_cut_at_any_commit_has_exactly_those_before_it() {
    // Guards repair: not one commit too few or too many, at the edges of segments too.
    let data = Data::filled(60);
    let all = commits(&data.open());
    for keep in (0..=60).rev() {
        let repaired = repair(&data.path(), keep).unwrap();
        assert_eq!(repaired.commits_count, keep);
        assert_eq!(repaired.removed_to.is_some(), keep < 60);
        let last = all.get(usize::try_from(keep).unwrap()).map(|it| it.commit.events_count());
        let cut_off = last.map_or(CutOff::default(), |events_count| CutOff {
            commits_count: 1,
            events_count: events_count as u64,
        });
        assert_eq!(repaired.cut_off, cut_off);
        assert_eq!(verify(&data.path()).unwrap().damages, [], "{keep}");
        let store = data.open();
        let kept = commits(&store);
        assert_eq!(kept[..], all[..usize::try_from(keep).unwrap()]);
        let events_count: usize = kept.iter().map(|it| it.commit.events_count()).sum();
        assert_eq!(repaired.events_count, events_count as u64);
    }
    let store = data.open();
    append(&store, 0);
    assert_eq!(commits(&store).len(), 1);
}

#[test]
fn a_damaged_log_is_cut_before_the_damage_and_nothing_is_destroyed() {
    // Guards promise 6: verify tells where, repair makes the store open again, the rest is kept.
    let data = Data::filled(100);
    let all = commits(&data.open());
    let segments = data.segments();
    let mut bytes = fs::read(&segments[2]).unwrap();
    // Not the first frame.
    bytes[1_500] ^= 1;
    fs::write(&segments[2], &bytes).unwrap();
    let found = verify(&data.path()).unwrap();
    let keep = found.commits_count;
    assert!(keep > 0 && !found.damages.is_empty());
    let beyond = repair(&data.path(), keep + 1);
    let Err(MaintenanceError::NoSuchCommit { available, .. }) = beyond else {
        panic!("{beyond:?}")
    };
    assert_eq!(available, keep);
    let repaired = repair(&data.path(), keep).unwrap();
    // What is behind the damage can still be counted.
    assert_eq!(repaired.cut_off.commits_count, 100 - keep);
    assert_eq!(repaired.cut_off.events_count, 120 - repaired.events_count);
    let store = data.open();
    assert_eq!(commits(&store)[..], all[..usize::try_from(keep).unwrap()]);
    assert!(has_row(&store, "timers") && !has_row(&store, "snapshots"));
    let spaces = block_on(store.states.list()).unwrap();
    assert_eq!(spaces, [StateSpace::Host]);
    drop(store);
    let removed_to = repaired.removed_to.unwrap();
    let aside = removed_to.join("log").join(segments[2].file_name().unwrap());
    assert_eq!(fs::read(aside).unwrap(), bytes);
    for segment in &segments[3..] {
        assert!(removed_to.join("log").join(segment.file_name().unwrap()).exists());
    }
}

#[test]
fn a_repair_needs_the_daemon_stopped_and_an_interrupted_one_is_done_again() {
    // Guards against two writers, and against opening what is half cut.
    let data = Data::filled(60);
    let store = data.open();
    let locked = repair(&data.path(), 10);
    assert!(matches!(locked, Err(MaintenanceError::Open(OpenError::Locked { .. }))));
    drop(store);
    // As if it had ended after the last segment was moved.
    fs::write(data.path().join("UNFINISHED"), "repairing the log").unwrap();
    fs::remove_file(data.segments().last().unwrap()).unwrap();
    let opened = super::open(&data.path());
    assert!(matches!(opened, Err(OpenError::Unfinished { .. })));
    repair(&data.path(), 10).unwrap();
    assert_eq!(commits(&data.open()).len(), 10);
    // As if it had ended when all was done but the end of it.
    write_marker(&data.path(), InterruptedTask::Repair).unwrap();
    repair(&data.path(), 10).unwrap();
    assert_eq!(commits(&data.open()).len(), 10);
    // Another task's half is not made whole by it.
    write_marker(&data.path(), InterruptedTask::Restore).unwrap();
    let task = InterruptedTask::Restore;
    let refused = repair(&data.path(), 10);
    assert!(matches!(
        refused,
        Err(MaintenanceError::Open(OpenError::Unfinished { task: found, .. })) if found == task
    ));
    let found = verify(&data.path()).unwrap().damages;
    assert_eq!(found.iter().map(|it| it.remedy).collect::<Vec<_>>(), [Remedy::Repeat(task)]);
}

#[test]
fn damage_in_the_last_segment_hides_no_commit_from_the_count() {
    // Guards what an operator is asked: how much a repair takes away, behind the damage too.
    let data = Data::filled(100);
    let last = data.segments().pop().unwrap();
    let first: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    // In the body of its first frame.
    bytes[64 + 70] ^= 1;
    fs::write(&last, &bytes).unwrap();
    assert_eq!(verify(&data.path()).unwrap().commits_count, first);
    let repaired = repair(&data.path(), first).unwrap();
    assert_eq!(repaired.cut_off.commits_count, 100 - first);
    assert_eq!(repaired.cut_off.events_count, 120 - repaired.events_count);
    assert!(first < 99, "the test needs commits behind the damaged one");
}
