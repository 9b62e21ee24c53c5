//! The plan of all drivers of a run: faults of a seed while it lasts, and the await at which the
//! process dies.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_store_memory::faulty::{
    AppendFault, Call, FaultPlan, FaultRates, Random, SeededFaults, StateCommitFault, WakeFault,
};
use tokio::sync::Notify;

/// Longer than any run: a call that waits this long is one in which the process died.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Faults while it is not calm, and a death after some more awaits.
#[derive(Debug)]
pub(crate) struct Plan {
    faults: SeededFaults,
    is_calm: AtomicBool,
    /// Awaits of drivers until the process dies.
    awaits_left: AtomicU64,
    died: Notify,
}

impl Plan {
    /// The faults of a run, some of which are more hostile than others. Calm at first.
    pub(crate) fn new(random: &mut Random) -> Self {
        let rates = FaultRates {
            failing_per_mille: random.below(120),
            unknown_per_mille: random.below(120),
            late_per_mille: random.below(300),
            delayed_per_mille: random.below(300),
            wakes_per_mille: random.below(600),
            delay_ms_max: 1 + random.below(60),
            durable_ms_max: 1 + random.below(200),
        };
        Self {
            faults: SeededFaults::new(random.split(), rates),
            is_calm: AtomicBool::new(true),
            awaits_left: AtomicU64::new(u64::MAX),
            died: Notify::new(),
        }
    }

    /// Lets faults happen, and the process die after `awaits` awaits of its drivers.
    pub(crate) fn begin(&self, awaits: u64) {
        self.awaits_left.store(awaits, Ordering::Relaxed);
        self.is_calm.store(false, Ordering::Relaxed);
    }

    /// Lets everything go well from now on.
    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    /// Waits for the death of the process.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// Whether the process has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.awaits_left.load(Ordering::Relaxed) == 0
    }

    fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// A delay, unless it is calm or the process dies here.
    fn delay(&self, call: Call, delay: impl FnOnce() -> Duration) -> Duration {
        // A view is read on the thread that everything runs on, so nobody could wait for it.
        if self.is_calm() || call == Call::ReadState {
            return Duration::ZERO;
        }
        match self.awaits_left.load(Ordering::Relaxed) {
            // Dead already: nothing happens any more.
            0 => FOR_EVER,
            1 => {
                self.awaits_left.store(0, Ordering::Relaxed);
                self.died.notify_one();
                FOR_EVER
            }
            awaits => {
                self.awaits_left.store(awaits - 1, Ordering::Relaxed);
                delay()
            }
        }
    }
}

impl FaultPlan for Plan {
    fn delay_before(&self, call: Call) -> Duration {
        self.delay(call, || self.faults.delay_before(call))
    }

    fn delay_after(&self, call: Call) -> Duration {
        self.delay(call, || self.faults.delay_after(call))
    }

    fn fails(&self, call: Call) -> bool {
        !self.is_calm() && self.faults.fails(call)
    }

    fn append(&self) -> AppendFault {
        if self.is_calm() { AppendFault::None } else { self.faults.append() }
    }

    fn state_commit(&self) -> StateCommitFault {
        if self.is_calm() { StateCommitFault::None } else { self.faults.state_commit() }
    }

    fn durable_after(&self) -> Duration {
        if self.is_calm() { Duration::ZERO } else { self.faults.durable_after() }
    }

    fn wake(&self) -> WakeFault {
        if self.is_calm() { WakeFault::None } else { self.faults.wake() }
    }
}
