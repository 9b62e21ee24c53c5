//! The refold check: would another version of an aggregate have led to the same history?
//!
//! ```text
//!            walk.rs: every commit once ──► streams of the category, each when it is first met
//!                                               │
//!   per stream:  event ─ event ─ [command] ─ event ─ event ─ [command] ─ …        compare.rs
//!                  │       │         │
//!   active    ── evolve ─ evolve ─ decide ── …  snapshot ┐
//!   candidate ── evolve ─ evolve ─ decide ── …  snapshot ┴─► as recorded? equal?  report.rs
//! ```
//!
//! Nothing is installed and nothing is written. It runs on a thread of its own, in sandboxes of its
//! own, one verification at a time. Memory is bounded: of the store it holds a page of commits, a
//! page of events and a page of commands; a stream is compared when the walk meets it first, so that
//! nobody has to remember which were; a sample holds the ids of its streams. Who goes away ends it.

mod compare;
mod decided;
mod difference;
mod page;
mod report;
mod side;
mod walk;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use annals_core::error::DriverError;
use annals_core::name::PluginName;
use annals_core::plugin::PluginKind;
use annals_core::port::event_store::ReadError;
use annals_core::port::guest::{GuestPlugin, LoadError};
use annals_core::port::{EventStore, GuestRuntime};
use annals_core::time::Timestamp;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tracing::info;

use crate::actor::Actor;
use crate::catalog::ActiveAggregate;
use crate::options::EngineOptions;
use crate::shard::ShardContext;
use compare::Comparison;

pub use decided::Drift;
pub use difference::{DIFFERENCES_MAX, Difference};
pub use report::{
    BrokenExample, CommandCounts, CommandExample, KINDS_MAX, Report, StateCounts, StateExample,
    Unreadable, Verdict, Version,
};

/// Verifications that may run at once. One keeps a core busy, and an operator reads one at a time.
pub const VERIFICATIONS_IN_FLIGHT_MAX: usize = 1;

/// Most streams of a sample. Their ids are held in memory, at most some 300 bytes each.
pub const SAMPLE_STREAMS_MAX: usize = 100_000;

/// What to verify, and how much of it to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Only a sample of so many streams (at most [`SAMPLE_STREAMS_MAX`]), the same at each time, spread
    /// over the category. `None`: all.
    pub streams_max: Option<NonZeroUsize>,
    /// Most examples of each sort: of commands, of states, of broken streams.
    pub examples_max: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { streams_max: None, examples_max: 10 }
    }
}

/// What a verification does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    /// It looks which streams there are, to choose a sample of them.
    Choosing,
    /// It compares streams.
    #[default]
    Verifying,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// What it does.
    pub step: Step,
    /// Streams compared.
    pub streams_count: u64,
    /// Events folded.
    pub events_count: u64,
    /// Commands decided again.
    pub commands_count: u64,
    /// How much of `total_count` is done, for a percentage. What is counted depends on the step: events
    /// of the store, or streams of a sample.
    pub done_count: u64,
    /// How much there was to do at the start.
    pub total_count: u64,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes are not a plugin this host can run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The name in the request is not the plugin's own.
    #[error("the plugin describes itself as `{described}`, not as `{asked}`")]
    OtherName {
        /// The name asked for.
        asked: PluginName,
        /// Its own name.
        described: PluginName,
    },
    /// Only aggregates have a history to fold.
    #[error("`{name}` is a plugin of kind `{kind}`, and only aggregates are verified")]
    NotAnAggregate {
        /// Its name.
        name: PluginName,
        /// Its kind.
        kind: PluginKind,
    },
    /// No version is active that it could be compared with.
    #[error("there is no active aggregate `{aggregate}` to compare with")]
    NotActive {
        /// Its name.
        aggregate: PluginName,
        /// The aggregates there are.
        known: Vec<PluginName>,
    },
    /// Another verification runs.
    #[error("{in_flight_max} verification is running already")]
    Busy {
        /// How many there may be.
        in_flight_max: usize,
    },
    /// The history cannot be read now.
    #[error("the history cannot be read")]
    Unavailable(#[source] DriverError),
    /// The history is damaged.
    #[error("the history is damaged")]
    Damaged(#[source] DriverError),
    /// There is no thread for it.
    #[error("the verification cannot start")]
    Start(#[source] std::io::Error),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

impl From<ReadError> for VerifyError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(source) => Self::Damaged(source),
            other => Self::Unavailable(DriverError::with_source("a read failed", other)),
        }
    }
}

/// A running verification. Dropping it ends it.
#[derive(Debug)]
pub struct Verification {
    progress: watch::Receiver<Progress>,
    // `None` once it was given out.
    report: Option<oneshot::Receiver<Result<Report, VerifyError>>>,
}

