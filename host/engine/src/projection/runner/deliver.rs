//! Giving events to the plugin, committing what it makes of them, and parking what it cannot handle.

use annals_core::event::RecordedEvent;
use annals_core::invariants;
use annals_core::port::event_store::FeedPage;
use annals_core::port::state_store::{StateCommit, StateCondition, StateError};
use tracing::warn;

use super::{Delivered, Role, Runner};
use crate::projection::checkpoint::Checkpoint;
use crate::projection::fence::Fence;
use crate::projection::parked::ParkedEvent;
use crate::projection::projector::Fault;
use crate::projection::{Phase, chain};

/// Why an event is parked that was never answered.
const CAUSE_OF_CRASHES: &str = "the host ended each time while the plugin handled it";

impl Runner {
    /// Gives the first of `events` to the plugin, as many as fit a batch, and commits what it makes of
    /// them. An event that it cannot handle is parked when it was given often enough.
    pub(super) async fn deliver(
        &mut self,
        index: usize,
        events: &[RecordedEvent],
        fence: Fence,
    ) -> Result<Delivered, Fault> {
        let Some(first) = events.first() else { return Ok(Delivered::Events(0)) };
        let events_max = match self.begin(first, events, fence).await? {
            Begun::Bulk => self.size.events(),
            Begun::Alone => 1,
            Begun::TooOften { attempts } => {
                let why = (CAUSE_OF_CRASHES.to_owned(), attempts);
                self.park(index, first, why, fence).await?;
                return Ok(Delivered::Parked);
            }
        };
        let fault = match self.project(index, events, events_max, fence).await {
            Ok(taken) => return Ok(Delivered::Events(taken)),
            Err(fault) => fault,
        };
        let is_about_first = fault.event().map_or(self.taken <= 1, |event| event == 0);
        let attempts = self.attempts.get_or_insert_default();
        if !fault.is_of_events() || !is_about_first {
            attempts.has_been_answered(first.partition);
            return Err(fault);
        }
        let attempts = attempts.has_failed(first);
        let options = &self.ports.options;
        let is_often_enough = attempts >= options.projection_attempts_max.get();
        if !is_often_enough && !fault.is_final() {
            return Err(fault);
        }
        if self.parked.count() >= options.parked_streams_max.get() {
            let streams_max = options.parked_streams_max;
            return Err(Fault::ParkedFull { streams_max, source: Box::new(fault) });
        }
        self.park(index, first, (chain(&fault), attempts), fence).await?;
        Ok(Delivered::Parked)
    }

    /// Counts a delivery that has to be counted before it is made.
    async fn begin(
        &mut self,
        first: &RecordedEvent,
        events: &[RecordedEvent],
        fence: Fence,
    ) -> Result<Begun, Fault> {
        let attempts = self.attempts.get_or_insert_default();
        let delivery = attempts.next(events, self.size.events());
        let Some(attempt) = delivery.attempt else { return Ok(Begun::Bulk) };
        let attempts_max = self.ports.options.projection_attempts_max.get();
        if attempt.count > attempts_max {
            return Ok(Begun::TooOften { attempts: attempts_max });
        }
        let conditions = vec![fence.still_there()];
        let writes = vec![attempt.write(first.partition)];
        match self.commit(StateCommit { conditions, writes }, fence).await {
            // One attempt too few may be counted, no more.
            Ok(()) | Err(Fault::State(StateError::OutcomeUnknown(_))) => {}
            Err(fault) => return Err(fault),
        }
        self.attempts.get_or_insert_default().has_begun(first.partition, attempt);
        Ok(if delivery.is_alone { Begun::Alone } else { Begun::Bulk })
    }

