//! News of a feed: what this host wrote, what it heard, and a look now and then while somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use annals_core::place::{Partition, Position};
use annals_core::port::event_store::ReadError;
use tokio::sync::watch;

use super::store::Shared;

/// First wait between two looks at a feed. It doubles while there is nothing new.
const LOOK_WAIT: Duration = Duration::from_millis(20);

/// Longest wait between two looks at a feed.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(1);

/// What is known of the heads of the feeds.
#[derive(Debug)]
pub(super) struct News(Vec<Told>);

#[derive(Debug)]
struct Told {
    head: watch::Sender<Option<Position>>,
    waiters: Arc<AtomicUsize>,
    /// Whether somebody looks now and then.
    is_watched: AtomicBool,
}

impl News {
    pub(super) fn new(partitions_count: u32) -> Self {
        let told = || Told {
            head: watch::Sender::new(None),
            waiters: Arc::default(),
            is_watched: AtomicBool::new(false),
        };
        Self((0..partitions_count).map(|_| told()).collect())
    }

    fn of(&self, partition: Partition) -> Option<&Told> {
        self.0.get(usize::try_from(partition.0).unwrap_or(usize::MAX))
    }

    /// Tells whoever waits that a feed has events up to `head`.
    pub(super) fn tell(&self, partition: Partition, head: Position) {
        let Some(told) = self.of(partition) else { return };
        told.head.send_if_modified(|known| {
            let is_news = *known < Some(head);
            if is_news {
                *known = Some(head);
            }
            is_news
        });
    }
}

/// Counts somebody who waits for as long as it lives.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    /// Waits until a feed has an event after a position. However many wait, one of them looks.
    pub(super) async fn news_after(
        self: &Arc<Self>,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        let Some(told) = self.news.of(partition) else {
            return Err(ReadError::UnknownPartition { partition });
        };
        let mut head = told.head.subscribe();
        told.waiters.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(Arc::clone(&told.waiters));
        if !told.is_watched.swap(true, Ordering::AcqRel) {
            // Ends with the last who waits.
            drop(self.client.runtime().spawn(Arc::clone(self).look_now_and_then(partition)));
        }
        // An error would mean that the store is gone, and `self` is here.
        drop(head.wait_for(|head| *head > after).await);
        drop(waiting);
        Ok(())
    }

    async fn look_now_and_then(self: Arc<Self>, partition: Partition) {
        let Some(told) = self.news.of(partition) else { return };
        let mut wait = LOOK_WAIT;
        loop {
            let before = *told.head.borrow();
            // Whoever waits can do nothing about an error; the next look may succeed.
            if let Ok(Some(head)) = self.head(partition).await {
                self.news.tell(partition, head);
            }
            let is_news = *told.head.borrow() != before;
            wait = if is_news { LOOK_WAIT } else { wait.saturating_mul(2).min(LOOK_WAIT_MAX) };
            self.client.pause(wait).await;
            if told.waiters.load(Ordering::Acquire) > 0 {
                continue;
            }
            told.is_watched.store(false, Ordering::Release);
            // Who came in between believes that somebody looks.
            let is_missed = told.waiters.load(Ordering::Acquire) > 0
                && !told.is_watched.swap(true, Ordering::AcqRel);
            if !is_missed {
                return;
            }
        }
    }
}