impl Verification {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until it is done, and gives the report out. Waiting can be given up and begun again.
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`], [`VerifyError::Damaged`]; [`VerifyError::Stopping`] also when it was
    /// given out before.
    pub async fn report(&mut self) -> Result<Report, VerifyError> {
        let Some(report) = &mut self.report else {
            return Err(VerifyError::Stopping);
        };
        let report = report.await;
        self.report = None;
        report.unwrap_or(Err(VerifyError::Stopping))
    }
}

/// What makes verifications, at most one at a time.
#[derive(Debug)]
pub(crate) struct Verifier {
    runtime: Arc<dyn GuestRuntime>,
    context: Arc<ShardContext>,
    in_flight: Arc<Semaphore>,
    is_stopping: Arc<AtomicBool>,
    // The last one, which may have ended; taken by whoever waits for its end.
    actor: Mutex<Option<Actor>>,
}

impl Verifier {
    pub(crate) fn new(runtime: Arc<dyn GuestRuntime>, context: Arc<ShardContext>) -> Self {
        Self {
            runtime,
            context,
            in_flight: Arc::new(Semaphore::new(VERIFICATIONS_IN_FLIGHT_MAX)),
            is_stopping: Arc::default(),
            actor: Mutex::default(),
        }
    }

    /// Loads the component off the serving threads and begins to compare it.
    pub(crate) async fn start(
        &self,
        name: Option<&PluginName>,
        bytes: Bytes,
        options: VerifyOptions,
    ) -> Result<Verification, VerifyError> {
        let in_flight_max = VERIFICATIONS_IN_FLIGHT_MAX;
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| VerifyError::Busy { in_flight_max })?;
        let (candidate, permit) = self.load(bytes, permit).await?;
        let described = candidate.description().name.clone();
        if let Some(asked) = name.filter(|asked| **asked != described) {
            return Err(VerifyError::OtherName { asked: asked.clone(), described });
        }
        let kind = candidate.inspection().kind;
        if kind != PluginKind::Aggregate {
            return Err(VerifyError::NotAnAggregate { name: described, kind });
        }
        let Some(active) = self.context.catalog.get(&described) else {
            let known = self.context.catalog.names();
            return Err(VerifyError::NotActive { aggregate: described, known });
        };
        let candidate = Arc::new(ActiveAggregate::new(
            candidate,
            Arc::clone(&active.upcasts),
            active.generation,
            Vec::new(),
        ));
        let (progress, seen) = watch::channel(Progress::default());
        let (reply, report) = oneshot::channel();
        let run = Run {
            store: Arc::clone(&self.context.store),
            namespace: Arc::clone(&self.context.namespace),
            decision_events_max: self.context.options.decision_events_max,
            started_at: self.context.clock.now(),
            active,
            candidate,
            options,
            progress,
            is_stopping: Arc::clone(&self.is_stopping),
        };
        self.spawn(run, reply, permit)?;
        Ok(Verification { progress: seen, report: Some(report) })
    }

    /// Checks and compiles on a thread that may block. The permit goes with the work: who goes away
    /// meanwhile does not make room for another compilation beside it.
    async fn load(
        &self,
        bytes: Bytes,
        permit: OwnedSemaphorePermit,
    ) -> Result<(Arc<dyn GuestPlugin>, OwnedSemaphorePermit), VerifyError> {
        let runtime = Arc::clone(&self.runtime);
        let loaded = tokio::task::spawn_blocking(move || (runtime.load(&bytes), permit)).await;
        let cause = "loading ended early".to_owned();
        let (plugin, permit) = loaded.map_err(|_| LoadError::Compile { cause })?;
        Ok((plugin?, permit))
    }

    fn spawn(
        &self,
        run: Run,
        reply: oneshot::Sender<Result<Report, VerifyError>>,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), VerifyError> {
        // Looked at under the lock, so that whoever stops finds the actor or is seen here.
        let mut actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(VerifyError::Stopping);
        }
        let EngineOptions { placement, on_background_thread, .. } = self.context.options;
        let verify = "annals-verify";
        let started = Actor::spawn_in_background(
            placement,
            verify,
            on_background_thread,
            move || async move {
                let name = run.candidate.description.name.clone();
                let report = Comparison::new(run).run().await;
                drop(permit);
                match report {
                    Ok(Some(report)) => {
                        info!(plugin = %name, verdict = report.verdict.as_str(), "plugin verified");
                        // Whoever asked may be gone by now, and needs no answer.
                        drop(reply.send(Ok(report)));
                    }
                    Ok(None) => info!(plugin = %name, "verification ended early"),
                    Err(error) => drop(reply.send(Err(error))),
                }
            },
        );
        *actor = Some(started.map_err(VerifyError::Start)?);
        Ok(())
    }

    /// Ends the verification that runs, and waits for its end.
    pub(crate) async fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor {
            actor.join().await;
        }
    }
}

/// What one verification works with.
#[derive(Debug)]
pub(crate) struct Run {
    store: Arc<dyn EventStore>,
    namespace: Arc<str>,
    decision_events_max: usize,
    started_at: Timestamp,
    active: Arc<ActiveAggregate>,
    candidate: Arc<ActiveAggregate>,
    options: VerifyOptions,
    progress: watch::Sender<Progress>,
    is_stopping: Arc<AtomicBool>,
}

impl Run {
    /// Whether nobody waits for the report any more, or the host is stopping.
    fn is_over(&self) -> bool {
        self.progress.is_closed() || self.is_stopping.load(Ordering::Relaxed)
    }
}
