//! Parked events of projections, for operators: which there are, and what is to be done about them.

use annals_core::name::PluginName;
use annals_core::port::state_store::{StateCommit, StateError};
use annals_core::stream::StreamId;

use crate::Engine;
use crate::projection::{ParkedEvent, Projection, Unpark, parked};
use crate::view::ViewError;

/// Most parked events of one page.
pub const PARKED_EVENTS_MAX: usize = 500;

/// How often a wish is written again when the runner changes the parked event at the same time.
const ASK_ATTEMPTS_MAX: u32 = 10;

/// Some parked events of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedPage {
    /// In order of stream.
    pub events: Vec<WaitingStream>,
    /// The stream after which (exclusive) the next page begins; `None`: this is the last.
    pub next_after: Option<StreamId>,
}

/// A parked event, and how much waits behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingStream {
    /// The event.
    pub parked: ParkedEvent,
    /// How many later events its stream has, of whatever type.
    pub waiting_count: u64,
}

impl Engine {
    /// The parked events of a projection, at most `limit` of streams after `after` (exclusive).
    ///
    /// # Errors
    /// [`ViewError`].
    pub async fn parked(
        &self,
        projection: &PluginName,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<ParkedPage, ViewError> {
        let projection = self.projection(projection)?;
        let limit = limit.clamp(1, PARKED_EVENTS_MAX);
        let page = parked::page(&*projection.state, after, limit).await;
        let (found, has_more) = page.map_err(ViewError::State)?;
        let mut events = Vec::with_capacity(found.len());
        for parked in found {
            events.push(self.waiting(parked).await?);
        }
        let next_after = events.last().filter(|_| has_more).map(|last| last.parked.stream.clone());
        Ok(ParkedPage { events, next_after })
    }

    /// The parked event of a stream; `None` when the stream does not wait.
    ///
    /// # Errors
    /// [`ViewError`].
    pub async fn parked_of(
        &self,
        projection: &PluginName,
        stream: &StreamId,
    ) -> Result<Option<WaitingStream>, ViewError> {
        let projection = self.projection(projection)?;
        let found = parked::of_stream(&*projection.state, stream).await;
        match found.map_err(ViewError::State)? {
            Some(parked) => self.waiting(parked).await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks for parked events of a projection to be replayed or discarded: those of `streams`, or all
    /// when `None`. Returns how many there were. It is done soon afterwards, in order, and is not
    /// forgotten by a crash.
    ///
    /// # Errors
    /// [`ViewError`]; what was asked before it remains asked.
    pub async fn unpark(
        &self,
        projection: &PluginName,
        streams: Option<&[StreamId]>,
        asked: Unpark,
    ) -> Result<usize, ViewError> {
        let projection = self.projection(projection)?;
        let asked_count = match streams {
            Some(streams) => ask_about(&projection, streams, asked).await,
            None => ask_about_all(&projection, asked).await,
        };
        // Also of what was asked before something failed.
        projection.tell_of_wishes();
        asked_count.map_err(ViewError::State)
    }

    async fn waiting(&self, parked: ParkedEvent) -> Result<WaitingStream, ViewError> {
        let info = self.store().stream_info(&parked.stream).await.map_err(ViewError::Log)?;
        let last = info.revision.0.unwrap_or(parked.revision);
        let waiting_count = last.get().saturating_sub(parked.revision.get());
        Ok(WaitingStream { parked, waiting_count })
    }
}

async fn ask_about(
    projection: &Projection,
    streams: &[StreamId],
    asked: Unpark,
) -> Result<usize, StateError> {
    let mut asked_count = 0;
    for stream in streams {
        if ask(projection, stream, asked).await? {
            asked_count += 1;
        }
    }
    Ok(asked_count)
}

async fn ask_about_all(projection: &Projection, asked: Unpark) -> Result<usize, StateError> {
    let (mut asked_count, mut after) = (0, None);
    loop {
        let (page, has_more) =
            parked::page(&*projection.state, after.as_ref(), PARKED_EVENTS_MAX).await?;
        let streams: Vec<_> = page.into_iter().map(|parked| parked.stream).collect();
        asked_count += ask_about(projection, &streams, asked).await?;
        after = streams.last().cloned();
        if !has_more {
            return Ok(asked_count);
        }
    }
}

/// Notes what is to be done about the parked event of a stream; returns whether there is one.
async fn ask(
    projection: &Projection,
    stream: &StreamId,
    asked: Unpark,
) -> Result<bool, StateError> {
    let mut attempts = 0;
    loop {
        let Some(parked) = parked::of_stream(&*projection.state, stream).await? else {
            return Ok(false);
        };
        let conditions = vec![parked.unchanged()];
        let writes = vec![parked.with(asked).put()];
        attempts += 1;
        match projection.state.commit(StateCommit { conditions, writes }).await {
            // The runner was faster: it has replayed or parked something.
            Err(StateError::ConditionFailed { .. }) if attempts < ASK_ATTEMPTS_MAX => {}
            result => return result.map(|()| true),
        }
    }
}
