//! Limits of subscriptions, each reached.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use annals_core::name::SubscriptionName;
use annals_engine::subscription::{
    Creation, LeaseRequest, Release, Settings, Settled, Settlement, SubscriptionError,
    SubscriptionLimits,
};
use annals_store_memory::faulty::FaultyStateStores;

use super::bench::{Bench, SECOND, id, in_short, mail, member, park, retry};
use crate::support::faults::StateCommitsLate;
use crate::support::{World, run};

/// Puts one setting out of its range.
type Change = fn(&mut Settings);

fn world(change: impl FnOnce(&mut SubscriptionLimits)) -> World {
    let mut world = World::new();
    change(&mut world.options.subscriptions);
    world
}

#[test]
fn settings_are_kept_within_their_ranges() {
    // Guards every range of a setting, with a message that names it.
    run(async {
        let world = world(|limits| {
            limits.filter_names_max = 1;
            limits.prefix_bytes_max = 4;
        });
        let bench = Bench::start_with(world, Settings::default()).await;
        let name = SubscriptionName::new("other").unwrap();
        let category = |text| annals_core::name::Category::new(text).unwrap();
        let event_type = |text| annals_core::name::EventType::new(text).unwrap();
        let good = || {
            let mut settings = Settings {
                lease_ms: 100,
                attempts_max: 1_000,
                in_flight_events_max: 1_000,
                ..Settings::default()
            };
            settings.filter.categories = Some([category("a")].into());
            settings.filter.event_types = Some([event_type("a")].into());
            settings.filter.stream_prefix = Some("1234".into());
            settings
        };
        let changes: [(&str, Change); 10] = [
            ("`types` has 2 entries: give 1 to 1", |it| {
                let event_type = |text| annals_core::name::EventType::new(text).unwrap();
                it.filter.event_types = Some(["a", "b"].map(event_type).into());
            }),
            ("`lease_ms` is 99: give a number from 100 to 43200000", |it| it.lease_ms = 99),
            ("`lease_ms` is 43200001: give a number from 100 to 43200000", |it| {
                it.lease_ms = 43_200_001;
            }),
            ("`attempts_max` is 0: give a number from 1 to 1000", |it| it.attempts_max = 0),
            ("`attempts_max` is 1001: give a number from 1 to 1000", |it| it.attempts_max = 1_001),
            ("`in_flight_events_max` is 0: give a number from 1 to 1000", |it| {
                it.in_flight_events_max = 0;
            }),
            ("`in_flight_events_max` is 1001: give a number from 1 to 1000", |it| {
                it.in_flight_events_max = 1_001;
            }),
            ("`categories` has 0 entries: give 1 to 1", |it| {
                it.filter.categories = Some([].into());
            }),
            ("`types` has 0 entries: give 1 to 1", |it| it.filter.event_types = Some([].into())),
            ("`stream_prefix` has 5 bytes: give at most 4", |it| {
                it.filter.stream_prefix = Some("12345".into());
            }),
        ];
        let subscriptions = bench.engine.subscriptions();
        for (text, change) in changes {
            let mut settings = good();
            change(&mut settings);
            let refused = subscriptions.create(&name, settings).await.unwrap_err();
            assert_eq!(refused.to_string(), text);
        }
        assert_eq!(subscriptions.create(&name, good()).await.unwrap(), Creation::Created);
        assert_eq!(subscriptions.create(&name, good()).await.unwrap(), Creation::Existed);
        let mut other = good();
        (other.lease_ms, other.filter.stream_prefix) = (200, None);
        let refused = subscriptions.create(&name, other).await.unwrap_err();
        let text = "subscription `other` is there with other settings: filter, lease_ms";
        assert_eq!(refused.to_string(), text);
    });
}

#[test]
fn there_are_only_so_many_subscriptions() {
    // Guards `subscriptions_max`: one more is refused until one is deleted.
    run(async {
        let world = world(|limits| limits.subscriptions_max = std::num::NonZeroUsize::MIN);
        let bench = Bench::start_with(world, Settings::default()).await;
        let other = SubscriptionName::new("other").unwrap();
        let subscriptions = bench.engine.subscriptions();
        let refused = subscriptions.create(&other, Settings::default()).await.unwrap_err();
        assert!(
            matches!(refused, SubscriptionError::TooMany { subscriptions_max: 1 }),
            "{refused}"
        );
        subscriptions.create(&mail(), Settings::default()).await.unwrap();
        subscriptions.delete(&mail()).await.unwrap();
        subscriptions.create(&other, Settings::default()).await.unwrap();
        let names: Vec<_> =
            subscriptions.list().await.unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, [other]);
    });
}

