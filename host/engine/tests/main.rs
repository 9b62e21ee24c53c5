//! Tests of the engine over memory drivers and native guests, with paused time: one binary.

mod commands;
mod contention;
mod idempotency;
mod projections;
mod registry;
mod snapshots;
mod support;
