//! The bus on a real Redis: the contract of buses, and what only this driver promises. One binary.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod entries;
mod guide;
mod losses;
mod outages;
mod permissions;
mod support;
mod tls;
mod wakes;

annals_conformance::bus_conformance! { open: support::open_empty }
