//! The driver against an emulator, which holds DynamoDB's limits but knows no contention: what only
//! the network and other writers do is forced by `support/faults.rs`.

mod events;
mod state;
mod support;
mod tables;
