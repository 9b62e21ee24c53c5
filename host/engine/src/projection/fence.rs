//! Who works on a view: of several hosts one does, and what another still writes is refused.
//!
//! ```text
//!   host A   take (epoch 1) ── commit ── commit ─────────────── commit: refused, stands by
//!   host B                                  take (epoch 2) ── commit ── commit ── give back
//! ```
//! Every commit is conditional on the row being as this host wrote it, and each host that takes the
//! view writes the next epoch.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::port::StateStore;
use annals_core::port::state_store::{RowKey, StateCommit, StateCondition, StateError, StateWrite};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::checkpoint::TABLE;

const KEY: &[u8] = b"runner";

/// The row that says who works, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fence {
    /// How often the view was taken.
    pub(crate) epoch: u64,
    /// Whether who took it last still works on it, as far as is known.
    pub(crate) is_held: bool,
}

fn row() -> RowKey {
    RowKey { table: Arc::from(TABLE), key: Bytes::from_static(KEY) }
}

impl Fence {
    fn to_bytes(self) -> Bytes {
        // A number and a truth always have JSON.
        serde_json::to_vec(&self).map(Bytes::from).unwrap_or_default()
    }

    /// The condition that nobody took the view since.
    pub(crate) fn still_there(self) -> StateCondition {
        Self::unchanged_since(Some(self))
    }

    fn unchanged_since(before: Option<Self>) -> StateCondition {
        StateCondition { row: row(), value: before.map(Self::to_bytes) }
    }
}

/// The stored fence; `None` when nobody has ever worked on the view.
pub(crate) async fn read(state: &dyn StateStore) -> Result<Option<Fence>, StateError> {
    let Some(value) = state.get(TABLE, KEY).await? else { return Ok(None) };
    let parsed = serde_json::from_slice(&value).map_err(|error| {
        StateError::Damaged(DriverError::with_source("who works on the view", error))
    });
    parsed.map(Some)
}

/// Takes the view, from whoever has it; `None`: another host was faster.
pub(crate) async fn take(state: &dyn StateStore) -> Result<Option<Fence>, StateError> {
    let before = read(state).await?;
    let epoch = before.map_or(0, |before| before.epoch).saturating_add(1);
    let fence = Fence { epoch, is_held: true };
    match replace(state, before, fence).await {
        Ok(()) => Ok(Some(fence)),
        Err(StateError::ConditionFailed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes again what this host has, so that whatever it wrote before and is not there yet is refused for
/// good; `None`: another host has taken it.
pub(crate) async fn renew(
    state: &dyn StateStore,
    ours: Fence,
) -> Result<Option<Fence>, StateError> {
    let fence = Fence { epoch: ours.epoch.saturating_add(1), is_held: true };
    match replace(state, Some(ours), fence).await {
        Ok(()) => Ok(Some(fence)),
        Err(StateError::ConditionFailed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets another host take the view at once.
pub(crate) async fn give_back(state: &dyn StateStore, fence: Fence) -> Result<(), StateError> {
    let free = Fence { epoch: fence.epoch, is_held: false };
    match replace(state, Some(fence), free).await {
        // Another host has taken it already.
        Err(StateError::ConditionFailed { .. }) => Ok(()),
        other => other,
    }
}

async fn replace(
    state: &dyn StateStore,
    before: Option<Fence>,
    after: Fence,
) -> Result<(), StateError> {
    let conditions = vec![Fence::unchanged_since(before)];
    let writes = vec![StateWrite::Put(row(), after.to_bytes())];
    state.commit(StateCommit { conditions, writes }).await
}
