//! Shards: each owns the resident entities of its streams and runs their commands, one command of
//! one stream at a time, different streams side by side.
//!
//! `run.rs` is the loop and the queues, `decide.rs` one command from id to reply, `load.rs` how an
//! entity becomes resident, `sandbox.rs` the guest with its residents, `versions.rs` which version of a
//! plugin runs what. Streams that failed (`quarantine.rs`) and plugins that are slow (`pace.rs`) run in a
//! shard apart, whose sandboxes and thread no other stream needs; the stream's own shard hands the job
//! over and waits for it. A guest is called only
//! synchronously, so nothing of it is held across an `.await`; whatever was awaited, the resident
//! may be gone afterwards and is loaded again.

#[expect(clippy::future_not_send, reason = "the tasks of a shard stay on its thread")]
mod bundle;
#[expect(clippy::future_not_send, reason = "the tasks of a shard stay on its thread")]
mod decide;
#[expect(clippy::future_not_send, reason = "the tasks of a shard stay on its thread")]
mod load;
mod pace;
mod quarantine;
#[expect(clippy::future_not_send, reason = "the tasks of a shard stay on its thread")]
mod run;
mod sandbox;
mod versions;

pub(crate) use load::read_error;
pub(crate) use pace::Pace;
pub(crate) use quarantine::Quarantine;
pub use quarantine::{QuarantinedStream, QuarantinedStreams};

use std::sync::Arc;

use annals_core::id::IdGenerator;
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use annals_core::time::Clock;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::actor::Actor;
use crate::catalog::{ActiveAggregate, Catalog};
use crate::command::{CommandError, CommandOutcome, CommandRequest};
use crate::options::EngineOptions;
use crate::snapshot::Snapshots;

/// What all shards share.
#[derive(Debug)]
pub(crate) struct ShardContext {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) snapshots: Snapshots,
    pub(crate) catalog: Catalog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) options: EngineOptions,
    pub(crate) quarantine: Quarantine,
    pub(crate) namespace: Arc<str>,
}

/// The engine's end of one shard.
#[derive(Debug)]
pub(crate) struct Shard {
    // Not bounded by itself: every job holds a permit of the engine's bounded semaphore.
    jobs: mpsc::UnboundedSender<Job>,
    actor: Actor,
}

/// Hands jobs to one shard, until it is asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct JobSender(mpsc::WeakUnboundedSender<Job>);

impl JobSender {
    /// Hands a job over; gives it back when the shard is stopping.
    pub(crate) fn send(&self, job: Job) -> Result<(), Box<Job>> {
        match self.0.upgrade() {
            Some(jobs) => jobs.send(job).map_err(|error| Box::new(error.0)),
            None => Err(Box::new(job)),
        }
    }
}

impl Shard {
    /// Starts shard `number`. What would hold up its streams it hands to the shard `apart`.
    pub(crate) fn start(
        number: usize,
        context: Arc<ShardContext>,
        apart: JobSender,
    ) -> std::io::Result<Self> {
        Self::spawn(&format!("annals-shard-{number}"), context, Some(apart))
    }

    /// Starts the shard for the jobs of slow plugins and suspect streams.
    pub(crate) fn start_apart(context: Arc<ShardContext>) -> std::io::Result<Self> {
        Self::spawn("annals-shard-apart", context, None)
    }

    fn spawn(
        name: &str,
        context: Arc<ShardContext>,
        apart: Option<JobSender>,
    ) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let placement = context.options.placement;
        let on_thread = context.options.on_background_thread.filter(|_| apart.is_none());
        let actor = Actor::spawn_in_background(placement, name, on_thread, move || {
            run::run(context, inbox, apart)
        })?;
        Ok(Self { jobs, actor })
    }

    /// A sender of jobs that does not keep the shard from stopping.
    pub(crate) fn sender(&self) -> JobSender {
        JobSender(self.jobs.downgrade())
    }

    /// Lets the shard finish what it has, and waits for its end.
    pub(crate) async fn stop(self) {
        drop(self.jobs);
        self.actor.join().await;
    }
}

/// Something to do for one stream.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) stream: StreamId,
    pub(crate) active: Arc<ActiveAggregate>,
    pub(crate) work: Work,
    /// Bounds the commands in flight; given back with the reply.
    pub(crate) permit: OwnedSemaphorePermit,
    /// Dropped when the job is done with the stream: the shard that handed it over waits for that.
    pub(crate) ended: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
pub(crate) enum Work {
    Command(Box<CommandRequest>, Reply<CommandOutcome>),
    /// The state now.
    State(Reply<ResidentState>),
}

/// Where the answer of a job goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, CommandError>>;

/// The state of an entity as its plugin writes it.
#[derive(Debug)]
pub(crate) struct ResidentState {
    pub(crate) revision: annals_core::place::ActualRevision,
    pub(crate) data: Bytes,
}
