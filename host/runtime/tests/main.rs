//! The runtime on real components: what it accepts, what it refuses and why, and that it outlives
//! every guest.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what helps a test may end it"
)]

mod account;
mod cache;
mod check;
mod crafted;
mod describe;
mod fuzz;
mod limits;
mod log;
mod misbehaving;
mod own_limits;
mod process_manager;
mod projection;
mod support;
mod upcaster;
mod usage;
