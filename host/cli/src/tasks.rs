//! Runs asynchronous work for a command.

use std::future::Future;

use tokio::runtime::Builder;

use crate::failure::Failure;

/// Runs `work` on all cores. When it returns, nothing that is left of it is waited for.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().thread_name("annals").build();
    let runtime = runtime.map_err(|error| Failure::ours(format!("no threads: {error}")))?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// As [`run`], and Ctrl-C ends it where it is, with a hint.
pub(crate) fn run_until_interrupted<T>(
    hint: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    run(async {
        tokio::select! {
            done = work => done,
            Ok(()) = tokio::signal::ctrl_c() => Err(Failure::interrupted().with_hint(hint)),
        }
    })
}

/// Runs `work` on this thread: enough for a request or two.
pub(crate) fn run_here<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::ours(format!("no runtime: {error}")))?;
    runtime.block_on(work)
}
