//! What the calls of one host have in common, per subscription: whose turn it is, and news of changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annals_core::name::SubscriptionName;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// One entry per subscription that was used.
#[derive(Debug, Default)]
pub(super) struct Hub {
    // Never held across an await. Bounded: names that do not exist are forgotten.
    all: Mutex<HashMap<SubscriptionName, Arc<Shared>>>,
}

/// What the calls of one subscription share.
#[derive(Debug)]
pub(super) struct Shared {
    // Changes of one host happen one after the other: it would only refuse its own.
    turn: Semaphore,
    // Of those that wait for events one watches the feed; the others wait for that one.
    watch: Semaphore,
    changes: watch::Sender<u64>,
    is_checked: AtomicBool,
}

impl Hub {
    pub(super) fn of(&self, name: &SubscriptionName) -> Arc<Shared> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.clone()).or_insert_with(|| Arc::new(Shared::new())))
    }

    pub(super) fn forget(&self, name: &SubscriptionName) {
        let forgotten = self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        // Whoever waits looks, and finds that it is gone.
        if let Some(shared) = forgotten {
            shared.changed();
        }
    }
}

impl Shared {
    fn new() -> Self {
        Self {
            turn: Semaphore::new(1),
            watch: Semaphore::new(1),
            changes: watch::Sender::new(0),
            is_checked: AtomicBool::new(false),
        }
    }

    /// Waits for the turn to change the subscription. The semaphores are never closed, so there is
    /// always a permit.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }

    /// Waits for the turn to watch the feed.
    pub(super) async fn watch(&self) -> Option<SemaphorePermit<'_>> {
        self.watch.acquire().await.ok()
    }

    /// Tells those who wait that something changed.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears of changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn is_checked(&self) -> bool {
        self.is_checked.load(Ordering::Relaxed)
    }

    pub(super) fn set_checked(&self) {
        self.is_checked.store(true, Ordering::Relaxed);
    }
}
