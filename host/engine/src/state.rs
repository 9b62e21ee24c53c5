//! Time travel: the state of a stream as it was at a revision.

use std::sync::Arc;

use annals_core::columns::History;
use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::limits::READ_EVENTS_MAX;
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
    events: &[RecordedEvent],
) -> Result<(), CommandError> {
    let Some(first) = events.first() else {
        return Ok(());
    };
    let mut history = History::starting_at(first.revision);
    fill(&mut history, active, events)?;
    guest.evolve(entity, &history).map_err(CommandError::Plugin)
}

/// Adds events to a history, each under the index its plugin gave it.
pub(crate) fn fill(
    history: &mut History,
    active: &ActiveAggregate,
    events: &[RecordedEvent],
) -> Result<(), CommandError> {
    for event in events {
        let Some(index) = active.event_index(event) else {
            return Err(CommandError::UnreadableEvent {
                stream: event.stream.clone(),
                event_type: event.event_type.clone(),
                schema_version: event.schema_version,
                revision: event.revision,
                plugin_version: active.description.version.clone(),
            });
        };
        history.push(index, event.recorded_at, &event.data).map_err(|full| {
            CommandError::Plugin(GuestFailure::Limit {
                plugin: active.description.name.to_string(),
                call: "evolve",
                limit: full.to_string(),
            })
        })?;
    }
    Ok(())
}
