//! Tests of the engine over memory drivers and native guests, with paused time: one binary.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod commands;
mod contention;
mod hosts;
mod idempotency;
mod partitions;
mod projections;
mod registry;
mod relay;
mod snapshots;
mod support;
mod verify;
