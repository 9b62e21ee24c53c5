//! Ports: what the engine needs of the world. Drivers implement them.

pub mod blob_store;
pub mod bus;
pub mod event_store;
pub mod failure_sink;
pub mod guest;
pub mod state_store;

pub use blob_store::BlobStore;
pub use bus::Bus;
pub use event_store::EventStore;
pub use failure_sink::FailureSink;
pub use guest::GuestRuntime;
pub use state_store::{StateStore, StateStores};