    /// Projects the first events of a page and commits; returns how many it took.
    async fn project(
        &mut self,
        index: usize,
        events: &[RecordedEvent],
        events_max: usize,
        fence: Fence,
    ) -> Result<usize, Fault> {
        let options = &self.ports.options;
        let filled = self.projector.fill(events, events_max, options.batch_bytes_max)?;
        self.taken = filled.taken;
        let writes_max = options.batch_writes_max(&self.projector.description.name);
        let mut writes = self.projector.project(&filled, events, writes_max)?;
        let writes_count = writes.len();
        let Some(place) = self.feeds.place(index) else { return Ok(events.len()) };
        let (partition, saved) = (place.partition, place.saved.as_ref());
        let last = events.get(..filled.taken).and_then(<[_]>::last);
        let checkpoint = Checkpoint {
            store_id: self.ports.store.store_id(),
            position: last.map(|event| event.position).or(place.read_up_to),
            events_count: saved.map_or(0, |saved| saved.events_count)
                + u64::try_from(filled.taken).unwrap_or_default(),
        };
        debug_assert!(
            invariants::checkpoint_passes_only_handled(checkpoint.position, events, filled.taken),
            "the checkpoint passes an event that was not handled"
        );
        writes.push(checkpoint.write(partition));
        writes.extend(self.attempts.get_or_insert_default().removal(partition));
        let conditions = vec![fence.still_there(), Checkpoint::unchanged_since(saved, partition)];
        let committed = self.commit(StateCommit { conditions, writes }, fence).await;
        committed.map_err(|fault| fault.about_one(events.first().filter(|_| self.taken == 1)))?;
        if let Some(last) = last {
            self.attempts.get_or_insert_default().has_ended(partition, last.position);
        }
        self.feeds.has_saved(index, checkpoint);
        self.size.grow(filled.taken, writes_count, writes_max);
        self.set_phase(Phase::CatchingUp);
        Ok(filled.taken)
    }

    /// Parks `event`, which is the next of its partition, and with it its stream; says why and after how
    /// many attempts.
    async fn park(
        &mut self,
        index: usize,
        event: &RecordedEvent,
        (cause, attempts): (String, u32),
        fence: Fence,
    ) -> Result<(), Fault> {
        let Some(place) = self.feeds.place(index) else { return Ok(()) };
        let (partition, saved) = (place.partition, place.saved.as_ref());
        let checkpoint = Checkpoint {
            store_id: self.ports.store.store_id(),
            position: Some(event.position),
            events_count: saved.map_or(0, |saved| saved.events_count),
        };
        let parked = ParkedEvent::new(event, cause, attempts, self.ports.clock.now());
        let put = parked.put();
        let is_new = StateCondition { row: put.row().clone(), value: None };
        let unchanged = Checkpoint::unchanged_since(saved, partition);
        let mut writes = vec![put, checkpoint.write(partition)];
        writes.extend(self.attempts.get_or_insert_default().removal(partition));
        let conditions = vec![fence.still_there(), unchanged, is_new];
        self.commit(StateCommit { conditions, writes }, fence).await?;
        let projection = &self.projector.description.name;
        let ParkedEvent { stream, revision, cause, .. } = &parked;
        warn!(%projection, %stream, %revision, attempts, error = %cause, "event parked, its stream waits");
        self.attempts.get_or_insert_default().has_ended(partition, event.position);
        self.feeds.has_saved(index, checkpoint);
        self.parked.keep(parked);
        self.set_phase(Phase::CatchingUp);
        Ok(())
    }

    /// Stores that a page was read whose last events wait, so that nobody takes them for undone.
    pub(super) async fn pass(
        &mut self,
        index: usize,
        page: &FeedPage,
        fence: Fence,
    ) -> Result<(), Fault> {
        let Some(place) = self.feeds.place(index) else { return Ok(()) };
        let (partition, saved) = (place.partition, place.saved.as_ref());
        let checkpoint = Checkpoint {
            store_id: self.ports.store.store_id(),
            position: page.read_up_to.or(place.read_up_to),
            events_count: saved.map_or(0, |saved| saved.events_count),
        };
        let conditions = vec![fence.still_there(), Checkpoint::unchanged_since(saved, partition)];
        let writes = vec![checkpoint.write(partition)];
        self.commit(StateCommit { conditions, writes }, fence).await?;
        self.feeds.has_saved(index, checkpoint);
        Ok(())
    }

    /// Commits to the view; looks where it is when that fails in a way that may mean another host.
    pub(super) async fn commit(&mut self, commit: StateCommit, fence: Fence) -> Result<(), Fault> {
        let Err(error) = self.state.commit(commit).await else { return Ok(()) };
        if matches!(error, StateError::ConditionFailed { .. } | StateError::OutcomeUnknown(_)) {
            // Another host has taken the view, or an earlier commit of this one came late; or this
            // commit may be there or not. Where the view is now tells.
            self.role = Role::Working { fence, is_sure: false };
        }
        Err(error.into())
    }
}

/// How a delivery begins.
enum Begun {
    /// With as many events as fit.
    Bulk,
    /// With one event.
    Alone,
    /// Not at all: it was made often enough, and never ended.
    TooOften { attempts: u32 },
}
