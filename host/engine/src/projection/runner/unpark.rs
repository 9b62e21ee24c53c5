//! What operators want done about parked events: given to the plugin again, or left out.
//!
//! A stream that waits is missing from the view from its parked event on, up to what the runner has
//! read. It is read again as a stream, batch by batch, each in one commit with the place that was
//! reached; when nothing is left, the last commit ends the waiting and stores the checkpoint as far as
//! the runner has read, so that nothing of the stream is read twice.

use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Position;
use annals_core::port::event_store::Direction;
use annals_core::port::state_store::StateCommit;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Runner;
use crate::projection::checkpoint::Checkpoint;
use crate::projection::fence::Fence;
use crate::projection::parked::{Parked, ParkedEvent, Unpark};
use crate::projection::projector::Fault;
use crate::projection::{Phase, chain};

impl Runner {
    /// Reads what waits and what operators want, as it is stored.
    pub(super) async fn look_for_wishes(&mut self) -> Result<(), Fault> {
        self.asked.mark_unchanged();
        self.asked_at = Instant::now();
        self.parked = Parked::load(&*self.state).await?;
        Ok(())
    }

    /// Handles one batch of a stream that is to wait no longer; returns whether there was one.
    pub(super) async fn unpark(&mut self, fence: Fence) -> Result<bool, Fault> {
        let is_due = self.parked.count() > 0
            && self.asked_at.elapsed() >= self.ports.options.standby_check_every;
        if is_due || self.asked.has_changed().unwrap_or(false) {
            self.look_for_wishes().await?;
        }
        let Some(parked) = self.parked.asked().cloned() else { return Ok(false) };
        let index = usize::try_from(parked.partition.0).unwrap_or(usize::MAX);
        let read_up_to = self.feeds.place(index).and_then(|place| place.read_up_to);
        let events = self.waiting(&parked, read_up_to).await?;
        if events.is_empty() {
            self.end_waiting(index, &parked, fence).await?;
            return Ok(true);
        }
        let fault = match self.project_waiting(index, &parked, &events, fence).await {
            Ok(()) => return Ok(true),
            Err(fault) => fault,
        };
        let is_smaller = match fault.event() {
            Some(event) => self.unpark_size.end_before(event),
            None => self.unpark_size.halve(self.taken),
        };
        if !fault.is_of_events() {
            return Err(fault);
        }
        if !is_smaller {
            self.park_again(&parked, events.first(), &fault, fence).await?;
        }
        Ok(true)
    }

    /// The next events of a stream that waits, as far as the runner has read.
    async fn waiting(
        &self,
        parked: &ParkedEvent,
        read_up_to: Option<Position>,
    ) -> Result<Vec<RecordedEvent>, Fault> {
        let limit = self.unpark_size.events().min(READ_EVENTS_MAX);
        let store = Arc::clone(&self.ports.store);
        let (stream, from) = (&parked.stream, parked.next_revision);
        let page = store.read_stream(stream, from, limit, Direction::Forwards).await?;
        let has_read = |event: &RecordedEvent| Some(event.position) <= read_up_to;
        Ok(page.events.into_iter().take_while(has_read).collect())
    }

    /// Projects the first of `events`, which wait, and commits.
    async fn project_waiting(
        &mut self,
        index: usize,
        parked: &ParkedEvent,
        events: &[RecordedEvent],
        fence: Fence,
    ) -> Result<(), Fault> {
        let options = &self.ports.options;
        let events_max = self.unpark_size.events();
        let filled = self.projector.fill(events, events_max, options.batch_bytes_max)?;
        self.taken = filled.taken;
        let writes_max = options.batch_writes_max(&self.projector.description.name);
        let mut writes = self.projector.project(&filled, events, writes_max)?;
        let writes_count = writes.len();
        let Some(last) = events.get(..filled.taken).and_then(<[_]>::last) else { return Ok(()) };
        let Some(place) = self.feeds.place(index) else { return Ok(()) };
        let (partition, saved) = (place.partition, place.saved.as_ref());
        let taken = u64::try_from(filled.taken).unwrap_or_default();
        let checkpoint = Checkpoint {
            store_id: self.ports.store.store_id(),
            position: saved.and_then(|saved| saved.position),
            events_count: saved.map_or(0, |saved| saved.events_count) + taken,
        };
        let next_revision = last.revision.next();
        let rest = ParkedEvent { next_revision, ..parked.clone() };
        writes.extend([rest.put(), checkpoint.write(partition)]);
        let unchanged = Checkpoint::unchanged_since(saved, partition);
        let conditions = vec![fence.still_there(), unchanged, parked.unchanged()];
        let committed = self.commit(StateCommit { conditions, writes }, fence).await;
        committed.map_err(|fault| fault.about_one(events.first().filter(|_| self.taken == 1)))?;
        let read_up_to = self.feeds.place(index).and_then(|place| place.read_up_to);
        self.feeds.has_saved(index, checkpoint);
        self.feeds.goes_on_after(index, read_up_to);
        self.parked.keep(rest);
        self.set_phase(Phase::CatchingUp);
        self.unpark_size.grow(filled.taken, writes_count, writes_max);
        Ok(())
    }

    /// Lets a stream wait no longer of which nothing is left.
    async fn end_waiting(
        &mut self,
        index: usize,
        parked: &ParkedEvent,
        fence: Fence,
    ) -> Result<(), Fault> {
        let Some(place) = self.feeds.place(index) else { return Ok(()) };
        let (partition, saved) = (place.partition, place.saved.as_ref());
        let checkpoint = Checkpoint {
            store_id: self.ports.store.store_id(),
            position: place.read_up_to,
            events_count: saved.map_or(0, |saved| saved.events_count),
        };
        let unchanged = Checkpoint::unchanged_since(saved, partition);
        let conditions = vec![fence.still_there(), unchanged, parked.unchanged()];
        let writes = vec![parked.delete(), checkpoint.write(partition)];
        self.commit(StateCommit { conditions, writes }, fence).await?;
        self.feeds.has_saved(index, checkpoint);
        self.parked.end(&parked.stream);
        self.set_phase(Phase::CatchingUp);
        let projection = &self.projector.description.name;
        let ParkedEvent { stream, revision, .. } = parked;
        match parked.asked {
            Some(Unpark::Discard) => {
                warn!(%projection, %stream, %revision, "parked event discarded, its stream goes on");
            }
            Some(Unpark::Replay) | None => {
                info!(%projection, %stream, %revision, "parked event replayed, its stream goes on");
            }
        }
        Ok(())
    }

    /// Lets a stream wait behind `event`, which cannot be handled either.
    async fn park_again(
        &mut self,
        parked: &ParkedEvent,
        event: Option<&RecordedEvent>,
        fault: &Fault,
        fence: Fence,
    ) -> Result<(), Fault> {
        let Some(event) = event else { return Ok(()) };
        let is_same = event.id == parked.event_id;
        let attempts = if is_same { parked.attempts.saturating_add(1) } else { 1 };
        let again = ParkedEvent::new(event, chain(fault), attempts, self.ports.clock.now());
        let conditions = vec![fence.still_there(), parked.unchanged()];
        let writes = vec![again.put()];
        self.commit(StateCommit { conditions, writes }, fence).await?;
        let projection = &self.projector.description.name;
        let ParkedEvent { stream, revision, cause, .. } = &again;
        warn!(%projection, %stream, %revision, attempts, error = %cause, "event parked again");
        self.parked.keep(again);
        Ok(())
    }
}
