//! Backups are whole, prefixes of what they copy, and never taken for something else.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::time::Timestamp;

use super::super::completion::write_marker;
use super::super::{InterruptedTask, MaintenanceError, Remedy, backup, restore};
use super::{Data, append, commits, has_row, open, quietly, verify};
use crate::OpenError;

#[test]
fn a_backup_made_while_writing_restores_to_a_prefix() {
    // Guards R13: whatever is written meanwhile, the copy is the beginning of the original.
    let data = Data::filled(50);
    let store = data.open();
    let is_done = AtomicBool::new(false);
    let (to, elsewhere) = (data.0.path().join("backup"), data.0.path().join("restored"));
    let made = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 50;
            while !is_done.load(Ordering::Relaxed) {
                append(&store, number);
                number += 1;
            }
        });
        let made = backup(&data.path(), &to, Timestamp::from_ms(7), &mut quietly);
        is_done.store(true, Ordering::Relaxed);
        made.unwrap()
    });
    let original = commits(&store);
    drop(store);
    assert!(made.commits_count >= 50);
    let restored = restore(&to, &elsewhere, &mut quietly).unwrap();
    assert_eq!(restored.commits_count, made.commits_count);
    assert_eq!(verify(&elsewhere).unwrap().damages, []);
    let store = open(&elsewhere).unwrap();
    assert_eq!(store.recovery.indexes_rebuilt_count, 0);
    let copied = commits(&store);
    assert_eq!(copied[..], original[..copied.len()]);
    assert_eq!(copied.len() as u64, made.commits_count);
    assert!(has_row(&store, "timers") && has_row(&store, "snapshots"));
    append(&store, 1_000);
}

#[test]
fn a_backup_that_is_not_whole_is_found_by_looking_at_it() {
    // Guards the operator who verifies each backup: what a restore would refuse is told at once.
    let data = Data::filled(60);
    let to = data.0.path().join("backup");
    backup(&data.path(), &to, Timestamp::from_ms(7), &mut quietly).unwrap();
    assert_eq!(verify(&to).unwrap().damages, []);
    let log = to.join("log");
    let mut segments: Vec<_> = fs::read_dir(&log).unwrap().map(|it| it.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|it| it == "seg"));
    segments.sort_unstable();
    // The end of the last segment, which alone looks like a write that was interrupted.
    let last = segments.last().unwrap();
    let whole = fs::read(last).unwrap();
    fs::write(last, &whole[..whole.len() - 3]).unwrap();
    let found = verify(&to).unwrap();
    let named: Vec<_> = found.damages.iter().map(|it| it.path.clone()).collect();
    assert_eq!(named, [last.clone(), to.join("BACKUP.json")]);
    assert!(found.damages.iter().all(|it| it.remedy == super::super::Remedy::OtherBackup));
    fs::write(last, whole).unwrap();
    fs::remove_dir_all(to.join("plugins")).unwrap();
    let found = verify(&to).unwrap();
    assert_eq!(found.damages.len(), 1);
    assert_eq!(found.damages[0].what, "it is missing from the backup");
}

#[test]
fn a_backup_is_neither_written_over_nor_opened_nor_believed_when_it_is_not_whole() {
    // Guards the last resort: a backup stays as it was made, or is refused.
    let data = Data::filled(60);
    let (to, elsewhere) = (data.0.path().join("backup"), data.0.path().join("restored"));
    let now = Timestamp::from_ms(7);
    backup(&data.path(), &to, now, &mut quietly).unwrap();
    let inside = backup(&data.path(), &data.path().join("backup"), now, &mut quietly);
    assert!(matches!(inside, Err(MaintenanceError::Refused(_))), "{inside:?}");
    assert!(!data.path().join("backup").exists());
    let again = backup(&data.path(), &to, now, &mut quietly);
    assert!(matches!(again, Err(MaintenanceError::NotEmpty { .. })));
    assert!(matches!(open(&to), Err(OpenError::IsABackup { .. })));
    let over = restore(&to, &data.path(), &mut quietly);
    assert!(matches!(over, Err(MaintenanceError::NotEmpty { .. })));

    // A file that is not as it was, one that is missing, and a backup that was interrupted.
    let segment = to.join("log").join("00000000000000000000.seg");
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let refused = restore(&to, &elsewhere, &mut quietly);
    let Err(MaintenanceError::NotABackup { path, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(path, segment);
    assert!(matches!(open(&elsewhere), Err(OpenError::Unfinished { .. })));
    fs::remove_dir_all(&elsewhere).unwrap();
    fs::remove_file(&segment).unwrap();
    assert!(restore(&to, &elsewhere, &mut quietly).is_err());
    fs::remove_dir_all(&elsewhere).unwrap();
    fs::write(&segment, whole).unwrap();
    let manifest = to.join("BACKUP.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("log/0000", "../../0000")).unwrap();
    let refused = restore(&to, &elsewhere, &mut quietly).unwrap_err();
    assert!(matches!(refused, MaintenanceError::NotABackup { .. }), "{refused}");
    assert!(!elsewhere.exists());
    fs::write(&manifest, text).unwrap();
    restore(&to, &elsewhere, &mut quietly).unwrap();
    fs::remove_dir_all(&elsewhere).unwrap();
    fs::remove_file(&manifest).unwrap();
    let refused = restore(&to, &elsewhere, &mut quietly);
    assert!(matches!(refused, Err(MaintenanceError::NotABackup { .. })));
    // As it is while a backup is made.
    write_marker(&to, InterruptedTask::Backup).unwrap();
    let task = InterruptedTask::Backup;
    assert!(matches!(open(&to), Err(OpenError::Unfinished { task: found, .. }) if found == task));
    let found = verify(&to).unwrap().damages;
    assert_eq!(found.iter().map(|it| it.remedy).collect::<Vec<_>>(), [Remedy::Repeat(task)]);
}

#[test]
fn a_backup_waits_for_a_change_that_was_interrupted() {
    // Guards against a copy of which some segments are from before a change and some from after it.
    let data = Data::filled(60);
    fs::write(data.path().join("log/REWRITE.json"), "{}").unwrap();
    let to = data.0.path().join("backup");
    let refused = backup(&data.path(), &to, Timestamp::from_ms(7), &mut quietly);
    assert!(matches!(refused, Err(MaintenanceError::RewritePending { .. })), "{refused:?}");
    assert!(!to.exists());
}
