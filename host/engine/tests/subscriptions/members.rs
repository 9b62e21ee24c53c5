//! Members of one subscription.

use std::collections::BTreeMap;
use std::time::Duration;

use annals_engine::subscription::{Delivery, Settings};

use super::bench::{Bench, in_short, local_world, retry, run_in_real_time};
use crate::support::dynamodb::run_on_dynamodb;
use crate::support::{World, run};

const STREAMS: usize = 12;
const EVENTS_PER_STREAM: usize = 10;

/// Which events were acknowledged, by stream, in the order in which that happened.
#[derive(Default)]
struct Ledger(BTreeMap<String, Vec<u64>>);

impl Ledger {
    fn note(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let revisions = self.0.entry(delivery.event.stream.to_string()).or_default();
            revisions.push(delivery.event.revision.get());
        }
    }

    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

async fn three_members_one_of_which_dies(world: World, lease_ms: u64) {
    let bench = Bench::start_with(world, Settings { lease_ms, ..Settings::default() }).await;
    for number in 0..EVENTS_PER_STREAM * STREAMS {
        bench.append(&format!("note/n{}", number % STREAMS), 1).await;
    }
    let mut ledger = Ledger::default();
    let died_with = bench.lease("c", 7).await;
    assert_eq!(died_with.len(), 7);
    let lost: Vec<_> = died_with.iter().map(|delivery| delivery.event.stream.clone()).collect();
    let mut redelivered = Vec::new();
    let mut holds: BTreeMap<&str, Vec<Delivery>> = BTreeMap::new();
    let members = ["a", "b"];
    for turn in 0..1_000 {
        if ledger.count() == STREAMS * EVENTS_PER_STREAM {
            break;
        }
        // Each member acknowledges only when the other one has been given events as well.
        let member = members[turn % 2];
        let held = holds.remove(member).unwrap_or_default();
        bench.ack(member, &held).await;
        ledger.note(&held);
        let deliveries = bench.lease(member, 7).await;
        if deliveries.is_empty() {
            tokio::time::sleep(Duration::from_millis(lease_ms / 30)).await;
        }
        for delivery in &deliveries {
            let others = holds.values().flatten();
            let is_shared = others.clone().any(|other| other.event.stream == delivery.event.stream);
            assert!(!is_shared, "{} is with two members", delivery.event.stream);
            if delivery.attempt > 1 {
                redelivered.push(delivery.event.id);
            } else {
                let died = &died_with[0].leased_until;
                let is_early = delivery.leased_until < *died;
                assert!(!is_early || !lost.contains(&delivery.event.stream));
            }
        }
        holds.insert(member, deliveries);
    }
    for (stream, revisions) in &ledger.0 {
        assert_eq!(*revisions, (0..10).collect::<Vec<_>>(), "{stream}");
    }
    assert_eq!(ledger.count(), STREAMS * EVENTS_PER_STREAM);
    let mut expected: Vec<_> = died_with.iter().map(|delivery| delivery.event.id).collect();
    expected.sort();
    redelivered.sort();
    assert_eq!(
        redelivered, expected,
        "what the dead one had was delivered again, and nothing else"
    );
    let status = bench.status().await;
    let counts = (status.delivered_count, status.redelivered_count, status.handled_count);
    assert_eq!(counts, (127, 7, 120));
    assert_eq!((status.lag_events, status.in_flight_count), (0, 0));
}

#[test]
fn each_event_goes_to_one_member_and_what_a_dead_one_had_to_another() {
    // Guards P6 on the memory driver, in one partition and in several.
    for partitions_count in [1, 4] {
        run(three_members_one_of_which_dies(World::of_partitions(partitions_count), 30_000));
    }
}

#[test]
fn each_event_goes_to_one_member_on_the_local_driver() {
    // Guards P6 on a data folder.
    let folder = tempfile::tempdir().unwrap();
    run_in_real_time(three_members_one_of_which_dies(local_world(folder.path()), 4_000));
}

#[test]
fn each_event_goes_to_one_member_on_dynamodb() {
    // Guards P6 where rows are items and time is real.
    run_on_dynamodb(|world| three_members_one_of_which_dies(world, 4_000));
}

#[test]
fn hosts_share_a_subscription() {
    // Guards conditional commits: two hosts give each event to one member, whoever is faster.
    run(async {
        let one = Bench::start().await;
        let two = Bench { engine: one.world.start().await, world: one.world.clone() };
        for number in 0..40 {
            one.append(&format!("note/n{}", number % 4), 1).await;
        }
        let mut ledger = Ledger::default();
        while ledger.count() < 40 {
            let (a, b) = tokio::join!(one.lease("a", 3), two.lease("b", 3));
            tokio::join!(one.ack("a", &a), two.ack("b", &b));
            ledger.note(&a);
            ledger.note(&b);
        }
        for revisions in ledger.0.values() {
            assert_eq!(*revisions, (0..10).collect::<Vec<_>>());
        }
        assert_eq!(one.status().await.redelivered_count, 0);
    });
}

#[test]
fn a_stream_with_an_open_delivery_waits_and_others_go_on() {
    // Guards order per stream: while `a` has the first event, `b` gets none of the stream; an event
    // that is to be tried again takes the later ones back with it, without counting an attempt.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 3).await;
        bench.append("note/y", 1).await;
        let first = bench.lease("a", 1).await;
        assert_eq!(in_short(&first), ["note/x 0×1"]);
        assert_eq!(in_short(&bench.lease("b", 9).await), ["note/y 0×1"]);
        bench.ack("a", &first).await;
        let rest = bench.lease("a", 9).await;
        assert_eq!(in_short(&rest), ["note/x 1×1", "note/x 2×1"]);
        bench.settle("a", &rest[..1], retry(0)).await;
        assert_eq!(in_short(&bench.lease("c", 9).await), ["note/x 1×2", "note/x 2×1"]);
    });
}
