//! The bus that the configuration chooses, and what it says to the store.

use std::sync::Arc;

use annals_bus_local::LocalBus;
use annals_bus_redis::RedisBus;
use annals_core::id::{IdGenerator as _, StoreId};
use annals_core::port::Bus;
use annals_store_dynamodb::DynamoEventStore;
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use crate::config::{BusDriver, Config};
use crate::error::StartError;
use crate::{RandomIds, options};

/// Makes the bus. One that cannot be reached is no error: it is a hint, and catches up.
pub(crate) async fn open(config: &Config, store: StoreId) -> Result<Arc<dyn Bus>, StartError> {
    match config.bus.driver {
        BusDriver::Local => Ok(Arc::new(LocalBus::new())),
        BusDriver::Redis => {
            let certificates = match &config.redis.ca_file {
                None => None,
                Some(path) => {
                    let read = tokio::fs::read(path).await;
                    let unreadable =
                        |source| StartError::Certificates { path: path.clone(), source };
                    Some(read.map_err(unreadable)?)
                }
            };
            let options = options::redis(&config.redis, certificates);
            let (_, seed) = RandomIds.next_uuid().as_u64_pair();
            Ok(Arc::new(RedisBus::connect(&options, store, seed)?))
        }
    }
}

/// Tells a store what other hosts say they wrote. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Hearing(JoinHandle<()>);

impl Hearing {
    pub(crate) fn start(bus: &dyn Bus, store: Arc<DynamoEventStore>) -> Self {
        let mut wakes = bus.wakes();
        Self(tokio::spawn(async move {
            while let Some(wake) = wakes.next().await {
                store.hear_of(wake.partition, wake.head);
            }
        }))
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}
