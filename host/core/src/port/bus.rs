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
    /// What this driver can do.
    fn capabilities(&self) -> BusCapabilities;

    /// Hands copies of durable events of one partition, in order of position, to outsiders.
    /// Publishing an event again is harmless. Publishing when nobody listens succeeds.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]; some of the events may have been published.
    async fn publish(&self, events: &[RecordedEvent]) -> Result<(), BusError>;

    /// How far the copies of `partition` go that outsiders can still be given: the position of the
    /// last one, `None` when there is none. A publisher goes on after it; it may go back, when the bus
    /// lost what it had.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn last_published(&self, partition: Partition) -> Result<Option<Position>, BusError>;

    /// Tells every listener that `partition` has durable events up to `head`. Never waits for a
    /// slow listener.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    async fn wake(&self, partition: Partition, head: Position) -> Result<(), BusError>;

    /// The wakes from now on. A listener that is too slow is given the newest ones only.
    fn wakes(&self) -> BoxStream<'static, Wake>;
}

/// What a driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusCapabilities {
    /// Whether wakes reach other hosts.
    pub reaches_other_hosts: bool,
    /// Whether it keeps copies for outsiders, so that a publisher must hand it every event and ask
    /// where to go on. If not, [`Bus::last_published`] is always `None`.
    pub keeps_copies: bool,
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
