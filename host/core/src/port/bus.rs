//! The port to news: that there are events, and copies of them for outsiders.

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::error::DriverError;
use crate::event::RecordedEvent;
use crate::place::{Partition, Position};

/// Carries news. It may lose, repeat or delay anything: the store is the truth, and whoever misses
/// the news finds the events in the store's feed.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug {
    /// Hands copies of durable events of one partition, in order of position, to outsiders.
    /// Publishing an event again is harmless. Publishing when nobody listens succeeds.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]; some of the events may have been published.
    async fn publish(&self, events: &[RecordedEvent]) -> Result<(), BusError>;

    /// Tells every listener that `partition` has durable events up to `head`. Never waits for a
    /// slow listener.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn wake(&self, partition: Partition, head: Position) -> Result<(), BusError>;

    /// The wakes from now on. A listener that is too slow is given the newest ones only.
    fn wakes(&self) -> BoxStream<'static, Wake>;
}

/// There is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// Where.
    pub partition: Partition,
    /// The head at the time of the wake.
    pub head: Position,
}

/// Why news did not go out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// Trying again later may succeed.
    #[error("the bus is not available")]
    Unavailable(#[source] DriverError),
}