#[test]
fn requests_are_kept_within_their_ranges() {
    // Guards `lease_events_max`, `deliveries_max`, the range of leases and `retry_after_ms_max`.
    run(async {
        let world = world(|limits| (limits.lease_events_max, limits.deliveries_max) = (2, 2));
        let bench = Bench::start_with(world, Settings::default()).await;
        bench.append("note/x", 3).await;
        for events_max in [0, 3] {
            let refused = bench.try_lease("a", events_max, Duration::ZERO).await.unwrap_err();
            let text = format!("`events_max` is {events_max}: give a number from 1 to 2");
            assert_eq!(refused.to_string(), text);
        }
        for lease_ms in [99, 43_200_001] {
            let (member, wait) = (member("a"), Duration::ZERO);
            let request = LeaseRequest { member, events_max: 1, wait, lease_ms: Some(lease_ms) };
            bench.engine.subscriptions().lease(&mail(), request).await.unwrap_err();
        }
        let held = bench.lease("a", 2).await;
        assert_eq!(held.len(), 2);
        bench.try_settle("a", &held, retry(86_400_001)).await.unwrap_err();
        bench.try_settle("a", &held, Settlement::Extend { lease_ms: 99 }).await.unwrap_err();
        let subscriptions = bench.engine.subscriptions();
        for ids in [vec![], vec![id("x"); 3]] {
            subscriptions.settle(&mail(), &member("a"), &ids, Settlement::Ack).await.unwrap_err();
        }
        bench.ack("a", &held).await;
    });
}

#[test]
fn nothing_is_read_beyond_what_may_be_in_flight() {
    // Guards `in_flight_events_max`, with one stream that blocks and with many: reading goes on as
    // events are handled, and a lease that waits meanwhile does not spin.
    run(async {
        let settings = Settings { in_flight_events_max: 5, ..Settings::default() };
        let bench = Bench::start_with(World::new(), settings).await;
        bench.append("note/x", 6).await;
        bench.append("note/y", 1).await;
        let held = bench.lease("a", 1).await;
        assert_eq!(bench.lease_waiting("b", 9, 20 * SECOND).await, []);
        assert_eq!(bench.figures().await, (vec![None], 5, 1, 0));
        bench.ack("a", &held).await;
        let next = bench.lease("b", 9).await;
        assert_eq!(next.len(), 5);
        bench.ack("b", &next).await;
        assert_eq!(in_short(&bench.lease("b", 9).await), ["note/y 0×1"]);
        assert_eq!(bench.figures().await, (vec![Some(5)], 1, 1, 0));
    });
}

#[test]
fn the_row_of_a_subscription_stays_small() {
    // Guards `window_bytes_max`: long stream ids fill the window before `in_flight_events_max` does,
    // and all events are delivered nevertheless.
    run(async {
        let bench =
            Bench::start_with(world(|limits| limits.window_bytes_max = 2_000), Settings::default())
                .await;
        for number in 0..20 {
            bench.append(&format!("note/{number:0>250}"), 1).await;
        }
        let mut handled = 0;
        while handled < 20 {
            let held = bench.lease("a", 20).await;
            assert!((1..=6).contains(&held.len()), "{}", held.len());
            let cause = Some(Arc::from("x".repeat(1_000)));
            bench.settle("a", &held[..1], Settlement::Retry { after_ms: 0, cause }).await;
            let held = bench.lease("a", 20).await;
            bench.ack("a", &held).await;
            handled += held.len();
        }
        let long =
            Bench::start_with(world(|limits| limits.window_bytes_max = 1), Settings::default())
                .await;
        long.append("note/x", 2).await;
        assert_eq!(long.lease("a", 9).await.len(), 1, "one always fits");
    });
}

#[test]
fn a_lease_has_only_so_many_bytes() {
    // Guards `lease_bytes_max`: it ends after the event with which it is reached.
    run(async {
        let bench =
            Bench::start_with(world(|limits| limits.lease_bytes_max = 5), Settings::default())
                .await;
        bench.append("note/x", 9).await;
        // Each event has two bytes of data.
        assert_eq!(bench.lease("a", 9).await.len(), 3);
        tokio::time::sleep(30 * SECOND).await;
        assert_eq!(bench.lease("b", 9).await.len(), 3, "also of what is read again");
    });
}

#[test]
fn only_so_many_members_are_remembered() {
    // Guards `members_max`: who holds nothing is forgotten; when all hold something, one more has to
    // come again.
    run(async {
        let bench =
            Bench::start_with(world(|limits| limits.members_max = 2), Settings::default()).await;
        for number in 0..9 {
            bench.append(&format!("note/n{number}"), 1).await;
        }
        let first = bench.lease("a", 1).await;
        let second = bench.lease("b", 1).await;
        let refused = bench.try_lease("c", 1, Duration::ZERO).await.unwrap_err();
        assert!(matches!(refused, SubscriptionError::TooManyMembers { members_max: 2, .. }));
        bench.ack("b", &second).await;
        assert_eq!(bench.lease("c", 1).await.len(), 1);
        let members: Vec<_> =
            bench.status().await.members.into_iter().map(|it| it.name.to_string()).collect();
        assert_eq!(members, ["a", "c"]);
        bench.ack("a", &first).await;
    });
}

