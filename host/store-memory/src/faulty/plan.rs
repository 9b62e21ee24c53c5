//! Plans: which call fails, when and how.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::random::Random;

/// What is called, as far as plans tell calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// `EventStore::append`.
    Append,
    /// `EventStore::flush`.
    Flush,
    /// The reads of an event store but for its feed.
    ReadEvents,
    /// `EventStore::read_feed` and `head`.
    ReadFeed,
    /// `EventStore::wait_for_news`.
    WaitForNews,
    /// `StateStores::open`, `remove` and `list`.
    Spaces,
    /// The reads of a state store. A view's reader waits for them on its thread, so a delay here
    /// must not need that thread to end.
    ReadState,
    /// `StateStore::commit` and `clear`.
    WriteState,
    /// `Bus::publish`.
    Publish,
    /// `Bus::wake`.
    Wake,
}

/// What happens to one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppendFault {
    /// Nothing.
    #[default]
    None,
    /// It fails before it has any effect, and says so.
    Unavailable,
    /// The caller is not told what became of it.
    OutcomeUnknown {
        /// Whether the commit is there.
        is_recorded: bool,
    },
    /// The news that it is durable comes this much later.
    DurabilityLate(Duration),
    /// After this time the caller is told that the commit may not be durable, whatever it is.
    DurabilityLost(Duration),
}

/// What happens to one commit of state that does not fail before it has any effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateCommitFault {
    /// Nothing.
    #[default]
    None,
    /// The caller is not told what became of it.
    OutcomeUnknown {
        /// Whether it was written.
        is_written: bool,
    },
}

/// What happens to one wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WakeFault {
    /// Nothing.
    #[default]
    None,
    /// Nobody hears of it.
    Dropped,
    /// It is heard twice.
    Repeated,
    /// It is heard this much later.
    Late(Duration),
}

/// Decides about every call of a decorator. What is not implemented goes well.
pub trait FaultPlan: Send + Sync + fmt::Debug {
    /// How long `call` waits before it does anything.
    fn delay_before(&self, call: Call) -> Duration {
        let _ = call;
        Duration::ZERO
    }

    /// How long `call` waits after its effect, before it answers.
    fn delay_after(&self, call: Call) -> Duration {
        let _ = call;
        Duration::ZERO
    }

    /// Whether `call` fails before it has any effect. Not asked about [`Call::Append`].
    fn fails(&self, call: Call) -> bool {
        let _ = call;
        false
    }

    /// What happens to the next append.
    fn append(&self) -> AppendFault {
        AppendFault::None
    }

    /// What happens to the next commit of state.
    fn state_commit(&self) -> StateCommitFault {
        StateCommitFault::None
    }

    /// How long a [`VolatileEventStore`](crate::VolatileEventStore) takes to make the next commit
    /// durable.
    fn durable_after(&self) -> Duration {
        Duration::ZERO
    }

    /// What happens to the next wake.
    fn wake(&self) -> WakeFault {
        WakeFault::None
    }
}

/// Everything goes well.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl FaultPlan for NoFaults {}

/// How often things go wrong, of a thousand calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultRates {
    /// Calls that fail before they have any effect.
    pub failing_per_mille: u64,
    /// Appends and commits of state whose outcome is not told; half of them are there.
    pub unknown_per_mille: u64,
    /// Appends whose durability is told late; every fourth of them is told to be lost.
    pub late_per_mille: u64,
    /// Calls that wait before or after their effect; never reads of state.
    pub delayed_per_mille: u64,
    /// Wakes that are dropped, repeated or late.
    pub wakes_per_mille: u64,
    /// Longest wait of a call (exclusive), in milliseconds.
    pub delay_ms_max: u64,
    /// Longest time to make a commit durable (exclusive), in milliseconds.
    pub durable_ms_max: u64,
}

/// Faults at random, decided by a seed and the order of the calls.
#[derive(Debug)]
pub struct SeededFaults {
    rates: FaultRates,
    random: Mutex<Random>,
}

impl SeededFaults {
    /// Faults of a seed.
    #[must_use]
    pub const fn new(random: Random, rates: FaultRates) -> Self {
        Self { rates, random: Mutex::new(random) }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn delay(&self, call: Call) -> Duration {
        if call == Call::ReadState {
            return Duration::ZERO;
        }
        self.draw(|random| {
            let is_delayed = random.happens(self.rates.delayed_per_mille);
            if is_delayed { self.some_time(random) } else { Duration::ZERO }
        })
    }

    fn some_time(&self, random: &mut Random) -> Duration {
        Duration::from_millis(random.below(self.rates.delay_ms_max))
    }
}

impl FaultPlan for SeededFaults {
    fn delay_before(&self, call: Call) -> Duration {
        self.delay(call)
    }

    fn delay_after(&self, call: Call) -> Duration {
        self.delay(call)
    }

    fn fails(&self, _: Call) -> bool {
        self.draw(|random| random.happens(self.rates.failing_per_mille))
    }

    fn append(&self) -> AppendFault {
        self.draw(|random| {
            if random.happens(self.rates.failing_per_mille) {
                AppendFault::Unavailable
            } else if random.happens(self.rates.unknown_per_mille) {
                AppendFault::OutcomeUnknown { is_recorded: random.happens(500) }
            } else if random.happens(self.rates.late_per_mille) {
                let delay = self.some_time(random);
                let is_lost = random.happens(250);
                if is_lost {
                    AppendFault::DurabilityLost(delay)
                } else {
                    AppendFault::DurabilityLate(delay)
                }
            } else {
                AppendFault::None
            }
        })
    }

    fn state_commit(&self) -> StateCommitFault {
        self.draw(|random| {
            if random.happens(self.rates.unknown_per_mille) {
                StateCommitFault::OutcomeUnknown { is_written: random.happens(500) }
            } else {
                StateCommitFault::None
            }
        })
    }

    fn durable_after(&self) -> Duration {
        Duration::from_millis(self.draw(|random| random.below(self.rates.durable_ms_max)))
    }

    fn wake(&self) -> WakeFault {
        self.draw(|random| {
            if !random.happens(self.rates.wakes_per_mille) {
                return WakeFault::None;
            }
            match random.below(3) {
                0 => WakeFault::Dropped,
                1 => WakeFault::Repeated,
                _ => WakeFault::Late(self.some_time(random)),
            }
        })
    }
}
