//! Contract 0.1.0: its bindings, and its records as the host's own types.

mod bindings;
mod map;

pub(crate) use bindings::annals::plugin::log::Level;
pub(crate) use bindings::annals::plugin::types::{
    CommandParam as Command, Context, EventBatch, History, RecordedEvent,
};
pub(crate) use bindings::annals::plugin::view::RowKey;
pub(crate) use bindings::exports::annals::plugin::{
    aggregate, descriptor, process_manager, projection, query, upcaster,
};

/// The version, as it stands in the names of interfaces.
pub(crate) const VERSION: &str = "0.1.0";

/// The interface that aggregates, projections and process managers may import.
pub(crate) const LOG: &str = "annals:plugin/log@0.1.0";

/// The interface that projections may import beside it.
pub(crate) const VIEW: &str = "annals:plugin/view@0.1.0";
