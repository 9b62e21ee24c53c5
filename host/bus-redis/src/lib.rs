//! The bus on Redis: copies of events in streams, wakes over pub/sub.
//!
//! ```text
//!   annals:{default:0}      stream      copies of the events of partition 0 of namespace `default`
//!   annals:{default:1}      stream      … of partition 1
//!   annals:wake:default     channel     `partition:head`, e.g. `0:41`
//! ```
//! Keys of one partition share what is in braces, so that a cluster keeps them together. A client of
//! Redis Cluster this is not: what answers must be the server that has the keys.
//!
//! # Entries
//! The copy of the event at position `n` has the id `n + 1`, in full `<n + 1>-0`: positions begin at
//! 0, which is no id in Redis. A Redis stream takes only ids that are larger than its last one, so
//! that an event is in it at most once, however many hosts publish it. An entry has the fields `id`,
//! `type`, `stream`, `revision`, `partition`, `position`, `time` and `cloudevent`: the event as
//! CloudEvents 1.0 JSON, see `cloud_event.rs`. Streams are trimmed to about
//! [`RedisOptions::stream_entries_max`] entries.
//!
//! # No gaps
//! What a stream has lost before its last entry cannot be put back. So entries are added by a script,
//! `publish.lua`, that first looks whether the stream still ends where this host believes, or
//! further. If it ends earlier (Redis restarted with an older dump, failed over, was emptied), nothing
//! is added, [`Bus::publish`] fails, and goes on failing until [`Bus::last_published`] was asked: a
//! publisher asks again after every error, and goes on from there. There must be one publisher per
//! partition and [`RedisBus`]; other hosts may publish the same at the same time.
//!
//! # Outages
//! A bus is there at once, whether Redis is or not; [`RedisBus::connect`] only looks at the options.
//! A task of its own keeps one connection, which commands and wakes share, and makes a new one for
//! ever. The first failure of an outage is logged as a warning, its end as information.

mod backoff;
mod cloud_event;
mod connect_error;
mod copies;
mod entry;
mod failure;
mod link;
mod options;
mod outage;
mod script;
mod wakes;

use std::fmt;

use annals_core::event::RecordedEvent;
use annals_core::id::StoreId;
use annals_core::place::{Partition, Position};
use annals_core::port::Bus;
use annals_core::port::bus::{BusCapabilities, BusError, Wake};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;

pub use connect_error::ConnectError;
pub use options::RedisOptions;
pub use script::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};
pub use wakes::{QUEUED_WAKES_MAX, WAKE_MS_MAX};

use crate::copies::Copies;
use crate::link::{Link, Target};
use crate::wakes::Wakes;

/// Carries news over Redis, and keeps copies of events there.
pub struct RedisBus {
    address: String,
    copies: Copies,
    wakes: Wakes,
    link: Link,
}

impl RedisBus {
    /// A bus for the copies of the store `store_id`; `seed` is another on each host, so that they do
    /// not all connect at the same moments. Needs a tokio runtime with timers and I/O, which runs the
    /// network from then on, whoever calls the bus.
    ///
    /// # Errors
    /// Each variant of [`ConnectError`]. Not that Redis cannot be reached: that may change.
    pub fn connect(
        options: &RedisOptions,
        store_id: StoreId,
        seed: u64,
    ) -> Result<Self, ConnectError> {
        let handle = Handle::try_current().map_err(|_| ConnectError::NoRuntime)?;
        let target = Target::new(options)?;
        let address = target.address();
        let wakes = Wakes::new(&options.namespace);
        let link = Link::start(target, handle, wakes.ear(), seed);
        Ok(Self { copies: Copies::new(options, store_id, address.clone()), address, wakes, link })
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("address", &self.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Bus for RedisBus {
    fn capabilities(&self) -> BusCapabilities {
        BusCapabilities { reaches_other_hosts: true, keeps_copies: true }
    }

    /// Fails as well when the stream has lost entries since they were last asked for.
    async fn publish(&self, events: &[RecordedEvent]) -> Result<(), BusError> {
        self.copies.publish(&self.link, events).await.map_err(BusError::Unavailable)
    }

    /// Of a stream that was emptied, and is still there, the last position that it had: it takes
    /// nothing before.
    async fn last_published(&self, partition: Partition) -> Result<Option<Position>, BusError> {
        self.copies.last_published(&self.link, partition).await.map_err(BusError::Unavailable)
    }

    /// Waits for the answer of Redis, at most [`WAKE_MS_MAX`].
    async fn wake(&self, partition: Partition, head: Position) -> Result<(), BusError> {
        let wake = Wake { partition, head };
        self.wakes.send(&self.link, wake).await.map_err(BusError::Unavailable)
    }

    fn wakes(&self) -> BoxStream<'static, Wake> {
        self.wakes.listen()
    }
}
