//! State stores: one SQLite file per space.
//!
//! ```text
//!  state/host.sqlite
//!        views/<projection>@<digest>.sqlite, …@<digest>-<build>.sqlite
//!        processes/<name>.sqlite
//! ```
//!
//! Each file has a writer thread of its own and connections for readers. Reads run on the caller's
//! thread: they find what they read in the page cache, and never wait for the writer.

mod connection;
mod files;
mod rows;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_core::id::StoreId;
use annals_core::port::state_store::{StateCapabilities, StateError, StateSpace};
use annals_core::port::{StateStore, StateStores};
use async_trait::async_trait;
use tokio::sync::Mutex;

use self::connection::Durability;
use self::store::LocalStateStore;

/// The state stores of one data folder.
pub struct LocalStateStores {
    folder: PathBuf,
    store: StoreId,
    open: Mutex<BTreeMap<StateSpace, Arc<LocalStateStore>>>,
    /// Kept for as long as the stores are open, e.g. the lock of the folder.
    _guard: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

impl LocalStateStores {
    /// The state stores in `folder`, of the event store `store`.
    #[must_use]
    pub fn new(folder: PathBuf, store: StoreId) -> Self {
        Self { folder, store, open: Mutex::default(), _guard: None }
    }

    /// Keeps `guard` for as long as the stores are open.
    #[must_use]
    pub(crate) fn holding(mut self, guard: Arc<dyn fmt::Debug + Send + Sync>) -> Self {
        self._guard = Some(guard);
        self
    }

    /// The file of a space, for people who look into a view with plain SQL.
    #[must_use]
    pub fn path(&self, space: &StateSpace) -> PathBuf {
        files::path(&self.folder, space)
    }
}

/// Whether there is state in `folder`, of whatever store.
pub(crate) fn has_any(folder: &Path) -> Result<bool, StateError> {
    files::list(folder).map(|spaces| !spaces.is_empty())
}

#[async_trait]
impl StateStores for LocalStateStores {
    fn capabilities(&self) -> StateCapabilities {
        StateCapabilities::UNLIMITED
    }

    async fn open(&self, space: &StateSpace) -> Result<Arc<dyn StateStore>, StateError> {
        let mut stores = self.open.lock().await;
        if let Some(store) = stores.get(space) {
            return Ok(Arc::<LocalStateStore>::clone(store));
        }
        let durability = match space {
            StateSpace::View { .. } => Durability::Soon,
            StateSpace::Host | StateSpace::Process { .. } => Durability::Now,
        };
        let path = files::path(&self.folder, space);
        let store = Arc::new(LocalStateStore::open(path, self.store, durability)?);
        stores.insert(space.clone(), Arc::clone(&store));
        Ok(store)
    }

    async fn remove(&self, space: &StateSpace) -> Result<(), StateError> {
        // The map stays locked, so that nobody opens the file while it goes.
        let mut stores = self.open.lock().await;
        if let Some(store) = stores.remove(space) {
            store.close().await;
        }
        files::remove(&files::path(&self.folder, space))
    }

    async fn list(&self) -> Result<Vec<StateSpace>, StateError> {
        files::list(&self.folder)
    }
}

impl fmt::Debug for LocalStateStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStateStores").field("folder", &self.folder).finish_non_exhaustive()
    }
}
