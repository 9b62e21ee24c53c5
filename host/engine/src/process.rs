//! Process managers: events, timers and outcomes in, commands out, over several aggregates.
//!
//! The state of an instance, the commands it sends, its timers and the places in the feed change in one
//! commit, so each event, timer and outcome affects an instance once, whatever crashes. Commands are
//! sent from what is committed, under ids that are derived from what led to them: they may be sent more
//! than once, and have their effect once.
//!
//! `runner.rs` is the loop, `manager.rs` calls the guest and `check.rs` looks at what it answers,
//! `instance.rs` is what is kept and `tables.rs` where, `draft.rs` what is committed together, `sends.rs`
//! the commands on the way, `id.rs` their ids. What cannot be handled is parked with its instance, or
//! with its stream when nobody knows whom it concerns. Operators see it by [`status`].

mod check;
mod data;
mod draft;
mod id;
pub mod instance;
pub mod limits;
mod manager;
#[expect(clippy::future_not_send, reason = "a runner stays on its thread")]
mod runner;
mod sends;
pub mod status;
mod tables;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use annals_core::error::DriverError;
use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_core::port::StateStore;
use annals_core::port::event_store::ReadError;
use annals_core::port::guest::{GuestFailure, GuestPlugin};
use annals_core::port::state_store::{StateError, StateSpace};
use serde::Serialize;
use tokio::sync::watch;

use crate::actor::Actor;
use crate::commands::Commands;
use crate::projection::checkpoint;
use crate::projection::{Phase, ProjectionError, ProjectionPorts};
use runner::{Parts, Runner};

pub use check::{
    INSTANCE_ID_BYTES_MAX, INSTANCES_PER_EVENT_MAX, REACTION_COMMANDS_MAX, STATE_BYTES_MAX,
    TIMER_DATA_BYTES_MAX, TIMER_NAME_BYTES_MAX, TIMERS_MAX,
};
pub use tables::{INSTANCE_BYTES_MAX, ParkedStream};

/// What a running process manager needs of the engine.
#[derive(Debug, Clone)]
pub(crate) struct ProcessPorts {
    pub(crate) shared: ProjectionPorts,
    pub(crate) commands: Arc<Commands>,
    pub(crate) namespace: Arc<str>,
}

/// How far a process manager is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessProgress {
    /// Per partition of the feed, in their order: every event up to here (inclusive) is handled.
    pub checkpoints: Vec<Option<Position>>,
    /// How many events of all partitions it has handled since the first.
    pub events_count: u64,
    /// How many instances run.
    pub running_count: u64,
    /// How many instances are parked.
    pub parked_count: u64,
    /// How many streams wait behind an event that cannot be correlated.
    pub parked_streams_count: usize,
    /// How many instances have a command on the way, as far as they are known.
    pub sending_count: usize,
    /// How many instances did not get on when they were last looked at.
    pub stuck_count: u64,
    /// What it does now.
    pub phase: Phase,
}

/// Why a process manager does not get on.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the feed cannot be read")]
    Read(#[from] ReadError),
    #[error("the plugin does not start")]
    Start(#[source] GuestFailure),
    #[error("what the process manager knows cannot be read or written")]
    State(#[from] StateError),
    #[error(transparent)]
    Checkpoint(#[from] ProjectionError),
    #[error(
        "{messages_max} messages wait behind one that instance `{instance}` cannot handle \
         (processes.messages_waiting_max): replay or discard it"
    )]
    WaitingFull { instance: Arc<str>, messages_max: usize },
    #[error("{streams_max} streams are parked already (projections.parked_streams_max): {cause}")]
    ParkedFull { streams_max: NonZeroUsize, cause: String },
    #[error("instance `{instance}` cannot be kept with what waits for it: replay or discard it")]
    TooLarge { instance: Arc<str>, source: draft::InstanceTooLarge },
}

impl Fault {
    const fn is_of_state(&self) -> bool {
        matches!(self, Self::State(_))
    }

    /// Whether it comes of the events and what the plugin makes of them.
    const fn is_of_events(&self) -> bool {
        matches!(self, Self::WaitingFull { .. } | Self::TooLarge { .. } | Self::ParkedFull { .. })
    }
}

/// A process manager that runs, or is about to.
#[derive(Debug)]
pub(crate) struct ProcessManager {
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) progress: watch::Receiver<ProcessProgress>,
    asked: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    // Taken when it begins.
    parts: Mutex<Option<Box<Parts>>>,
    // Taken by whoever waits for the end.
    actor: Mutex<Option<Actor>>,
}

