//! How the daemon tells the API that the end is near.

use tokio::sync::watch;

/// A handle to stop the API. Clones share one state.
#[derive(Debug, Clone)]
pub struct Lifecycle(watch::Sender<bool>);

impl Lifecycle {
    /// A handle to an API that serves.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// From now on the host is not ready, new requests are refused with 503 and event streams end.
    /// Requests that are being answered are finished. Stopping again does nothing.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether [`Self::stop`] was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until [`Self::stop`] is called.
    pub async fn stopped(&self) {
        let mut state = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        if state.wait_for(|is_stopping| *is_stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
