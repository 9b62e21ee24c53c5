//! The sandbox: checks, compiles, links, limits and calls plugins with wasmtime.
//!
//! ```text
//! bytes ─► check ─► cache, or compile ─► link ─► describe ─► WasmPlugin
//!                                                              │ aggregate(), projection(), …
//!                                                              ▼
//!                                        Sandbox: one store, one instance, one way to call
//! ```
//!
//! A guest is hostile until it is proven harmless, which it never is: each call has fuel, each
//! sandbox has memory, everything that crosses has a size, and what a guest returns is UTF-8 and of
//! the declared type but otherwise unchecked (the engine checks it). After a failure a sandbox holds
//! nothing and answers nothing.
//!
//! Calls run on the caller's thread and take 512 KiB of its stack for the guest. Loading waits for
//! a thread that compiles, which may take seconds.

mod aggregate;
mod batch;
mod cache;
mod check;
mod compile;
mod contract;
mod description;
mod deserialize;
mod engine;
mod entities;
mod failure;
mod host;
mod limits;
mod log_gate;
mod message;
mod meter;
mod plugin;
mod process_manager;
mod projection;
mod runtime;
mod sandbox;
mod text;
mod upcaster;

pub use engine::WASMTIME_VERSION;
pub use limits::{PluginLimits, RuntimeLimits};
pub use runtime::{CompileCacheOptions, RuntimeError, RuntimeOptions, WasmtimeRuntime};
