//! How many events a batch has: as many as are allowed, fewer where a limit was reached or the writes of
//! the last batch say that it would be.

/// The size of the next batch, in events.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchSize {
    events: usize,
    // Up to here the size doubles; beyond it grows slowly, since a limit was reached there.
    doubles_up_to: usize,
    events_max: usize,
    // Most rows that the view's store takes at once.
    rows_max: usize,
}

/// Events of the first batch, about: what a plugin makes of them is not known yet.
const FIRST_EVENTS: usize = 1_000;

impl BatchSize {
    /// At most `events_max` events, at first no more than the view's store takes rows at once: a
    /// projection writes about a row for each event.
    pub(super) fn new(events_max: usize, commit_rows_max: usize) -> Self {
        let events_max = events_max.max(1);
        let rows_max = commit_rows_max.max(1);
        let events = events_max.min(rows_max).min(FIRST_EVENTS);
        Self { events, doubles_up_to: events_max, events_max, rows_max }
    }

    pub(super) const fn events(self) -> usize {
        self.events
    }

    /// Makes the next batch half of one of `taken` events, which reached a limit; returns whether
    /// that is any smaller.
    pub(super) fn halve(&mut self, taken: usize) -> bool {
        let half = taken.min(self.events) / 2;
        if half == 0 {
            return false;
        }
        (self.events, self.doubles_up_to) = (half, half);
        true
    }

    /// Makes the next batch end before its event `index` (from 0); returns whether there is one
    /// before.
    pub(super) fn end_before(&mut self, index: usize) -> bool {
        let is_smaller = index > 0 && index < self.events;
        if is_smaller {
            self.events = index;
        }
        is_smaller
    }

    /// Lets the next batch be larger, since one of `taken` events and `writes` writes has succeeded. If
    /// events are as many writes in the next, it stays below `writes_max` by a tenth: a batch that
    /// reaches a limit is work for nothing.
    pub(super) fn grow(&mut self, taken: usize, writes: usize, writes_max: usize) {
        let grown = if self.events < self.doubles_up_to {
            self.events.saturating_mul(2).min(self.doubles_up_to)
        } else {
            self.events.saturating_add((self.events / 16).max(1))
        };
        let writes_max = writes_max.min(self.rows_max);
        let writes_wanted = writes_max - writes_max / 10;
        let fitting = taken.saturating_mul(writes_wanted).checked_div(writes).unwrap_or(grown);
        self.events = grown.min(fitting).max(taken.min(self.events)).clamp(1, self.events_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_fast_until_a_limit_and_slowly_beyond_it() {
        // Guards throughput on a store with small commits: most batches succeed at once. Its writes are
        // too few to tell.
        let mut size = BatchSize::new(2_000, 90);
        assert_eq!(size.events(), 90);
        for expected in [180, 360] {
            size.grow(1, 0, 90);
            assert_eq!(size.events(), expected);
        }
        assert!(size.halve(360));
        for expected in [180, 191, 202] {
            assert_eq!(size.events(), expected);
            size.grow(1, 0, 90);
        }
        for _ in 0..100 {
            size.grow(1, 0, 90);
        }
        assert_eq!(size.events(), 2_000);
    }

    #[test]
    fn a_batch_of_one_event_is_never_smaller() {
        // Guards the end of making batches smaller: it is a failure then.
        let mut size = BatchSize::new(0, 0);
        assert_eq!((size.events(), size.halve(1), size.end_before(0)), (1, false, false));
        let mut size = BatchSize::new(8, 8);
        assert!(size.end_before(3));
        assert_eq!((size.events(), size.halve(2), size.events()), (3, true, 1));
        assert!(!size.halve(1));
    }

    #[test]
    fn the_writes_of_a_batch_tell_how_many_events_the_next_may_have() {
        // Guards catching up: a projection of three writes per event never reaches the limit of writes,
        // and one whose writes get fewer goes on to grow.
        let mut size = BatchSize::new(4_096, usize::MAX);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            sizes.push(size.events());
            size.grow(size.events(), size.events() * 3, 10_000);
        }
        assert_eq!(sizes, [1_000, 2_000, 3_000, 3_000]);
        size.grow(3_000, 8_000, 10_000);
        assert_eq!(size.events(), 3_375);
        size.grow(3_375, 2, 10_000);
        assert_eq!(size.events(), 4_096);
        // What the store takes counts as well; a batch that has succeeded is not too large.
        let mut size = BatchSize::new(4_096, 100);
        size.grow(100, 99, 10_000);
        assert_eq!(size.events(), 100);
    }

    #[test]
    fn an_event_that_is_refused_does_not_slow_down_what_comes_after_it() {
        // Guards catching up: only limits make the size grow slowly.
        let mut size = BatchSize::new(64, 1_000);
        assert!(size.end_before(1));
        for expected in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert_eq!(size.events(), expected);
            size.grow(1, 0, 90);
        }
    }
}
