//! Events: whom they concern, and that they reach everybody once.

use std::sync::Arc;

use annals_core::columns::EventBatch;
use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use annals_core::plugin::GivenEvent;
use annals_core::port::StateStore;
use annals_core::port::state_store::{RowKey, StateError, StateWrite};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::react::{Incoming, cut};
use super::{MESSAGES_MAX, Runner};
use crate::process::draft::Draft;
use crate::process::instance::{EventPlace, Message, ParkedInstance};
use crate::process::manager::CallError;
use crate::process::tables::ParkedStream;
use crate::process::{Fault, tables};
use crate::projection::batch::Filled;
use crate::projection::chain;
use crate::projection::checkpoint::{self, Checkpoint};
use crate::projection::fence::Fence;

/// Most instances that all parts of one stored event concern: who was told is kept in one row.
const EVENT_INSTANCES_MAX: usize = 500;

/// Most data of events that are correlated at once, in bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// An event of which some instances were committed before the others: it concerns more than fit a
/// commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unfinished {
    position: Position,
    /// Part and instance.
    done: Vec<(u32, Arc<str>)>,
}

impl Unfinished {
    fn row(partition: Partition) -> RowKey {
        tables::row(checkpoint::TABLE, format!("unfinished-{partition}"))
    }

    /// Those of all partitions, in their order.
    pub(super) async fn load(
        state: &dyn StateStore,
        partitions: impl Iterator<Item = Partition> + Send,
    ) -> Result<Vec<Option<Self>>, StateError> {
        let keys: Vec<_> = partitions.map(Self::row).collect();
        let rows = state.get_many(&keys).await?;
        rows.into_iter().map(|row| row.map(|it| tables::parse(&it)).transpose()).collect()
    }
}

/// Events and whom they concern.
pub(super) struct Correlated {
    filled: Filled,
    /// Per event of the batch.
    instances: Vec<Vec<Arc<str>>>,
}

/// Why events are not correlated.
pub(super) enum NotCorrelated {
    /// Fewer at once may be.
    TryFewer,
    /// The first one cannot be.
    First(String),
}

impl Runner {
    /// Takes a page of events in, if there is one; returns whether there was.
    pub(super) async fn read_events(
        &mut self,
        draft: &mut Draft,
        fence: Fence,
    ) -> Result<bool, Fault> {
        let Some(index) = self.feeds.turn() else { return Ok(false) };
        let page = self.feeds.read(index, &self.filter, MESSAGES_MAX).await?;
        let mut events = &*page.events;
        while !events.is_empty() {
            if *self.stopped.borrow() || !self.sends.has_room() {
                return Ok(true);
            }
            let taken = self.take_events(index, events, draft, fence).await?;
            events = events.get(taken..).unwrap_or_default();
        }
        self.feeds.has_read(index, &page);
        self.feeds.end_turn();
        Ok(true)
    }

    /// Takes the first of `events` in and commits; returns how many.
    async fn take_events(
        &mut self,
        index: usize,
        events: &[RecordedEvent],
        draft: &mut Draft,
        fence: Fence,
    ) -> Result<usize, Fault> {
        let waits = |event: &RecordedEvent| self.parked_streams.contains(&event.stream);
        let waiting_count = events.iter().take_while(|event| waits(event)).count();
        if waiting_count > 0 {
            let last = events.get(waiting_count - 1);
            self.commit_events(index, draft, (last, waiting_count), fence).await?;
            return Ok(waiting_count);
        }
        let free_count = events.iter().take_while(|event| !waits(event)).count();
        let events = events.get(..free_count).unwrap_or(events);
        match self.correlate(events)? {
            Ok(correlated) => {
                let taken = correlated.filled.taken;
                self.handle(index, (events, &correlated), draft, fence).await?;
                Ok(taken)
            }
            Err(NotCorrelated::TryFewer) => Ok(0),
            Err(NotCorrelated::First(cause)) => {
                let Some(first) = events.first() else { return Ok(0) };
                let (process, stream) = (&self.manager.description.name, &first.stream);
                warn!(%process, %stream, cause, "event cannot be correlated: its stream is parked");
                let streams_max = self.ports.shared.options.parked_streams_max;
                if self.parked_streams.len() >= streams_max.get() {
                    return Err(Fault::ParkedFull { streams_max, cause: cut(cause) });
                }
                let now = self.ports.shared.clock.now();
                let parked = ParkedStream {
                    parked: ParkedInstance { cause: cut(cause), parked_at: now },
                    event: EventPlace::of(first, 0),
                    next_revision: first.revision,
                    done: self.done_of(index, first),
                };
                self.forget_unfinished(index, first, draft);
                draft.write(parked.put());
                self.commit_events(index, draft, (Some(first), 1), fence).await?;
                self.parked_streams.insert(first.stream.clone());
                Ok(1)
            }
        }
    }

