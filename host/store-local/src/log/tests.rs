//! The log against restarts, torn ends, damage and failing files.

mod damage;
mod failures;
mod faults;
mod golden;
mod limits;
mod restart;
mod support;

pub(crate) use support::CountedIds;
