//! Counts what a plugin uses: relaxed atomics, nothing that a call allocates or waits for.
//!
//! The numbers are for people. One that is read while it changes is as good as one read a moment later.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use annals_core::port::guest::GuestFailure;
use annals_core::time::Clock;
use annals_core::usage::{HandlerUsage, PluginUsage};

/// The functions that are told apart; `other` is whatever is not among them.
const HANDLERS: [&str; 16] = [
    "instantiate",
    "describe",
    "constructor",
    "restore",
    "evolve",
    "decide",
    "snapshot",
    "destructor",
    "project",
    "answer",
    "upcast",
    "correlate",
    "on-event",
    "on-timer",
    "on-reply",
    OTHER,
];

const OTHER: &str = "other";

/// What the sandboxes of one plugin used.
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    handlers: [Counts; HANDLERS.len()],
    memory_bytes: AtomicU64,
    memory_bytes_high: AtomicU64,
    entities_count: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    calls_count: AtomicU64,
    fuel: AtomicU64,
    time_ns: AtomicU64,
    input_bytes: AtomicU64,
    output_bytes: AtomicU64,
    traps_count: AtomicU64,
    limits_count: AtomicU64,
    breaches_count: AtomicU64,
}

impl Meter {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            handlers: std::array::from_fn(|_| Counts::default()),
            memory_bytes: AtomicU64::new(0),
            memory_bytes_high: AtomicU64::new(0),
            entities_count: AtomicU64::new(0),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.elapsed_ns()
    }

    /// Counts a call of `handler` that began at `start_ns`.
    pub(crate) fn called(&self, handler: &str, start_ns: u64, fuel: u64, input_bytes: usize) {
        let counts = self.counts(handler);
        counts.calls_count.fetch_add(1, Relaxed);
        counts.fuel.fetch_add(fuel, Relaxed);
        counts.time_ns.fetch_add(self.now_ns().saturating_sub(start_ns), Relaxed);
        counts.input_bytes.fetch_add(count_of(input_bytes), Relaxed);
    }

    /// Counts what a call of `handler` passed back.
    pub(crate) fn answered(&self, handler: &str, output_bytes: usize) {
        self.counts(handler).output_bytes.fetch_add(count_of(output_bytes), Relaxed);
    }

    /// Counts a failure of `handler`.
    pub(crate) fn failed(&self, handler: &str, failure: &GuestFailure) {
        let counts = self.counts(handler);
        let count = match failure {
            GuestFailure::Trap { .. } => &counts.traps_count,
            GuestFailure::Limit { .. } => &counts.limits_count,
            GuestFailure::Contract { .. } => &counts.breaches_count,
            // Not the plugin's.
            _ => return,
        };
        count.fetch_add(1, Relaxed);
    }

    /// Counts memory that a sandbox took, of which it holds `held` now.
    pub(crate) fn memory_grown(&self, by: usize, held: usize) {
        self.memory_bytes.fetch_add(count_of(by), Relaxed);
        self.memory_bytes_high.fetch_max(count_of(held), Relaxed);
    }

    /// Counts memory that a sandbox gave back.
    pub(crate) fn memory_returned(&self, by: usize) {
        self.memory_bytes.fetch_sub(count_of(by), Relaxed);
    }

    pub(crate) fn entities_added(&self) {
        self.entities_count.fetch_add(1, Relaxed);
    }

    pub(crate) fn entities_gone(&self, count: usize) {
        self.entities_count.fetch_sub(count_of(count), Relaxed);
    }

    pub(crate) fn usage(&self) -> PluginUsage {
        let handlers = HANDLERS.iter().zip(&self.handlers).map(|(name, counts)| counts.usage(name));
        PluginUsage {
            handlers: handlers.filter(HandlerUsage::is_used).collect(),
            memory_bytes: self.memory_bytes.load(Relaxed),
            memory_bytes_high: self.memory_bytes_high.load(Relaxed),
            entities_count: self.entities_count.load(Relaxed),
        }
    }

    fn counts(&self, handler: &str) -> &Counts {
        let [instantiate, describe, constructor, restore, evolve, decide, snapshot, rest @ ..] =
            &self.handlers;
        let [destructor, project, answer, upcast, rest @ ..] = rest;
        let [correlate, on_event, on_timer, on_reply, other] = rest;
        match handler {
            "instantiate" => instantiate,
            "describe" => describe,
            "constructor" => constructor,
            "restore" => restore,
            "evolve" => evolve,
            "decide" => decide,
            "snapshot" => snapshot,
            "destructor" => destructor,
            "project" => project,
            "answer" => answer,
            "upcast" => upcast,
            "correlate" => correlate,
            "on-event" => on_event,
            "on-timer" => on_timer,
            "on-reply" => on_reply,
            _ => other,
        }
    }
}

impl Counts {
    fn usage(&self, handler: &'static str) -> HandlerUsage {
        HandlerUsage {
            handler,
            calls_count: self.calls_count.load(Relaxed),
            fuel: self.fuel.load(Relaxed),
            time_ns: self.time_ns.load(Relaxed),
            input_bytes: self.input_bytes.load(Relaxed),
            output_bytes: self.output_bytes.load(Relaxed),
            traps_count: self.traps_count.load(Relaxed),
            limits_count: self.limits_count.load(Relaxed),
            breaches_count: self.breaches_count.load(Relaxed),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("usage", &self.usage()).finish_non_exhaustive()
    }
}

fn count_of(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use annals_core::time::Timestamp;

    use super::*;

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_ms(0)
        }
    }

    #[test]
    fn every_handler_is_counted_under_its_own_name() {
        // Guards the figures: two places name the handlers.
        let clock: Arc<dyn Clock> = Arc::new(Stopped);
        for handler in HANDLERS {
            let meter = Meter::new(&clock);
            meter.called(handler, 0, 7, 3);
            meter.answered(handler, 2);
            let counted = HandlerUsage {
                handler,
                calls_count: 1,
                fuel: 7,
                input_bytes: 3,
                output_bytes: 2,
                ..HandlerUsage::default()
            };
            assert_eq!(meter.usage().handlers, [counted]);
        }
    }
}
