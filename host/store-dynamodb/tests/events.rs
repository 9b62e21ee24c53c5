//! The event store.

mod capacity;
mod conformance;
mod failures;
mod hosts;
mod support;
