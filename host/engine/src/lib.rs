//! The behaviour of Annals, over the ports of `annals-core` alone.
//!
//! ```text
//!              execute(command)                        query, get, list
//!                    │                                        │
//!  ┌─────────────────▼──────────────┐   feed    ┌─────────────▼──────────┐
//!  │ shard: one per core            │ ────────► │ projection runner      │
//!  │ resident entities, decide,     │   (the    │ one per projection     │
//!  │ append, evolve, snapshot       │   store)  │ project, commit rows   │
//!  └────────────────────────────────┘           └────────────────────────┘
//! ```
//!
//! Start at [`Engine`]. A command goes through [`command`], `shard` and `check`; an event through
//! `projection` and [`view`], and through [`relay`] to the bus; on the way to either, [`upcast`] makes
//! old shapes new. Outsiders share events by [`subscription`]. What the
//! host sends by itself when its time has come is in [`schedule`]. Which plugin is active is the business of
//! [`plugins`], and whether another version would have led to the same history that of [`verify`]. A view
//! that is built beside the one that serves is in [`rebuild`]. What one request led to, [`correlation`] finds.

mod actor;
mod catalog;
mod check;
pub mod command;
mod commands;
pub mod correlation;
pub mod engine;
pub mod figures;
pub mod options;
mod outcome;
pub mod parked;
pub mod plugins;
pub mod process;
pub mod projection;
pub mod rebuild;
pub mod relay;
mod replay;
pub mod schedule;
mod shard;
mod snapshot;
pub mod state;
pub mod subscription;
pub mod upcast;
pub mod verify;
pub mod view;

pub use actor::Placement;
pub use engine::{Engine, Ports, StartError};
pub use options::{EngineOptions, PluginOptions};
pub use replay::replay;
pub use shard::{QuarantinedStream, QuarantinedStreams};
