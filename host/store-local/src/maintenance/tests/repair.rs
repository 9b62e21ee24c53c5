//! A log can be cut off anywhere, and what was cut off is still somewhere.

use std::fs;

use annals_core::port::StateStores as _;
use annals_core::port::state_store::StateSpace;
use annals_core::time::Timestamp;
use pollster::block_on;

use super::super::{MaintenanceError, repair};
use super::{Data, append, commits, has_row, quietly, verify};
use crate::OpenError;

#[test]
fn a_log_cut_at_any_commit_has_exactly_those_before_it() {
    // Guards repair: not one commit too few or too many, at the edges of segments too.
    let data = Data::filled(60);
    let all = commits(&data.open());
    let now = Timestamp::from_ms(7);
    for keep in (0..=60).rev() {
        let repaired = repair(&data.path(), keep, now, &mut quietly).unwrap();
        assert_eq!(repaired.commits_count, keep);
        assert_eq!(repaired.removed_to.is_some(), keep < 60);
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
    let now = Timestamp::from_ms(7);
    let beyond = repair(&data.path(), keep + 1, now, &mut quietly);
    let Err(MaintenanceError::NoSuchCommit { available, .. }) = beyond else {
        panic!("{beyond:?}")
    };
    assert_eq!(available, keep);
    let repaired = repair(&data.path(), keep, now, &mut quietly).unwrap();
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
    let now = Timestamp::from_ms(7);
    let locked = repair(&data.path(), 10, now, &mut quietly);
    assert!(matches!(locked, Err(MaintenanceError::Open(OpenError::Locked { .. }))));
    drop(store);
    // As if it had ended after the last segment was moved.
    fs::write(data.path().join("UNFINISHED"), "repairing the log").unwrap();
    fs::remove_file(data.segments().last().unwrap()).unwrap();
    let opened = super::open(&data.path());
    assert!(matches!(opened, Err(OpenError::Unfinished { .. })));
    repair(&data.path(), 10, now, &mut quietly).unwrap();
    assert_eq!(commits(&data.open()).len(), 10);
}
