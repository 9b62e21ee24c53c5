//! The loop that tells other hosts of the news of one partition.
//!
//! Every host learns of news, of its own events and of others'. The first to learn tells; whoever has
//! heard of it meanwhile need not. A wake that is lost is made up for by the next one, or by the other
//! host's own look at the store.

use std::pin::pin;

use annals_core::error::ErrorChain;
use annals_core::place::{Partition, Position};
use annals_core::port::bus::Wake;
use annals_core::port::event_store::ReadError;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::time::sleep;
use tracing::debug;

use super::{RelayPorts, retry_wait};

/// The loop of one partition.
pub(super) struct Wakes {
    ports: RelayPorts,
    partition: Partition,
    /// The news known to this host; nobody is told of what was there at its start.
    known: Option<Option<Position>>,
    /// The largest head that was heard of.
    heard: Option<Position>,
}

impl Wakes {
    pub(super) const fn new(ports: RelayPorts, partition: Partition) -> Self {
        Self { ports, partition, known: None, heard: None }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        let mut wakes = self.ports.bus.wakes();
        let mut attempts: u32 = 0;
        loop {
            let Err(error) = self.step(&mut wakes).await else {
                attempts = 0;
                continue;
            };
            attempts = attempts.saturating_add(1);
            // Not a warning: whoever relays copies, or reads events, has said so.
            debug!(partition = %self.partition, error = %ErrorChain(&error), "no news to tell");
            sleep(retry_wait(&self.ports.options, attempts)).await;
        }
    }

    /// Waits for news, and tells of it unless it was heard of.
    async fn step(&mut self, wakes: &mut BoxStream<'static, Wake>) -> Result<(), ReadError> {
        let (store, partition) = (&self.ports.store, self.partition);
        let Some(known) = self.known else {
            self.known = Some(store.head(partition).await?);
            return Ok(());
        };
        let mut heard = self.heard;
        // Not begun anew for each wake: a driver that looks now and then would never look.
        let mut news = pin!(store.wait_for_news(partition, known));
        loop {
            tokio::select! {
                biased;
                Some(wake) = wakes.next() => {
                    if wake.partition == partition {
                        heard = heard.max(Some(wake.head));
                    }
                }
                news = &mut news => break news?,
            }
        }
        self.heard = heard;
        let head = store.head(partition).await?;
        self.known = Some(known.max(head));
        let Some(head) = head.filter(|head| Some(*head) > known.max(heard)) else {
            return Ok(());
        };
        if let Err(error) = self.ports.bus.wake(partition, head).await {
            // A wake may be lost, and the driver says that it does not work.
            debug!(%partition, error = %ErrorChain(&error), "nobody was told of news");
        }
        Ok(())
    }
}
