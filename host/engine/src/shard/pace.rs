//! How fast a plugin decides: one that is slow runs apart, so that it delays itself alone.
//!
//! A shard calls plugins synchronously. One whose decisions burn their fuel would hold up the streams of
//! all others that are on its shard, for some 50 ms each time; one that traps each time needs a new sandbox
//! each time.

use std::sync::atomic::{AtomicU64, Ordering};

/// From this mean on, in microseconds, a plugin is slow: a thousand times an ordinary decision, and a few
/// times what a durable command takes. Callers of other plugins would notice: with 5 000 the median of
/// their commands grew 26 times beside a plugin that took 3 ms each time.
const SLOW_US: u64 = 1_000;

/// What a failed call counts as, in microseconds, however long it took: it may have used a whole budget of
/// fuel, and needs a new sandbox. One makes a plugin slow, a few fast decisions make it forgotten.
const FAILED_US: u64 = 10_000;

/// Each decision moves the mean by this part of its difference.
const WEIGHT: u64 = 8;

/// The mean time of the latest decisions of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    mean_us: AtomicU64,
}

impl Pace {
    /// Notes a decision that took so long.
    pub(crate) fn decided(&self, time_ns: u64) {
        let time_us = time_ns / 1_000;
        let mean_us = self.mean_us.load(Ordering::Relaxed);
        if mean_us == 0 && time_us < WEIGHT {
            return;
        }
        // A decision that another thread notes meanwhile may be lost: it is an estimate.
        let mean_us = mean_us - mean_us.div_ceil(WEIGHT) + time_us / WEIGHT;
        self.mean_us.store(mean_us, Ordering::Relaxed);
    }

    /// Notes a call that failed among those of other plugins.
    pub(crate) fn failed(&self) {
        self.decided(FAILED_US * 1_000);
    }

    /// Whether it would hold up others.
    pub(crate) fn is_slow(&self) -> bool {
        self.mean_us.load(Ordering::Relaxed) >= SLOW_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_makes_a_plugin_slow_and_some_fast_decisions_make_it_fast_again() {
        // Guards both: others do not wait for it twice, and one bad stream does not slow the good ones
        // down for long.
        let pace = Pace::default();
        pace.decided(3_000);
        assert!(!pace.is_slow());
        pace.failed();
        assert!(pace.is_slow());
        let fast_until_forgotten = (1..100).find(|_| {
            pace.decided(3_000);
            !pace.is_slow()
        });
        assert_eq!(fast_until_forgotten, Some(2));
        (0..100).for_each(|_| pace.decided(900_000));
        assert!(!pace.is_slow(), "not quite");
        (0..100).for_each(|_| pace.decided(1_200_000));
        assert!(pace.is_slow(), "as slow as this each time");
        (0..100).for_each(|_| pace.decided(0));
        assert_eq!(pace.mean_us.load(Ordering::Relaxed), 0);
    }
}
