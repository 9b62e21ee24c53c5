//! Whatever members do, in whatever order, on two hosts that restart: a model says what may happen.

use std::collections::{BTreeMap, BTreeSet};

use annals_engine::subscription::{Delivery, Release, Settings, Settled, Settlement};
use annals_store_memory::faulty::Random;

use super::bench::{Bench, SECOND, mail, park, retry};
use crate::support::{World, run};

const MEMBERS: [&str; 4] = ["a", "b", "c", "d"];
const STREAMS_COUNT: u64 = 6;
const STEPS: usize = 400;

/// What must be so.
struct Model {
    random: Random,
    appended: BTreeMap<String, u64>,
    // Acknowledged or discarded.
    handled: BTreeSet<(String, u64)>,
    // What members believe they have.
    held: BTreeMap<&'static str, Vec<Delivery>>,
    // What was taken back from them.
    stale: Vec<(&'static str, Delivery)>,
    discarded_count: u64,
}

impl Model {
    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn unhandled(&self, stream: &str) -> impl Iterator<Item = u64> + '_ {
        let stream = stream.to_owned();
        let count = self.appended[&stream];
        (0..count).filter(move |revision| !self.handled.contains(&(stream.clone(), *revision)))
    }

    /// Events of a stream come in order, beginning with the first that is not handled.
    fn check_order(&self, deliveries: &[Delivery]) {
        let mut by_stream: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for delivery in deliveries {
            assert!((1..=3).contains(&delivery.attempt), "{delivery:?}");
            let revisions = by_stream.entry(delivery.event.stream.to_string()).or_default();
            revisions.push(delivery.event.revision.get());
        }
        for (stream, revisions) in by_stream {
            let expected: Vec<_> = self.unhandled(&stream).take(revisions.len()).collect();
            assert_eq!(revisions, expected, "{stream}");
        }
    }

    /// The first event of each stream that a member has.
    fn firsts(&self, member: &str) -> Vec<Delivery> {
        let mut seen = BTreeSet::new();
        let held = self.held.get(member).map(Vec::as_slice).unwrap_or_default();
        held.iter().filter(|delivery| seen.insert(delivery.event.stream.clone())).cloned().collect()
    }

    fn drop_held(&mut self, member: &'static str, delivery: &Delivery) {
        self.held.entry(member).or_default().retain(|held| held.id != delivery.id);
    }
}

async fn step(model: &mut Model, hosts: &mut [Bench; 2]) {
    let host = usize::try_from(model.below(2)).unwrap();
    let member = model.pick(&MEMBERS);
    match model.below(20) {
        0..4 => {
            let stream = format!("note/n{}", model.below(STREAMS_COUNT));
            hosts[host].append(&stream, 1).await;
            *model.appended.entry(stream).or_default() += 1;
        }
        4..9 => {
            let events_max = usize::try_from(model.below(6) + 1).unwrap();
            let deliveries = hosts[host].lease(member, events_max).await;
            model.check_order(&deliveries);
            let old = model.held.insert(member, deliveries).unwrap_or_default();
            model.stale.extend(old.into_iter().map(|delivery| (member, delivery)));
        }
        9..14 => {
            let Some(first) = model.firsts(member).into_iter().next() else { return };
            let settled =
                hosts[host].settle(member, std::slice::from_ref(&first), Settlement::Ack).await;
            model.drop_held(member, &first);
            if settled == [Settled::Done] {
                let key = (first.event.stream.to_string(), first.event.revision.get());
                assert_eq!(model.unhandled(&key.0).next(), Some(key.1), "handled in order");
                model.handled.insert(key);
            }
        }
        14..16 => {
            let Some(first) = model.firsts(member).pop() else { return };
            let settlement = match model.below(3) {
                0 => park("no"),
                after_s => retry(after_s * 500),
            };
            hosts[host].settle(member, std::slice::from_ref(&first), settlement).await;
            model.drop_held(member, &first);
        }
        16 => {
            let Some((member, delivery)) = model.stale.pop() else { return };
            let settled = hosts[host].settle(member, &[delivery], Settlement::Ack).await;
            assert_ne!(settled, [Settled::Done], "it was taken back");
        }
        17 => tokio::time::sleep(SECOND * u32::try_from(model.below(4)).unwrap()).await,
        18 => release(model, &hosts[host]).await,
        // A crash of the host: members do not notice.
        _ => hosts[host].engine = hosts[host].world.start().await,
    }
}

async fn release(model: &mut Model, host: &Bench) {
    let subscriptions = host.engine.subscriptions();
    if model.below(2) == 0 {
        subscriptions.release(&mail(), None, Release::Replay).await.unwrap();
        return;
    }
    let page = subscriptions.parked(&mail(), None, 1).await.unwrap();
    let Some(place) = page.events.first().and_then(|event| event.parked.clone()) else { return };
    let streams = [place.stream.clone()];
    let count = subscriptions.release(&mail(), Some(&streams), Release::Discard).await.unwrap();
    assert_eq!(count, 1);
    assert!(model.handled.insert((place.stream.to_string(), place.revision.get())));
    model.discarded_count += 1;
}

/// Handles everything, and looks that nothing is left.
async fn finish(model: &mut Model, host: &Bench) {
    let total: u64 = model.appended.values().sum();
    for _ in 0..1_000 {
        if model.handled.len() as u64 == total {
            break;
        }
        host.engine.subscriptions().release(&mail(), None, Release::Replay).await.unwrap();
        let deliveries = host.lease_waiting("last", 9, 10 * SECOND).await;
        model.check_order(&deliveries);
        host.ack("last", &deliveries).await;
        for delivery in deliveries {
            let key = (delivery.event.stream.to_string(), delivery.event.revision.get());
            assert!(model.handled.insert(key));
        }
    }
    assert_eq!(host.lease("last", 9).await, []);
    let status = host.status().await;
    let handled = status.handled_count + model.discarded_count;
    assert_eq!((handled, status.lag_events, status.in_flight_count), (total, 0, 0));
    assert_eq!((status.parked_count, status.released_streams_count), (0, 0));
}

#[test]
fn whatever_members_do_each_event_is_handled_once_and_in_order() {
    // Guards P6, R14 and R16 against combinations nobody thought of: leases that run out, retries,
    // parking, replays, discards, fenced members and restarts, in windows that are often full.
    for seed in 0..40 {
        run(async {
            let settings = Settings {
                lease_ms: 2_000,
                attempts_max: 3,
                in_flight_events_max: 8,
                ..Settings::default()
            };
            let world = World::of_partitions(if seed % 2 == 0 { 1 } else { 3 });
            let one = Bench::start_with(world, settings).await;
            let two = Bench { engine: one.world.start().await, world: one.world.clone() };
            let mut hosts = [one, two];
            let mut model = Model {
                random: Random::new(seed),
                appended: BTreeMap::new(),
                handled: BTreeSet::new(),
                held: BTreeMap::new(),
                stale: Vec::new(),
                discarded_count: 0,
            };
            for _ in 0..STEPS {
                step(&mut model, &mut hosts).await;
            }
            finish(&mut model, &hosts[0]).await;
        });
    }
}
