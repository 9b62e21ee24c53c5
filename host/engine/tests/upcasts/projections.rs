//! Projections over old events, and over events that only upcasters make.

use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_engine::Engine;
use annals_engine::projection::Phase;
use annals_engine::view::WaitFor;

use super::{doubled, wrote};
use crate::support::guest::{Probe, tallies_with_other_events, upcaster};
use crate::support::upcaster::{Act, rule};
use crate::support::{World, name, row, run};

/// Waits for everything that is in the feed.
async fn caught_up(engine: &Engine) -> Option<WaitFor> {
    let partition = annals_core::place::Partition::ZERO;
    let position = engine.store().head(partition).await.unwrap().unwrap();
    Some(WaitFor { partition, position, wait: Duration::from_secs(5) })
}

#[test]
fn a_projection_gets_events_that_upcasters_make_of_others() {
    // Guards the filter of the feed: the projection wants `added` of version 2 and is given what
    // `added` of version 1, and `paid` over two steps, become; not what is made beside it.
    run(async {
        let world = World::new();
        let engine = world.start().await;
        let first = rule(("paid", 1), &[("paid", 2), ("noted", 1)], Act::Times(2));
        let second = rule(("paid", 2), &[("added", 1)], Act::Times(3));
        let pays = upcaster("pays", "1.0.0", &[first, second]);
        for plugin in [doubled("1.0.0", 5), pays, tallies_with_other_events("1.0.0")] {
            engine.install(None, plugin, None).await.unwrap();
        }
        wrote(&engine, "a", &[("added", 2, 1), ("added", 1, 1), ("paid", 1, 1)]).await;
        wrote(&engine, "b", &[("noted", 1, 1), ("paid", 2, 1), ("moved", 1, 1)]).await;
        let wait = caught_up(&engine).await;
        assert_eq!(row(&engine, "rows:tally/a", wait).await.as_deref(), Some("36"));
        assert_eq!(row(&engine, "rows:tally/b", None).await.as_deref(), Some("15"));
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("4"));
    });
}

#[test]
fn what_became_of_one_event_is_in_one_batch() {
    // Guards exactly once: a checkpoint is after a stored event, never inside of one.
    run(async {
        let mut world = World::new();
        world.options.batch_events_max = 4;
        let engine = world.start().await;
        let split = rule(("split", 1), &[("added", 2); 3], Act::Times(1));
        let splits = upcaster("splits", "1.0.0", &[split]);
        let events = [("split", 1, 1), ("added", 2, 1), ("split", 1, 1), ("split", 1, 1)];
        wrote(&engine, "a", &events).await;
        for plugin in [splits, tallies_with_other_events("1.0.0")] {
            engine.install(None, plugin, None).await.unwrap();
        }
        let wait = caught_up(&engine).await;
        assert_eq!(row(&engine, "rows:tally/a", wait).await.as_deref(), Some("10"));
        let batches = world.probe.batches.lock().unwrap().clone();
        assert_eq!(batches, [(0, 4), (0, 3), (0, 3)]);
        let places = world.probe.places.lock().unwrap().clone();
        let revisions: Vec<_> = places.iter().map(|(revision, _)| *revision).collect();
        assert_eq!(revisions, [0, 0, 0, 1, 2, 2, 2, 3, 3, 3]);
        assert!(places.is_sorted_by_key(|(_, position)| *position), "{places:?}");
        let progress = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
        assert_eq!(progress.events_count, 4, "stored events");
    });
}

#[test]
fn an_upcaster_that_refuses_an_event_holds_the_projection_at_it() {
    // Guards that nothing is skipped: what is before is in the view, and another version of the
    // upcaster lets it go on without starting anew.
    run(async {
        let world = World::new();
        let engine = world.start().await;
        let refuse = rule(("added", 1), &[("added", 2)], Act::RefuseNegative);
        wrote(&engine, "a", &[("added", 1, 1), ("added", 2, 1), ("added", 1, -5)]).await;
        wrote(&engine, "a", &[("added", 1, 7)]).await;
        let refusing = upcaster("old-sums", "1.0.0", &[refuse]);
        for plugin in [refusing, tallies_with_other_events("1.0.0")] {
            engine.install(None, plugin, None).await.unwrap();
        }
        let cause = loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let progress = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
            if let Phase::Failing { cause, .. } = progress.phase {
                break cause;
            }
        };
        let position = world.probe.places.lock().unwrap()[0].1 + 2;
        assert_eq!(
            cause,
            format!(
                "event at position {position} cannot be read: upcaster `old-sums` makes nothing of \
                 `added` of schema version 1, from revision 2 of stream `tally/a`: it refuses the \
                 event: -5 is below 0"
            )
        );
        assert_eq!(row(&engine, "rows:tally/a", None).await.as_deref(), Some("2"));
        Probe::take(&world.probe.upcast_events);
        engine.install(None, doubled("1.0.1", 10), None).await.unwrap();
        let wait = caught_up(&engine).await;
        assert_eq!(row(&engine, "rows:tally/a", wait).await.as_deref(), Some("22"));
        assert_eq!(row(&engine, "counts:events", None).await.as_deref(), Some("4"));
        assert_eq!(Probe::take(&world.probe.upcast_events), 2, "what was projected stays");
    });
}

#[test]
fn a_restart_starts_upcasters_before_projections() {
    // Guards against passing events by: by name, the upcaster comes after the projection.
    run(async {
        let world = World::new();
        let pays = rule(("paid", 1), &[("added", 2)], Act::Times(1));
        let engine = world.start().await;
        for plugin in [upcaster("zz-pays", "1.0.0", &[pays]), tallies_with_other_events("1.0.0")] {
            engine.install(None, plugin, None).await.unwrap();
        }
        engine.stop().await;
        wrote(&engine, "a", &[("paid", 1, 5)]).await;
        let engine = world.start().await;
        let wait = caught_up(&engine).await;
        assert_eq!(row(&engine, "rows:tally/a", wait).await.as_deref(), Some("5"));
    });
}

#[test]
fn a_projection_waits_for_an_upcaster_that_does_not_start() {
    // Guards against passing events by when an upcaster is installed and not there: the projection
    // does not run until it is, and then misses nothing.
    run(async {
        let world = World::new();
        let pays = rule(("paid", 1), &[("added", 2)], Act::Times(1));
        let engine = world.start().await;
        for plugin in [upcaster("pays", "1.0.0", &[pays]), tallies_with_other_events("1.0.0")] {
            engine.install(None, plugin, None).await.unwrap();
        }
        engine.stop().await;
        wrote(&engine, "a", &[("paid", 1, 5)]).await;
        world.probe.upcasters_do_not_load.store(true, Ordering::Relaxed);
        let engine = world.start().await;
        assert!(engine.plugins().is_empty());
        world.probe.upcasters_do_not_load.store(false, Ordering::Relaxed);
        while engine.plugin(&name("tallies")).is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let wait = caught_up(&engine).await;
        assert_eq!(row(&engine, "rows:tally/a", wait).await.as_deref(), Some("5"));
    });
}
