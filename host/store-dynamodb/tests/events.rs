//! The event store.

mod capacity;
mod conformance;
mod failures;
mod hosts;
mod identity;
pub(crate) mod support;
