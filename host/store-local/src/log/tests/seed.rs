//! Random choices that are the same for the same seed, on every machine and for ever.
//!
//! `SEED=7 CRASH_SEEDS=1000` runs the random tests with the seeds 7 to 1006 instead of a few.

use std::ops::Range;

/// The seeds to run: some, or those that the environment asks for.
pub(crate) fn seeds(first: u64, count: u64) -> Range<u64> {
    let number = |name: &str| {
        let text = std::env::var_os(name)?.into_string().unwrap();
        Some(text.parse::<u64>().unwrap())
    };
    let first = number("SEED").unwrap_or(first);
    first..first + number("CRASH_SEEDS").unwrap_or(count)
}

/// Tells how to repeat a test that fails with a seed.
pub(crate) struct Repeat(pub(crate) u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat it with SEED={} CRASH_SEEDS=1", self.0);
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is not 0.
    pub(crate) const fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    /// An index of a list of `count` entries.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    /// Yes, in so many of a hundred cases.
    pub(crate) const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())].clone()
    }

    /// A seed of its own, so that what uses it changes nothing for others.
    pub(crate) const fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
