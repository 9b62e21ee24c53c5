//! The stores that the configuration chooses, opened.

use std::sync::Arc;

use annals_core::id::{IdGenerator as _, StoreId};
use annals_core::port::state_store::StateError;
use annals_core::port::{BlobStore, EventStore, StateStores};
use annals_store_dynamodb::{
    ChunkedBlobStore, DynamoClient, DynamoEventStore, DynamoStateStores, tables,
};
use annals_store_local::{LocalEventStore, LocalStore};
use annals_store_memory::{MemoryBlobStore, MemoryEventStore, MemoryStateStores};

use crate::config::{Config, Store, StoreDriver};
use crate::error::StartError;
use crate::transfer::Mark;
use crate::{RandomIds, options};

/// Everything that is kept.
pub(crate) struct Stores {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) states: Arc<dyn StateStores>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// The log, when it is one that can fail.
    pub(crate) log: Option<Arc<LocalEventStore>>,
    /// The store that wants to hear what other hosts wrote.
    pub(crate) remote: Option<Arc<DynamoEventStore>>,
}

impl Stores {
    /// Opens the stores, as a daemon does.
    pub(crate) async fn open(config: &Config) -> Result<Self, StartError> {
        match config.store.driver {
            StoreDriver::Memory => Ok(Self {
                events: Arc::new(MemoryEventStore::new(StoreId::new(RandomIds.next_uuid()))),
                states: Arc::new(MemoryStateStores::new()),
                blobs: Arc::new(MemoryBlobStore::new()),
                log: None,
                remote: None,
            }),
            StoreDriver::Dynamodb => Self::open_dynamodb(config).await,
            StoreDriver::Local => {
                let LocalStore { events, states, blobs, .. } = open_local(&config.store).await?;
                let log = Some(Arc::clone(&events));
                Ok(Self { events, states, blobs, log, remote: None })
            }
        }
    }

    async fn open_dynamodb(config: &Config) -> Result<Self, StartError> {
        let client = connect(config).await?;
        tables::check(&client).await?;
        let events = Arc::new(DynamoEventStore::open(client.clone()).await?);
        let states = DynamoStateStores::open(client).await.map_err(StartError::State)?;
        let blobs = ChunkedBlobStore::open(&states).await.map_err(StartError::State)?;
        let remote = Some(Arc::clone(&events));
        Ok(Self { events, states: Arc::new(states), blobs: Arc::new(blobs), log: None, remote })
    }
}

async fn connect(config: &Config) -> Result<DynamoClient, StartError> {
    let ids = Arc::new(RandomIds);
    let client = DynamoClient::connect(options::dynamodb(&config.dynamodb), ids).await?;
    client.check_credentials().await?;
    Ok(client)
}

async fn open_local(settings: &Store) -> Result<LocalStore, StartError> {
    let settings = settings.clone();
    let opening = tokio::task::spawn_blocking(move || {
        LocalStore::open_with(&settings.data, &RandomIds, options::log(&settings))
    });
    let opened = opening.await.map_err(|error| StartError::Interrupted { source: error })?;
    Ok(opened?)
}

/// What to do when there is no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAbsent {
    /// Leave it.
    Leave,
    /// Make one. Tables are never made by the way: `annals store create` does.
    Create,
}

/// The stores that tools need: what was recorded, and the plugins that are part of it.
#[derive(Debug)]
pub struct OpenStores {
    /// Where events are kept.
    pub events: Arc<dyn EventStore>,
    /// Where plugin bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// Where views and the host's own notes are kept.
    pub states: Arc<dyn StateStores>,
}

impl OpenStores {
    /// Lets a daemon serve the store although an import into it has not ended.
    ///
    /// # Errors
    /// As a [commit](annals_core::port::StateStore::commit).
    pub async fn accept_half_import(&self) -> Result<(), StateError> {
        Mark::open(&*self.states).await?.end().await
    }
}

/// Opens the stores that the configuration chooses, for tools that need no engine. `None` when there is
/// none and none is to be made.
///
/// A data folder is locked until the stores are dropped: no daemon may use it meanwhile. In memory there
/// are always new ones.
///
/// # Errors
/// [`StartError`].
pub async fn open_stores(
    config: &Config,
    when_absent: WhenAbsent,
) -> Result<Option<OpenStores>, StartError> {
    let is_local = config.store.driver == StoreDriver::Local;
    let has_store = config.store.data.join("log").exists();
    if is_local && when_absent == WhenAbsent::Leave && !has_store {
        return Ok(None);
    }
    let Stores { events, blobs, states, .. } = Stores::open(config).await?;
    Ok(Some(OpenStores { events, blobs, states }))
}
