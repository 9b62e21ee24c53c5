//! The contracts of the ports as checks that every driver runs.
//!
//! A check is a plain `pub async fn` that opens nothing and cleans up nothing: it is given an empty
//! store. One list per port names the checks of that port, and a macro makes a test of each. The
//! test file of a driver, complete:
//!
//! ```
//! //! Runs the contract of event stores against this driver.
//! mod support {
//!     # use std::sync::Arc;
//!     # use annals_core::port::EventStore;
//!     # fn new_folder() {}
//!     # async fn open_driver(_: &()) -> Arc<dyn EventStore> { std::future::pending().await }
//!     /// Opens an empty store: the store, and what must outlive it (a folder, a server).
//!     pub async fn open_empty() -> (Arc<dyn EventStore>, impl Sized) {
//!         let folder = new_folder();
//!         (open_driver(&folder).await, folder)
//!     }
//! }
//!
//! annals_conformance::event_store_conformance! { open: support::open_empty }
//! # fn main() {}
//! ```
//!
//! Likewise [`state_stores_conformance!`] (opens `Arc<dyn StateStores>`),
//! [`blob_store_conformance!`] (`Arc<dyn BlobStore>`) and [`bus_conformance!`] (`Arc<dyn Bus>`). All
//! four fit one file. The driver needs no dependency but this crate for it: a check runs on a tokio
//! runtime of its own with two worker threads, and fails after [`CHECK_SECONDS_MAX`].
//!
//! Checks ask the driver what it can do, and expect that: how many partitions, how long ids are
//! remembered (at least those of a stream's last 8 commits), how large a commit of state may be. They
//! are as strict for one partition as if there were no other stores.
//!
//! What is not in here: what only one driver promises (files, recovery, wire), which its own tests
//! check.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a check reports by panicking, like the tests it is run by"
)]

pub mod append;
pub mod append_limits;
pub mod claims;
pub mod commands;
pub mod commits;
pub mod concurrency;
pub mod correlated;
pub mod durability;
pub mod event_ids;
pub mod feed;
pub mod model;
pub mod partitions;
pub mod read_stream;

pub mod blob;
pub mod bus;
pub mod state;
pub mod state_commit;
pub mod state_stores;

mod lists;
mod support;

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Longest a check may take, in seconds. Checks take milliseconds; the bound turns one that waits
/// for ever into a failure, on the slowest machine and the slowest driver too.
pub const CHECK_SECONDS_MAX: u64 = 120;

/// Opens what is to be checked, runs one check on it and drops both, the guard last.
///
/// # Panics
/// When the check fails or takes longer than [`CHECK_SECONDS_MAX`].
pub fn run<S, G>(
    open: impl AsyncFnOnce() -> (S, G) + Send + 'static,
    check: impl AsyncFnOnce(&S) + Send + 'static,
) {
    run_within(Duration::from_secs(CHECK_SECONDS_MAX), open, check);
}

fn run_within<S, G>(
    deadline: Duration,
    open: impl AsyncFnOnce() -> (S, G) + Send + 'static,
    check: impl AsyncFnOnce(&S) + Send + 'static,
) {
    let (end, ended) = mpsc::channel::<()>();
    // A thread, since a check that never yields, in a loop a broken driver does not end, would keep
    // a timer of its runtime from being looked at.
    let checking = thread::spawn(move || {
        // Dropped when the check ends, by a panic too.
        let _end = end;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (subject, guard) = open().await;
            check(&subject).await;
            drop(subject);
            drop(guard);
        });
    });
    let ended = ended.recv_timeout(deadline);
    assert_ne!(ended, Err(RecvTimeoutError::Timeout), "the check took over {deadline:?}");
    if let Err(cause) = checking.join() {
        resume_unwind(cause);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::{run, run_within};

    #[test]
    #[should_panic(expected = "the check says no")]
    fn a_check_that_panics_fails_its_test() {
        // Guards the whole suite: no failure is lost between the threads.
        run(async || ((), ()), async |()| panic!("the check says no"));
    }

    #[test]
    #[should_panic(expected = "the check took over 1ms")]
    fn a_check_that_never_ends_fails_its_test() {
        // Guards CI against hanging on a driver that loses a wake.
        run_within(Duration::from_millis(1), async || ((), ()), async |()| pending().await);
    }
}
