//! The API from outside: requests in, responses out, over a real engine on the memory drivers with
//! guests in native code. Every JSON answer is compared with the schema `/openapi.json` gives for it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod aggregates;
mod append;
mod apps;
mod batches;
mod claims;
mod commands;
mod correlations;
mod event_streams;
mod events;
mod health;
mod limits;
mod metrics;
mod openapi;
mod parked;
mod partitions;
mod plugin_versions;
mod plugins;
mod processes;
mod rebuilds;
mod requests;
mod schedules;
mod streams;
mod subscriptions;
mod support;
mod upcasts;
mod verify;
mod view_tags;
mod views;
mod waiters;
