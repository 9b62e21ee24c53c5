//! Leases that wait for events, and where a subscription begins.

use annals_core::name::{Category, EventType};
use annals_core::place::{Partition, Position};
use annals_engine::subscription::{Release, Settings, Start, SubscriptionError};
use tokio::time::Instant;

use super::bench::{Bench, SECOND, in_short, mail, park, retry};
use crate::support::{World, run};

#[test]
fn a_lease_waits_until_there_is_something_to_deliver() {
    // Guards long polling: it wakes for an event, for an acknowledgement that frees a stream, for a
    // lease that runs out, for a retry, for a replay; and ends empty at its own end.
    run(async {
        let bench = Bench::start().await;
        let begun = Instant::now();
        assert_eq!(bench.lease_waiting("a", 1, 5 * SECOND).await, []);
        assert_eq!(begun.elapsed(), 5 * SECOND);
        let append = async {
            tokio::time::sleep(3 * SECOND).await;
            bench.append("note/x", 2).await;
        };
        let begun = Instant::now();
        let (held, ()) = tokio::join!(bench.lease_waiting("a", 1, 50 * SECOND), append);
        assert_eq!((in_short(&held), begun.elapsed()), (vec!["note/x 0×1".to_owned()], 3 * SECOND));
        let ack = async {
            tokio::time::sleep(2 * SECOND).await;
            bench.ack("a", &held).await;
        };
        let begun = Instant::now();
        let (next, ()) = tokio::join!(bench.lease_waiting("b", 1, 50 * SECOND), ack);
        assert_eq!((in_short(&next), begun.elapsed()), (vec!["note/x 1×1".to_owned()], 2 * SECOND));
        let begun = Instant::now();
        let next = bench.lease_waiting("c", 1, 50 * SECOND).await;
        assert_eq!(
            (in_short(&next), begun.elapsed()),
            (vec!["note/x 1×2".to_owned()], 30 * SECOND)
        );
        bench.settle("c", &next, retry(7_000)).await;
        let begun = Instant::now();
        let next = bench.lease_waiting("d", 1, 50 * SECOND).await;
        assert_eq!((in_short(&next), begun.elapsed()), (vec!["note/x 1×3".to_owned()], 7 * SECOND));
        bench.settle("d", &next, park("no")).await;
        let replay = async {
            tokio::time::sleep(4 * SECOND).await;
            bench.engine.subscriptions().release(&mail(), None, Release::Replay).await.unwrap();
        };
        let begun = Instant::now();
        let (next, ()) = tokio::join!(bench.lease_waiting("e", 1, 50 * SECOND), replay);
        assert_eq!((in_short(&next), begun.elapsed()), (vec!["note/x 1×1".to_owned()], 4 * SECOND));
    });
}

#[test]
fn a_lease_hears_what_another_host_changes() {
    // Guards several hosts: nobody tells this one, so it looks every `check_every`.
    run(async {
        let bench = Bench::start().await;
        let other = Bench { engine: bench.world.start().await, world: bench.world.clone() };
        bench.append("note/x", 2).await;
        let held = other.lease("a", 1).await;
        let ack = async {
            tokio::time::sleep(10 * SECOND).await;
            other.ack("a", &held).await;
        };
        let begun = Instant::now();
        let (next, ()) = tokio::join!(bench.lease_waiting("b", 1, 50 * SECOND), ack);
        assert_eq!(in_short(&next), ["note/x 1×1"]);
        assert!(begun.elapsed() <= 11 * SECOND, "{:?}", begun.elapsed());
    });
}

