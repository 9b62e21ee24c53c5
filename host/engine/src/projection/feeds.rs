//! How far a runner has read each partition of the feed, whose turn it is, and who tells it of news.

use std::sync::Arc;
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::invariants;
use annals_core::place::{Partition, Position};
use annals_core::port::bus::Wake;
use annals_core::port::event_store::{FeedFilter, FeedPage, ReadError};
use annals_core::port::{Bus, EventStore};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Fuse, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::sleep;
use tracing::warn;

use super::checkpoint::Checkpoint;

/// All partitions, as one runner sees them.
pub(crate) struct Feeds {
    store: Arc<dyn EventStore>,
    // How long to wait after waiting for news has failed.
    retry_wait: Duration,
    // Invariant: the index of a partition is its number.
    places: Vec<Place>,
    // Whose turn it is, if there is something to read.
    turn: usize,
    // At most one per partition: ends with its index when the store has news of it.
    news: FuturesUnordered<BoxFuture<'static, usize>>,
    wakes: Fuse<BoxStream<'static, Wake>>,
}

/// One partition.
pub(crate) struct Place {
    pub(crate) partition: Partition,
    /// The checkpoint as it is stored.
    pub(crate) saved: Option<Checkpoint>,
    /// How far the feed is read; ahead of `saved` while nothing of interest came.
    pub(crate) read_up_to: Option<Position>,
    reading: Reading,
    // Whether `news` has a future of it.
    is_listening: bool,
}

/// Whether there is something to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    GoesOn,
    AtHead,
    /// What comes next is for another host to project.
    HeldBack,
}

impl Place {
    fn new(partition: Partition, saved: Option<Checkpoint>) -> Self {
        Self {
            partition,
            read_up_to: saved.as_ref().and_then(|saved| saved.position),
            saved,
            reading: Reading::GoesOn,
            is_listening: false,
        }
    }

    fn hears(&mut self) {
        if self.reading == Reading::AtHead {
            self.reading = Reading::GoesOn;
        }
    }
}

