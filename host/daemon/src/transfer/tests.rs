//! Exports and imports over memory stores.

mod faults;
mod histories;
mod lines;
mod resume;
mod store;
mod support;
