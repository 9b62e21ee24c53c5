//! Words and ports of Annals: what the engine, the runtime and the drivers agree on.
//!
//! Read it in this order: the words ([`name`], [`stream`], [`place`], [`id`], [`time`]), what is
//! stored ([`event`], [`command`], [`commit`]), the rules ([`limits`], [`invariants`]) and last the
//! [`port`]s, the traits that drivers implement. A port's documentation is its contract: every
//! sentence of it is a check in `tests/conformance`.
//!
//! Nothing in here does I/O, spawns a task or knows of wasmtime.

pub mod columns;
pub mod command;
pub mod commit;
pub mod durability;
pub mod error;
pub mod event;
pub mod id;
pub mod invariants;
pub mod json;
pub mod limits;
pub mod name;
pub mod place;
pub mod plugin;
pub mod port;
pub mod stream;
pub mod time;
pub mod usage;
