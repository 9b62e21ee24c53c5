//! Limits of process managers that can be set.

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// What process managers may do, and how long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Most commands of one process manager on the way at once.
    pub commands_in_flight_max: NonZeroUsize,
    /// Most instances of one process manager whose commands wait; with more, it takes no further
    /// events and fires no timers until there are fewer.
    pub instances_sending_max: NonZeroUsize,
    /// How often a command is tried that its target fails on, before the instance is told that it
    /// failed.
    pub send_attempts_max: NonZeroU32,
    /// First wait before a command is tried again; doubles up to `send_wait_max`.
    pub send_wait: Duration,
    /// Longest wait before a command is tried again.
    pub send_wait_max: Duration,
    /// Most commands of process managers that may lead to each other without anybody waiting.
    pub causation_depth_max: NonZeroU16,
    /// Most commands of one instance whose outcome is not handled.
    pub commands_pending_max: NonZeroUsize,
    /// Most messages that wait behind one that an instance cannot handle; with more, the process manager
    /// stops there.
    pub messages_waiting_max: NonZeroUsize,
    /// How long an instance may get on with nothing before it is reported as stuck.
    pub stuck_after: Duration,
    /// How long instances are kept that have ended.
    pub ended_kept_for: Duration,
    /// Most instances that are kept and have ended; the first to end go first.
    pub ended_kept_max: u64,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self {
            commands_in_flight_max: NonZeroUsize::MIN.saturating_add(255),
            instances_sending_max: NonZeroUsize::MIN.saturating_add(9_999),
            send_attempts_max: NonZeroU32::MIN.saturating_add(19),
            send_wait: Duration::from_millis(100),
            send_wait_max: Duration::from_secs(30),
            causation_depth_max: NonZeroU16::MIN.saturating_add(999),
            commands_pending_max: NonZeroUsize::MIN.saturating_add(999),
            messages_waiting_max: NonZeroUsize::MIN.saturating_add(999),
            stuck_after: Duration::from_hours(1),
            ended_kept_for: Duration::from_hours(7 * 24),
            ended_kept_max: 10_000,
        }
    }
}
