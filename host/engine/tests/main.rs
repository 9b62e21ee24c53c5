//! Tests of the engine over memory drivers and native guests, with paused time: one binary. Where a
//! driver can make a difference, over DynamoDB too.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod bundles;
mod commands;
mod contention;
mod correlation;
mod hosts;
mod idempotency;
mod overload;
mod parked;
mod partitions;
mod processes;
mod projections;
mod quarantine;
mod rebuilds;
mod registry;
mod relay;
mod schedules;
mod snapshots;
mod subscriptions;
mod support;
mod swaps;
mod upcasts;
mod verify;
mod versions;
