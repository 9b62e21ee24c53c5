//! A file that fails: the writer stops, or waits for room, and never tells what is not true.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use annals_core::place::Revision;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::{AppendError, Direction, ReadError};
use pollster::block_on;

use super::faults::open;
use super::support::{Folder, accept, append, feed, plain, stream};

#[test]
fn a_failed_sync_stops_the_writer_for_good() {
    // Guards R5: after EIO nothing is acknowledged, not even when the next sync would succeed, and
    // reads of what was durable go on.
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    append(&store, plain("account/a1", &["durable"]));
    faults.sync_fails_once.store(true, Ordering::SeqCst);
    let accepted = accept(&store, plain("account/a2", &["lost"])).unwrap();
    let lost = block_on(accepted.durability.wait()).unwrap_err();
    let text = format!("failed to write `{}`: input/output error", folder.segment().display());
    assert_eq!(&*lost.cause, text);
    assert_eq!(block_on(store.stopped()), lost);
    let error = accept(&store, plain("account/a1", &["refused"])).unwrap_err();
    assert!(matches!(error, AppendError::Unavailable(_)), "{error}");
    assert!(block_on(store.flush()).is_err());
    assert_eq!(feed(&store).len(), 1);
    let read =
        |text| block_on(store.read_stream(&stream(text), Revision::FIRST, 9, Direction::Forwards));
    assert_eq!(read("account/a1").unwrap().events.len(), 1);
    assert!(matches!(read("account/a2"), Err(ReadError::Unavailable(_))));
}

#[test]
fn a_full_disk_delays_what_was_accepted_and_refuses_the_rest_until_there_is_room() {
    // Guards R5: nothing is lost or corrupted by a full disk, and it goes on without a restart.
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    append(&store, plain("account/a1", &["before"]));
    faults.is_disk_full.store(true, Ordering::SeqCst);
    let accepted = accept(&store, plain("account/a1", &["in flight"])).unwrap();
    faults.wait_until_refused();
    let large = "x".repeat(200 << 10);
    // What still fits into the space that was prepared may be accepted; soon nothing is.
    let refused = (0..1_000).find_map(|_| accept(&store, plain("account/a3", &[&large])).err());
    assert!(matches!(refused, Some(AppendError::Unavailable(_))));
    assert_eq!(feed(&store).len(), 1);
    faults.is_disk_full.store(false, Ordering::SeqCst);
    block_on(accepted.durability.wait()).unwrap();
    block_on(store.flush()).unwrap();
    let count = feed(&store).len();
    drop(store);
    assert_eq!(feed(&folder.open()).len(), count);
}

#[test]
fn more_in_flight_than_the_limit_is_refused_as_busy() {
    // Guards R20: a writer that stands still grows no memory without bound.
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    let large = "x".repeat(250 << 10);
    let refused = {
        let _held = faults.hold_syncs();
        (0..1_000).find_map(|_| accept(&store, plain("account/a1", &[&large])).err())
    };
    let Some(AppendError::Unavailable(cause)) = refused else {
        panic!("everything was accepted");
    };
    let text = "the log is busy: too many bytes are waiting to be written";
    assert_eq!(cause.to_string(), text);
    block_on(store.flush()).unwrap();
    append(&store, plain("account/a1", &["room again"]));
}

#[test]
fn a_store_may_be_dropped_by_a_reply() {
    // Guards against a writer that waits for itself to end.
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let accepted = accept(&store, plain("account/a1", &["1"])).unwrap();
    let (tx, rx) = std::sync::mpsc::channel();
    accepted.durability.on_done(move |outcome| {
        drop(store);
        tx.send(outcome).unwrap();
    });
    assert_eq!(rx.recv().unwrap(), Ok(()));
}
