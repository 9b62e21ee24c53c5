//! The bus inside one process: bounded broadcasts that never wait for anybody.
//!
//! A slow listener loses what is oldest, which is what a bus may do: whoever needs every event reads
//! the store's feed.

use std::future::ready;
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use annals_core::port::Bus;
use annals_core::port::bus::{BusCapabilities, BusError, Wake};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// Most wakes that are kept for a listener that is slow. A power of two, as the queue would round it
/// up to one anyway. A wake says no more than the next one of its partition, so few are enough.
pub const QUEUED_WAKES_MAX: usize = 64;

/// Most published batches that are kept for a listener that is slow. A power of two. Batches of
/// [`READ_BYTES_MAX`](annals_core::limits::READ_BYTES_MAX) bytes of data make this 512 MiB, which
/// all listeners share.
pub const QUEUED_BATCHES_MAX: usize = 64;

/// Carries news to listeners in the same process.
#[derive(Debug)]
pub struct LocalBus {
    wakes: broadcast::Sender<Wake>,
    batches: broadcast::Sender<Arc<[RecordedEvent]>>,
}

impl LocalBus {
    /// A bus without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self {
            wakes: broadcast::Sender::new(QUEUED_WAKES_MAX),
            batches: broadcast::Sender::new(QUEUED_BATCHES_MAX),
        }
    }

    /// The published batches from now on, each as it was published; no batch is empty. A listener
    /// that is more than [`QUEUED_BATCHES_MAX`] batches behind is given the newest only.
    ///
    /// Ends when the bus is dropped.
    #[must_use]
    pub fn subscribe(&self) -> BoxStream<'static, Arc<[RecordedEvent]>> {
        newest(&self.batches)
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for LocalBus {
    fn capabilities(&self) -> BusCapabilities {
        BusCapabilities { reaches_other_hosts: false, keeps_copies: false }
    }

    async fn last_published(&self, _partition: Partition) -> Result<Option<Position>, BusError> {
        Ok(None)
    }

    async fn publish(&self, events: &[RecordedEvent]) -> Result<(), BusError> {
        let has_listeners = self.batches.receiver_count() > 0;
        if has_listeners && !events.is_empty() {
            // An error means that the last listener has just gone: nobody to tell is fine.
            drop(self.batches.send(Arc::from(events)));
        }
        Ok(())
    }

    async fn wake(&self, partition: Partition, head: Position) -> Result<(), BusError> {
        // An error means that nobody listens, which is fine.
        drop(self.wakes.send(Wake { partition, head }));
        Ok(())
    }

    fn wakes(&self) -> BoxStream<'static, Wake> {
        newest(&self.wakes)
    }
}

/// What is sent from now on. What a listener was too slow for is passed over.
fn newest<T: Clone + Send + 'static>(sender: &broadcast::Sender<T>) -> BoxStream<'static, T> {
    BroadcastStream::new(sender.subscribe()).filter_map(|sent| ready(sent.ok())).boxed()
}
