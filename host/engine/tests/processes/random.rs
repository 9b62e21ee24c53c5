//! Seeded runs: engines are dropped in the middle of everything, commits of state are lost or not told,
//! and what every instance remembers is what a run without any of it leads to.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_engine::Engine;
use annals_store_memory::faulty::FaultyStateStores;
use tokio::time::sleep;

use super::{instance, seen, start_with_adder, until_quiet};
use crate::support::faults::StateCommitsUnknown;
use crate::support::manager::{NEGATIVE, QUIET, TIMER, TWO};
use crate::support::{ManualClock, World, add, run, state};

/// SplitMix64: few lines, and the same numbers for a seed everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

#[test]
fn whatever_crashes_each_message_is_handled_once_and_each_command_has_one_effect() {
    // Guards R19 and the promise of exactly one effect.
    for seed in 0..12 {
        run(one_run(seed));
    }
}

async fn one_run(seed: u64) {
    let mut numbers = Numbers(seed);
    let plan = Arc::new(StateCommitsUnknown::default());
    let mut world = World::of_partitions(1 + u32::try_from(numbers.next(3)).unwrap())
        .with_states(|states| Arc::new(FaultyStateStores::new(states, Arc::clone(&plan) as _)));
    let clock = Arc::new(ManualClock::default());
    let mut now = 1_000;
    clock.set(now);
    world.ports.clock = Arc::clone(&clock) as _;
    world.options.processes.send_attempts_max = NonZeroU32::MAX;
    let mut engine = start_with_adder(&world).await;
    let amounts = [1, 2, 3, QUIET, NEGATIVE, TWO, TIMER];
    let mut sent = vec![Vec::new(); 4];
    for _ in 0..60 {
        let index = usize::try_from(numbers.next(4)).unwrap();
        let amount = amounts[usize::try_from(numbers.next(7)).unwrap()];
        add(&engine, &format!("i{index}"), amount).await.unwrap();
        sent[index].push(amount);
        match numbers.next(6) {
            0 => {
                // A crash: nothing is given back, nothing is finished.
                drop(engine);
                engine = world.start().await;
            }
            1 => {
                engine.stop().await;
                engine = world.start().await;
            }
            2 => plan.unknown_left.store(numbers.next(4), Ordering::Relaxed),
            3 => {
                now += numbers.next(90_000);
                clock.set(now);
            }
            _ => sleep(Duration::from_millis(numbers.next(50))).await,
        }
    }
    plan.unknown_left.store(0, Ordering::Relaxed);
    until_quiet(&engine).await;
    clock.set(now + 1_000_000);
    sleep(Duration::from_secs(30)).await;
    until_quiet(&engine).await;
    for (index, sent) in sent.iter().enumerate() {
        if !sent.is_empty() {
            is_as_if_nothing_had_happened(&engine, &format!("i{index}"), sent, seed).await;
        }
    }
}

async fn is_as_if_nothing_had_happened(engine: &Engine, id: &str, sent: &[i64], seed: u64) {
    let seen = seen(engine, id).await;
    let all = |word: &str| -> Vec<String> {
        seen.iter().filter(|it| it.starts_with(word)).cloned().collect()
    };
    let events: Vec<_> = sent.iter().map(|amount| format!("event {amount}")).collect();
    assert_eq!(all("event"), events, "seed {seed}, {id}");
    let fired = i64::try_from(all("timer").len()).unwrap();
    let timers = i64::try_from(sent.iter().filter(|it| **it == TIMER).count()).unwrap();
    assert!(fired <= timers && (timers == 0) == (fired == 0), "seed {seed}, {id}: {seen:?}");
    let sum: i64 = sent
        .iter()
        .map(|amount| match *amount {
            QUIET | NEGATIVE | TIMER => 0,
            TWO => 2,
            amount => amount,
        })
        .sum();
    let commands = seen.iter().filter(|it| it.ends_with("accepted")).count();
    let rejected = seen.iter().filter(|it| it.ends_with("rejected negative")).count();
    let wanted_rejected = sent.iter().filter(|it| [NEGATIVE, TWO].contains(it)).count();
    assert_eq!(rejected, wanted_rejected, "seed {seed}, {id}: {seen:?}");
    let instance = instance(engine, id).await.unwrap();
    assert_eq!(instance.messages_count, u64::try_from(seen.len()).unwrap());
    assert!(instance.pending.is_empty() && instance.timers.is_empty());
    if commands > 0 {
        let (revision, total) = state(engine, &format!("sum-{id}")).await;
        assert_eq!(total, (sum + fired).to_string(), "seed {seed}, {id}: {seen:?}");
        assert_eq!(revision + 1, u64::try_from(commands).unwrap(), "seed {seed}, {id}");
    }
}