impl Feeds {
    /// All partitions, to be read from their checkpoints.
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        bus: &dyn Bus,
        saved: Vec<Option<Checkpoint>>,
        retry_wait: Duration,
    ) -> Self {
        let places = (0..).map(Partition).zip(saved);
        Self {
            store,
            retry_wait,
            places: places.map(|(partition, saved)| Place::new(partition, saved)).collect(),
            turn: 0,
            news: FuturesUnordered::new(),
            wakes: bus.wakes().fuse(),
        }
    }

    /// Goes to the stored checkpoints, forwards or back; returns whether one is another than was
    /// known. Where none is, what was read since stays read: nothing of interest was in it.
    pub(crate) fn follow(&mut self, saved: Vec<Option<Checkpoint>>) -> bool {
        let mut has_moved = false;
        for (place, saved) in self.places.iter_mut().zip(saved) {
            if place.saved != saved {
                has_moved = true;
                // Whoever listens for news of an earlier place only hears of them earlier.
                let is_listening = place.is_listening;
                *place = Place { is_listening, ..Place::new(place.partition, saved) };
            }
        }
        has_moved
    }

    /// Reads on where the next event was for another host to project.
    pub(crate) fn let_go(&mut self) {
        for place in &mut self.places {
            if place.reading == Reading::HeldBack {
                place.reading = Reading::GoesOn;
            }
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// The next partition with something to read, in turn; the same one until its turn is ended.
    pub(crate) fn turn(&mut self) -> Option<usize> {
        self.note_news();
        let count = self.places.len();
        let mut in_turn = (self.turn..count).chain(0..self.turn.min(count));
        let goes_on = |place: &Place| place.reading == Reading::GoesOn;
        self.turn = in_turn.find(|index| self.places.get(*index).is_some_and(goes_on))?;
        Some(self.turn)
    }

    /// Lets the other partitions go first.
    pub(crate) fn end_turn(&mut self) {
        self.turn = self.turn.saturating_add(1);
    }

    pub(crate) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)
    }

    /// Reads on after what was read of a partition.
    pub(crate) async fn read(
        &self,
        index: usize,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        let Some(place) = self.places.get(index) else { return Ok(FeedPage::default()) };
        let after = place.read_up_to;
        let page = self.store.read_feed(place.partition, after, filter, limit).await?;
        debug_assert!(invariants::positions_increase(after, &page.events), "the feed went back");
        Ok(page)
    }

    /// Notes that all events of a page are handled, and with them what the filter held back. The
    /// stored checkpoint follows with the next write; reading a stretch without interest again after
    /// a restart costs only time.
    pub(crate) fn has_read(&mut self, index: usize, page: &FeedPage) {
        if let Some(place) = self.places.get_mut(index) {
            place.read_up_to = page.read_up_to.or(place.read_up_to);
            place.reading = if page.is_at_head { Reading::AtHead } else { Reading::GoesOn };
        }
    }

    /// Notes that a checkpoint was stored.
    pub(crate) fn has_saved(&mut self, index: usize, checkpoint: Checkpoint) {
        if let Some(place) = self.places.get_mut(index) {
            place.read_up_to = checkpoint.position;
            place.saved = Some(checkpoint);
        }
    }

    /// Goes on reading after `read_up_to`, wherever the stored checkpoint is.
    pub(crate) fn goes_on_after(&mut self, index: usize, read_up_to: Option<Position>) {
        if let Some(place) = self.places.get_mut(index) {
            place.read_up_to = read_up_to;
        }
    }

    /// Notes that the next event of a partition is for another host to project.
    pub(crate) fn hold_back(&mut self, index: usize) {
        if let Some(place) = self.places.get_mut(index) {
            place.reading = Reading::HeldBack;
        }
    }

    /// Whether the next event of a partition is for another host to project.
    pub(crate) fn is_held_back(&self) -> bool {
        self.places.iter().any(|place| place.reading == Reading::HeldBack)
    }

    /// Waits until there is something to read.
    pub(crate) async fn changed(&mut self) {
        self.listen();
        while self.turn().is_none() {
            tokio::select! {
                biased;
                Some(index) = self.news.next() => self.has_news(index),
                Some(wake) = self.wakes.next() => self.is_woken(wake),
                // Nobody tells of news: everything waits for another host.
                else => std::future::pending::<()>().await,
            }
            self.listen();
        }
    }

    /// Notes the news that has come without waiting for any.
    fn note_news(&mut self) {
        while let Some(Some(index)) = self.news.next().now_or_never() {
            self.has_news(index);
        }
        while let Some(Some(wake)) = self.wakes.next().now_or_never() {
            self.is_woken(wake);
        }
    }

    fn has_news(&mut self, index: usize) {
        if let Some(place) = self.places.get_mut(index) {
            place.is_listening = false;
            place.hears();
        }
    }

    fn is_woken(&mut self, wake: Wake) {
        let index = usize::try_from(wake.partition.0).unwrap_or(usize::MAX);
        if let Some(place) = self.places.get_mut(index)
            && Some(wake.head) > place.read_up_to
        {
            place.hears();
        }
    }

    /// Listens for news of each partition that is at its head.
    fn listen(&mut self) {
        for (index, place) in self.places.iter_mut().enumerate() {
            if place.reading != Reading::AtHead || place.is_listening {
                continue;
            }
            place.is_listening = true;
            let (store, retry_wait) = (Arc::clone(&self.store), self.retry_wait);
            let (partition, after) = (place.partition, place.read_up_to);
            let news = async move {
                if let Err(error) = store.wait_for_news(partition, after).await {
                    warn!(%partition, error = %ErrorChain(&error), "waiting for news failed");
                    sleep(retry_wait).await;
                }
                index
            };
            self.news.push(news.boxed());
        }
    }
}
