//! Waits between attempts: longer each time, and another on each host.

use std::time::Duration;

/// The waits between attempts.
#[derive(Debug)]
pub(crate) struct Backoff {
    wait: Duration,
    wait_max: Duration,
    attempts: u32,
    random: u64,
}

impl Backoff {
    pub(crate) const fn new(wait: Duration, wait_max: Duration, seed: u64) -> Self {
        Self { wait, wait_max, attempts: 0, random: seed }
    }

    /// The next wait: between one half and the whole of what has doubled with each attempt up to its
    /// limit.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.attempts = self.attempts.saturating_add(1);
        let whole = self.wait.saturating_mul(doubled).min(self.wait_max);
        let half = whole / 2;
        half + (whole - half).mul_f64(self.fraction())
    }

    /// Begins again with the first wait.
    pub(crate) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// A number from 0 to 1 by SplitMix64 (Steele, Lea and Flood, 2014).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(drawn) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit_and_begin_again() {
        // Guards a Redis that comes back: hosts do not hammer it, and do not wait for ever.
        let ms = Duration::from_millis;
        for seed in 0..100 {
            let mut backoff = Backoff::new(ms(100), ms(1_000), seed);
            for whole in [100, 200, 400, 800, 1_000, 1_000] {
                let wait = backoff.next();
                assert!((ms(whole / 2)..=ms(whole)).contains(&wait), "{wait:?}");
            }
            for _ in 0..100 {
                assert!(backoff.next() <= ms(1_000));
            }
            backoff.reset();
            assert!(backoff.next() <= ms(100));
        }
    }

    #[test]
    fn hosts_wait_differently() {
        // Guards against hosts that all come back at one moment.
        let first = |seed| {
            Backoff::new(Duration::from_secs(1), Duration::from_secs(9), seed).next().as_millis()
        };
        let waits: std::collections::HashSet<u128> = (0..20).map(first).collect();
        assert!(waits.len() > 15, "{waits:?}");
    }
}
