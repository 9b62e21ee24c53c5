//! Trying again, with growing jittered waits, until a deadline.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use annals_core::error::DriverError;
use annals_core::id::IdGenerator;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep};

use super::failure::{Attempt, Failed, Request, read};
use super::{DynamoClient, DynamoOptions};

/// Waits between attempts: doubling, "full jitter" (M. Brooker, "Exponential Backoff And Jitter",
/// AWS Architecture Blog, 2015), until a deadline.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    ids: Arc<dyn IdGenerator>,
    next: Duration,
    max: Duration,
    deadline: Instant,
}

impl Backoff {
    /// The waits of one operation that begins now.
    pub(crate) fn new(options: &DynamoOptions, ids: &Arc<dyn IdGenerator>) -> Self {
        Self {
            ids: Arc::clone(ids),
            next: options.retry_wait,
            max: options.retry_wait_max,
            deadline: Instant::now() + options.operation_wait_max,
        }
    }

    /// How long to wait now; `None` when the time is over and the operation is to end.
    fn next_wait(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if now >= self.deadline {
            return None;
        }
        // The low bits of a UUID are random in every version that is made here.
        let (_, random) = self.ids.next_uuid().as_u64_pair();
        let part = u32::try_from(random % 1_000).unwrap_or_default() + 1;
        let wait = self.next.saturating_mul(part) / 1_000;
        self.next = self.next.saturating_mul(2).min(self.max);
        Some(wait.min(self.deadline - now))
    }
}

/// Whether to send a request again of which nobody knows whether it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It may be carried out twice.
    Always,
    /// The caller looks first.
    Never,
}

impl DynamoClient {
    /// The waits of an operation that begins now.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(&self.0.options, &self.0.ids)
    }

    /// Waits as `backoff` says, on the runtime that has timers.
    pub(crate) async fn wait(&self, backoff: &mut Backoff) -> bool {
        let Some(wait) = backoff.next_wait() else { return false };
        // An error means that the runtime ends, and so does whoever waits.
        self.0.runtime.spawn(sleep(wait)).await.is_ok()
    }

    /// Waits for a time, on the runtime that has timers.
    pub(crate) async fn pause(&self, time: Duration) {
        // An error means that the runtime ends, and so does whoever waits.
        drop(self.0.runtime.spawn(sleep(time)).await);
    }

    /// Sends a request until it is answered or the operation's time is over. `what` completes
    /// "DynamoDB did not …". Only for requests that may be carried out twice.
    pub(crate) async fn call<T, E, F, Fut>(
        &self,
        what: &'static str,
        send: F,
    ) -> Result<T, Failed<E>>
    where
        T: Send + 'static,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
    {
        self.call_within(what, send, self.backoff(), Repeat::Always).await
    }

    /// As [`Self::call`], as a part of an operation that ends with `backoff`.
    pub(crate) async fn call_within<T, E, F, Fut>(
        &self,
        what: &'static str,
        send: F,
        backoff: Backoff,
        repeat: Repeat,
    ) -> Result<T, Failed<E>>
    where
        T: Send + 'static,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
    {
        let turns = Arc::clone(&self.0.turns);
        let request = Request { what, place: self.place() };
        let running = self.0.runtime.spawn(async move {
            // The semaphore is never closed. Waiting for it is no attempt: at least one follows.
            let _turn = turns.acquire_owned().await;
            attempt_all(&request, send, backoff, repeat).await
        });
        running.await.unwrap_or_else(|error| {
            Err(Failed::Unknown(DriverError::with_source("a request was given up", error)))
        })
    }
}

async fn attempt_all<T, E, F, Fut>(
    request: &Request,
    send: F,
    mut backoff: Backoff,
    repeat: Repeat,
) -> Result<T, Failed<E>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    F: Fn() -> Fut + Send,
    Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
{
    let mut may_be_done = false;
    loop {
        let error = match read(request, send().await) {
            Attempt::Done(done) => return Ok(done),
            Attempt::Refused(error) => return Err(Failed::Refused { error, may_be_done }),
            Attempt::Hopeless(error) if may_be_done => return Err(Failed::Unknown(error)),
            Attempt::Hopeless(error) => return Err(Failed::NotDone(error)),
            Attempt::TryAgain(error) => error,
            Attempt::Unknown(error) if repeat == Repeat::Never => {
                return Err(Failed::Unknown(error));
            }
            Attempt::Unknown(error) => {
                may_be_done = true;
                error
            }
        };
        tracing::debug!(error = %annals_core::error::ErrorChain(&error), "request failed");
        let Some(wait) = backoff.next_wait() else {
            let failed = if may_be_done { Failed::Unknown } else { Failed::NotDone };
            return Err(failed(error));
        };
        sleep(wait).await;
    }
}
