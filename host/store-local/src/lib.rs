//! The embedded stores: an append-only log of commits, and SQLite for everything that can change.
//!
//! ```text
//! data/
//!   LOCK                                  one process at a time; holds its id
//!   log/00000000000000000000.seg          commits, in order; the name is the first one's number
//!       00000000000000000000.idx          of a full segment: where everything is in it
//!   state/host.sqlite                     the host's own state
//!         views/<projection>@<digest>.sqlite, …@<digest>-<build>.sqlite
//!         processes/<name>.sqlite
//!   plugins/<sha256>.wasm
//! ```
//!
//! [`LocalStore::open`] opens all of it. The log's format is in `docs/reference/log-format.md`.

mod blobs;
mod files;
mod local_store;
mod lock;
mod log;
pub mod maintenance;
mod state;

pub use blobs::LocalBlobStore;
pub use local_store::{LocalStore, OpenError};
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use log::fuzzing;
pub use log::{
    LocalEventStore, LogError, LogOptions, RecoveryReport, SEGMENT_BYTES_MIN, TornTail, WhenMissing,
};
pub use state::LocalStateStores;

#[cfg(test)]
mod tests;
