//! A store that is closed and opened again is the same store.

use annals_core::command::RecordedRange;
use annals_core::place::{Position, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{AppendError, Direction};
use annals_core::time::Timestamp;
use pollster::block_on;

use super::support::{
    Folder, accept, accepted_command, append, command_id, contents, event_id, feed, plain,
    rejected_command, stream,
};
use crate::{RecoveryReport, WhenMissing};

#[test]
fn keeps_events_commands_claims_and_rejections_over_a_restart() {
    // Guards promise 1: everything acknowledged is there after a restart, byte for byte.
    let folder = Folder::new();
    let before = {
        let store = folder.open();
        append(&store, accepted_command(1));
        append(&store, rejected_command("account/a1", 2));
        append(&store, rejected_command("account/a2", 3));
        append(&store, plain("account/a1", &["1", "2", ""]));
        let found = block_on(store.find_command(&stream("account/a1"), command_id(1)));
        let found = found.unwrap().unwrap();
        assert_eq!(found.revision, Revision::new(0).into());
        let range = RecordedRange {
            first_revision: Revision::new(0),
            last_revision: Revision::new(0),
            first_position: Position::new(0),
            last_position: Position::new(0),
        };
        assert_eq!(found.events, Some(range));
        contents(&store)
    };
    assert_eq!((before.feed.len(), before.commands.len()), (5, 3));
    let (store, report) = folder.try_open().unwrap();
    let expected = RecoveryReport {
        commits_count: 4,
        events_count: 5,
        segments_count: 1,
        indexes_rebuilt_count: 0,
        cut: None,
    };
    assert_eq!(report, expected);
    assert_eq!(contents(&store), before);
    for (text, id) in [("account/a1", 1), ("account/a1", 2), ("account/a2", 3)] {
        let error = accept(&store, rejected_command(text, id)).unwrap_err();
        assert!(matches!(error, AppendError::AlreadyDecided { .. }), "{error}");
    }
    let mut claiming = accepted_command(4);
    claiming.claims[0].stream = stream("account/a2");
    let error = accept(&store, claiming).unwrap_err();
    assert!(matches!(error, AppendError::ClaimHeld { .. }), "{error}");
}

#[test]
fn repeats_of_client_given_ids_are_known_after_a_restart() {
    // Guards R8: a repeat after a lost reply writes nothing and gets the first receipt.
    let folder = Folder::new();
    let with_ids = |ids: &[u128]| {
        let mut commit = plain("account/a1", &vec!["1"; ids.len()]);
        for (event, &id) in commit.streams[0].events.iter_mut().zip(ids) {
            event.id = Some(event_id(id));
        }
        commit
    };
    let first = append(&folder.open(), with_ids(&[1, 2]));
    let store = folder.open();
    assert_eq!(append(&store, with_ids(&[1, 2])), first);
    for (ids, reused) in [(&[2, 1][..], 2), (&[1], 1), (&[3, 2], 2), (&[1, 2, 3], 1)] {
        let error = accept(&store, with_ids(ids)).unwrap_err();
        let AppendError::EventIdsReused { event, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(event, event_id(reused));
    }
    // The same, and a stream more.
    let mut longer = with_ids(&[1, 2]);
    let mut more = plain("account/a2", &["1"]);
    more.streams[0].events[0].id = Some(event_id(6));
    longer.streams.append(&mut more.streams);
    let error = accept(&store, longer).unwrap_err();
    assert!(matches!(error, AppendError::EventIdsReused { .. }), "{error}");
    let error = accept(&store, with_ids(&[5, 5])).unwrap_err();
    assert!(matches!(error, AppendError::Invalid { .. }), "{error}");
    assert_eq!(feed(&store).len(), 2);
}

#[test]
fn time_and_positions_go_on_after_a_restart() {
    // Guards R7: a clock that went back moves no event into the past.
    let folder = Folder::new();
    let first = append(&folder.open(), accepted_command(1));
    let second = append(&folder.open(), plain("account/a1", &["1"]));
    assert_eq!(first.recorded_at, Timestamp::from_ms(2_000));
    assert_eq!(second.recorded_at, Timestamp::from_ms(2_000));
    let events = second.streams[0].events.unwrap();
    assert_eq!(events.first_position, Position::new(2));
    assert_eq!(events.first_revision, Revision::new(1));
}

#[test]
fn what_was_accepted_is_written_when_the_store_is_closed() {
    // Guards an orderly end: nobody waited for these, and they are there.
    let folder = Folder::new();
    {
        let store = folder.open();
        for number in 0..5_000 {
            accept(&store, plain("account/a1", &[&number.to_string()])).unwrap();
        }
    }
    let store = folder.open();
    let read = |from, direction| {
        block_on(store.read_stream(&stream("account/a1"), Revision::new(from), 9, direction))
            .unwrap()
    };
    let forwards = read(4_995, Direction::Forwards);
    let revisions: Vec<_> = forwards.events.iter().map(|e| e.revision.get()).collect();
    assert_eq!((revisions, forwards.next), (vec![4_995, 4_996, 4_997, 4_998, 4_999], None));
    let backwards = read(2, Direction::Backwards);
    let revisions: Vec<_> = backwards.events.iter().map(|e| e.revision.get()).collect();
    assert_eq!((revisions, backwards.next), (vec![2, 1, 0], None));
    assert_eq!(feed(&store).len(), 5_000);
}

#[test]
fn refuses_to_make_a_new_store_where_state_of_an_old_one_is() {
    // Guards promise 6: a lost log is never taken for an empty store.
    let folder = Folder::new();
    let ids = super::support::CountedIds::default();
    let options = crate::LogOptions::default();
    let error = crate::LocalEventStore::open(&folder.log(), WhenMissing::Refuse, &ids, options);
    assert!(matches!(error, Err(crate::LogError::Missing { .. })));
    assert!(!folder.log().exists());
}
