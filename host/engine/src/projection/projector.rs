//! The guest's part: events in, checked writes out.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::plugin::{Description, ProjectFailure};
use annals_core::port::StateStore;
use annals_core::port::event_store::{FeedFilter, ReadError};
use annals_core::port::guest::{GuestFailure, GuestPlugin, ProjectionGuest, ViewReader};
use annals_core::port::state_store::{StateError, StateWrite};

use super::ProjectionError;
use super::batch::{self, Filled};
use super::writes::{self, Tables};
use crate::catalog::EventIndexes;
use crate::upcast::{UpcastError, UpcastSet, Upcasts};
use crate::view::StateViewReader;

/// Calls the guest of one projection.
pub(super) struct Projector {
    plugin: Arc<dyn GuestPlugin>,
    pub(super) description: Arc<Description>,
    guest: Option<Box<dyn ProjectionGuest>>,
    view: Arc<dyn ViewReader>,
    tables: Tables,
    indexes: EventIndexes,
    upcasts: Arc<Upcasts>,
    /// The upcasters that show it its events, since it last looked.
    set: Arc<UpcastSet>,
}

/// Why a batch was not handled.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the feed cannot be read")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Guest(#[from] GuestFailure),
    #[error(transparent)]
    Batch(#[from] batch::BatchError),
    #[error("event at position {} cannot be read", .0.position)]
    Upcast(#[source] Box<UpcastError>),
    #[error("event at position {position} was refused: {cause}")]
    Refused { index: usize, position: u64, cause: String },
    #[error("the writes for the event at position {position} alone are too many for the view")]
    TooLarge { position: u64, source: StateError },
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
            Self::Batch(error) => Some(error.index()),
            Self::Upcast(error) => Some(error.index),
            _ => None,
        }
    }
}

impl Projector {
    pub(super) fn new(
        plugin: Arc<dyn GuestPlugin>,
        state: Arc<dyn StateStore>,
        upcasts: Arc<Upcasts>,
    ) -> Self {
        let description = Arc::clone(plugin.description());
        let tables = Tables::new(&description.tables);
        Self {
            view: Arc::new(StateViewReader::new(state, tables.clone())),
            guest: None,
            plugin,
            tables,
            indexes: EventIndexes::new(&description),
            description,
            set: upcasts.current(),
            upcasts,
        }
    }

    /// The events the projection wants, and those that upcasters make such events of.
    pub(super) fn filter(&self) -> FeedFilter {
        let wanted: HashSet<_> = self.indexes.event_types().cloned().collect();
        let leading = self.set.types_leading_to(&wanted);
        let event_types = wanted.into_iter().chain(leading).collect();
        FeedFilter { event_types: Some(event_types), ..FeedFilter::default() }
    }

    /// Looks which upcasters there are; returns the filter when they are others than before.
    pub(super) fn look_at_upcasters(&mut self) -> Option<FeedFilter> {
        let current = self.upcasts.current();
        if current.generation() == self.set.generation() {
            return None;
        }
        self.set = current;
        Some(self.filter())
    }

    /// A batch of the first of `events`, up to `events_max` events and about `bytes_max` bytes.
    pub(super) fn fill(
        &self,
        events: &[RecordedEvent],
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Filled, Fault> {
        let events = events.get(..events_max.max(1)).unwrap_or(events);
        let seen = self.set.first(events, &self.indexes);
        let seen = seen.map_err(Fault::Upcast)?;
        Ok(batch::fill(&seen, &self.indexes, events_max, bytes_max)?)
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
            None => self.plugin.projection()?,
        };
        // After a failure the guest is not put back: the next call gets a fresh one.
        let said = guest.project(&filled.batch, Arc::clone(&self.view))?;
        self.guest = Some(guest);
        let writes = said.map_err(|failure| {
            let (ProjectFailure::Retry(index, cause) | ProjectFailure::Park(index, cause)) =
                failure;
            // The index comes from a guest; one out of range counts as the first event.
            let index = usize::try_from(index).unwrap_or_default();
            let index = filled.sources.get(index).copied().unwrap_or_default();
            let position = events.get(index).map_or(0, |event| event.position.get());
            Fault::Refused { index, position, cause }
        })?;
        Ok(writes::check(self.description.name.as_str(), &self.tables, writes, writes_max)?)
    }

    /// Lets the guest go: what it remembers may be of a batch that was not committed.
    pub(super) fn forget(&mut self) {
        self.guest = None;
    }
}
