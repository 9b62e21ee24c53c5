//! The bounds of groups, pages, frames and texts, each reached.

use std::sync::Arc;

use annals_core::event::{ContentType, Origin};
use annals_core::limits::COMMIT_BYTES_MAX;
use annals_core::name::EventType;
use annals_core::place::Partition;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{AppendError, FeedFilter, SizeLimit};
use pollster::block_on;

use super::faults;
use super::support::{Folder, accept, append, event, feed, plain};
use crate::log::shared::GROUP_COMMITS_MAX;

#[test]
fn a_log_larger_than_what_is_prepared_and_than_one_page_looks_at() {
    // Guards the space keeper, whose zeros must never be written over commits, and the bound of a
    // page whose filter holds everything back.
    let folder = Folder::new();
    let store = folder.open();
    let large = "x".repeat(200 << 10);
    let count = 180;
    for number in 0..count {
        let accepted = accept(&store, plain(&format!("account/{number}"), &[&large])).unwrap();
        if number % 16 == 0 {
            block_on(accepted.durability.wait()).unwrap();
        }
    }
    block_on(store.flush()).unwrap();
    let filter = FeedFilter {
        categories: Some(["absent".into()].into_iter().collect()),
        ..FeedFilter::default()
    };
    let (mut after, mut pages_count) = (None, 0);
    loop {
        let page = block_on(store.read_feed(Partition::ZERO, after, &filter, 10)).unwrap();
        assert!(page.events.is_empty() && page.read_up_to > after);
        (after, pages_count) = (page.read_up_to, pages_count + 1);
        if page.is_at_head {
            break;
        }
    }
    assert_eq!(pages_count, 9);
    assert_eq!(after, block_on(store.head(Partition::ZERO)).unwrap());
    drop(store);
    let (store, report) = folder.try_open().unwrap();
    assert_eq!((report.events_count, report.cut), (count, None));
    assert!(feed(&store).iter().all(|event| event.data == large.as_bytes()));
}

#[test]
fn more_commits_than_one_group_may_have_are_written_in_several() {
    // Guards the bound of a group: what waits longer than one group is neither lost nor mixed up.
    let folder = Folder::new();
    let (store, faults) = faults::open(&folder);
    let count = GROUP_COMMITS_MAX * 2 + 10;
    {
        let _held = faults.hold_syncs();
        for number in 0..count {
            accept(&store, plain("account/a1", &[&number.to_string()])).unwrap();
        }
    }
    block_on(store.flush()).unwrap();
    drop(store);
    let events = feed(&folder.open());
    assert_eq!(events.len(), count);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.data, number.to_string().as_bytes());
    }
}

#[test]
fn texts_and_frames_have_a_longest_length() {
    // Guards the format's length fields: what does not fit is refused, never cut.
    let folder = Folder::new();
    let store = folder.open();
    let principal = |bytes_count: usize| {
        let mut commit = plain("account/a1", &["1"]);
        let principal = Some("x".repeat(bytes_count).into());
        commit.origin = Arc::new(Origin { principal, ..Origin::default() });
        commit
    };
    append(&store, principal(65_535));
    let error = accept(&store, principal(65_536)).unwrap_err();
    assert!(matches!(error, AppendError::Invalid { .. }), "{error}");

    let mut commit = plain("account/a1", &["1"; 300]);
    for event in &mut commit.streams[0].events {
        event.content_type = ContentType::Other("x".repeat(60_000).into());
    }
    let error = accept(&store, commit).unwrap_err();
    let AppendError::TooLarge { what, size, max } = error else { panic!("{error}") };
    assert_eq!((what, max), (SizeLimit::CommitBytes, COMMIT_BYTES_MAX));
    assert!(size > 16 << 20);
    assert_eq!(feed(&store).len(), 1);
}

#[test]
fn counts_of_many_kinds_are_the_same_after_a_restart() {
    // Guards event type counts: the commit and its frame are counted alike.
    let folder = Folder::new();
    let mut commit = plain("account/a1", &[]);
    for number in 0..40 {
        let mut event = event("1");
        event.event_type = EventType::new(&format!("kind-{}", number % 20)).unwrap();
        commit.streams[0].events.push(event);
    }
    let store = folder.open();
    append(&store, commit);
    let before = block_on(store.event_type_counts()).unwrap();
    assert_eq!(before.len(), 20);
    assert!(before.iter().all(|count| count.events_count == 2));
    drop(store);
    assert_eq!(block_on(folder.open().event_type_counts()).unwrap(), before);
}