#[test]
fn only_so_many_streams_are_parked() {
    // Guards `parked_streams_max`: a member is refused; an event that had too many attempts is
    // delivered again rather than lost; `cause_bytes_max` cuts.
    run(async {
        let settings = Settings { attempts_max: 1, ..Settings::default() };
        let world = world(|limits| (limits.parked_streams_max, limits.cause_bytes_max) = (1, 3));
        let bench = Bench::start_with(world, settings).await;
        bench.append("note/x", 1).await;
        bench.append("note/y", 1).await;
        let held = bench.lease("a", 2).await;
        assert_eq!(bench.settle("a", &held[..1], park("aaä")).await, [Settled::Done]);
        let page = bench.engine.subscriptions().parked(&mail(), None, 9).await.unwrap();
        assert_eq!(&*page.events[0].parked.as_ref().unwrap().cause, "aa");
        let refused = bench.try_settle("a", &held[1..], park("no")).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "1 streams of subscription `mail` have a parked event already"
        );
        bench.settle("a", &held[1..], retry(0)).await;
        assert_eq!(in_short(&bench.lease("a", 9).await), ["note/y 0×2"]);
        bench.engine.subscriptions().release(&mail(), None, Release::Discard).await.unwrap();
        assert_eq!(bench.lease("a", 9).await, []);
        assert_eq!(bench.parked().await, ["note/y 0"]);
    });
}

#[test]
fn what_a_filter_holds_back_is_noted_after_a_while() {
    // Guards `passed_over_events_max`: a subscription whose events are rare does
    // not begin at the same place for ever, and does not write for every event of others.
    run(async {
        let mut settings = Settings::default();
        settings.filter.stream_prefix = Some("note/rare".into());
        let bench =
            Bench::start_with(world(|limits| limits.passed_over_events_max = 10), settings).await;
        let others = async {
            tokio::time::sleep(SECOND).await;
            bench.append("note/often", 9).await;
            tokio::time::sleep(SECOND).await;
            assert_eq!(bench.figures().await, (vec![None], 0, 0, 0));
            bench.append("note/often", 1).await;
            tokio::time::sleep(SECOND).await;
            assert_eq!(bench.figures().await, (vec![Some(9)], 0, 0, 0));
            bench.append("note/often", 1).await;
        };
        let (held, ()) = tokio::join!(bench.lease_waiting("a", 1, 5 * SECOND), others);
        assert_eq!(held, []);
        assert_eq!(bench.figures().await, (vec![Some(10)], 0, 0, 0), "noted at the end");
    });
}

#[test]
fn a_try_reads_only_so_many_pages() {
    // Guards `feed_pages_max`: events of a stream that is held do not keep a lease from its answer,
    // and one that waits reads on.
    run(async {
        let bench =
            Bench::start_with(world(|limits| limits.feed_pages_max = 1), Settings::default()).await;
        bench.append("note/x", 3).await;
        bench.append("note/y", 1).await;
        assert_eq!(bench.lease("a", 1).await.len(), 1);
        assert_eq!(bench.lease("b", 1).await, []);
        assert_eq!(bench.figures().await, (vec![None], 2, 1, 0));
        let begun = tokio::time::Instant::now();
        let held = bench.lease_waiting("b", 1, 20 * SECOND).await;
        assert_eq!(
            (in_short(&held), begun.elapsed()),
            (vec!["note/y 0×1".to_owned()], Duration::ZERO)
        );
    });
}

#[test]
fn a_change_is_tried_only_so_often() {
    // Guards `conflict_retries_max`: who is always too late is told so, and has changed nothing.
    run(async {
        let plan = Arc::new(StateCommitsLate { is_late: AtomicBool::new(true) });
        let world = world(|limits| limits.conflict_retries_max = NonZeroU32::MIN)
            .with_states(|states| Arc::new(FaultyStateStores::new(states, plan)));
        let one = Bench::start_with(world, Settings::default()).await;
        let two = Bench { engine: one.world.start().await, world: one.world.clone() };
        one.append("note/x", 1).await;
        let (first, second) = tokio::join!(
            one.try_lease("a", 1, Duration::ZERO),
            two.try_lease("b", 1, Duration::ZERO),
        );
        let late = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        let text = "subscription `mail` was changed by others 1 times meanwhile";
        assert_eq!(late.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
        assert_eq!(one.status().await.delivered_count, 1);
    });
}
