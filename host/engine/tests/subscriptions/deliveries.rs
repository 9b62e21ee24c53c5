//! What happens to deliveries when things go wrong (R14).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals_engine::subscription::{Settings, Settled, Settlement, SubscriptionError};
use annals_store_memory::faulty::{FaultPlan, FaultyStateStores, StateCommitFault};

use super::bench::{
    Bench, SECOND, id, in_short, local_world, mail, member, park, retry, run_in_real_time,
};
use crate::support::{World, run};

#[test]
fn a_crash_between_effect_and_acknowledgement_is_an_attempt() {
    // Guards R14: nothing of a host is needed to deliver again after the lease, with the attempt
    // counted; in between nobody gets it.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 2).await;
        let before = bench.lease("a", 1).await;
        let bench = bench.restarted().await;
        assert_eq!(in_short(&bench.lease("b", 9).await), Vec::<String>::new());
        tokio::time::sleep(30 * SECOND).await;
        let after = bench.lease("b", 9).await;
        assert_eq!(in_short(&after), ["note/x 0×2", "note/x 1×1"]);
        assert_eq!(after[0].event, before[0].event);
        assert_eq!(bench.settle("a", &before, Settlement::Ack).await, [Settled::Expired]);
        bench.ack("b", &after).await;
        assert_eq!(bench.figures().await, (vec![Some(1)], 0, 0, 0));
    });
}

#[test]
fn a_restart_in_the_middle_forgets_nothing_on_the_local_driver() {
    // Guards that leases, attempts, checkpoints and parked events are on disk: the stores are opened
    // anew in the middle.
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..2 {
        let world = local_world(folder.path());
        run_in_real_time(async {
            let settings = Settings { lease_ms: 600_000, ..Settings::default() };
            let bench = Bench::start_with(world, settings).await;
            if round == 0 {
                for stream in ["note/a", "note/b", "note/c", "note/d"] {
                    bench.append(stream, 2).await;
                }
                let first = bench.lease("one", 3).await;
                bench.ack("one", &first[..1]).await;
                bench.settle("one", &first[2..], park("no")).await;
                bench.settle("one", &first[1..2], retry(0)).await;
                expected.push(in_short(&bench.lease("two", 1).await));
                expected.push(bench.parked().await);
                expected.push(vec![format!("{:?}", bench.status().await)]);
            } else {
                let status = format!("{:?}", bench.status().await);
                assert_eq!(expected.pop(), Some(vec![status]));
                assert_eq!(expected.pop(), Some(bench.parked().await));
                assert_eq!(expected.pop(), Some(vec!["note/a 1×2".to_owned()]));
                let next = bench.lease("two", 9).await;
                let expected =
                    ["note/a 1×3", "note/c 0×1", "note/c 1×1", "note/d 0×1", "note/d 1×1"];
                assert_eq!(in_short(&next), expected);
            }
        });
    }
}

/// Tells nobody what became of a commit, while it is told to.
#[derive(Debug, Default)]
struct Silent(AtomicBool);

impl FaultPlan for Silent {
    fn state_commit(&self) -> StateCommitFault {
        match self.0.load(Ordering::Relaxed) {
            true => StateCommitFault::OutcomeUnknown { is_written: true },
            false => StateCommitFault::None,
        }
    }
}

#[test]
fn a_delivery_that_nobody_was_told_of_is_an_attempt_and_comes_again() {
    // Guards that attempts are counted before a delivery is told, and that an answer of a member that
    // got lost is safe to repeat.
    run(async {
        let plan = Arc::new(Silent::default());
        let faults = Arc::clone(&plan);
        let world =
            World::new().with_states(|states| Arc::new(FaultyStateStores::new(states, faults)));
        let bench = Bench::start_with(world, Settings::default()).await;
        bench.append("note/x", 1).await;
        plan.0.store(true, Ordering::Relaxed);
        let lost = bench.try_lease("a", 1, Duration::ZERO).await.unwrap_err();
        assert!(matches!(lost, SubscriptionError::State(_)), "{lost}");
        plan.0.store(false, Ordering::Relaxed);
        assert_eq!(in_short(&bench.lease("b", 1).await), Vec::<String>::new(), "`a` may have it");
        let again = bench.lease("a", 1).await;
        assert_eq!(in_short(&again), ["note/x 0×2"]);
        plan.0.store(true, Ordering::Relaxed);
        bench.try_settle("a", &again, Settlement::Ack).await.unwrap_err();
        plan.0.store(false, Ordering::Relaxed);
        assert_eq!(bench.settle("a", &again, Settlement::Ack).await, [Settled::Unknown]);
        assert_eq!(bench.figures().await, (vec![Some(0)], 0, 0, 0));
    });
}

