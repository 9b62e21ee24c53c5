//! The event store, the state stores and the blob store on Amazon DynamoDB.
//!
//! ```text
//! events.rs   EventStore    table `<prefix>-events`: streams, feeds, claims
//! state.rs    StateStores   table `<prefix>-state`: rows
//! blobs.rs    BlobStore     plugin bytes, in rows of any state store
//! tables.rs   create, describe, check, delete
//! client.rs   one request: deadline, retries, what a failure means, capacity units
//! permissions.rs            what IAM must allow
//! ```
//! What is in an item is said in `events/layout.rs` and `state.rs`. Nothing here reads the clock: time
//! comes with the commits, waiting is tokio's.

pub mod blobs;
pub mod client;
pub mod events;
pub mod permissions;
pub mod state;
pub mod tables;

pub use blobs::ChunkedBlobStore;
pub use client::{ConnectError, DynamoClient, DynamoOptions, Units};
pub use events::DynamoEventStore;
pub use state::DynamoStateStores;
pub use tables::{StoreItem, TableError};
