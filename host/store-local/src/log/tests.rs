//! The log against restarts, torn ends, damage, full disks and failing files.
//!
//! Most of it runs on `simulated_folder.rs`, with a store whose workers take their steps on the thread of
//! the test (`stepped.rs`), random commits (`workload.rs`), and the memory driver as the judge (`model.rs`);
//! `history.rs` puts them together. `support.rs` and `faults.rs` have real folders and threads.

mod bounds;
mod catch_up;
mod clocks;
mod crashes;
mod damage;
mod equal;
mod errors;
mod everything;
mod failures;
mod faults;
mod full_disk;
mod golden;
mod groups;
mod history;
mod index_damage;
mod limits;
mod missing;
mod model;
mod mutated;
mod restart;
mod sealed_log;
mod seed;
mod simulated_folder;
mod stepped;
mod support;
mod tails;
mod workload;

pub(crate) use support::CountedIds;