#[test]
fn an_answer_about_an_unknown_or_old_delivery_changes_nothing() {
    // Guards R14: of another member, an earlier lease, an earlier subscription of the name, another
    // position, a lease that never was, and handled already.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 2).await;
        let old = bench.lease("a", 1).await;
        bench.engine.subscriptions().delete(&mail()).await.unwrap();
        bench.engine.subscriptions().create(&mail(), Settings::default()).await.unwrap();
        let handled = bench.lease("a", 1).await;
        bench.ack("a", &handled).await;
        let expired = bench.lease("a", 1).await;
        bench.settle("a", &expired, retry(0)).await;
        let held = bench.lease("a", 1).await;
        let mark = held[0].id.to_string().rsplit_once('.').unwrap().1.to_owned();
        let ids = [
            Some(old[0].id.clone()),
            Some(handled[0].id.clone()),
            Some(expired[0].id.clone()),
            id(&format!("0.1.99.{mark}")),
            id(&format!("0.77.1.{mark}")),
            id("nonsense"),
        ];
        use Settled::{Expired, Unknown};
        let expected = [Unknown, Unknown, Expired, Unknown, Unknown, Unknown];
        let before = bench.status().await;
        let settlements =
            [Settlement::Ack, retry(5), park("no"), Settlement::Extend { lease_ms: 1_000 }];
        for settlement in settlements {
            let subscriptions = bench.engine.subscriptions();
            let settle = async |name: &str, ids| {
                let (member, settlement) = (member(name), settlement.clone());
                subscriptions.settle(&mail(), &member, ids, settlement).await.unwrap()
            };
            assert_eq!(settle("a", &ids).await, expected);
            assert_eq!(settle("b", &[Some(held[0].id.clone())]).await, [Unknown], "not its own");
        }
        assert_eq!(bench.status().await, before);
        assert_eq!(bench.parked().await, Vec::<String>::new());
    });
}

#[test]
fn of_two_members_of_one_name_the_newer_lease_goes_on() {
    // Guards R14: what the older one had is delivered to the newer one, and no answer of the older one
    // counts; a call of the older one that still waits ends without events.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 2).await;
        let older = bench.lease("a", 2).await;
        let newer = bench.lease("a", 1).await;
        assert_eq!(in_short(&newer), ["note/x 0×2"]);
        for settlement in [Settlement::Ack, park("no"), Settlement::Extend { lease_ms: 60_000 }] {
            let settled = bench.settle("a", &older, settlement).await;
            assert_eq!(settled, [Settled::Expired; 2]);
        }
        bench.ack("a", &newer).await;
        let rest = bench.lease("a", 2).await;
        bench.ack("a", &rest).await;
        let waiting = bench.lease_waiting("a", 1, 20 * SECOND);
        let newer = async {
            tokio::time::sleep(SECOND).await;
            // Another host, so that the one that waits is not simply the first to hear.
            let other = Bench { engine: bench.world.start().await, world: bench.world.clone() };
            other.append("note/y", 1).await;
            in_short(&other.lease("a", 1).await)
        };
        let (waited, newer) = tokio::join!(waiting, newer);
        let all: Vec<_> = in_short(&waited).into_iter().chain(newer).collect();
        assert!(all.contains(&"note/y 0×1".to_owned()), "{all:?}");
    });
}

#[test]
fn a_lease_that_ran_out_counts_until_another_one_begins() {
    // Guards that work that was done is not done again without need; and `extend`.
    run(async {
        let bench = Bench::start().await;
        bench.append("note/x", 2).await;
        let late = bench.lease("a", 1).await;
        tokio::time::sleep(31 * SECOND).await;
        bench.ack("a", &late).await;
        let held = bench.lease("a", 1).await;
        tokio::time::sleep(20 * SECOND).await;
        bench.settle("a", &held, Settlement::Extend { lease_ms: 60_000 }).await;
        tokio::time::sleep(50 * SECOND).await;
        assert_eq!(in_short(&bench.lease("b", 1).await), Vec::<String>::new());
        tokio::time::sleep(11 * SECOND).await;
        assert_eq!(in_short(&bench.lease("b", 1).await), ["note/x 1×2"]);
    });
}
