//! Power losses and kills at every operation: what was acknowledged is there, nothing is there in
//! part, and the log goes on.
//!
//! `seed.rs` tells how to run as many as one likes; a failure tells how to repeat it.

use std::collections::BTreeMap;

use super::history::History;
use super::seed::{Repeat, Seed, seeds};
use super::simulated_folder::{Crash, Fault, Kind, Operation, Share};
use super::stepped::Stepped;
use super::support::{accept, plain};

/// How many commits a process takes before it ends.
const COMMITS_COUNT: usize = 64;

/// The points of R2 at which a process can crash, and how often each was hit.
type Hits = BTreeMap<&'static str, u64>;

/// What a crash is called.
fn points(crash: &Crash) -> Vec<&'static str> {
    let Crash { operation, share } = crash;
    let is_segment = operation.name.ends_with(".seg");
    let is_spare = operation.name == "next.seg.new";
    let is_index = operation.name.contains(".idx");
    let mut points = Vec::new();
    match (operation.kind, share) {
        (Kind::Write, Share::Nothing) if is_segment => points.push("before write"),
        (Kind::Write, Share::Part(_)) if is_segment => points.push("short write"),
        (Kind::Write, Share::All) if is_segment => points.push("between write and sync"),
        (Kind::Sync, Share::All) if is_segment => points.push("after sync before reply"),
        (Kind::Write | Kind::Create | Kind::Sync, _) if is_spare => points.push("segment created"),
        (Kind::Rename, _) if is_segment => points.extend(["segment named", "rename"]),
        (Kind::SyncFolder, _) => points.push("folder synced"),
        (Kind::Truncate, _) => points.push("seal"),
        (Kind::Write | Kind::Create | Kind::Sync, _) if is_index => points.push("index write"),
        (Kind::Rename, _) if is_index => points.extend(["index named", "rename"]),
        _ => {}
    }
    points
}

/// A history of crashes, and where they were.
struct Crashes {
    history: History,
    hits: Hits,
}

impl Crashes {
    /// Opens the log, unless the process crashes while it does.
    fn open(&self) -> Option<Stepped> {
        match self.history.open() {
            Ok((stepped, _)) => Some(stepped),
            Err(_) if self.history.folder.crashed().is_some() => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn work(&mut self, stepped: &mut Stepped, commits_count: usize) {
        if let Err(error) = self.history.work(stepped, commits_count) {
            assert!(self.history.folder.crashed().is_some(), "{error}");
        }
    }

    fn end(&mut self) {
        if let Some(crash) = self.history.folder.crashed() {
            for point in points(&crash) {
                *self.hits.entry(point).or_default() += 1;
            }
        }
        self.history.end();
    }

    /// Opens the log after a crash, maybe crashing again while doing so, and compares all of it.
    fn recover(&mut self) -> Stepped {
        let Self { history, .. } = self;
        if history.seed.percent(50) {
            let at = history.seed.below(6);
            history.folder.crash_at(at, history.seed.fork());
            let opened = self.open();
            if opened.is_none() {
                *self.hits.entry("during recovery").or_default() += 1;
                self.end();
            } else {
                drop(opened);
                self.history.folder.kill();
            }
        }
        let (stepped, report) = self.history.recover("after a crash");
        if report.cut.is_some() {
            *self.hits.entry("torn frame").or_default() += 1;
        }
        stepped
    }
}

/// Runs one log: a process that crashes at an operation, one that recovers and is ended anywhere, one
/// that ends in order, and one that finds all as it was. Gives how many operations the first did.
fn run(number: u64, crash_at: Option<u64>) -> (u64, Hits) {
    let _repeat = Repeat(number);
    let mut crashes = Crashes { history: History::new(number), hits: Hits::new() };
    let History { folder, seed, .. } = &mut crashes.history;
    let folder = folder.clone();
    if let Some(at) = crash_at {
        folder.crash_at(at, seed.fork());
    }
    if let Some(mut stepped) = crashes.open() {
        crashes.work(&mut stepped, COMMITS_COUNT);
    }
    let operations_count = folder.operations_count();
    crashes.end();
    let mut stepped = crashes.recover();
    let seed = &mut crashes.history.seed;
    folder.crash_at(seed.below(60), seed.fork());
    crashes.work(&mut stepped, COMMITS_COUNT / 2);
    drop(stepped);
    crashes.end();
    let mut stepped = crashes.recover();
    crashes.work(&mut stepped, COMMITS_COUNT / 4);
    stepped.close();
    folder.kill();
    let accepted_count = crashes.history.model.accepted_count() as u64;
    let (_, report) = crashes.history.recover("after an orderly end");
    assert_eq!((report.commits_count, report.cut), (accepted_count, None));
    (operations_count, crashes.hits)
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    // Guards R2 and R6, promises 1 to 4: a prefix of what was accepted is there, with all that was
    // reported durable, whole, and the log goes on. Every point of R2 was really hit.
    let mut hits = Hits::new();
    for number in seeds(1, 1) {
        let (operations_count, _) = run(number, None);
        assert!(operations_count > 100, "{operations_count} operations");
        for at in 0..operations_count {
            let (_, hit) = run(number, Some(at));
            for (point, count) in hit {
                *hits.entry(point).or_default() += count;
            }
        }
    }
    let expected = [
        "after sync before reply",
        "before write",
        "between write and sync",
        "during recovery",
        "folder synced",
        "index named",
        "index write",
        "rename",
        "seal",
        "segment created",
        "segment named",
        "short write",
        "torn frame",
    ];
    assert_eq!(hits.keys().copied().collect::<Vec<_>>(), expected, "{hits:?}");
}

#[test]
fn a_crash_at_some_operation_of_many_histories() {
    // Guards R2 and R6: as above, over many orders of the workers.
    for number in seeds(1_000, 60) {
        let at = Seed::new(number).below(200);
        run(number, Some(at));
    }
}

#[test]
fn a_name_that_a_crashed_process_did_not_sync_is_synced_by_the_next() {
    // Guards R7, a lost directory entry: what is acknowledged after a restart must not hang on the
    // name of a segment that only the system's memory has.
    let mut history = History::new(9);
    let mut stepped = history.open_first();
    history.work(&mut stepped, COMMITS_COUNT).unwrap();
    let operations = history.folder.operations();
    let is_named =
        |operation: &Operation| operation.kind == Kind::Rename && operation.name.ends_with(".seg");
    let named: Vec<_> = (0..operations.len()).filter(|&at| is_named(&operations[at])).collect();
    assert!(named.len() > 3, "{} segments", named.len());
    for at in named {
        assert_eq!(operations[at + 1].kind, Kind::SyncFolder);
        let mut history = History::new(9);
        history.folder.fail(Fault { matches: |_| true, skip: at as u64 + 1 });
        if let Ok((mut stepped, _)) = history.open() {
            assert!(history.work(&mut stepped, COMMITS_COUNT).is_err());
        }
        assert!(history.folder.has_failed());
        history.folder.kill();
        let (mut stepped, _) = history.recover("after a kill");
        accept(&stepped.store, plain("account/a1", &["acknowledged"])).unwrap();
        stepped.flush();
        drop(stepped);
        history.folder.lose_all_unsynced();
        let (_, report) = history.open().unwrap();
        assert_eq!(report.commits_count, history.model.accepted_count() as u64 + 1);
    }
}
