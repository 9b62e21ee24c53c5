//! The place up to which a view is done, kept beside its rows.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_core::port::state_store::{RowKey, StateCondition, StateWrite};
use annals_core::port::{EventStore, StateStore};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::ProjectionError;

/// Not a table name a plugin can have.
const TABLE: &str = "$checkpoint";
const KEY: &[u8] = b"partition-0";

/// A stored checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The store it belongs to.
    pub(super) store_id: StoreId,
    /// Every event up to here (inclusive) is in the view.
    pub(super) position: Option<Position>,
    /// How many events were handled.
    pub(super) events_count: u64,
}

fn row() -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from_static(KEY) }
}

impl Checkpoint {
    fn to_bytes(&self) -> Bytes {
        // Numbers and a UUID always have JSON; an empty value would fail the next condition.
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }

    /// The write that keeps this checkpoint.
    pub(super) fn write(&self) -> StateWrite {
        StateWrite::Put(row(), self.to_bytes())
    }

    /// The condition that nobody moved the checkpoint since `before` was read or written.
    pub(super) fn unchanged_since(before: Option<&Self>) -> StateCondition {
        StateCondition { row: row(), value: before.map(Self::to_bytes) }
    }
}

/// The stored checkpoint; `None` for a new view. Refuses one of another store, and one ahead of the
/// store: a restored backup must not be believed to be ahead.
pub(super) async fn load(
    state: &dyn StateStore,
    store: &dyn EventStore,
    projection: &PluginName,
) -> Result<Option<Checkpoint>, ProjectionError> {
    let value = state
        .get(TABLE, KEY)
        .await
        .map_err(|source| ProjectionError::View { projection: projection.clone(), source })?;
    let Some(value) = value else { return Ok(None) };
    let fault =
        |fault: String| ProjectionError::Checkpoint { projection: projection.clone(), fault };
    let saved: Checkpoint =
        serde_json::from_slice(&value).map_err(|error| fault(format!("not readable ({error})")))?;
    if saved.store_id != store.store_id() {
        return Err(fault(format!("of store {}, not of {}", saved.store_id, store.store_id())));
    }
    let head = store.head(Partition::ZERO).await.map_err(|error| ProjectionError::Start {
        projection: projection.clone(),
        source: DriverError::with_source("the head cannot be read", error),
    })?;
    if let Some(position) = saved.position.filter(|position| Some(*position) > head) {
        return Err(fault(format!("at position {position}, ahead of the store")));
    }
    Ok(Some(saved))
}
