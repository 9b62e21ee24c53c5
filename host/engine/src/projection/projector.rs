//! The guest's part: events in, checked writes out.

use std::num::NonZeroUsize;
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::plugin::{Description, ProjectFailure};
use annals_core::port::event_store::{FeedFilter, ReadError};
use annals_core::port::failure_sink::{FailedBatch, FailedWork, FailureBundle};
use annals_core::port::guest::{GuestFailure, GuestPlugin, ProjectionGuest, ViewReader};
use annals_core::port::state_store::{StateError, StateWrite};
use annals_core::port::{FailureSink, StateStore};
use annals_core::time::Clock;

use super::ProjectionError;
use super::batch::Filled;
use super::recorder::Recorder;
use super::sight::{Sight, SightError};
use super::writes::{self, Tables};
use crate::upcast::Upcasts;
use crate::view::StateViewReader;

/// Calls the guest of one projection.
pub(super) struct Projector {
    plugin: Arc<dyn GuestPlugin>,
    pub(super) description: Arc<Description>,
    guest: Option<Box<dyn ProjectionGuest>>,
    view: Arc<dyn ViewReader>,
    tables: Tables,
    sight: Sight,
    bundles: Option<Bundles>,
}

/// Where failures are kept.
#[derive(Debug, Clone)]
pub(super) struct Bundles {
    pub(super) sink: Arc<dyn FailureSink>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Why a batch was not handled.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the feed cannot be read")]
    Read(#[from] ReadError),
    #[error("the plugin does not start")]
    Start(#[source] GuestFailure),
    #[error(transparent)]
    Guest(#[from] GuestFailure),
    #[error(transparent)]
    Sight(#[from] SightError),
    #[error("event at position {position} was refused: {cause}")]
    Refused { index: usize, position: u64, cause: String, is_final: bool },
    #[error("the writes for the event at position {position} alone are too many for the view")]
    TooLarge { position: u64, source: StateError },
    #[error("{streams_max} streams are parked already (projections.parked_streams_max)")]
    ParkedFull { streams_max: NonZeroUsize, source: Box<Self> },
    #[error("the view cannot be written")]
    State(#[from] StateError),
    #[error(transparent)]
    Checkpoint(#[from] ProjectionError),
}

impl Fault {
    /// Which of the events that were to be projected it is about, when it is about one.
    pub(super) fn event(&self) -> Option<usize> {
        match self {
            Self::Refused { index, .. } => Some(*index),
            Self::Sight(error) => Some(error.event()),
            _ => None,
        }
    }

    /// Whether it comes of the events and what plugins make of them, so that others may do better.
    pub(super) const fn is_of_events(&self) -> bool {
        match self {
            Self::Guest(failure) => !matches!(failure, GuestFailure::View { .. }),
            Self::State(error) => matches!(
                error,
                StateError::NotACounter { .. }
                    | StateError::CounterOverflow { .. }
                    | StateError::TooLarge { .. }
            ),
            Self::Sight(_) | Self::Refused { .. } | Self::TooLarge { .. } => true,
            Self::Read(_) | Self::Start(_) | Self::ParkedFull { .. } | Self::Checkpoint(_) => false,
        }
    }

    /// Whether giving the event to the plugin again is of no use, as it says.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { is_final: true, .. })
    }

    /// The same, if only `event` was to be written.
    pub(super) fn about_one(self, event: Option<&RecordedEvent>) -> Self {
        match (self, event) {
            (Self::State(source @ StateError::TooLarge { .. }), Some(event)) => {
                Self::TooLarge { position: event.position.get(), source }
            }
            (fault, _) => fault,
        }
    }
}

impl Projector {
    pub(super) fn new(
        plugin: Arc<dyn GuestPlugin>,
        state: Arc<dyn StateStore>,
        upcasts: Arc<Upcasts>,
        bundles: Option<Bundles>,
    ) -> Self {
        let description = Arc::clone(plugin.description());
        let tables = Tables::new(&description.tables);
        Self {
            view: Arc::new(StateViewReader::new(state, tables.clone())),
            guest: None,
            bundles,
            plugin,
            tables,
            sight: Sight::new(&description, upcasts),
            description,
        }
    }

    /// The events the projection wants, and those that upcasters make such events of.
    pub(super) fn filter(&self) -> FeedFilter {
        self.sight.filter()
    }

    /// Looks which upcasters there are; returns the filter when they are others than before.
    pub(super) fn look_at_upcasters(&mut self) -> Option<FeedFilter> {
        self.sight.look_at_upcasters()
    }

    /// A batch of the first of `events`, up to `events_max` events and about `bytes_max` bytes.
    pub(super) fn fill(
        &self,
        events: &[RecordedEvent],
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Filled, Fault> {
        Ok(self.sight.fill(events, events_max, bytes_max)?)
    }

    /// What the guest wants written for a batch of the first of `events`.
    pub(super) fn project(
        &mut self,
        filled: &Filled,
        events: &[RecordedEvent],
        writes_max: usize,
    ) -> Result<Vec<StateWrite>, Fault> {
        if filled.batch.events_count() == 0 {
            // Only what came of upcasting and is not wanted.
            return Ok(Vec::new());
        }
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.plugin.projection().map_err(Fault::Start)?,
        };
        // After a failure the guest is not put back: the next call gets a fresh one.
        let said = guest.project(&filled.batch, Arc::clone(&self.view));
        let said = said.inspect_err(|failure| self.keep_bundle(filled, failure))?;
        self.guest = Some(guest);
        let writes = said.map_err(|failure| {
            let is_final = matches!(failure, ProjectFailure::Park(..));
            let (ProjectFailure::Retry(index, cause) | ProjectFailure::Park(index, cause)) =
                failure;
            // The index comes from a guest; one out of range counts as the first event.
            let index = usize::try_from(index).unwrap_or_default();
            let index = filled.sources.get(index).copied().unwrap_or_default();
            let position = events.get(index).map_or(0, |event| event.position.get());
            Fault::Refused { index, position, cause, is_final }
        })?;
        let checked =
            writes::check(self.description.name.as_str(), &self.tables, writes, writes_max);
        Ok(checked.inspect_err(|failure| self.keep_bundle(filled, failure))?)
    }

    /// Keeps what repeats `failure`, if it is wanted. The batch is given to a fresh guest once more, to
    /// see what it reads of the view.
    fn keep_bundle(&self, filled: &Filled, failure: &GuestFailure) {
        let Some(bundles) = &self.bundles else { return };
        let (digest, now) = (self.plugin.inspection().digest, bundles.clock.now());
        let is_ours = matches!(failure, GuestFailure::View { .. });
        if is_ours || !bundles.sink.wants(digest, failure, now) {
            return;
        }
        let recorder = Arc::new(Recorder::new(Arc::clone(&self.view)));
        if let Ok(mut guest) = self.plugin.projection() {
            let view: Arc<dyn ViewReader> = Arc::clone(&recorder) as _;
            // It fails as before, or what it read tells why not.
            drop(guest.project(&filled.batch, view));
        }
        bundles.sink.keep(&FailureBundle {
            plugin: self.description.name.clone(),
            version: self.description.version.clone(),
            digest,
            at: now,
            failure: failure.clone(),
            work: FailedWork::Batch(FailedBatch {
                events: filled.batch.clone(),
                reads: recorder.into_reads(),
            }),
        });
    }

    /// Lets the guest go: what it remembers may be of a batch that was not committed.
    pub(super) fn forget(&mut self) {
        self.guest = None;
    }
}
