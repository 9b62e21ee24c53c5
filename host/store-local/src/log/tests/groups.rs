//! Commits that are written and synced together, though one depends on the other.

use annals_core::commit::{Claim, Commit, Release};
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::port::event_store::AppendError;
use pollster::block_on;

use super::history::History;
use super::simulated_folder::Kind;
use super::support::{accept, accepted_command, feed, plain, stream};
use crate::log::worker::Step;

fn expecting(expected: ExpectedRevision) -> Commit {
    let mut commit = plain("account/a1", &["1"]);
    commit.streams[0].expected = expected;
    commit
}

fn claiming(holder: &str) -> Commit {
    let mut commit = plain(holder, &["claims"]);
    let claim = Claim {
        scope: "e-mail".into(),
        key: "ada".into(),
        stream: stream(holder),
        expires_at: None,
    };
    commit.claims.push(claim);
    commit
}

#[test]
fn two_commits_of_one_group_may_depend_on_each_other() {
    // Guards R9: what is accepted and not written yet counts, for revisions, claims and ids.
    let mut history = History::new(6);
    let mut stepped = history.open_first();
    let mut release = plain("account/a2", &["releases"]);
    release.releases.push(Release {
        scope: "e-mail".into(),
        key: "ada".into(),
        stream: stream("account/a2"),
    });
    let accepted = [
        expecting(ExpectedRevision::NoStream),
        expecting(ExpectedRevision::Exactly(Revision::new(0))),
        claiming("account/a2"),
        release,
        claiming("account/a3"),
        accepted_command(1),
    ];
    let accepted = accepted.map(|commit| accept(&stepped.store, commit).unwrap());
    let error = accept(&stepped.store, expecting(ExpectedRevision::NoStream)).unwrap_err();
    assert!(matches!(error, AppendError::WrongExpectedRevision { .. }), "{error}");
    let error = accept(&stepped.store, claiming("account/a2")).unwrap_err();
    assert!(matches!(error, AppendError::ClaimHeld { .. }), "{error}");
    let error = accept(&stepped.store, accepted_command(1)).unwrap_err();
    assert!(matches!(error, AppendError::AlreadyDecided { .. }), "{error}");
    assert_eq!(feed(&stepped.store), []);
    let before = history.folder.operations().len();
    assert_eq!((stepped.write(), stepped.write()), (Step::Worked, Step::Idle));
    let operations = history.folder.operations().split_off(before);
    let kinds: Vec<_> = operations.iter().map(|operation| operation.kind).collect();
    assert_eq!(kinds, [Kind::Write, Kind::Sync]);
    for accepted in accepted {
        block_on(accepted.durability.wait()).unwrap();
    }
    let events = feed(&stepped.store);
    drop(stepped);
    history.folder.lose_all_unsynced();
    let (stepped, report) = history.open().unwrap();
    assert_eq!(report.commits_count, 6);
    assert_eq!(feed(&stepped.store), events);
}

#[test]
fn commits_of_a_segment_that_is_not_begun_may_depend_on_those_before() {
    // Guards R9 over a roll: the next segment is begun in memory long before it has a file.
    let mut history = History::new(7);
    let mut stepped = history.open_first();
    let large = "x".repeat(3_000);
    for number in 0..4 {
        let mut commit = plain("account/a1", &[&large]);
        commit.streams[0].expected = if number == 0 {
            ExpectedRevision::NoStream
        } else {
            ExpectedRevision::Exactly(Revision::new(number - 1))
        };
        accept(&stepped.store, commit).unwrap();
    }
    accept(&stepped.store, claiming("account/a2")).unwrap();
    assert_eq!(history.folder.names_ending(".seg").len(), 1);
    let error = accept(&stepped.store, claiming("account/a3")).unwrap_err();
    assert!(matches!(error, AppendError::ClaimHeld { .. }), "{error}");
    stepped.settle();
    assert_eq!(feed(&stepped.store).len(), 5);
    assert_eq!(history.folder.names_ending(".seg").len(), 4);
}
