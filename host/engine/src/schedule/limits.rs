//! Limits of scheduled commands, with the reason for each number.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// Limits of scheduled commands. Each has a documented answer when it is reached.
#[derive(Debug, Clone)]
pub struct ScheduleLimits {
    /// Most schedules of a store that have not ended; one more is refused. Several hosts may exceed it
    /// by what they make at once.
    pub schedules_max: NonZeroUsize,
    /// Most schedules kept after their end; the longest ended go first.
    pub ended_max: u32,
    /// How long a schedule is kept after its end.
    pub ended_kept_for: Duration,
    /// Most commands that this host fires at once.
    pub in_flight_max: NonZeroUsize,
    /// How often a command may fail before its schedule is parked.
    pub attempts_max: NonZeroU32,
    /// First wait after a command could not be run; doubles up to `retry_wait_max`.
    pub retry_wait: Duration,
    /// Longest wait after a command could not be run.
    pub retry_wait_max: Duration,
    /// How long the host that fires a command has for it. After that any host may fire it again, under
    /// the same command id.
    pub firing_wait_max: Duration,
    /// How often a host looks what other hosts changed, and at the clock.
    pub check_every: Duration,
    /// Most outcomes of a recurring schedule that are kept, the newest. With
    /// `message_bytes_max` they stay far below the 256 KiB of a row.
    pub outcomes_max: usize,
    /// Longest message of an outcome that is kept, in bytes; the rest is cut off.
    pub message_bytes_max: usize,
    /// Most schedules that one page looks at, those that do not fit its filter among them.
    pub list_rows_max: usize,
    /// How often a change is tried again after another one was first.
    pub conflict_retries_max: NonZeroU32,
}

impl Default for ScheduleLimits {
    fn default() -> Self {
        Self {
            schedules_max: NonZeroUsize::MIN.saturating_add(99_999),
            ended_max: 100_000,
            ended_kept_for: Duration::from_hours(7 * 24),
            in_flight_max: NonZeroUsize::MIN.saturating_add(63),
            attempts_max: NonZeroU32::MIN.saturating_add(9),
            retry_wait: Duration::from_secs(1),
            retry_wait_max: Duration::from_mins(5),
            firing_wait_max: Duration::from_secs(10),
            check_every: Duration::from_secs(1),
            outcomes_max: 20,
            message_bytes_max: 512,
            list_rows_max: 5_000,
            conflict_retries_max: NonZeroU32::MIN.saturating_add(31),
        }
    }
}
