//! End to end: the real `annals` binary, a real disk, a real network.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be, and sees the environment it runs in"
)]

mod acceptance;
mod browser;
mod cli;
mod drivers;
mod durability;
mod guest_list;
mod guides;
mod hosts;
mod languages;
mod migration;
mod plugins;
mod rebuilds;
mod schedules;
mod subscriptions;
mod support;
mod todo;
mod trace;
mod transfers;
mod upcasts;
mod users;
mod versions;
