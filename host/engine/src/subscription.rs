//! Subscriptions: outsiders share the events of the feed by name, each to one member at a time.
//!
//! ```text
//!               lease                     ack
//!   feed ──► ready ──► leased to a member ──► handled
//!              ▲           │  lease ran out, retry        (attempts are counted before each delivery)
//!              └───────────┤
//!                          ▼  park, or too many attempts
//!                        parked ◄── later events of its stream wait behind it
//!                          │ replay, discard
//!                          └──► ready
//! ```
//!
//! All that changes about a subscription is one row (`record.rs`): settings, how far each partition is
//! read, and the *window*, which are the events that were read and are not handled. Every change is a
//! commit on condition that the row is as it was read, so any number of hosts serve one subscription,
//! and what was answered is durable. What does not fit into a row stays where it is: the events in the
//! store, and of each stream with a parked event only its place (`parked.rs`).
//!
//! `window.rs` says what may be delivered, `lease.rs` delivers and waits, `fill.rs` reads on,
//! `settle.rs` is what members answer.

mod draft;
mod error;
mod fill;
mod hub;
mod lease;
mod limits;
mod names;
mod parked;
mod record;
mod settings;
mod settle;
mod status;
mod window;

use std::sync::Arc;

use annals_core::id::IdGenerator;
use annals_core::name::SubscriptionName;
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::EventStore;
use annals_core::port::state_store::{KeyRange, StateStore};
use annals_core::time::Clock;

pub use error::SubscriptionError;
pub use lease::{Delivery, LeaseRequest};
pub use limits::SubscriptionLimits;
pub use names::{DeliveryId, InvalidMemberName, MemberName};
pub use parked::{ParkedCause, ParkedEvent, ParkedPage, ParkedPlace, Release};
pub use settings::{Settings, Start, SubscriptionFilter};
pub use settle::{Settled, Settlement};
pub use status::{MemberStatus, PartitionStatus, SubscriptionStatus};

use crate::engine::Ports;
use crate::options::EngineOptions;
use hub::Hub;
use record::{Place, Record, Stored};

/// What subscriptions need of the world.
#[derive(Debug, Clone)]
struct SubscriptionPorts {
    state: Arc<dyn StateStore>,
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    limits: SubscriptionLimits,
}

/// All subscriptions of a store, as this host serves them.
#[derive(Debug)]
pub struct Subscriptions {
    ports: SubscriptionPorts,
    hub: Hub,
}

/// Whether a subscription is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made.
    Created,
    /// It was there, with the same settings.
    Existed,
}

impl Subscriptions {
    pub(crate) fn over(ports: &Ports, state: Arc<dyn StateStore>, options: &EngineOptions) -> Self {
        let ports = SubscriptionPorts {
            state,
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            limits: options.subscriptions.clone(),
        };
        Self { ports, hub: Hub::default() }
    }

    /// Makes a subscription. Safe to repeat: one that is there with the same settings stays as it is.
    ///
    /// # Errors
    /// - [`SubscriptionError::Invalid`]: a setting is out of its range.
    /// - [`SubscriptionError::Differs`]: it is there with other settings.
    /// - [`SubscriptionError::TooMany`], [`SubscriptionError::State`], [`SubscriptionError::Store`].
    pub async fn create(
        &self,
        name: &SubscriptionName,
        settings: Settings,
    ) -> Result<Creation, SubscriptionError> {
        let limits = &self.ports.limits;
        settings.check(limits, self.ports.store.capabilities().partitions_count)?;
        for _ in 0..limits.conflict_retries_max.get() {
            if let Some(existing) = self.find(name).await? {
                return match existing.record.settings.differences(&settings) {
                    fields if fields.is_empty() => Ok(Creation::Existed),
                    fields => Err(SubscriptionError::Differs { name: name.clone(), fields }),
                };
            }
            let subscriptions_max = limits.subscriptions_max.get();
            let there = record::names(&*self.ports.state, subscriptions_max).await?;
            if there.len() >= subscriptions_max {
                return Err(SubscriptionError::TooMany { subscriptions_max });
            }
            let record = self.new_record(settings.clone()).await?;
            let stored = Stored::absent(name, record);
            if stored.replace(&*self.ports.state, Vec::new()).await?.is_done() {
                return Ok(Creation::Created);
            }
        }
        Err(self.contended(name))
    }

