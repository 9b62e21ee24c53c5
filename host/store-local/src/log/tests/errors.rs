//! Input and output errors, each once: after one that is about commits nothing more is acknowledged,
//! and one that is about an index stops nothing.

use annals_core::place::Partition;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use pollster::block_on;

use super::history::History;
use super::seed::{Repeat, seeds};
use super::simulated_folder::{Fault, Kind, Operation};
use crate::LogError;
use crate::log::folder::OpenedBy;

const COMMITS_COUNT: usize = 60;

/// What fails with an operation; `before` are those before it.
fn part(before: &[Operation], operation: &Operation) -> &'static str {
    let is_spare = operation.name == "next.seg.new";
    match (operation.kind, operation.opened_by) {
        (Kind::Truncate, _) | (_, OpenedBy::Index) => "sealing",
        (Kind::Rename, _) if operation.name.ends_with(".idx") => "sealing",
        (Kind::SyncFolder, _) if before.last().is_some_and(|it| it.name.ends_with(".idx")) => {
            "sealing"
        }
        (_, OpenedBy::Space) => "zeros",
        (Kind::Sync, _) if is_spare => "sync of a new segment",
        (Kind::Rename | Kind::SyncFolder, _) => "name of a segment",
        (Kind::Sync, _) => "sync",
        _ if is_spare => "new segment",
        _ => "write",
    }
}

#[test]
fn an_error_of_any_operation_stops_the_log_unless_it_is_about_an_index() {
    // Guards R5: after EIO nothing is acknowledged, although every later sync claims success; reads
    // go on; what was acknowledged before is there after a kill and after a power loss.
    let mut parts = std::collections::BTreeMap::new();
    let mut at = 0;
    loop {
        let mut history = History::new(77);
        let first = history.folder.operations_count();
        history.folder.fail(Fault { matches: |_| true, skip: at });
        let what = format!("operation {at}");
        if let Ok((mut stepped, _)) = history.open() {
            let worked = history.work(&mut stepped, COMMITS_COUNT);
            stepped.settle();
            if !history.folder.has_failed() {
                assert!(worked.is_ok());
                break;
            }
            let operations = history.folder.operations();
            let failed = usize::try_from(first + at).unwrap();
            let part = part(&operations[..failed], &operations[failed]);
            *parts.entry(part).or_insert(0) += 1;
            let durable_count = history.model.durable_count();
            let answer = history.model.append(&stepped);
            if part == "sealing" {
                assert!(worked.is_ok() && answer.is_ok(), "{what}, {part}: {answer:?}");
            } else {
                let Err(AppendError::Unavailable(error)) = answer else {
                    panic!("{what}, {part}: {answer:?}");
                };
                let text = error.to_string();
                assert!(text.starts_with("the log accepts nothing since a failure"), "{text}");
                assert_eq!(history.model.durable_count(), durable_count, "{what}, {part}");
            }
            let read = stepped.store.read_commits(Partition::ZERO, 0, 4_096);
            assert!(block_on(read).unwrap().len() >= durable_count, "{what}, {part}");
        } else {
            *parts.entry("first segment").or_insert(0) += 1;
        }
        history.end();
        let (mut stepped, _) = history.recover(&what);
        history.work(&mut stepped, 10).unwrap();
        drop(stepped);
        history.folder.lose_power(&mut history.seed);
        history.recover(&what);
        at += 1;
    }
    let expected = [
        "first segment",
        "name of a segment",
        "new segment",
        "sealing",
        "sync",
        "sync of a new segment",
        "write",
        "zeros",
    ];
    assert_eq!(parts.keys().copied().collect::<Vec<_>>(), expected, "{parts:?}");
}

#[test]
fn an_error_while_a_log_is_opened_is_told_and_the_next_start_trusts_nothing() {
    // Guards R5 during recovery: a sync that failed is not believed by the next process, whose own
    // sync would claim success.
    let (mut failed_count, mut starts_count) = (0, 0);
    for number in seeds(0, 80) {
        starts_count += 1;
        let _repeat = Repeat(number);
        let mut history = History::new(number);
        let mut stepped = history.open_first();
        let at = 30 + history.seed.below(120);
        history.folder.crash_at(at, history.seed.fork());
        let _ = history.work(&mut stepped, COMMITS_COUNT);
        drop(stepped);
        history.end();
        let skip = history.seed.below(5);
        history.folder.fail(Fault { matches: |_| true, skip });
        match history.open() {
            Ok(_) => {}
            Err(LogError::Io { .. }) => failed_count += 1,
            Err(error) => panic!("seed {number}: {error}"),
        }
        history.folder.heal();
        history.folder.kill();
        let (mut stepped, _) = history.recover(&format!("seed {number}"));
        history.work(&mut stepped, 6).unwrap();
        drop(stepped);
        history.folder.lose_power(&mut history.seed);
        history.recover(&format!("seed {number}, after a power loss"));
    }
    assert!(failed_count * 5 >= starts_count, "{failed_count} of {starts_count} starts failed");
}
