//! Exports and imports over memory stores.

mod away;
mod directions;
mod faults;
mod histories;
mod hooked;
mod killed;
mod lines;
mod order;
mod random;
mod resume;
mod same;
mod snapshot;
mod store;
mod support;
