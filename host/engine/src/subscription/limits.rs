//! Limits of subscriptions, with the reason for each number.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// Limits of subscriptions. Each has a documented answer when it is reached.
#[derive(Debug, Clone)]
pub struct SubscriptionLimits {
    /// Most subscriptions of a store; one more is refused. Each is a row, and listing reads all.
    pub subscriptions_max: NonZeroUsize,
    /// Most categories, or event types, that a filter names.
    pub filter_names_max: usize,
    /// Longest prefix of a filter, in bytes: the longest stream id.
    pub prefix_bytes_max: usize,
    /// Most events that a subscription may want in flight. They are in its row.
    pub in_flight_events_max: u32,
    /// Most bytes of a row that events in flight may take; reading stops before. With settings and
    /// members it stays below the 256 KiB of a row.
    pub window_bytes_max: usize,
    /// Shortest lease, in milliseconds.
    pub lease_ms_min: u64,
    /// Longest lease, in milliseconds: nobody else sees the events until then.
    pub lease_ms_max: u64,
    /// Longest wait before a retry, in milliseconds: the rest of the stream waits as long.
    pub retry_after_ms_max: u64,
    /// Most attempts that a subscription may want.
    pub attempts_max: u32,
    /// Most events of one lease.
    pub lease_events_max: usize,
    /// A lease ends after the event with which its data reaches this many bytes.
    pub lease_bytes_max: usize,
    /// Most deliveries of one answer of a member.
    pub deliveries_max: usize,
    /// Most members that a subscription remembers; those that hold nothing are forgotten first, the
    /// longest unseen before the others. When all hold something, a further one is refused as busy.
    pub members_max: usize,
    /// Most streams with a parked event. No further one is parked: by a member, that is refused; by
    /// itself, the event is delivered again instead.
    pub parked_streams_max: u64,
    /// Longest cause that is kept, in bytes; the rest is cut off.
    pub cause_bytes_max: usize,
    /// Most pages of the feed that one lease reads before what was passed over is noted.
    pub feed_pages_max: usize,
    /// A note is made, too, when so many events were passed over.
    pub passed_over_events_max: u64,
    /// How often a change is tried again after another one was first.
    pub conflict_retries_max: NonZeroU32,
    /// How often a lease that waits looks what other hosts changed.
    pub check_every: Duration,
}

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self {
            subscriptions_max: NonZeroUsize::MIN.saturating_add(99),
            filter_names_max: 100,
            prefix_bytes_max: 321,
            in_flight_events_max: 1_000,
            window_bytes_max: 160 << 10,
            lease_ms_min: 100,
            lease_ms_max: 12 * 60 * 60 * 1_000,
            retry_after_ms_max: 24 * 60 * 60 * 1_000,
            attempts_max: 1_000,
            lease_events_max: 1_000,
            lease_bytes_max: 4 << 20,
            deliveries_max: 1_000,
            members_max: 100,
            parked_streams_max: 10_000,
            cause_bytes_max: 256,
            feed_pages_max: 16,
            passed_over_events_max: 1_000,
            conflict_retries_max: NonZeroU32::MIN.saturating_add(31),
            check_every: Duration::from_secs(1),
        }
    }
}