impl ProcessManager {
    /// Opens what it knows. It does nothing before [`Self::begin`].
    pub(crate) async fn open(
        plugin: Arc<dyn GuestPlugin>,
        ports: ProcessPorts,
    ) -> Result<Self, ProcessError> {
        let name = plugin.description().name.clone();
        let unopened = |source| ProcessError::State { name: name.clone(), source };
        let space = StateSpace::Process { name: name.clone() };
        let state = ports.shared.states.open(&space).await.map_err(unopened)?;
        let saved = checkpoint::load(&*state, &*ports.shared.store, &name).await?;
        let counts = runner::Counts::load(&*state).await.map_err(unopened)?;
        let positions = saved.iter().map(|saved| saved.as_ref()?.position);
        let (report, progress) = watch::channel(ProcessProgress {
            checkpoints: positions.collect(),
            events_count: saved.iter().flatten().map(|saved| saved.events_count).sum(),
            running_count: runner::count(counts.running),
            parked_count: runner::count(counts.parked),
            parked_streams_count: 0,
            sending_count: 0,
            stuck_count: 0,
            phase: Phase::CatchingUp,
        });
        let (asked, wishes) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            plugin,
            state: Arc::clone(&state),
            saved,
            ports,
            report,
            stopped,
            asked: wishes,
        };
        let parts = Mutex::new(Some(Box::new(parts)));
        Ok(Self { state, progress, asked, stop, parts, actor: Mutex::default() })
    }

    /// Lets it handle events and send commands.
    pub(crate) fn begin(&self) {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(parts) = parts else { return };
        let (process, report) = (parts.plugin.description().name.clone(), parts.report.clone());
        let (name, placement) =
            (format!("annals-process-{process}"), parts.ports.shared.options.placement);
        match Actor::spawn(placement, &name, move || Runner::run(*parts)) {
            Ok(actor) => {
                *self.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
            }
            Err(error) => {
                tracing::error!(%process, %error, "there is no thread for a process manager");
                let cause = format!("there is no thread for it: {error}");
                let phase = Phase::Failing { cause, attempts: 1, is_of_events: false };
                report.send_modify(|progress| progress.phase = phase);
            }
        }
    }

    /// Tells the runner that an operator asked for something.
    pub(crate) fn tell_of_wishes(&self) {
        self.asked.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Asks the runner to end after its commit.
    pub(crate) fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for the runner's end.
    pub(crate) async fn ended(&self) {
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor {
            actor.join().await;
        }
    }
}

/// Why a process manager does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// What it knows cannot be opened.
    #[error("what process manager `{name}` knows cannot be opened")]
    State {
        /// The process manager.
        name: PluginName,
        /// What the state store says.
        source: StateError,
    },
    /// Its checkpoint does not belong to this store.
    #[error(
        "process manager `{name}` cannot go on where it was: {fault}; remove it with its instances to \
         begin anew"
    )]
    Checkpoint {
        /// The process manager.
        name: PluginName,
        /// What is wrong with it.
        fault: String,
    },
    /// The event store does not answer.
    #[error("process manager `{name}` cannot start")]
    Start {
        /// The process manager.
        name: PluginName,
        /// Why.
        source: DriverError,
    },
}

impl From<ProjectionError> for ProcessError {
    fn from(error: ProjectionError) -> Self {
        match error {
            ProjectionError::View { projection: name, source } => Self::State { name, source },
            ProjectionError::Checkpoint { projection: name, fault } => {
                Self::Checkpoint { name, fault: format!("its checkpoint is {fault}") }
            }
            ProjectionError::Start { projection: name, source } => Self::Start { name, source },
        }
    }
}
