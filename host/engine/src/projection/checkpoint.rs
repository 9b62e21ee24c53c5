//! The places up to which a view is done, one per partition of the feed, kept beside its rows.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_core::port::state_store::{RowKey, StateCommit, StateCondition, StateError, StateWrite};
use annals_core::port::{EventStore, StateStore};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::ProjectionError;

/// Where checkpoints are, and the fence. Not a table name a plugin can have.
pub(crate) const TABLE: &str = "$checkpoint";

/// A stored checkpoint of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The store it belongs to.
    pub(crate) store_id: StoreId,
    /// Every event of the partition up to here (inclusive) is in the view.
    pub(crate) position: Option<Position>,
    /// How many events of the partition were handled.
    pub(crate) events_count: u64,
}

fn row(partition: Partition) -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from(format!("partition-{partition}")) }
}

impl Checkpoint {
    fn to_bytes(&self) -> Bytes {
        // Numbers and a UUID always have JSON; an empty value would fail the next condition.
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }

    /// The write that keeps this checkpoint.
    pub(crate) fn write(&self, partition: Partition) -> StateWrite {
        StateWrite::Put(row(partition), self.to_bytes())
    }

    /// The condition that nobody moved the checkpoint since `before` was read or written.
    pub(crate) fn unchanged_since(before: Option<&Self>, partition: Partition) -> StateCondition {
        StateCondition { row: row(partition), value: before.map(Self::to_bytes) }
    }
}

/// Lets a view begin after the given positions, per partition, unless it has begun: with none, at the
/// first event.
pub(crate) async fn begin(
    state: &dyn StateStore,
    store: &dyn EventStore,
    after: &[Option<Position>],
) -> Result<(), StateError> {
    let begins = (0..).map(Partition).zip(after).filter(|(_, after)| after.is_some());
    let (mut conditions, mut writes) = (Vec::new(), Vec::new());
    for (partition, after) in begins {
        let (store_id, position) = (store.store_id(), *after);
        conditions.push(Checkpoint::unchanged_since(None, partition));
        writes.push(Checkpoint { store_id, position, events_count: 0 }.write(partition));
    }
    if writes.is_empty() {
        return Ok(());
    }
    match state.commit(StateCommit { conditions, writes }).await {
        Err(StateError::ConditionFailed { .. }) => Ok(()),
        other => other,
    }
}

/// The stored checkpoints of all partitions, in their order; `None` where there is none yet.
pub(crate) async fn read(
    state: &dyn StateStore,
    store: &dyn EventStore,
    projection: &PluginName,
) -> Result<Vec<Option<Checkpoint>>, ProjectionError> {
    let partitions = (0..store.capabilities().partitions_count).map(Partition);
    let rows: Vec<RowKey> = partitions.map(row).collect();
    let values = state
        .get_many(&rows)
        .await
        .map_err(|source| ProjectionError::View { projection: projection.clone(), source })?;
    let parse = |value: Option<Bytes>| match value {
        Some(value) => parse(&value, store.store_id(), projection).map(Some),
        None => Ok(None),
    };
    values.into_iter().map(parse).collect()
}

/// The stored checkpoints of all partitions. Refuses one that is ahead of the store: a restored
/// backup must not be believed to be ahead.
pub(crate) async fn load(
    state: &dyn StateStore,
    store: &dyn EventStore,
    projection: &PluginName,
) -> Result<Vec<Option<Checkpoint>>, ProjectionError> {
    let saved = read(state, store, projection).await?;
    for (partition, saved) in (0..).map(Partition).zip(&saved) {
        let Some(position) = saved.as_ref().and_then(|saved| saved.position) else {
            continue;
        };
        let head = store.head(partition).await.map_err(|error| ProjectionError::Start {
            projection: projection.clone(),
            source: DriverError::with_source("the head cannot be read", error),
        })?;
        if Some(position) > head {
            let fault =
                format!("at position {position} of partition {partition}, ahead of the store");
            return Err(ProjectionError::Checkpoint { projection: projection.clone(), fault });
        }
    }
    Ok(saved)
}

fn parse(
    value: &[u8],
    store_id: StoreId,
    projection: &PluginName,
) -> Result<Checkpoint, ProjectionError> {
    let fault =
        |fault: String| ProjectionError::Checkpoint { projection: projection.clone(), fault };
    let saved: Checkpoint =
        serde_json::from_slice(value).map_err(|error| fault(format!("not readable ({error})")))?;
    if saved.store_id != store_id {
        return Err(fault(format!("of store {}, not of {store_id}", saved.store_id)));
    }
    Ok(saved)
}