    /// Whom the first of `events` concern, as many as are correlated at once.
    pub(super) fn correlate(
        &mut self,
        events: &[RecordedEvent],
    ) -> Result<Result<Correlated, NotCorrelated>, Fault> {
        let max = self.correlated_max;
        let filled = match self.manager.sight.fill(events, max, BATCH_BYTES_MAX) {
            Ok(filled) => filled,
            Err(error) if error.event() > 0 => {
                self.correlated_max = error.event();
                return Ok(Err(NotCorrelated::TryFewer));
            }
            Err(error) => return Ok(Err(NotCorrelated::First(chain(&error)))),
        };
        match self.manager.correlate(&filled.batch) {
            Ok(instances) => {
                let correlated = Correlated { filled, instances };
                if let Some(number) = correlated.too_many() {
                    if number > 0 {
                        self.correlated_max = number;
                        return Ok(Err(NotCorrelated::TryFewer));
                    }
                    let cause = format!(
                        "what upcasters make of it concerns more than {EVENT_INSTANCES_MAX} instances"
                    );
                    return Ok(Err(NotCorrelated::First(cause)));
                }
                self.correlated_max = max.saturating_mul(2).min(MESSAGES_MAX);
                Ok(Ok(correlated))
            }
            Err(CallError::Start(failure)) => Err(Fault::Start(failure)),
            Err(CallError::Refused(cause)) if filled.taken <= 1 => {
                Ok(Err(NotCorrelated::First(cause)))
            }
            Err(CallError::Refused(_)) => {
                self.correlated_max = (filled.taken / 2).max(1);
                Ok(Err(NotCorrelated::TryFewer))
            }
        }
    }

    /// Tells the instances of what concerns them, and commits.
    async fn handle(
        &mut self,
        index: usize,
        (events, correlated): (&[RecordedEvent], &Correlated),
        draft: &mut Draft,
        fence: Fence,
    ) -> Result<(), Fault> {
        let concerned = correlated.instances.iter().flatten();
        if correlated.instances.iter().map(Vec::len).sum::<usize>() <= MESSAGES_MAX {
            draft.load(&*self.state, concerned).await?;
        }
        let taken = events.get(..correlated.filled.taken).unwrap_or(events);
        let mut committed_count = 0;
        for (number, event) in taken.iter().enumerate() {
            let mut done = self.done_of(index, event);
            for (given, part, instances) in correlated.of(number) {
                for id in instances {
                    if done.iter().any(|(its, name)| *its == part && name == id) {
                        continue;
                    }
                    if draft.is_full(&self.ports.shared.states.capabilities()) {
                        let before = number.checked_sub(1).and_then(|number| taken.get(number));
                        self.note_unfinished(index, event, &done, draft);
                        let passed = (before, number - committed_count);
                        self.commit_events(index, draft, passed, fence).await?;
                        committed_count = number;
                    }
                    draft.load(&*self.state, [id]).await?;
                    let message = Message::Event(EventPlace::of(event, part));
                    self.react(draft, id, Incoming::event(message, part, event, &given))?;
                    done.push((part, Arc::clone(id)));
                }
            }
            self.forget_unfinished(index, event, draft);
        }
        let passed = (taken.last(), taken.len() - committed_count);
        self.commit_events(index, draft, passed, fence).await
    }

