//! Time travel: the state of a stream as it was at a revision.

use std::sync::Arc;

use annals_core::columns::History;
use annals_core::error::DriverError;
use annals_core::event::{RecordedEvent, SchemaVersion};
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::Direction;
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestFailure};
use annals_core::stream::StreamId;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::catalog::ActiveAggregate;
use crate::check;
use crate::command::CommandError;
use crate::shard::read_error;
use crate::upcast::Stretch;

/// The state of a stream, as its plugin writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateState {
    /// The stream.
    pub stream: StreamId,
    /// The last event that is in the state.
    pub revision: ActualRevision,
    /// The state as canonical JSON.
    pub data: Bytes,
}

/// Why there is no state to show.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// As for a command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The stream has no event.
    #[error("stream `{stream}` has no event")]
    NoStream {
        /// The stream.
        stream: StreamId,
    },
    /// The stream does not reach the revision asked for.
    #[error("stream `{stream}` is at {actual}, before revision {asked}")]
    RevisionAhead {
        /// The stream.
        stream: StreamId,
        /// The revision asked for.
        asked: Revision,
        /// Where the stream ends.
        actual: ActualRevision,
    },
}

/// How many pages of events wait for the folding thread; reading goes no further ahead.
const PAGES_AHEAD_MAX: usize = 2;

/// Folds the events of `stream` up to `revision` (inclusive) in a sandbox of its own, off the
/// serving threads.
pub(crate) async fn fold_to(
    store: &dyn EventStore,
    active: Arc<ActiveAggregate>,
    stream: StreamId,
    revision: Revision,
) -> Result<AggregateState, StateError> {
    let (pages, inbox) = mpsc::channel(PAGES_AHEAD_MAX);
    let id = stream.clone();
    let folding = tokio::task::spawn_blocking(move || fold_pages(&active, &id, inbox));
    let mut from = Revision::FIRST;
    let actual = loop {
        let left = revision.events_count().saturating_sub(from.get());
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(READ_EVENTS_MAX);
        let page = store.read_stream(&stream, from, limit, Direction::Forwards).await;
        let page = page.map_err(read_error)?;
        let last = page.events.last().map(|event| event.revision);
        // A closed channel means that folding failed; its result says how.
        if !page.events.is_empty() && pages.send(page.events).await.is_err() {
            break last.into();
        }
        match page.next {
            Some(next) if next <= revision => from = next,
            _ => break last.map_or_else(|| Revision::last_of(from.get()).into(), Into::into),
        }
    };
    drop(pages);
    let folded = folding.await.map_err(|error| {
        let source = DriverError::with_source("folding ended early", error);
        CommandError::Unavailable(source)
    })??;
    if actual == ActualRevision::NO_EVENT {
        return Err(StateError::NoStream { stream });
    }
    if actual != revision.into() {
        return Err(StateError::RevisionAhead { stream, asked: revision, actual });
    }
    Ok(AggregateState { stream, revision: actual, data: folded })
}

fn fold_pages(
    active: &ActiveAggregate,
    stream: &StreamId,
    mut inbox: mpsc::Receiver<Vec<RecordedEvent>>,
) -> Result<Bytes, CommandError> {
    let mut guest = active.plugin.aggregate().map_err(CommandError::Plugin)?;
    let entity = guest.create(stream.as_str()).map_err(CommandError::Plugin)?;
    while let Some(events) = inbox.blocking_recv() {
        evolve(&mut *guest, entity, active, &events)?;
    }
    let data = guest.snapshot(entity).map_err(CommandError::Plugin)?;
    check::state(&active.description.name, &data).map_err(CommandError::Plugin)?;
    Ok(Bytes::from(data))
}

fn evolve(
    guest: &mut dyn AggregateGuest,
    entity: EntityHandle,
    active: &ActiveAggregate,
    mut events: &[RecordedEvent],
) -> Result<(), CommandError> {
    let mut history = History::starting_at(Revision::FIRST);
    while !events.is_empty() {
        let stretch = active.upcasts.first(events, active.events());
        let stretch = stretch.map_err(CommandError::Upcast)?;
        let mut entity = Folding { guest, entity, active, history: &mut history };
        entity.fold(&stretch).map_err(CommandError::Plugin)??;
        events = events.get(stretch.taken()..).unwrap_or_default();
    }
    Ok(())
}

/// Most data given to an entity in one call, in bytes; one event always fits.
const HISTORY_BYTES_MAX: usize = 4 << 20;

/// An entity that is told what happened.
pub(crate) struct Folding<'a> {
    pub(crate) guest: &'a mut dyn AggregateGuest,
    pub(crate) entity: EntityHandle,
    pub(crate) active: &'a ActiveAggregate,
    /// Kept to reuse its memory.
    pub(crate) history: &'a mut History,
}

impl Folding<'_> {
    /// Evolves the entity by events as upcasters show them. The inner error is about the events, the
    /// outer one about the guest.
    pub(crate) fn fold(
        &mut self,
        seen: &Stretch<'_>,
    ) -> Result<Result<(), CommandError>, GuestFailure> {
        self.history.restart_at(Revision::FIRST);
        for (event, changed) in seen.iter() {
            let Some(shapes) = changed else {
                let shape = (&event.event_type, event.schema_version, &*event.data);
                if let Err(error) = self.add(event, shape, 0)? {
                    return Ok(Err(error));
                }
                continue;
            };
            for (ordinal, shape) in shapes.iter().enumerate() {
                let shape = (&shape.event_type, shape.schema_version, &*shape.data);
                if let Err(error) = self.add(event, shape, ordinal)? {
                    return Ok(Err(error));
                }
            }
        }
        self.flush(Revision::FIRST).map(Ok)
    }

    /// Adds what became of `event`, counted from 0. What is not the first that became of it begins a history of its
    /// own: in one history, the revision goes up with each event.
    fn add(
        &mut self,
        event: &RecordedEvent,
        (event_type, version, data): (&EventType, SchemaVersion, &[u8]),
        ordinal: usize,
    ) -> Result<Result<(), CommandError>, GuestFailure> {
        let Some(index) = self.active.events().get(event_type, version) else {
            return Ok(Err(CommandError::UnreadableEvent {
                stream: event.stream.clone(),
                event_type: event_type.clone(),
                schema_version: version,
                revision: event.revision,
                plugin_version: self.active.description.version.clone(),
            }));
        };
        let bytes = self.history.data.bytes_count().saturating_add(data.len());
        if ordinal > 0 || bytes > HISTORY_BYTES_MAX || self.history.events_count() == 0 {
            self.flush(event.revision)?;
        }
        self.history.push(index, event.recorded_at, data).map_err(|full| GuestFailure::Limit {
            plugin: self.active.description.name.to_string(),
            call: "evolve",
            limit: full.to_string(),
        })?;
        Ok(Ok(()))
    }

    /// Tells the entity what was added, and starts again at a revision.
    fn flush(&mut self, next: Revision) -> Result<(), GuestFailure> {
        if self.history.events_count() > 0 {
            self.guest.evolve(self.entity, self.history)?;
        }
        self.history.restart_at(next);
        Ok(())
    }
}
