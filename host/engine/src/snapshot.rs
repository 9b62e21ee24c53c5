//! Snapshots: saved aggregate state, a cache. Deleting all of them changes nothing but time.
//!
//! ```text
//! space host, table `snapshots`, key = stream id
//! value = { "store_id", "plugin", "state_schema", "upcasts", "revision", "data_digest" } \n data
//! ```
//! A snapshot that does not match (another store, build, state schema or upcasters, damaged bytes) is
//! ignored; the first of each store of residents is logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::error::ErrorChain;
use annals_core::id::{Digest, StoreId};
use annals_core::json;
use annals_core::limits::ROW_BYTES_MAX;
use annals_core::place::Revision;
use annals_core::port::state_store::{RowKey, StateCommit, StateError, StateStore, StateWrite};
use annals_core::stream::StreamId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tracing::warn;

const TABLE: &str = "snapshots";

/// The saved states of all streams.
#[derive(Debug)]
pub(crate) struct Snapshots {
    state: Arc<dyn StateStore>,
    store_id: StoreId,
    warned: AtomicBool,
}

/// The saved state of one stream.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The last event that is in it.
    pub(crate) revision: Revision,
    pub(crate) data: Bytes,
}

/// What a snapshot must match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Build<'a> {
    pub(crate) plugin: Digest,
    pub(crate) state_schema: &'a str,
    /// Stands for the upcasters that showed the plugin its events.
    pub(crate) upcasts: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    store_id: StoreId,
    plugin: Digest,
    state_schema: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upcasts: Option<Digest>,
    revision: Revision,
    data_digest: Digest,
}

impl Snapshots {
    pub(crate) fn new(state: Arc<dyn StateStore>, store_id: StoreId) -> Self {
        Self { state, store_id, warned: AtomicBool::new(false) }
    }

    /// The usable snapshot of a stream, if there is one. Never fails: without one, the events tell.
    pub(crate) async fn load(&self, stream: &StreamId, build: Build<'_>) -> Option<Snapshot> {
        let value = match self.state.get(TABLE, stream.as_str().as_bytes()).await {
            Ok(value) => value?,
            Err(error) => {
                self.warn_once(stream, &ErrorChain(&error).to_string());
                return None;
            }
        };
        let snapshot = self.decode(&value, build);
        if let Err(reason) = &snapshot {
            self.warn_once(stream, reason);
        }
        snapshot.ok()
    }

    fn decode(&self, value: &Bytes, build: Build<'_>) -> Result<Snapshot, &'static str> {
        const DAMAGED: &str = "it is damaged";
        let split = value.iter().position(|byte| *byte == b'\n').ok_or(DAMAGED)?;
        let header = value.get(..split).ok_or(DAMAGED)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| DAMAGED)?;
        if header.store_id != self.store_id {
            return Err("it is of another store");
        }
        if header.plugin != build.plugin || header.state_schema != build.state_schema {
            return Err("it is of another build of the plugin");
        }
        if header.upcasts != build.upcasts {
            return Err("it was made of events that other upcasters made");
        }
        let data = value.slice(split + 1..);
        if Digest::of(&data) != header.data_digest {
            return Err(DAMAGED);
        }
        Ok(Snapshot { revision: header.revision, data })
    }

    /// Keeps the state of a stream at `revision`. Failing is only logged.
    pub(crate) async fn save(
        &self,
        stream: &StreamId,
        build: Build<'_>,
        revision: Revision,
        data: &[u8],
    ) {
        let header = Header {
            store_id: self.store_id,
            plugin: build.plugin,
            state_schema: build.state_schema.to_owned(),
            upcasts: build.upcasts,
            revision,
            data_digest: Digest::of(data),
        };
        let Ok(mut value) = serde_json::to_vec(&header) else {
            return;
        };
        value.push(b'\n');
        value.extend_from_slice(data);
        if value.len() > ROW_BYTES_MAX {
            self.warn_once(stream, "its state is larger than a row of the state store");
            return;
        }
        if let Err(error) = json::check(data) {
            self.warn_once(stream, &format!("its state is {error}"));
            return;
        }
        let key = Bytes::copy_from_slice(stream.as_str().as_bytes());
        let row = RowKey { table: Arc::from(TABLE), key };
        let writes = vec![StateWrite::Put(row, value.into())];
        let commit = StateCommit { conditions: Vec::new(), writes };
        if let Err(error) = self.state.commit(commit).await {
            self.warn_once(stream, &ErrorChain(&error).to_string());
        }
    }

    /// Deletes every snapshot.
    pub(crate) async fn clear(&self) -> Result<(), StateError> {
        self.state.clear(TABLE).await
    }

    /// Says that a snapshot of `stream` is not used, the first time only: a fleet of old snapshots
    /// after an upgrade is no news.
    pub(crate) fn warn_once(&self, stream: &StreamId, reason: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(%stream, reason, "snapshot passed over; further ones are not reported");
        }
    }
}