    async fn new_record(&self, settings: Settings) -> Result<Record, SubscriptionError> {
        let heads = (0..).map(Partition).zip(self.heads().await?);
        let place =
            |(partition, head)| Ok(Place { read_up_to: settings.start.of(partition, head)? });
        let partitions = heads.map(place).collect::<Result<_, SubscriptionError>>()?;
        let incarnation = self.ports.ids.next_uuid().simple().to_string();
        Ok(Record::new(
            self.ports.store.store_id(),
            incarnation.into(),
            settings,
            partitions,
            self.ports.clock.now(),
        ))
    }

    /// All subscriptions, in order of name.
    ///
    /// # Errors
    /// [`SubscriptionError::State`], [`SubscriptionError::Store`].
    pub async fn list(&self) -> Result<Vec<SubscriptionStatus>, SubscriptionError> {
        let max = self.ports.limits.subscriptions_max.get();
        let all = record::all(&*self.ports.state, max).await?;
        let heads = if all.is_empty() { Vec::new() } else { self.heads().await? };
        let parse = |(name, value)| {
            let stored = Stored::parse(&name, value)?;
            Ok(status::status_of(name, stored.record, &heads))
        };
        all.into_iter().map(parse).collect()
    }

    async fn heads(&self) -> Result<Vec<Option<Position>>, SubscriptionError> {
        let store = &self.ports.store;
        let mut heads = Vec::new();
        for partition in (0..store.capabilities().partitions_count).map(Partition) {
            heads.push(store.head(partition).await?);
        }
        Ok(heads)
    }

    /// One subscription.
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`], [`SubscriptionError::State`], [`SubscriptionError::Store`].
    pub async fn show(
        &self,
        name: &SubscriptionName,
    ) -> Result<SubscriptionStatus, SubscriptionError> {
        let stored = self.load(name).await?;
        Ok(status::status_of(name.clone(), stored.record, &self.heads().await?))
    }

    /// Deletes a subscription with all it knows. Deliveries of it are unknown from then on.
    ///
    /// # Errors
    /// [`SubscriptionError::Unknown`], [`SubscriptionError::State`].
    pub async fn delete(&self, name: &SubscriptionName) -> Result<(), SubscriptionError> {
        for _ in 0..self.ports.limits.conflict_retries_max.get() {
            let stored = self.load(name).await?;
            if !stored.remove(&*self.ports.state).await?.is_done() {
                continue;
            }
            self.hub.forget(name);
            // Nobody looks at them any more: they are of an incarnation that is gone.
            return parked::clear(&*self.ports.state, &stored.record.incarnation).await;
        }
        Err(self.contended(name))
    }

    async fn find(&self, name: &SubscriptionName) -> Result<Option<Stored>, SubscriptionError> {
        let Some(stored) = Stored::read(&*self.ports.state, name).await? else { return Ok(None) };
        let store_id = self.ports.store.store_id();
        if stored.record.store_id != store_id {
            let fault = format!("of store {}, not of {store_id}", stored.record.store_id);
            return Err(SubscriptionError::Damaged { name: name.clone(), fault });
        }
        self.check_places(name, &stored.record).await?;
        Ok(Some(stored))
    }

    /// Refuses a subscription that is ahead of the store, once per host: a restored backup must not be
    /// believed to have what it has not.
    async fn check_places(
        &self,
        name: &SubscriptionName,
        record: &Record,
    ) -> Result<(), SubscriptionError> {
        let shared = self.hub.of(name);
        if shared.is_checked() {
            return Ok(());
        }
        let heads = self.heads().await?;
        for (partition, (place, head)) in
            (0..).map(Partition).zip(record.partitions.iter().zip(heads))
        {
            if let Some(position) = place.read_up_to.filter(|position| Some(*position) > head) {
                let fault =
                    format!("at position {position} of partition {partition}, ahead of the store");
                return Err(SubscriptionError::Damaged { name: name.clone(), fault });
            }
        }
        shared.set_checked();
        Ok(())
    }

    async fn load(&self, name: &SubscriptionName) -> Result<Stored, SubscriptionError> {
        match self.find(name).await? {
            Some(stored) => Ok(stored),
            None => {
                self.hub.forget(name);
                let subscriptions_max = self.ports.limits.subscriptions_max.get();
                let known = record::names(&*self.ports.state, subscriptions_max).await?;
                Err(SubscriptionError::Unknown { name: name.clone(), known })
            }
        }
    }

    fn contended(&self, name: &SubscriptionName) -> SubscriptionError {
        let attempts = self.ports.limits.conflict_retries_max.get();
        SubscriptionError::Contended { name: name.clone(), attempts }
    }
}

/// All keys of rows that belong to an incarnation of a subscription.
fn rows_of(incarnation: &str) -> KeyRange {
    KeyRange::prefix(format!("{incarnation}/").as_bytes())
}
