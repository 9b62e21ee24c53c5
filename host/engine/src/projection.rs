//! Projections: events in, rows out, each batch's writes and its checkpoint in one transaction.
//!
//! `runner.rs` is the loop, `feeds.rs` says which partition is next, `projector.rs` calls the guest,
//! `sight.rs` upcasts what it sees, `batch.rs` turns events into columns, `writes.rs` checks what the guest wants written,
//! `checkpoint.rs` keeps the places, `parked.rs` what cannot be handled and `attempts.rs` how often it was
//! tried, `hold.rs` stops a runner for a moment. Of several hosts one works: see `fence.rs` and
//! `standby.rs`.
//! Rows are read in [`crate::view`].

mod attempts;
pub(crate) mod batch;
pub(crate) mod checkpoint;
#[expect(clippy::future_not_send, reason = "a runner stays on its thread")]
pub(crate) mod feeds;
pub(crate) mod fence;
mod hold;
pub(crate) mod parked;
mod projector;
mod recorder;
#[expect(clippy::future_not_send, reason = "a runner stays on its thread")]
mod runner;
pub(crate) mod sight;
mod size;
pub(crate) mod standby;
mod writes;

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::error::{DriverError, ErrorChain};
use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_core::plugin::Description;
use annals_core::port::guest::GuestPlugin;
use annals_core::port::state_store::{StateError, StateSpace};
use annals_core::port::{Bus, EventStore, StateStore, StateStores};
use annals_core::time::Clock;
use serde::Serialize;
use tokio::sync::watch;

use crate::actor::Actor;
use crate::options::EngineOptions;
use crate::upcast::Upcasts;

pub(crate) use hold::{Held, HoldControl};
pub use parked::{ParkedEvent, Unpark};
pub(crate) use runner::Runner;
pub(crate) use writes::{Tables, check as check_writes};

/// How far a projection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Per partition of the feed, in their order: every event up to here (inclusive) is in the view.
    pub checkpoints: Vec<Option<Position>>,
    /// How many events of all partitions it has handled since the first.
    pub events_count: u64,
    /// How many streams wait behind a parked event.
    pub parked_count: usize,
    /// What it does now.
    pub phase: Phase,
}

impl Progress {
    /// Every event of `partition` up to here (inclusive) is in the view.
    #[must_use]
    pub fn checkpoint(&self, partition: Partition) -> Option<Position> {
        let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
        self.checkpoints.get(index).copied().flatten()
    }
}

/// What a projection does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Phase {
    /// It is behind the head and reads on.
    CatchingUp,
    /// It has handled everything there is.
    CaughtUp,
    /// It failed and tries again, waiting longer each time.
    Failing {
        /// Why.
        cause: String,
        /// How often in a row.
        attempts: u32,
        /// Whether it comes of the plugin and the events, and not of the host or its stores.
        is_of_events: bool,
    },
    /// Another host works on the view. This one takes over when that one gives it back, or does not
    /// get on.
    StandingBy,
}

/// What a running projection needs of the engine.
#[derive(Debug, Clone)]
pub(crate) struct ProjectionPorts {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) states: Arc<dyn StateStores>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) upcasts: Arc<Upcasts>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: EngineOptions,
}

/// Which view a projection makes, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ViewOptions {
    /// Which of the views of its content.
    pub(crate) build: u32,
    /// Whether others must not notice that it runs.
    pub(crate) is_background: bool,
    /// Where a view without checkpoints begins: per partition, after this position. Empty: at the
    /// first event.
    pub(crate) after: Vec<Option<Position>>,
}

/// A running projection and its view.
#[derive(Debug)]
pub(crate) struct Projection {
    pub(crate) plugin: Arc<dyn GuestPlugin>,
    pub(crate) description: Arc<Description>,
    pub(crate) view: ViewOptions,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) progress: watch::Receiver<Progress>,
    // How many wait for a position.
    pub(crate) waiting: watch::Sender<usize>,
    // Changes when an operator asks for something about parked events.
    asked: watch::Sender<u64>,
    pub(crate) hold: HoldControl,
    stop: watch::Sender<bool>,
    // Taken by whoever waits for the end.
    actor: Mutex<Option<Actor>>,
}

/// Why a projection does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// Its view cannot be opened.
    #[error("the view of projection `{projection}` cannot be opened")]
    View {
        /// The projection.
        projection: PluginName,
        /// What the state store says.
        source: StateError,
    },
    /// The checkpoint of its view does not belong to this store.
    #[error(
        "the checkpoint of projection `{projection}` is {fault}; remove the view to rebuild it"
    )]
    Checkpoint {
        /// The projection.
        projection: PluginName,
        /// What is wrong with it.
        fault: String,
    },
    /// The event store does not answer, or there is no thread to run on.
    #[error("projection `{projection}` cannot start")]
    Start {
        /// The projection.
        projection: PluginName,
        /// Why.
        source: DriverError,
    },
}

impl Projection {
    /// Opens the view and starts the runner at its checkpoint.
    pub(crate) async fn start(
        plugin: Arc<dyn GuestPlugin>,
        ports: ProjectionPorts,
        view: ViewOptions,
    ) -> Result<Self, ProjectionError> {
        let description = Arc::clone(plugin.description());
        let digest = plugin.inspection().digest;
        let projection = description.name.clone();
        let build = view.build;
        let space = StateSpace::View { projection: projection.clone(), digest, build };
        let unopened = |source| ProjectionError::View { projection: projection.clone(), source };
        let state = ports.states.open(&space).await.map_err(unopened)?;
        let begun = checkpoint::begin(&*state, &*ports.store, &view.after).await;
        begun.map_err(unopened)?;
        let saved = checkpoint::load(&*state, &*ports.store, &projection).await?;
        let positions = saved.iter().map(|saved| saved.as_ref()?.position);
        let (report, progress) = watch::channel(Progress {
            checkpoints: positions.collect(),
            events_count: saved.iter().flatten().map(|saved| saved.events_count).sum(),
            parked_count: 0,
            phase: Phase::CatchingUp,
        });
        let (asked, wishes) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let (waiting, waited_for) = watch::channel(0);
        let (hold, ordered) = hold::new();
        let parts = runner::Parts {
            plugin: Arc::clone(&plugin),
            state: Arc::clone(&state),
            saved,
            ports: ports.clone(),
            report,
            stopped,
            waiting: waited_for,
            asked: wishes,
            hold: ordered,
        };
        let name = format!("annals-projection-{projection}");
        let on_thread = ports.options.on_background_thread.filter(|_| view.is_background);
        let run = move || Runner::run(parts);
        let actor = Actor::spawn_in_background(ports.options.placement, &name, on_thread, run)
            .map_err(|error| ProjectionError::Start {
                projection,
                source: DriverError::with_source("no thread", error),
            })?;
        let actor = Mutex::new(Some(actor));
        Ok(Self { plugin, description, view, state, progress, waiting, asked, hold, stop, actor })
    }

    /// Tells the runner that an operator asked for something about parked events.
    pub(crate) fn tell_of_wishes(&self) {
        self.asked.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Asks the runner to end after its batch.
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

pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    ErrorChain(error).to_string()
}
