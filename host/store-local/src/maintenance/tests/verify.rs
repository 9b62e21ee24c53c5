//! What is damaged is found, named, and told apart from what is only unfinished.

use std::fs;

use super::super::{Damage, MaintenanceError, Remedy};
use super::{Data, verify};

#[test]
fn a_whole_folder_is_whole_and_progress_reaches_the_end() {
    // Guards against false alarms: every file is read, and none is complained about.
    let data = Data::filled(200);
    let mut last = (0, 0);
    let found = super::super::verify(&data.path(), &mut |progress| {
        assert!(progress.done_bytes >= last.0);
        last = (progress.done_bytes, progress.total_bytes);
    })
    .unwrap();
    assert_eq!((found.commits_count, found.events_count), (200, 240));
    assert_eq!((&found.damages[..], &found.unfinished), (&[][..], &None));
    assert!(found.segments_count > 5);
    assert_eq!(found.segments_count, data.segments().len());
    assert_eq!(last.0, last.1);
    // A daemon may run.
    let store = data.open();
    assert_eq!(verify(&data.path()).unwrap().damages, []);
    drop(store);
}

#[test]
fn damage_of_each_kind_is_named_with_file_place_and_remedy() {
    // Guards promise 6: detected, located and named.
    let data = Data::filled(200);
    let segments = data.segments();
    let (second, third) = (&segments[1], &segments[2]);
    let flip = |path: &std::path::Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let index = second.with_extension("idx");
    flip(&index, 300);
    let state = data.path().join("state");
    let view = fs::read_dir(state.join("views")).unwrap();
    let view = view.map(|it| it.unwrap().path()).find(|it| it.extension().unwrap() == "sqlite");
    let view = view.unwrap();
    let length = fs::metadata(&view).unwrap().len();
    fs::OpenOptions::new().write(true).open(&view).unwrap().set_len(length / 2).unwrap();
    let plugin = fs::read_dir(data.path().join("plugins")).unwrap().next().unwrap();
    let plugin = plugin.unwrap().path();
    flip(&plugin, 3);
    let found = verify(&data.path()).unwrap();
    let named: Vec<_> = found.damages.iter().map(|it| (&it.path, it.at_byte, it.remedy)).collect();
    let expected = [
        (&index, Some(300), Remedy::Remove),
        (&view, None, Remedy::Remove),
        (&plugin, None, Remedy::Install),
    ];
    assert_eq!(named, expected);
    assert_eq!((found.commits_count, found.events_count), (200, 240));

    // In the log itself: everything before is whole, and what comes after is still looked at.
    flip(third, 64 + 70);
    flip(&segments[4], 64 + 70);
    let found = verify(&data.path()).unwrap();
    let first_lost: u64 = third.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(found.commits_count, first_lost);
    let what = "its checksum does not match".to_owned();
    for path in [third, &segments[4]] {
        let damage = Damage {
            path: path.clone(),
            at_byte: Some(64),
            what: what.clone(),
            remedy: Remedy::RestoreOrRepair,
        };
        assert!(found.damages.contains(&damage), "{:?}", found.damages);
    }
    // Without the beginning there is nothing to cut the log to.
    flip(&segments[0], 20);
    let found = verify(&data.path()).unwrap();
    let of_log = found.damages.iter().filter(|it| it.path.extension().unwrap() == "seg");
    let remedies: Vec<_> = of_log.map(|it| (&it.path, it.remedy)).collect();
    assert_eq!(remedies[0], (&segments[0], Remedy::Restore));
    assert!(remedies.iter().all(|(_, remedy)| *remedy == Remedy::Restore), "{remedies:?}");
    assert_eq!(found.commits_count, 0);
}

#[test]
fn missing_segments_and_torn_ends_are_told_apart() {
    // Guards operators: an unfinished write is no damage, a lost file is.
    let data = Data::filled(200);
    let segments = data.segments();
    let last = segments.last().unwrap();
    let mut bytes = fs::read(last).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[used] ^= 1;
    fs::write(last, &bytes).unwrap();
    // The store was closed in order: what was synced then is not unfinished now.
    let found = verify(&data.path()).unwrap();
    assert_eq!((found.damages.len(), &found.damages[0].path), (1, last));
    assert!(super::open(&data.path()).is_err());
    assert_eq!(fs::read(last).unwrap(), bytes);
    // As a crash leaves it.
    fs::remove_file(data.path().join("log").join("SYNCED")).unwrap();
    let found = verify(&data.path()).unwrap();
    assert_eq!(found.damages, []);
    assert!(found.unfinished.is_some());
    assert_eq!(found.commits_count, 199);
    fs::remove_file(&segments[2]).unwrap();
    let found = verify(&data.path()).unwrap();
    assert_eq!(found.damages[0].path, segments[1]);
    assert!(found.damages[0].what.ends_with("are missing"), "{}", found.damages[0].what);
    // The last of those that are left has an index, which is only written when there is a next one.
    for segment in &segments[3..] {
        fs::remove_file(segment).unwrap();
    }
    let found = verify(&data.path()).unwrap();
    assert_eq!(found.damages[0].what, "the segments behind it are missing");
    let empty = Data::new();
    assert!(matches!(verify(&empty.path()), Err(MaintenanceError::NotADataFolder { .. })));
}
