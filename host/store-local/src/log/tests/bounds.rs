//! What must not grow: segments without an index file, and open files.

use annals_core::port::event_store::AppendError;

use super::history::History;
use super::support::{accept, plain};
use crate::log::index::SEGMENT_BYTES_MAX;
use crate::log::shared::UNSEALED_SEGMENTS_MAX;
use crate::log::worker::Step;

#[test]
fn a_sealer_that_stands_still_bounds_the_segments_in_memory() {
    // Guards R20: as many segments as may be unsealed, then the active one grows to the longest there
    // is, then appends are refused as busy; when the sealer runs, they go on.
    let mut history = History::new(8);
    let mut stepped = history.open_first();
    let large = "x".repeat(3_000);
    let append = |stepped: &mut super::stepped::Stepped| {
        let answer = accept(&stepped.store, plain("account/a1", &[&large]));
        stepped.flush();
        stepped.keep_space();
        answer
    };
    for _ in 0..20 {
        append(&mut stepped).unwrap();
    }
    let in_memory = |stepped: &super::stepped::Stepped| {
        let segments = &stepped.store.shared().sealed().segments;
        segments.iter().filter(|sealed| sealed.index_in_memory().is_some()).count()
    };
    assert_eq!(in_memory(&stepped), UNSEALED_SEGMENTS_MAX);
    assert_eq!(history.folder.names_ending(".seg").len(), UNSEALED_SEGMENTS_MAX + 1);
    let active = history.folder.names_ending(".seg").pop().unwrap();
    assert!(history.folder.content(&active).len() > 40_000);

    // A gigabyte is not written here: a commit without a frame stands for it.
    {
        let mut accepting = stepped.store.shared().accepting();
        let rest = SEGMENT_BYTES_MAX - accepting.index.end() - 1_000;
        accepting.index.begin_commit(rest, 0, 0);
    }
    for _ in 0..3 {
        let Err(AppendError::Unavailable(error)) = append(&mut stepped) else {
            panic!("a full segment took a commit");
        };
        let text = "the log is busy: the indexes of full segments are written";
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(stepped.seal(), Step::Worked);
    append(&mut stepped).unwrap();
    assert_eq!(in_memory(&stepped), UNSEALED_SEGMENTS_MAX);
}

#[test]
fn a_log_of_many_segments_keeps_few_files_open() {
    // Guards the bound of open files: an ordinary process may have 1 024, and a log any number of
    // segments.
    let mut history = History::new(9);
    let mut stepped = history.open_first();
    let large = "x".repeat(4_100);
    for _ in 0..200 {
        accept(&stepped.store, plain("account/a1", &[&large])).unwrap();
        stepped.settle();
    }
    drop(stepped);
    history.folder.kill();
    let (stepped, _) = history.open().unwrap();
    assert_eq!(history.folder.names_ending(".idx").len(), 199);
    assert_eq!(super::support::feed(&stepped.store).len(), 200);
    // 256 are kept, and each thread of the log has one or two of its own.
    let open_files_max = history.folder.open_files_max();
    assert!((256..264).contains(&open_files_max), "{open_files_max} files were open");
}
