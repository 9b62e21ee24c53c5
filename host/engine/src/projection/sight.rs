//! What a plugin sees of the feed: the events it wants, as the installed upcasters make them.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::plugin::Description;
use annals_core::port::event_store::FeedFilter;

use super::batch::{self, BatchError, Filled};
use crate::catalog::EventIndexes;
use crate::upcast::{UpcastError, UpcastSet, Upcasts};

/// The eyes of one plugin.
pub(crate) struct Sight {
    indexes: EventIndexes,
    upcasts: Arc<Upcasts>,
    /// The upcasters that show it its events, since it last looked.
    set: Arc<UpcastSet>,
}

/// Why events cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SightError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("event at position {} cannot be read", .0.position)]
    Upcast(#[source] Box<UpcastError>),
}

impl SightError {
    /// Which of the events it is about.
    pub(crate) fn event(&self) -> usize {
        match self {
            Self::Batch(error) => error.index(),
            Self::Upcast(error) => error.index,
        }
    }
}

impl Sight {
    pub(crate) fn new(description: &Description, upcasts: Arc<Upcasts>) -> Self {
        Self { indexes: EventIndexes::new(description), set: upcasts.current(), upcasts }
    }

    /// The events the plugin wants, and those that upcasters make such events of.
    pub(crate) fn filter(&self) -> FeedFilter {
        let wanted: HashSet<_> = self.indexes.event_types().cloned().collect();
        let leading = self.set.types_leading_to(&wanted);
        let event_types = wanted.into_iter().chain(leading).collect();
        FeedFilter { event_types: Some(event_types), ..FeedFilter::default() }
    }

    /// Looks which upcasters there are; returns the filter when they are others than before.
    pub(crate) fn look_at_upcasters(&mut self) -> Option<FeedFilter> {
        let current = self.upcasts.current();
        if current.generation() == self.set.generation() {
            return None;
        }
        self.set = current;
        Some(self.filter())
    }

    /// A batch of the first of `events`, up to `events_max` events and about `bytes_max` bytes.
    pub(crate) fn fill(
        &self,
        events: &[RecordedEvent],
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Filled, SightError> {
        let events = events.get(..events_max.max(1)).unwrap_or(events);
        let seen = self.set.first(events, &self.indexes).map_err(SightError::Upcast)?;
        Ok(batch::fill(&seen, &self.indexes, events_max, bytes_max)?)
    }
}
