//! All stores in one process: the reference driver.
//!
//! It is written to be read: each rule of the ports is a few lines of plain code over ordinary maps,
//! and everything is lost with the process. The engine's tests and the simulation run on it.
//!
//! For them there are also drivers that fail on request, around any other: see [`faulty`].

mod blob_store;
mod event_store;
pub mod faulty;
mod state_store;
mod volatile;

pub use blob_store::MemoryBlobStore;
pub use event_store::MemoryEventStore;
pub use state_store::MemoryStateStores;
pub use volatile::VolatileEventStore;
