//! Rebuilds over restarts, and on several hosts.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_engine::rebuild::{CutsOver, RebuildPhase};
use tokio::time::sleep;

use super::{
    HOUR_MS, add_to_all, build, candidate, is_in, only_view_is, previous, rebuild, serves, spoil,
    start, value, world,
};
use crate::support::guest::{Quirk, tallies, tallies_with};
use crate::support::{name, run};

#[test]
fn goes_on_after_a_restart_in_each_phase() {
    // Guards `kill -9`: while it is built, when it waits, after the cut-over and after the roll back, a
    // restart finds what was, and the old view serves until the new one does.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        spoil(&world, "tally/b", "999").await;
        rebuild(&engine, None, None).await.unwrap();
        drop(engine);
        let engine = world.start().await;
        assert_eq!((build(&engine).await, value(&engine, "b").await), (0, Some("999".to_owned())));
        let differs = is_in(&engine, RebuildPhase::Differs).await.comparison.unwrap();
        engine.stop().await;
        let engine = world.start().await;
        let again = is_in(&engine, RebuildPhase::Differs).await.comparison.unwrap();
        assert_eq!((again, build(&engine).await), (differs, 0));
        engine.cut_over(&name("tallies"), None).await.unwrap();
        drop(engine);
        let engine = world.start().await;
        assert_eq!((build(&engine).await, value(&engine, "b").await), (1, Some("10".to_owned())));
        add_to_all(&engine, 1).await;
        engine.roll_back_view(&name("tallies"), None).await.unwrap();
        engine.stop().await;
        let engine = world.start().await;
        add_to_all(&engine, 1).await;
        assert_eq!((build(&engine).await, value(&engine, "b").await), (0, Some("1001".to_owned())));
        only_view_is(&world, &tallies("1.0.0"), 0).await;
    });
}

#[test]
fn what_was_built_before_a_restart_is_not_built_again() {
    // Guards long rebuilds: the candidate goes on from its own checkpoint.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        rebuild(&engine, None, Some(CutsOver::OnRequest)).await.unwrap();
        is_in(&engine, RebuildPhase::Ready).await;
        engine.stop().await;
        world.probe.places.lock().unwrap().clear();
        let engine = world.start().await;
        is_in(&engine, RebuildPhase::Ready).await;
        add_to_all(&engine, 1).await;
        engine.cut_over(&name("tallies"), None).await.unwrap();
        assert_eq!(value(&engine, "a").await.as_deref(), Some("11"));
        // Each new event went into both views, and no old one into either.
        assert_eq!(world.probe.places.lock().unwrap().len(), 6);
    });
}

#[test]
fn what_a_crash_left_of_a_view_is_deleted_at_the_start() {
    // Guards the disk: a host that ended between the event and the deletion leaves a view behind.
    run(async {
        let (world, _clock) = world();
        let engine = start(&world).await;
        rebuild(&engine, None, Some(CutsOver::OnRequest)).await.unwrap();
        is_in(&engine, RebuildPhase::Ready).await;
        engine.cancel_rebuild(&name("tallies"), None).await.unwrap();
        engine.stop().await;
        world.ports.states.open(&super::view_of(&tallies("1.0.0"), 1)).await.unwrap();
        let _engine = world.start().await;
        only_view_is(&world, &tallies("1.0.0"), 0).await;
    });
}

#[test]
fn a_window_that_ended_while_no_host_ran_ends_at_the_start() {
    // Guards the previous view: its time is that of the clock, not of a process.
    run(async {
        let (world, clock) = world();
        let engine = start(&world).await;
        rebuild(&engine, None, None).await.unwrap();
        serves(&engine, 1).await;
        engine.stop().await;
        clock.set(1_000 + HOUR_MS);
        let engine = world.start().await;
        only_view_is(&world, &tallies("1.0.0"), 1).await;
        assert!(previous(&engine).await.is_none());
    });
}

#[test]
fn two_hosts_build_cut_over_and_roll_back_together() {
    // Guards several hosts: one cut-over is recorded, both serve the new view, and each of them can be
    // asked to go back.
    run(async {
        let (world, _clock) = world();
        let first = start(&world).await;
        let second = world.start().await;
        let doubled = tallies_with("2.0.0", Quirk::DoubledState);
        rebuild(&second, Some(doubled), None).await.unwrap();
        serves(&first, 1).await;
        serves(&second, 1).await;
        for host in [&first, &second] {
            add_to_all(host, 1).await;
            assert!(previous(host).await.unwrap().comparison.is_some());
        }
        for host in [&first, &second] {
            assert_eq!(value(host, "a").await.as_deref(), Some("24"));
        }
        first.roll_back_view(&name("tallies"), None).await.unwrap();
        serves(&second, 0).await;
        for host in [&first, &second] {
            add_to_all(host, 1).await;
        }
        for host in [&first, &second] {
            assert_eq!(value(host, "a").await.as_deref(), Some("14"));
        }
        only_view_is(&world, &tallies("1.0.0"), 0).await;
    });
}

#[test]
fn a_failing_store_does_not_end_a_rebuild() {
    // Guards bad days: the candidate fails for a while, and goes on by itself.
    run(async {
        let (mut world, _clock) = world();
        world.options.projection_attempts_max = NonZeroU32::MAX;
        let engine = start(&world).await;
        world.probe.projection_failures.store(8, Ordering::Relaxed);
        rebuild(&engine, None, None).await.unwrap();
        is_in(&engine, RebuildPhase::Failing).await;
        serves(&engine, 1).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.probe.projection_failures.load(Ordering::Relaxed), 0);
        assert!(candidate(&engine).await.is_none());
    });
}