    /// Who has handled an event already.
    fn done_of(&self, index: usize, event: &RecordedEvent) -> Vec<(u32, Arc<str>)> {
        let unfinished = self.unfinished.get(index).and_then(Option::as_ref);
        let unfinished = unfinished.filter(|it| it.position == event.position);
        unfinished.map_or_else(Vec::new, |it| it.done.clone())
    }

    /// Notes that nothing is left to be told of an event.
    fn forget_unfinished(&mut self, index: usize, event: &RecordedEvent, draft: &mut Draft) {
        if let Some(slot) = self.unfinished.get_mut(index)
            && slot.take().is_some()
        {
            draft.write(StateWrite::Delete(Unfinished::row(event.partition)));
        }
    }

    fn note_unfinished(
        &mut self,
        index: usize,
        event: &RecordedEvent,
        done: &[(u32, Arc<str>)],
        draft: &mut Draft,
    ) {
        if done.is_empty() {
            return;
        }
        let unfinished = Unfinished { position: event.position, done: done.to_vec() };
        // Numbers and texts always have JSON.
        let value = serde_json::to_vec(&unfinished).unwrap_or_default();
        draft.write(StateWrite::Put(Unfinished::row(event.partition), value.into()));
        if let Some(slot) = self.unfinished.get_mut(index) {
            *slot = Some(unfinished);
        }
    }

    /// Commits a draft, and with it that so many events up to `last` are handled.
    async fn commit_events(
        &mut self,
        index: usize,
        draft: &mut Draft,
        (last, count): (Option<&RecordedEvent>, usize),
        fence: Fence,
    ) -> Result<(), Fault> {
        let (Some(last), Some(place)) = (last, self.feeds.place(index)) else {
            return self.commit(draft, fence).await;
        };
        let before = place.saved.as_ref().map_or(0, |saved| saved.events_count);
        let checkpoint = Checkpoint {
            store_id: self.ports.shared.store.store_id(),
            position: Some(last.position),
            events_count: before + u64::try_from(count).unwrap_or_default(),
        };
        draft.write(checkpoint.write(place.partition));
        self.commit(draft, fence).await?;
        self.feeds.has_saved(index, checkpoint);
        Ok(())
    }
}

impl Correlated {
    /// What became of the stored event of this number: each part, its number, and whom it concerns.
    pub(super) fn of(
        &self,
        number: usize,
    ) -> impl Iterator<Item = (GivenEvent<'_>, u32, &Vec<Arc<str>>)> {
        let sources = self.filled.sources.iter().zip(&self.filled.parts).enumerate();
        let parts = sources.filter(move |(_, (source, _))| **source == number);
        parts.filter_map(|(entry, (_, part))| {
            Some((given(&self.filled.batch, entry)?, *part, self.instances.get(entry)?))
        })
    }

    /// The first stored event that concerns too many in all its parts.
    fn too_many(&self) -> Option<usize> {
        (0..self.filled.taken).find(|number| {
            let count: usize = self.of(*number).map(|(_, _, instances)| instances.len()).sum();
            count > EVENT_INSTANCES_MAX
        })
    }
}

/// An event of a batch on its own.
fn given(batch: &EventBatch, entry: usize) -> Option<GivenEvent<'_>> {
    let end_of = |entry: usize| usize::try_from(*batch.data.ends().get(entry)?).ok();
    let start = match entry.checked_sub(1) {
        Some(before) => end_of(before)?,
        None => 0,
    };
    let stream = usize::try_from(*batch.stream_indexes.get(entry)?).ok()?;
    Some(GivenEvent {
        stream: batch.streams.get(stream)?,
        event_type: *batch.event_types.get(entry)?,
        revision: *batch.revisions.get(entry)?,
        recorded_at: *batch.recorded_at.get(entry)?,
        data: batch.data.bytes().get(start..end_of(entry)?)?,
    })
}
