//! Between the contract and the traits of this crate: columns, resources, type indexes.

pub(crate) mod aggregate;
mod columns;
pub(crate) mod descriptor;
pub(crate) mod export;
pub(crate) mod process;
pub(crate) mod projection;
pub(crate) mod upcaster;
