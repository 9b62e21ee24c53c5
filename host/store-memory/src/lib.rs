//! All stores in one process: the reference driver.
//!
//! It is written to be read: each rule of the ports is a few lines of plain code over ordinary maps,
//! and everything is lost with the process. The engine's tests and the simulation run on it.

mod blob_store;
mod event_store;
mod state_store;

pub use blob_store::MemoryBlobStore;
pub use event_store::MemoryEventStore;
pub use state_store::MemoryStateStores;
