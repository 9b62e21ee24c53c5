//! Parked events: what waits behind them, and how they come back (R16, P4).

use std::sync::Arc;

use annals_core::stream::StreamId;
use annals_engine::subscription::{Release, Settings, Settled, Settlement};

use super::bench::{Bench, SECOND, in_short, mail, park, parked_in_short, retry};
use crate::support::{World, run};

async fn release(bench: &Bench, streams: Option<&[&str]>, release: Release) -> u64 {
    let streams = streams.map(|streams| {
        streams.iter().map(|stream| StreamId::parse(stream).unwrap()).collect::<Vec<_>>()
    });
    bench.engine.subscriptions().release(&mail(), streams.as_deref(), release).await.unwrap()
}

#[test]
fn an_event_that_was_delivered_too_often_is_parked_with_its_cause() {
    // Guards `attempts_max`, for leases that run out and for retries: its stream waits, others go on,
    // and the checkpoint passes.
    run(async {
        let settings = Settings { attempts_max: 2, ..Settings::default() };
        let bench = Bench::start_with(World::new(), settings).await;
        bench.append("note/x", 2).await;
        bench.append("note/y", 2).await;
        for attempt in 1..=2 {
            let held = bench.lease("a", 1).await;
            assert_eq!(in_short(&held), [format!("note/x 0×{attempt}")]);
            tokio::time::sleep(30 * SECOND).await;
        }
        let rest = bench.lease("a", 9).await;
        assert_eq!(in_short(&rest), ["note/y 0×1", "note/y 1×1"]);
        let retry = Settlement::Retry { after_ms: 0, cause: Some(Arc::from("no such address")) };
        bench.settle("a", &rest, retry.clone()).await;
        let held = bench.lease("a", 1).await;
        assert_eq!(in_short(&held), ["note/y 0×2"]);
        assert_eq!(bench.settle("a", &held, retry).await, [Settled::Done]);
        assert_eq!(bench.parked().await, ["note/x 0", "note/x 1+", "note/y 0", "note/y 1+"]);
        let page = bench.engine.subscriptions().parked(&mail(), None, 9).await.unwrap();
        let causes = page.events.iter().filter_map(|event| event.parked.as_ref());
        let causes: Vec<_> = causes.map(|place| (&*place.cause, place.attempts)).collect();
        let expected = [
            ("delivered 2 times, and not handled in time", 2),
            ("delivered 2 times, and not handled: no such address", 2),
        ];
        assert_eq!(causes, expected);
        assert_eq!(bench.figures().await, (vec![Some(3)], 0, 0, 2));
    });
}

#[test]
fn replayed_events_come_in_order_exactly_once_and_nothing_overtakes_them() {
    // Guards P4: what waited comes after the parked event, what is recorded meanwhile after that.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 3).await;
        bench.append("note/y", 1).await;
        let first = bench.lease("a", 1).await;
        assert_eq!(bench.settle("a", &first, park("no")).await, [Settled::Done]);
        let others = bench.lease("a", 9).await;
        assert_eq!(in_short(&others), ["note/y 0×1"]);
        bench.ack("a", &others).await;
        assert_eq!(bench.figures().await, (vec![Some(3)], 0, 0, 1));
        bench.append("note/x", 2).await;
        assert_eq!(release(&bench, Some(&["note/x", "note/none"]), Release::Replay).await, 1);
        assert_eq!(release(&bench, None, Release::Replay).await, 0);
        bench.append("note/x", 1).await;
        let one = bench.lease("a", 2).await;
        assert_eq!(in_short(&one), ["note/x 0×1", "note/x 1×1"]);
        assert_eq!(in_short(&bench.lease("b", 9).await), Vec::<String>::new());
        bench.ack("a", &one).await;
        let rest = bench.lease("b", 9).await;
        let expected: Vec<_> = (2..6).map(|revision| format!("note/x {revision}×1")).collect();
        assert_eq!(in_short(&rest), expected);
        bench.ack("b", &rest).await;
        assert_eq!(bench.lease("a", 9).await, []);
        assert_eq!(bench.figures().await, (vec![Some(6)], 0, 0, 0));
    });
}

#[test]
fn a_stream_longer_than_the_window_is_replayed_piece_by_piece() {
    // Guards `in_flight_events_max` of replays: over restarts, with other streams going on, and with
    // an event of it parked again half way.
    run(async {
        let settings = Settings { in_flight_events_max: 4, ..Settings::default() };
        let mut bench = Bench::start_with(World::of_partitions(2), settings).await;
        bench.append("note/x", 1).await;
        let first = bench.lease("a", 1).await;
        bench.settle("a", &first, park("no")).await;
        bench.append("note/x", 20).await;
        while !bench.lease("a", 4).await.is_empty() {}
        assert_eq!(release(&bench, None, Release::Replay).await, 1);
        let mut handled = Vec::new();
        for round in 0.. {
            if round == 3 {
                bench.append("note/x", 2).await;
            }
            let deliveries = bench.lease("a", 3).await;
            if deliveries.is_empty() {
                break;
            }
            assert!(bench.status().await.in_flight_count <= 4);
            if round == 4 {
                let parked = in_short(&deliveries[..1]);
                bench.settle("a", &deliveries[..1], park("again")).await;
                assert_eq!(bench.lease("a", 4).await, [], "all of it waits");
                assert_eq!(bench.parked().await.len(), 23 - handled.len(), "{parked:?}");
                assert_eq!(release(&bench, None, Release::Replay).await, 1);
            } else {
                bench.ack("a", &deliveries).await;
                handled.extend(deliveries.iter().map(|delivery| delivery.event.revision.get()));
            }
            bench = bench.restarted().await;
        }
        assert_eq!(handled, (0..23).collect::<Vec<_>>());
        let status = bench.status().await;
        assert_eq!(
            (status.lag_events, status.parked_count, status.released_streams_count),
            (0, 0, 0)
        );
    });
}

