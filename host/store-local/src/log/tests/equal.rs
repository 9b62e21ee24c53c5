//! Many small segments, restarts and little memory change nothing of what a store says.

use super::everything::{Everything, everything};
use super::model::Model;
use super::seed::{Repeat, Seed, seeds};
use super::simulated_folder::SimulatedFolder;
use super::stepped::{SeededIds, Stepped, TINY, TINY_UNCACHED};
use crate::LogOptions;

const COMMITS_COUNT: u64 = 250;

/// Sends the commits of a seed; with tiny segments it closes and opens the store in between.
fn send(number: u64, options: LogOptions) -> (SimulatedFolder, Everything) {
    let restarts = options.segment_bytes == TINY.segment_bytes;
    let mut seed = Seed::new(number);
    let ids = SeededIds::new(seed.fork());
    let folder = SimulatedFolder::new();
    let mut model = Model::new(&mut seed);
    let questions = seed.fork();
    let open = || Stepped::open(&folder, &ids, options).unwrap();
    let (mut stepped, _) = open();
    model.keep(annals_core::port::EventStore::store_id(&stepped.store), 0);
    for _ in 0..COMMITS_COUNT {
        model.append(&stepped).unwrap();
        if !restarts {
            continue;
        }
        while seed.percent(60) {
            stepped.step(&mut seed);
        }
        if seed.percent(5) {
            stepped.close();
            folder.kill();
            let report;
            (stepped, report) = open();
            assert_eq!(report.commits_count, model.accepted_count() as u64);
            assert_eq!(report.cut, None);
        }
    }
    stepped.flush();
    model.assert_same(&stepped, &mut seed, "at the end");
    if restarts {
        stepped.settle();
        model.assert_same(&stepped, &mut seed, "when all is sealed");
    }
    let found = everything(&stepped.store, questions, model.workload.ids_count());
    (folder, found)
}

#[test]
fn tiny_segments_with_restarts_say_the_same_as_one_big_segment() {
    // Guards segments and their indexes: places, ids, commands, claims and counts are the same
    // however the log is cut up, and however little of it is in memory.
    for number in seeds(0, 4) {
        let _repeat = Repeat(number);
        let (folder, big) = send(number, LogOptions::default());
        assert_eq!(folder.names_ending(".seg").len(), 1);
        for options in [TINY, TINY_UNCACHED] {
            let (folder, small) = send(number, options);
            let segments_count = folder.names_ending(".seg").len();
            assert!(segments_count > 10, "{segments_count} segments");
            assert_eq!(folder.names_ending(".idx").len(), segments_count - 1);
            small.assert_same(&big, &format!("seed {number}"));
        }
    }
}
