//! Other hosts write the same stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::place::{ExpectedRevision, Revision};
use annals_engine::command::CommandError;

use crate::support::faults::Rivalled;
use crate::support::{World, add, request, run, state};

fn rivalled() -> (World, Arc<AtomicU64>) {
    let rivals = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&rivals);
    let world = World::new().with_store(|store| Arc::new(Rivalled { store, rivals: count }));
    (world, rivals)
}

#[test]
fn a_conflict_is_decided_again_on_fresh_state() {
    // Guards C5: one rival write, then the command lands after it.
    run(async {
        let (world, rivals) = rivalled();
        let engine = world.start_with_tally().await;
        add(&engine, "a", 1).await.unwrap();
        rivals.store(1, Ordering::Relaxed);
        let outcome = add(&engine, "a", 2).await.unwrap();
        assert_eq!(outcome.revision, Revision::new(2).into());
        assert_eq!(state(&engine, "a").await, (2, "1003".to_owned()));
    });
}

#[test]
fn retries_end_at_their_limit() {
    // Guards C5: five retries succeed, a sixth conflict is told; nothing of the command is recorded.
    run(async {
        let (world, rivals) = rivalled();
        let engine = world.start_with_tally().await;
        rivals.store(5, Ordering::Relaxed);
        assert!(add(&engine, "a", 1).await.is_ok());
        rivals.store(6, Ordering::Relaxed);
        let error = add(&engine, "a", 1).await.unwrap_err();
        assert!(matches!(error, CommandError::Contended { attempts: 6, .. }), "{error:?}");
        assert_eq!(state(&engine, "a").await, (11, "11001".to_owned()));
    });
}

#[test]
fn a_stale_resident_does_not_refuse_a_true_expectation() {
    // Guards C4 and C5 together: the other engine wrote; an expectation that is true in the store
    // holds although the resident is behind.
    run(async {
        let world = World::new();
        let (one, other) = (world.start_with_tally().await, world.start().await);
        add(&one, "a", 1).await.unwrap();
        add(&other, "a", 2).await.unwrap();
        let mut expecting = request("a", "add", r#"{"amount":4}"#);
        expecting.expected = ExpectedRevision::Exactly(Revision::new(1));
        assert_eq!(one.execute(expecting).await.unwrap().revision, Revision::new(2).into());
        assert_eq!(state(&one, "a").await, (2, "7".to_owned()));
    });
}
