//! Aggregates over old events.

use std::num::NonZeroUsize;

use annals_core::commit::Commit;
use annals_core::event::{NewEvent, SchemaVersion};
use annals_core::name::EventType;
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::time::Timestamp;

use super::{doubled, start_with, wrote};
use crate::support::guest::{Probe, tally_with_other_events, upcaster};
use crate::support::upcaster::{Act, rule};
use crate::support::{World, add, name, request, run, said, state};

#[test]
fn a_new_version_of_an_aggregate_reads_what_the_old_one_wrote() {
    // Guards the life of an upcaster: events of version 1, then upcaster and aggregate of version 2,
    // over a restart. What the new version writes is never upcast.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        add(&engine, "a", 3).await.unwrap();
        add(&engine, "a", 4).await.unwrap();
        engine.install(None, doubled("1.0.0", 2), None).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "7".to_owned()), "version 1 is read as it is");
        engine.install(None, tally_with_other_events("2.0.0"), None).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "14".to_owned()));
        add(&engine, "a", 5).await.unwrap();
        assert_eq!(state(&engine, "a").await, (2, "19".to_owned()));
        engine.stop().await;
        let engine = world.start().await;
        assert_eq!(state(&engine, "a").await, (2, "19".to_owned()));
        let at = engine.state_at(&name("tally"), "a", Revision::FIRST).await.unwrap();
        assert_eq!(at.data, "6");
    });
}

#[test]
fn several_events_of_one_have_its_revision() {
    // Guards revisions: what is made of an event adds no place to the stream, so commands go on
    // where the store is.
    run(async {
        let world = World::new();
        let split = rule(("split", 1), &[("added", 2), ("added", 2), ("added", 2)], Act::Times(1));
        let engine = start_with(&world, &[upcaster("old-sums", "1.0.0", &[split])]).await;
        wrote(&engine, "a", &[("added", 2, 1), ("split", 1, 10), ("added", 2, 1)]).await;
        wrote(&engine, "a", &[("split", 1, 100), ("added", 2, 1)]).await;
        assert_eq!(state(&engine, "a").await, (4, "333".to_owned()));
        let histories = std::mem::take(&mut *world.probe.histories.lock().unwrap());
        assert_eq!(histories, [(0, 2), (1, 1), (1, 3), (3, 1), (3, 2)]);
        let mut command = request("a", "add", r#"{"amount":1}"#);
        command.expected = ExpectedRevision::at(Revision::new(4).into());
        let outcome = engine.execute(command).await.unwrap();
        assert_eq!(outcome.revision.0, Some(Revision::new(5)));
        assert_eq!(state(&engine, "a").await, (5, "334".to_owned()));
        let at = engine.state_at(&name("tally"), "a", Revision::new(1)).await.unwrap();
        assert_eq!(at.data, "31");
    });
}

#[test]
fn what_an_upcaster_makes_is_upcast_again_until_it_is_read() {
    // Guards chains over several upcasters and names, and that nobody goes further than is needed.
    run(async {
        let world = World::new();
        let first = rule(("paid", 1), &[("paid", 2), ("added", 2)], Act::Times(2));
        let second = rule(("paid", 2), &[("added", 1)], Act::Times(3));
        let beyond = rule(("added", 2), &[("added", 9)], Act::Times(1_000));
        let chain = [
            doubled("1.0.0", 5),
            upcaster("pays", "1.0.0", &[first, second]),
            upcaster("beyond", "1.0.0", &[beyond]),
        ];
        let engine = start_with(&world, &chain).await;
        wrote(&engine, "a", &[("paid", 1, 1), ("added", 1, 100), ("added", 2, 1_000)]).await;
        // 1 × 2 × 3 × 5 and 1 × 2; 100 × 5; 1000.
        assert_eq!(state(&engine, "a").await, (2, "1532".to_owned()));
    });
}

#[test]
fn another_version_of_an_upcaster_makes_residents_and_snapshots_anew() {
    // Guards against a state that two versions of an upcaster made together.
    run(async {
        let mut world = World::new();
        world.options.snapshot_every_events = 2;
        let engine = start_with(&world, &[doubled("1.0.0", 2)]).await;
        wrote(&engine, "a", &[("added", 1, 10)]).await;
        add(&engine, "a", 1).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "21".to_owned()));
        Probe::take(&world.probe.evolved_events);
        engine.install(None, doubled("1.1.0", 3), None).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "31".to_owned()));
        assert_eq!(Probe::take(&world.probe.restored), 0, "the snapshot was not for these");
        assert_eq!(Probe::take(&world.probe.evolved_events), 2);
        add(&engine, "a", 1).await.unwrap();
        add(&engine, "a", 1).await.unwrap();
        engine.stop().await;
        let engine = world.start().await;
        assert_eq!(state(&engine, "a").await, (3, "33".to_owned()));
        assert_eq!(Probe::take(&world.probe.restored), 1, "the snapshot was for the same");
    });
}

