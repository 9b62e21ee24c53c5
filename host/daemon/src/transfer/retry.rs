//! Trying again what a store could not do for a moment: a network, or a service that is overloaded.
//!
//! Drivers try again themselves, for seconds. An export or import of hours is worth some minutes more.

use std::time::Duration;

use annals_core::port::event_store::ReadError;
use tokio::time::sleep;

/// How often a call is tried again. With the waits below that is 23 s, besides what the calls take.
const RETRIES_MAX: u32 = 8;

/// The first wait; each is twice as long as the one before.
const RETRY_WAIT_MS_MIN: u64 = 100;

/// The longest wait.
const RETRY_WAIT_MS_MAX: u64 = 10_000;

/// Waits between attempts.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    retries_count: u32,
}

impl Backoff {
    /// Waits before the next attempt; `false` when there is to be none.
    pub(super) async fn wait(&mut self) -> bool {
        if self.retries_count >= RETRIES_MAX {
            return false;
        }
        let wait_ms = RETRY_WAIT_MS_MIN.saturating_mul(1 << self.retries_count);
        self.retries_count += 1;
        sleep(Duration::from_millis(wait_ms.min(RETRY_WAIT_MS_MAX))).await;
        true
    }
}

/// Reads, and again while the store is not available.
pub(super) async fn reading<T, R>(read: impl Fn() -> R + Send) -> Result<T, ReadError>
where
    R: Future<Output = Result<T, ReadError>> + Send,
{
    let mut backoff = Backoff::default();
    loop {
        let error = match read().await {
            Err(error @ ReadError::Unavailable(_)) => error,
            outcome => return outcome,
        };
        if !backoff.wait().await {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use annals_core::error::DriverError;
    use tokio::time::Instant;

    use super::*;

    /// A read that fails so many times, and how often it was asked and for how long.
    async fn ask(
        failing: u32,
        error: impl Fn() -> ReadError + Sync,
    ) -> (Result<u32, ()>, u32, Duration) {
        let (asked, start) = (AtomicU32::new(0), Instant::now());
        let read = || {
            let count = asked.fetch_add(1, Ordering::Relaxed);
            let answer = if count < failing { Err(error()) } else { Ok(count) };
            async { answer }
        };
        let answer = reading(read).await.map_err(drop);
        (answer, asked.load(Ordering::Relaxed), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_tried_again_for_a_bounded_time() {
        // Guards both ends: a service that is away for a moment ends nothing, one that is gone does.
        let unavailable = || ReadError::Unavailable(DriverError::new("away"));
        let ms = Duration::from_millis;
        assert_eq!(ask(0, unavailable).await, (Ok(0), 1, ms(0)));
        assert_eq!(ask(3, unavailable).await, (Ok(3), 4, ms(700)));
        assert_eq!(ask(8, unavailable).await, (Ok(8), 9, ms(22_700)));
        assert_eq!(ask(9, unavailable).await, (Err(()), 9, ms(22_700)));
        let damaged = || ReadError::Damaged(DriverError::new("torn"));
        assert_eq!(ask(1, damaged).await, (Err(()), 1, ms(0)));
    }
}
