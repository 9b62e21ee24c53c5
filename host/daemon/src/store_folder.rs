//! The event store of a data folder alone, for tools that need no engine.

use std::sync::Arc;

use annals_core::port::EventStore;
use annals_store_local::LocalStore;

use crate::config::Store;
use crate::error::StartError;
use crate::{RandomIds, options};

/// What to do when a folder has no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAbsent {
    /// Leave it.
    Leave,
    /// Make one.
    Create,
}

/// Opens the event store of a data folder, as a daemon does, which must not run meanwhile. `None` when
/// there is none and none is to be made. The folder is locked until the store is dropped.
///
/// # Errors
/// [`StartError::Store`].
pub fn open_event_store(
    settings: &Store,
    when_absent: WhenAbsent,
) -> Result<Option<Arc<dyn EventStore>>, StartError> {
    if when_absent == WhenAbsent::Leave && !settings.data.join("log").exists() {
        return Ok(None);
    }
    let store = LocalStore::open_with(&settings.data, &RandomIds, options::log(settings))?;
    Ok(Some(store.events))
}
