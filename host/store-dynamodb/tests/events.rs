//! The event store.

mod conformance;
