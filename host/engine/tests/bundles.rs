//! What is kept of failures, and that it repeats them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals_core::id::Digest;
use annals_core::port::FailureSink;
use annals_core::port::failure_sink::{FailedWork, FailureBundle, ViewAnswer};
use annals_core::port::guest::GuestFailure;
use annals_core::time::Timestamp;
use annals_engine::{EngineOptions, replay};

use crate::support::guest::{tallies, tally};
use crate::support::{World, add, request, run};

/// Keeps every bundle, of each failure one.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<FailureBundle>>);

impl FailureSink for Kept {
    fn wants(&self, _: Digest, failure: &GuestFailure, _: Timestamp) -> bool {
        self.0.lock().unwrap().iter().all(|bundle| bundle.failure != *failure)
    }

    fn keep(&self, bundle: &FailureBundle) {
        self.0.lock().unwrap().push(bundle.clone());
    }
}

fn world() -> (World, Arc<Kept>) {
    let (mut world, kept) = (World::new(), Arc::new(Kept::default()));
    world.options.failure_sink = Some(Arc::clone(&kept) as _);
    (world, kept)
}

/// What becomes of doing again what failed.
fn again(world: &World, component: &[u8], bundle: &FailureBundle) -> Result<(), GuestFailure> {
    let plugin = world.ports.runtime.load(component).unwrap();
    replay(&plugin, &bundle.work, &EngineOptions::default())
}

#[test]
fn a_failed_command_is_kept_with_its_stream_and_fails_again() {
    // Guards bug bundles of aggregates: from a snapshot and events, with the command, checks included.
    run(async {
        let (world, kept) = world();
        let engine = world.start_with_tally().await;
        for _ in 0..150 {
            add(&engine, "a", 1).await.unwrap();
        }
        for (command, data) in [("trap", r#"{"amount":1}"#), ("misbehave", r#"{"amount":1}"#)] {
            assert!(engine.execute(request("a", command, data)).await.is_err());
            assert!(engine.execute(request("a", command, data)).await.is_err());
        }
        let bundles = kept.0.lock().unwrap().clone();
        let [trap, misbehave] = bundles.as_slice() else { panic!("{bundles:?}") };
        let FailedWork::Stream(stream) = &trap.work else { panic!("{trap:?}") };
        let revisions: Vec<_> = stream
            .pages
            .iter()
            .map(|page| (page.first_revision.get(), page.events_count()))
            .collect();
        assert_eq!((stream.snapshot.as_deref(), revisions), (Some(&b"100"[..]), vec![(100, 50)]));
        assert!(stream.is_complete);
        assert_eq!((trap.plugin.as_str(), trap.digest), ("tally", Digest::of(&tally("1.0.0"))));
        for bundle in [trap, misbehave] {
            assert_eq!(again(&world, &tally("1.0.0"), bundle), Err(bundle.failure.clone()));
        }
    });
}

#[test]
fn a_failed_batch_is_kept() {
    // Guards bug bundles of projections: the batch, and what was read of the view.
    run(async {
        let (world, kept) = world();
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        // More than a batch may write.
        world.probe.more_rows.store(20_000, Ordering::Relaxed);
        add(&engine, "a", 3).await.unwrap();
        let bundles = loop {
            let bundles = kept.0.lock().unwrap().clone();
            if !bundles.is_empty() {
                break bundles;
            }
            // Time is paused: it goes on when nothing else does.
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let [bundle] = bundles.as_slice() else { panic!("{bundles:?}") };
        let FailedWork::Batch(batch) = &bundle.work else { panic!("{bundle:?}") };
        assert_eq!(batch.events.data.bytes(), br#"{"amount":3}"#);
        assert_eq!(batch.reads, [ViewAnswer::Values(vec![None])], "no row was there yet");
        assert_eq!(again(&world, &tallies("1.0.0"), bundle), Err(bundle.failure.clone()));
        world.probe.more_rows.store(0, Ordering::Relaxed);
        assert_eq!(again(&world, &tallies("1.0.0"), bundle), Ok(()));
    });
}