#[test]
fn many_members_wait_at_once_and_each_event_wakes_one() {
    // Guards R10: one of those who wait watches the feed, so that a thousand cost little more than
    // one; each event goes to one of them.
    run(async {
        let bench = Bench::start().await;
        let names: Vec<_> = (0..1_000).map(|number| format!("m{number}")).collect();
        let waiting = names.iter().map(|name| bench.lease_waiting(name, 1, 30 * SECOND));
        let append = async {
            for number in 0..50 {
                tokio::time::sleep(SECOND / 10).await;
                bench.append(&format!("note/n{number}"), 1).await;
            }
        };
        let (given, ()) = tokio::join!(futures_util::future::join_all(waiting), append);
        let given: Vec<_> = given.iter().flat_map(|deliveries| in_short(deliveries)).collect();
        let mut expected: Vec<_> = (0..50).map(|number| format!("note/n{number} 0×1")).collect();
        expected.sort();
        let mut sorted = given.clone();
        sorted.sort();
        assert_eq!(sorted, expected);
    });
}

#[test]
fn a_subscription_begins_where_it_was_told_and_has_what_its_filter_lets_through() {
    // Guards `start` and the filters; what is passed over counts as done.
    run(async {
        let bench = Bench::start().await;
        for stream in ["note/a1", "task/b1", "note/a2"] {
            bench.append(stream, 1).await;
            bench.append_type(stream, "note-lost").await;
        }
        let category = |text| Some([Category::new(text).unwrap()].into());
        let taken = Some([EventType::new("note-taken").unwrap()].into());
        let after = |position| Start::After(vec![(Partition::ZERO, Position::new(position))]);
        let mut cases = vec![
            (
                Settings::default(),
                vec!["note/a1 0", "note/a1 1", "task/b1 0", "task/b1 1", "note/a2 0", "note/a2 1"],
            ),
            (Settings { start: Start::Now, ..Settings::default() }, vec![]),
            (Settings { start: after(3), ..Settings::default() }, vec!["note/a2 0", "note/a2 1"]),
            (
                Settings { start: Start::After(vec![]), ..Settings::default() },
                vec!["note/a1 0", "note/a1 1", "task/b1 0", "task/b1 1", "note/a2 0", "note/a2 1"],
            ),
        ];
        let mut filtered = Settings::default();
        filtered.filter.categories = category("task");
        cases.push((filtered.clone(), vec!["task/b1 0", "task/b1 1"]));
        filtered.filter.event_types = taken;
        cases.push((filtered.clone(), vec!["task/b1 0"]));
        filtered.filter.categories = None;
        filtered.filter.stream_prefix = Some("note/a2".into());
        cases.push((filtered, vec!["note/a2 0"]));
        for (settings, expected) in cases {
            bench.engine.subscriptions().delete(&mail()).await.unwrap();
            bench.engine.subscriptions().create(&mail(), settings).await.unwrap();
            let held = bench.lease("a", 9).await;
            let expected: Vec<_> = expected.iter().map(|event| format!("{event}×1")).collect();
            assert_eq!(in_short(&held), expected);
            bench.ack("a", &held).await;
        }
        let beyond = Settings { start: after(6), ..Settings::default() };
        bench.engine.subscriptions().delete(&mail()).await.unwrap();
        let refused = bench.engine.subscriptions().create(&mail(), beyond).await.unwrap_err();
        assert!(matches!(refused, SubscriptionError::Invalid { field: "start", .. }), "{refused}");
        let gone = bench.engine.subscriptions().show(&mail()).await.unwrap_err();
        assert_eq!(gone.to_string(), "there is no subscription `mail`");
    });
}

#[test]
fn partitions_take_turns() {
    // Guards that a full partition does not starve the others: of every few leases, one begins with
    // another partition.
    run(async {
        let settings = Settings { in_flight_events_max: 8, ..Settings::default() };
        let bench = Bench::start_with(World::of_partitions(4), settings).await;
        for number in 0..200 {
            bench.append(&format!("note/n{number}"), 1).await;
        }
        let mut partitions = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let held = bench.lease("a", 2).await;
            partitions.extend(held.iter().map(|delivery| delivery.event.partition.0));
            bench.ack("a", &held).await;
        }
        assert_eq!(partitions, (0..4).collect());
    });
}
