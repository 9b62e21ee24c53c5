//! The loop that keeps the bus's copies of one partition complete.
//!
//! It goes on after the last event that the bus has. The bus is asked for it at the start, after
//! every error, and now and then: it may have lost some, or another host may have handed over more.
//! A bus that has none is given the newest events only, as many as `relay_tail_events_max`: whoever
//! wants older ones reads the feed. The host's own events (`$…`) are not handed over.

use std::sync::Arc;

use annals_core::error::ErrorChain;
use annals_core::place::{Partition, Position};
use annals_core::port::bus::BusError;
use annals_core::port::event_store::{FeedFilter, ReadError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::{RelayPhase, RelayPorts, RelayProgress, retry_wait};

/// The loop of one partition.
pub(super) struct Copies {
    ports: RelayPorts,
    partition: Partition,
    /// Of all partitions: a page is read and handed over with one.
    pages: Arc<Semaphore>,
    report: watch::Sender<RelayProgress>,
    /// The last event that the bus has, once it was asked.
    published: Option<Option<Position>>,
    /// How far the feed was handed over; beyond `published` after events that are not.
    read_up_to: Option<Position>,
    /// The head when it was last looked at.
    head: Option<Position>,
    /// When to ask the bus again.
    check_at: Instant,
    /// Whether a failure was logged as a warning.
    has_warned: bool,
}

/// Why nothing was handed over.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the feed cannot be read")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(
        "the bus has copies up to position {last}, but the store ends at {}: if the store was \
         restored from a backup, remove the copies",
        head.map_or_else(|| "none".to_owned(), |head| head.to_string())
    )]
    Ahead { last: Position, head: Option<Position> },
}

impl Copies {
    pub(super) fn new(
        ports: RelayPorts,
        partition: Partition,
        pages: Arc<Semaphore>,
    ) -> (Self, watch::Receiver<RelayProgress>) {
        let (report, reported) = watch::channel(RelayProgress {
            partition,
            published: None,
            lag_events_count: 0,
            phase: RelayPhase::CatchingUp,
        });
        let copies = Self {
            ports,
            partition,
            pages,
            report,
            published: None,
            read_up_to: None,
            head: None,
            check_at: Instant::now(),
            has_warned: false,
        };
        (copies, reported)
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let mut attempts: u32 = 0;
        loop {
            let Err(fault) = self.step().await else {
                attempts = 0;
                continue;
            };
            attempts = attempts.saturating_add(1);
            self.failed(&fault, attempts).await;
            sleep(retry_wait(&self.ports.options, attempts)).await;
        }
    }

    /// Hands one page over, or waits until there may be one.
    async fn step(&mut self) -> Result<(), Fault> {
        if Instant::now() >= self.check_at {
            self.ask().await?;
        }
        let is_at_head = self.hand_over().await?;
        if self.has_warned {
            info!(partition = %self.partition, "copies for the bus go on");
            self.has_warned = false;
        }
        if !is_at_head {
            self.report(RelayPhase::CatchingUp);
            return Ok(());
        }
        self.report(RelayPhase::CaughtUp);
        tokio::select! {
            news = self.ports.store.wait_for_news(self.partition, self.read_up_to) => Ok(news?),
            () = sleep_until(self.check_at) => Ok(()),
        }
    }

    /// Asks the bus how far it is, and goes on from there if that is not where it should be.
    async fn ask(&mut self) -> Result<(), Fault> {
        let last = self.ports.bus.last_published(self.partition).await?;
        // Looked at after the bus was asked: what is published was durable before.
        self.head = self.ports.store.head(self.partition).await?;
        if let Some(last) = last.filter(|last| Some(*last) > self.head) {
            return Err(Fault::Ahead { last, head: self.head });
        }
        if self.published != Some(last) {
            self.read_up_to = last.or_else(|| self.before_tail());
            self.published = Some(last);
        }
        self.check_at = Instant::now() + self.ports.options.relay_check_every;
        Ok(())
    }

    /// The position after which the newest events begin that a bus without any is given.
    fn before_tail(&self) -> Option<Position> {
        // Positions have no hole, so that many events lie after it, the host's own among them.
        let number = self.head?.get().checked_sub(self.ports.options.relay_tail_events_max)?;
        Some(Position::new(number))
    }

    /// Hands over the next page; returns whether it ended at the head.
    async fn hand_over(&mut self) -> Result<bool, Fault> {
        let pages = Arc::clone(&self.pages);
        // Never closed; without a permit nothing worse than more memory would happen.
        let _permit = pages.acquire().await.ok();
        let RelayPorts { store, bus, options } = &self.ports;
        let limit = options.relay_page_events_max;
        let filter = FeedFilter::default();
        let page = store.read_feed(self.partition, self.read_up_to, &filter, limit).await?;
        if let Some(last) = page.events.last() {
            bus.publish(&page.events).await?;
            self.published = Some(Some(last.position));
        }
        self.read_up_to = page.read_up_to.or(self.read_up_to);
        self.head = self.head.max(self.read_up_to);
        Ok(page.is_at_head)
    }

    /// Notes a failure.
    async fn failed(&mut self, fault: &Fault, attempts: u32) {
        let partition = self.partition;
        let cause = ErrorChain(fault).to_string();
        // That the bus does not work, its driver says, once for all partitions.
        let is_ours = !matches!(fault, Fault::Bus(_));
        if is_ours && !self.has_warned {
            warn!(%partition, error = cause, "no copies for the bus");
            self.has_warned = true;
        } else {
            debug!(%partition, error = cause, attempts, "no copies for the bus");
        }
        self.check_at = Instant::now();
        // The lag grows meanwhile. When the store does not tell, the last one stands.
        if let Ok(head) = self.ports.store.head(partition).await {
            self.head = head;
        }
        self.report(RelayPhase::Failing { cause, attempts });
    }

    fn report(&self, phase: RelayPhase) {
        // Positions have no hole, so the difference of two counts the events between.
        let lag_events_count = match (self.head, self.read_up_to) {
            (None, _) => 0,
            (Some(head), None) => head.get().saturating_add(1),
            (Some(head), Some(read)) => head.get().saturating_sub(read.get()),
        };
        let published = self.published.flatten();
        let progress =
            RelayProgress { partition: self.partition, published, lag_events_count, phase };
        self.report.send_if_modified(|current| {
            let is_new = *current != progress;
            *current = progress;
            is_new
        });
    }
}