#[test]
fn an_upcaster_of_other_events_leaves_residents_alone() {
    // Guards that installing one does not load everything again.
    run(async {
        let world = World::new();
        let engine = start_with(&world, &[doubled("1.0.0", 2)]).await;
        wrote(&engine, "a", &[("added", 1, 10)]).await;
        add(&engine, "a", 1).await.unwrap();
        Probe::take(&world.probe.evolved_events);
        let other = rule(("moved", 1), &[("moved", 2)], Act::Times(1));
        engine.install(None, upcaster("moves", "1.0.0", &[other]), None).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "21".to_owned()));
        assert_eq!(Probe::take(&world.probe.evolved_events), 0);
    });
}

#[test]
fn what_was_made_once_is_found_again_up_to_a_number_of_bytes() {
    // Guards `upcast_cache_bytes_max`: a second load asks for nothing; without a cache, for all.
    run(async {
        for (bytes_max, asked_again) in [(1 << 20, 0), (0, 100)] {
            let mut world = World::new();
            world.options.upcast_cache_bytes_max = bytes_max;
            world.options.residents_max = NonZeroUsize::MIN;
            world.options.shards_count = NonZeroUsize::MIN;
            let engine = start_with(&world, &[doubled("1.0.0", 2)]).await;
            let events: Vec<_> = (0..100).map(|amount| ("added", 1, amount)).collect();
            wrote(&engine, "a", &events).await;
            wrote(&engine, "b", &[("added", 2, 1)]).await;
            assert_eq!(state(&engine, "a").await, (99, "9900".to_owned()));
            assert_eq!(Probe::take(&world.probe.upcast_events), 100);
            assert_eq!(Probe::take(&world.probe.upcast_calls), 1, "in bulk");
            assert_eq!(state(&engine, "b").await, (0, "1".to_owned()));
            assert_eq!(state(&engine, "a").await, (99, "9900".to_owned()));
            assert_eq!(Probe::take(&world.probe.upcast_events), asked_again);
        }
    });
}

#[test]
fn a_decision_after_upcast_events_is_made_on_the_new_state() {
    // Guards the pipeline: load through an upcaster, decide, evolve by the new event alone.
    run(async {
        let world = World::new();
        let engine = start_with(&world, &[doubled("1.0.0", 2)]).await;
        wrote(&engine, "a", &[("added", 1, 10)]).await;
        let outcome = add(&engine, "a", 1).await.unwrap();
        assert_eq!(said(&outcome), Ok(vec!["added {\"amount\":1}".to_owned()]));
        assert_eq!(Probe::take(&world.probe.upcast_events), 1);
        assert_eq!(state(&engine, "a").await, (1, "21".to_owned()));
    });
}

#[test]
fn a_page_of_large_events_is_told_in_several_calls() {
    // Guards the bytes of one call: a page may have more than a guest takes at once.
    run(async {
        let world = World::new();
        let engine = start_with(&world, &[]).await;
        for _ in 0..3 {
            let data = format!("{{\"amount\":1}}{}", " ".repeat(200 << 10));
            let large = NewEvent {
                schema_version: SchemaVersion(2),
                ..NewEvent::json(EventType::new("added").unwrap(), data)
            };
            let stream = "tally/a".parse().unwrap();
            let events = vec![large; 10];
            let at = Timestamp::from_ms(7);
            let commit = Commit::plain(stream, ExpectedRevision::Any, events, at);
            engine.store().append(commit).await.unwrap().durability.wait().await.unwrap();
        }
        assert_eq!(state(&engine, "a").await, (29, "30".to_owned()));
        let histories = std::mem::take(&mut *world.probe.histories.lock().unwrap());
        assert_eq!(histories, [(0, 20), (20, 10)]);
    });
}