#[test]
fn a_discarded_event_is_given_up_and_what_waits_behind_it_comes() {
    // Guards `discard`: only the event at fault is lost, and only it.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 3).await;
        let held = bench.lease("a", 3).await;
        // Later events of the stream that are to be parked as well wait behind the first.
        assert_eq!(bench.settle("a", &held[..2], park("no")).await, [Settled::Done; 2]);
        assert_eq!(bench.settle("a", &held[2..], Settlement::Ack).await, [Settled::Unknown]);
        assert_eq!(bench.parked().await, ["note/x 0", "note/x 1+", "note/x 2+"]);
        assert_eq!(release(&bench, None, Release::Discard).await, 1);
        assert_eq!(in_short(&bench.lease("a", 9).await), ["note/x 1×1", "note/x 2×1"]);
    });
}

#[test]
fn parked_events_are_listed_in_pages() {
    // Guards paging within a stream and between streams, and that a filter holds there as well.
    run(async {
        let mut settings = Settings::default();
        let event_type = annals_core::name::EventType::new("note-taken").unwrap();
        settings.filter.event_types = Some([event_type].into());
        let bench = Bench::start_with(World::new(), settings).await;
        for stream in ["note/a", "note/b", "note/c"] {
            bench.append_type(stream, "note-lost").await;
            bench.append(stream, 2).await;
            bench.append_type(stream, "note-lost").await;
        }
        let held = bench.lease("a", 9).await;
        assert_eq!(held.len(), 6);
        let firsts: Vec<_> = held.iter().step_by(2).cloned().collect();
        bench.settle("a", &firsts, park("no")).await;
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let page = bench.engine.subscriptions().parked(&mail(), from, 2).await.unwrap();
            assert!(page.events.len() <= 2);
            all.extend(page.events.iter().map(parked_in_short));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let expected = ["note/a 1", "note/a 2+", "note/b 1", "note/b 2+", "note/c 1", "note/c 2+"];
        assert_eq!(all, expected);
        bench.engine.subscriptions().delete(&mail()).await.unwrap();
        bench.engine.subscriptions().create(&mail(), Settings::default()).await.unwrap();
        assert_eq!(bench.parked().await, Vec::<String>::new());
    });
}

#[test]
fn more_streams_are_parked_and_replayed_than_one_commit_holds() {
    // Guards narrow drivers: a commit names at most 90 rows.
    run(async {
        let settings = Settings { attempts_max: 1, ..Settings::default() };
        let capabilities = annals_core::port::state_store::StateCapabilities {
            commit_rows_max: 90,
            ..annals_core::port::state_store::StateCapabilities::UNLIMITED
        };
        let stores = annals_store_memory::MemoryStateStores::with_capabilities(capabilities);
        let world = World::new().with_states(|_| Arc::new(stores));
        let bench = Bench::start_with(world, settings).await;
        for number in 0..200 {
            bench.append(&format!("note/n{number:03}"), 1).await;
        }
        let held = bench.lease("a", 100).await;
        assert_eq!(bench.settle("a", &held, park("no")).await, [Settled::Done; 100]);
        let held = bench.lease("a", 100).await;
        assert_eq!(bench.settle("a", &held, retry(0)).await, [Settled::Done; 100]);
        while bench.status().await.in_flight_count > 0 {
            assert_eq!(bench.lease("a", 1).await, [], "they had their one attempt");
        }
        assert_eq!(bench.parked().await.len(), 200);
        assert_eq!(release(&bench, None, Release::Replay).await, 200);
        let again = bench.lease_waiting("a", 200, SECOND).await;
        assert!(!again.is_empty());
        bench.ack("a", &again).await;
        let mut count = again.len();
        while count < 200 {
            let again = bench.lease("a", 200).await;
            bench.ack("a", &again).await;
            count += again.len();
        }
        assert_eq!(bench.figures().await, (vec![Some(199)], 0, 0, 0));
    });
}

#[test]
fn an_earlier_event_that_a_member_has_is_not_lost_when_a_later_one_is_parked() {
    // Guards parking out of order: the earlier event stays with its member, may be parked after the
    // later one, which then waits behind it, and one stream counts once.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 3).await;
        let held = bench.lease("a", 3).await;
        assert_eq!(bench.settle("a", &held[1..2], park("second")).await, [Settled::Done]);
        assert_eq!(bench.parked().await, ["note/x 1", "note/x 2+"]);
        assert_eq!(bench.figures().await, (vec![None], 1, 1, 1));
        assert_eq!(bench.settle("a", &held[..1], park("first")).await, [Settled::Done]);
        assert_eq!(bench.parked().await, ["note/x 0", "note/x 1+", "note/x 2+"]);
        assert_eq!(bench.figures().await, (vec![Some(2)], 0, 0, 1));
        assert_eq!(release(&bench, None, Release::Replay).await, 1);
        let again = bench.lease("a", 3).await;
        let backwards: Vec<_> = again.iter().rev().cloned().collect();
        assert_eq!(bench.settle("a", &backwards, park("all")).await, [Settled::Done; 3]);
        assert_eq!(bench.parked().await, ["note/x 0", "note/x 1+", "note/x 2+"]);
        assert_eq!(bench.figures().await, (vec![Some(2)], 0, 0, 1));
    });
}
