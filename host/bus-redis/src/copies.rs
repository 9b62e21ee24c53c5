//! Copies of events in streams: publishing them, and asking how far they go.

mod stream_info;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annals_core::error::{DriverError, ErrorChain};
use annals_core::event::RecordedEvent;
use annals_core::id::StoreId;
use annals_core::place::{Partition, Position};
use redis::Value;
use tracing::{debug, info, warn};

use crate::failure::{Failure, FailureKind};
use crate::link::Link;
use crate::options::RedisOptions;
use crate::outage::Outage;
use crate::script::{Batch, Belief, LOST, key_of};
use stream_info::StreamInfo;

/// Publishes copies of the events of one store.
pub(crate) struct Copies {
    address: String,
    namespace: String,
    /// The store, as CloudEvents name it.
    source: String,
    stream_entries_max: NonZeroU64,
    event_bytes_max: usize,
    /// Longest that one answer may take, the first connection included.
    wait_max: Duration,
    // Never held across an await.
    places: Mutex<BTreeMap<Partition, Place>>,
}

/// What is known of the stream of one partition.
#[derive(Debug, Default)]
struct Place {
    end: End,
    asking: Outage,
    publishing: Outage,
}

/// Where a stream ends.
#[derive(Debug, Clone, Copy, Default)]
enum End {
    /// Nobody has asked.
    #[default]
    Unasked,
    /// Here, or further by now; `None`: it has had no entry.
    At(Option<Position>),
    /// Before where it did. Whoever publishes has to ask where to go on.
    Lost,
}

impl Place {
    const fn outage(&mut self, doing: Doing) -> &mut Outage {
        match doing {
            Doing::Asking => &mut self.asking,
            Doing::Publishing => &mut self.publishing,
        }
    }
}

impl Copies {
    pub(crate) fn new(options: &RedisOptions, store_id: StoreId, address: String) -> Self {
        Self {
            address,
            namespace: options.namespace.clone(),
            source: format!("urn:uuid:{store_id}"),
            stream_entries_max: options.stream_entries_max,
            event_bytes_max: options.event_bytes_max,
            wait_max: options.connect_wait_max.saturating_add(options.response_wait_max),
            places: Mutex::default(),
        }
    }

    /// Adds the events that are not there yet, batch by batch.
    pub(crate) async fn publish(
        &self,
        link: &Link,
        events: &[RecordedEvent],
    ) -> Result<(), DriverError> {
        let mut rest = events;
        while let Some(first) = rest.first() {
            let partition = first.partition;
            let Some((batch, after)) = Batch::cut(rest, &self.source, self.event_bytes_max) else {
                return Err(DriverError::new("the position is too large for an entry of Redis"));
            };
            let published = self.publish_batch(link, partition, &batch).await;
            self.note(partition, Doing::Publishing, published.as_ref().err());
            published.map_err(|failure| failure.error)?;
            rest = after;
        }
        Ok(())
    }

    async fn publish_batch(
        &self,
        link: &Link,
        partition: Partition,
        batch: &Batch,
    ) -> Result<(), Failure> {
        let belief = match self.place(partition, |place| place.end) {
            End::Unasked => Belief::Unknown,
            End::At(last) => Belief::EndsAt(last),
            End::Lost => return Err(lost()),
        };
        let command = batch.command(&self.key(partition), belief, self.stream_entries_max);
        let added = link.query::<Value>(command, self.wait_max).await;
        match added {
            Ok(_) => {
                self.place(partition, |place| {
                    if let End::At(last) = place.end {
                        place.end = End::At(last.max(Some(batch.last)));
                    }
                });
                Ok(())
            }
            Err(failure) if failure.is_code(LOST) => {
                self.lost(partition);
                self.place(partition, |place| place.end = End::Lost);
                Err(lost())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Where the stream of a partition ends.
    pub(crate) async fn last_published(
        &self,
        link: &Link,
        partition: Partition,
    ) -> Result<Option<Position>, DriverError> {
        let key = self.key(partition);
        let asked = StreamInfo::ask(link, &key, self.wait_max).await;
        let last = asked.and_then(|info| match info {
            Some(info) => info.last_position(&key, &self.source),
            None => Ok(None),
        });
        self.note(partition, Doing::Asking, last.as_ref().err());
        let last = last.map_err(|failure| failure.error)?;
        let has_lost = self.place(partition, |place| {
            let before = std::mem::replace(&mut place.end, End::At(last));
            matches!(before, End::At(before) if before > last)
        });
        if has_lost {
            self.lost(partition);
        }
        Ok(last)
    }

    fn lost(&self, partition: Partition) {
        let address = &self.address;
        // Also when another host published while this one asked: it is no news for an operator.
        debug!(%address, %partition, "the stream ends earlier than it did, it is asked again");
    }

    /// Says once that something fails, and once that it goes on. That there is no connection, the
    /// keeper says.
    fn note(&self, partition: Partition, doing: Doing, failure: Option<&Failure>) {
        let address = &self.address;
        let Some(failure) = failure else {
            if self.place(partition, |place| place.outage(doing).ends()) {
                info!(%address, %partition, "events of the partition are published again");
            }
            return;
        };
        let is_news = failure.kind != FailureKind::Lost
            && self.place(partition, |place| place.outage(doing).begins());
        if is_news {
            let error = ErrorChain(&failure.error);
            warn!(%address, %partition, %error, "events of the partition cannot be published");
        }
    }

    fn key(&self, partition: Partition) -> String {
        key_of(&self.namespace, partition)
    }

    fn place<T>(&self, partition: Partition, look: impl FnOnce(&mut Place) -> T) -> T {
        look(lock(&self.places).entry(partition).or_default())
    }
}

/// What can fail about copies.
#[derive(Debug, Clone, Copy)]
enum Doing {
    Asking,
    Publishing,
}

fn lost() -> Failure {
    Failure::new(FailureKind::Lost, "the stream has lost its end: ask how far it goes, and go on")
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
