//! The driver against an emulator, which holds DynamoDB's limits but knows no contention: what only
//! the network and other writers do is forced by `support/faults.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod events;
mod state;
mod support;
mod tables;
