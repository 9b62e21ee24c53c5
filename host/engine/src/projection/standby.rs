//! What a host knows that stands by while another projects.

use std::time::Duration;

use tokio::time::Instant;

use super::fence::Fence;

/// How often a host that stands by looks at the checkpoints while somebody waits for them.
pub(crate) const WAITED_CHECK_EVERY: Duration = Duration::from_millis(50);

/// What was seen of the host that works. Only time that passes here counts: clocks of hosts differ.
#[derive(Debug, Default)]
pub(crate) struct Standby {
    // `None`: not looked yet.
    looked_at: Option<Instant>,
    fence: Option<Fence>,
    // Since when there is an event to project and nothing moves.
    stalled_since: Option<Instant>,
}

impl Standby {
    /// When to look at the checkpoints again.
    pub(crate) fn due(&self, every: Duration) -> Instant {
        self.looked_at.map_or_else(Instant::now, |looked_at| looked_at + every)
    }

    /// Notes a look, by which `fence` was there.
    pub(crate) fn has_looked(&mut self, fence: Option<Fence>) {
        if self.fence != fence {
            self.gets_on();
        }
        self.fence = fence;
        self.looked_at = Some(Instant::now());
    }

    /// Notes that the other host gets on, has nothing to do, or could not be seen.
    pub(crate) const fn gets_on(&mut self) {
        self.stalled_since = None;
    }

    /// Notes that there is an event to project; returns for how long there has been, without the
    /// other host getting on.
    pub(crate) fn is_behind(&mut self) -> Duration {
        self.stalled_since.get_or_insert_with(Instant::now).elapsed()
    }
}
