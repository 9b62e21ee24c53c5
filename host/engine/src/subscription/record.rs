//! The row of a subscription, and its one way to change: on condition that it is as it was read.
//!
//! ```text
//! space host, table `subscriptions`, key = name, value = JSON of `Record`
//! ```

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::name::SubscriptionName;
use annals_core::place::{Partition, Position};
use annals_core::port::StateStore;
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCommit, StateCondition, StateError, StateWrite,
};
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::SubscriptionError;
use super::names::MemberName;
use super::settings::Settings;
use super::window::Window;

const TABLE: &str = "subscriptions";

/// All that changes about a subscription, but for its parked events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The store it belongs to.
    pub(super) store_id: StoreId,
    /// Another one for each subscription that is made, also under a name that was used before.
    pub(super) incarnation: Arc<str>,
    pub(super) settings: Settings,
    pub(super) created_at: Timestamp,
    /// How often it was changed: no value of the row comes twice.
    pub(super) changes_count: u64,
    /// Invariant: the index of a partition is its number.
    pub(super) partitions: Vec<Place>,
    pub(super) window: Window,
    pub(super) members: Vec<Member>,
    /// How many leases there were; each has the number after the one before.
    pub(super) leases_count: u64,
    pub(super) counts: Counts,
    /// How many streams have a parked event.
    pub(super) parked_streams_count: u64,
    /// How many streams were released and are not read in again to their end.
    pub(super) released_streams_count: u64,
}

/// How far a partition of the feed is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// Every event up to here (inclusive) is handled, in the window, or waits behind a parked event.
    pub(super) read_up_to: Option<Position>,
}

/// What happened since the subscription was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) redelivered: u64,
    pub(super) handled: u64,
    pub(super) parked: u64,
}

/// Who took deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// By which the window names it.
    pub(super) number: u64,
    pub(super) name: MemberName,
    /// The number of its newest lease.
    pub(super) lease: u64,
    pub(super) leased_at: Timestamp,
}

impl Record {
    pub(super) fn new(
        store_id: StoreId,
        incarnation: Arc<str>,
        settings: Settings,
        partitions: Vec<Place>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            store_id,
            incarnation,
            settings,
            created_at,
            changes_count: 0,
            partitions,
            window: Window::default(),
            members: Vec::new(),
            leases_count: 0,
            counts: Counts::default(),
            parked_streams_count: 0,
            released_streams_count: 0,
        }
    }

    pub(super) fn member(&self, name: &MemberName) -> Option<&Member> {
        self.members.iter().find(|member| member.name == *name)
    }

    /// What deliveries of this incarnation end with.
    pub(super) fn mark(&self) -> Arc<str> {
        const MARK_BYTES: usize = 12;
        let begin = self.incarnation.len().saturating_sub(MARK_BYTES);
        Arc::from(self.incarnation.get(begin..).unwrap_or_default())
    }

    pub(super) fn read_up_to(&self, partition: Partition) -> Option<Position> {
        let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
        self.partitions.get(index).and_then(|place| place.read_up_to)
    }

    pub(super) fn set_read_up_to(&mut self, partition: Partition, position: Option<Position>) {
        let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
        if let Some(place) = self.partitions.get_mut(index) {
            place.read_up_to = position.max(place.read_up_to);
        }
    }

    /// Up to where (inclusive) every event of a partition is handled or parked.
    pub(super) fn checkpoint(&self, partition: Partition) -> Option<Position> {
        let first = self.window.first_of(partition);
        first.map_or_else(|| self.read_up_to(partition), |entry| entry.after)
    }
}

/// A record as it was read, with what may become of it.
#[derive(Debug)]
pub(super) struct Stored {
    key: RowKey,
    // As it is in the row.
    value: Option<Bytes>,
    pub(super) record: Record,
}

/// Whether a change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Done,
    /// Another one was first: read again.
    TooLate,
}

impl Change {
    pub(super) fn is_done(self) -> bool {
        self == Self::Done
    }
}

impl Stored {
    /// A record that is not there yet.
    pub(super) fn absent(name: &SubscriptionName, record: Record) -> Self {
        Self { key: key(name), value: None, record }
    }

    pub(super) async fn read(
        state: &dyn StateStore,
        name: &SubscriptionName,
    ) -> Result<Option<Self>, SubscriptionError> {
        let value = state.get(TABLE, name.as_str().as_bytes()).await?;
        value.map(|value| Self::parse(name, value)).transpose()
    }

    /// The record of a row.
    pub(super) fn parse(name: &SubscriptionName, value: Bytes) -> Result<Self, SubscriptionError> {
        let record =
            serde_json::from_slice(&value).map_err(|error| SubscriptionError::Damaged {
                name: name.clone(),
                fault: format!("not readable ({error})"),
            })?;
        Ok(Self { key: key(name), value: Some(value), record })
    }

    /// Writes what became of the record together with `writes`, if nobody changed it meanwhile.
    pub(super) async fn replace(
        mut self,
        state: &dyn StateStore,
        mut writes: Vec<StateWrite>,
    ) -> Result<Change, StateError> {
        self.record.changes_count = self.record.changes_count.saturating_add(1);
        let value = serde_json::to_vec(&self.record).map_err(|error| {
            StateError::Damaged(DriverError::with_source("a subscription has no JSON", error))
        })?;
        writes.push(StateWrite::Put(self.key.clone(), value.into()));
        commit(state, StateCondition { row: self.key, value: self.value }, writes).await
    }

    /// Removes the record, if nobody changed it meanwhile.
    pub(super) async fn remove(&self, state: &dyn StateStore) -> Result<Change, StateError> {
        let condition = StateCondition { row: self.key.clone(), value: self.value.clone() };
        commit(state, condition, vec![StateWrite::Delete(self.key.clone())]).await
    }
}

async fn commit(
    state: &dyn StateStore,
    unchanged: StateCondition,
    writes: Vec<StateWrite>,
) -> Result<Change, StateError> {
    match state.commit(StateCommit { conditions: vec![unchanged], writes }).await {
        Ok(()) => Ok(Change::Done),
        Err(StateError::ConditionFailed { .. }) => Ok(Change::TooLate),
        Err(error) => Err(error),
    }
}

fn key(name: &SubscriptionName) -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::copy_from_slice(name.as_str().as_bytes()) }
}

/// The names of all subscriptions, in order.
pub(super) async fn names(
    state: &dyn StateStore,
    subscriptions_max: usize,
) -> Result<Vec<SubscriptionName>, SubscriptionError> {
    let all = all(state, subscriptions_max).await?;
    Ok(all.into_iter().map(|(name, _)| name).collect())
}

/// All subscriptions, in order of name, each as it is stored.
pub(super) async fn all(
    state: &dyn StateStore,
    subscriptions_max: usize,
) -> Result<Vec<(SubscriptionName, Bytes)>, SubscriptionError> {
    let rows = state.scan(TABLE, KeyRange::default(), subscriptions_max.saturating_add(1)).await?;
    let name = |row: &Row| SubscriptionName::new(&String::from_utf8_lossy(&row.key)).ok();
    Ok(rows.into_iter().filter_map(|row| Some((name(&row)?, row.value))).collect())
}
