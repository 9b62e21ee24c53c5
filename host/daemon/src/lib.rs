//! Configuration and wiring: the only crate that names drivers.
//!
//! ```text
//! config ─► Host ──► server.rs    connections
//!             │ └──► annals-api   requests
//!             ▼
//!          Assembly: stores, runtime, bus, engine
//! ```
//!
//! Time, ids and randomness come from here ([`SystemClock`], [`RandomIds`]); everybody else is given
//! them.

mod assembly;
pub mod bundles;
mod bus;
mod clock;
pub mod config;
mod error;
mod host;
mod ids;
mod inspection;
pub mod logging;
pub mod maintenance;
mod options;
mod server;
mod signals;
mod stores;
pub mod tables;
pub mod transfer;
mod watch;
mod web;

pub use assembly::{Assembly, inspector};
pub use clock::SystemClock;
pub use config::Config;
pub use error::StartError;
pub use host::Host;
pub use ids::RandomIds;
pub use inspection::{DataFolder, is_free, look_into};
pub use signals::StopSignals;
pub use stores::{OpenStores, WhenAbsent, open_stores};
pub use web::WebError;
