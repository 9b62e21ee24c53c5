//! What operators want done about instances and streams that are parked.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::port::StateStore;
use annals_core::port::event_store::{Direction, ReadError};
use annals_core::port::state_store::{KeyRange, Row, StateCondition, StateError, StateWrite};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use tokio::time::Instant;
use tracing::info;

use super::events::NotCorrelated;
use super::react::{Incoming, cut};
use super::{MESSAGES_MAX, Next, Runner};
use crate::process::draft::{Draft, InstanceTooLarge};
use crate::process::instance::{
    EventPlace, HandledMessage, HistoryEntry, Instance, Message, ParkedInstance,
};
use crate::process::tables::{INSTANCE_BYTES_MAX, ParkedStream, REACTED_BYTES_MAX};
use crate::process::{Fault, tables};
use crate::projection::Unpark;
use crate::projection::fence::Fence;

/// Most wishes that are looked at together.
const WISHES_MAX: usize = 100;

/// Most events of one read of a stream that was parked.
const EVENTS_MAX: usize = 100;

/// The streams that wait.
pub(super) async fn parked_streams(
    state: &dyn StateStore,
) -> Result<HashSet<StreamId>, StateError> {
    let (mut streams, mut last) = (HashSet::new(), None);
    loop {
        let after = last.as_deref().map(str::as_bytes);
        let names = tables::names(state, tables::STREAMS, after, MESSAGES_MAX).await?;
        let Some(name) = names.last() else { return Ok(streams) };
        last = Some(Arc::clone(name));
        for name in &names {
            let stream = StreamId::parse(name).map_err(|error| {
                StateError::Damaged(DriverError::with_source("the name of a stream", error))
            })?;
            streams.insert(stream);
        }
    }
}

impl ParkedStream {
    /// The write that keeps it.
    pub(super) fn put(&self) -> StateWrite {
        let key = tables::text_key(self.event.stream.as_str());
        StateWrite::Put(tables::row(tables::STREAMS, key), tables::json(self))
    }

    fn delete(&self) -> StateWrite {
        let key = tables::text_key(self.event.stream.as_str());
        StateWrite::Delete(tables::row(tables::STREAMS, key))
    }
}

impl Runner {
    /// Does what operators want, when it is time to look.
    pub(super) async fn do_wishes(
        &mut self,
        draft: &mut Draft,
        fence: Fence,
    ) -> Result<Next, Fault> {
        if self.look_at > Instant::now() {
            return Ok(Next::Wait);
        }
        self.look_at = Instant::now() + self.ports.shared.options.standby_check_every;
        if self.counts.parked <= 0 && self.parked_streams.is_empty() {
            return Ok(Next::Wait);
        }
        let wishes = self.state.scan(tables::ASKED, KeyRange::default(), WISHES_MAX).await?;
        for wish in &wishes {
            self.do_wish(wish, draft, fence).await?;
        }
        if wishes.len() == WISHES_MAX {
            self.look_at = Instant::now();
            return Ok(Next::Step);
        }
        Ok(Next::Wait)
    }

    /// Does one wish. It goes with the commit that does it, unless it was changed meanwhile.
    async fn do_wish(&mut self, wish: &Row, draft: &mut Draft, fence: Fence) -> Result<(), Fault> {
        let mut asked: Unpark = tables::parse(&wish.value)?;
        let row = tables::row(tables::ASKED, wish.key.clone());
        let mut value = wish.value.clone();
        let (kind, name) = wish.key.split_at_checked(1).unwrap_or_default();
        let name = std::str::from_utf8(name).unwrap_or_default();
        let mut gone = None;
        if kind == b"i" {
            self.resume(draft, &Arc::from(name), asked).await?;
        } else {
            if asked == Unpark::Discard {
                // First the one event, and once only; then the wish is to replay the rest.
                let replay = tables::json(&Unpark::Replay);
                draft.expect(StateCondition { row: row.clone(), value: Some(value) });
                self.discard_of_stream(draft, name).await?;
                draft.write(StateWrite::Put(row.clone(), replay.clone()));
                self.commit(draft, fence).await?;
                (asked, value) = (Unpark::Replay, replay);
            }
            debug_assert_eq!(asked, Unpark::Replay, "nothing is left out twice");
            gone = self.resume_stream(draft, name, fence).await?;
        }
        draft.expect(StateCondition { row: row.clone(), value: Some(value) });
        draft.write(StateWrite::Delete(row));
        self.commit(draft, fence).await?;
        if let Some(stream) = gone {
            self.parked_streams.remove(&stream);
        }
        Ok(())
    }

    /// Leaves out the event that a stream waits behind.
    async fn discard_of_stream(&self, draft: &mut Draft, name: &str) -> Result<(), Fault> {
        if let Some(value) = self.state.get(tables::STREAMS, name.as_bytes()).await? {
            let mut parked: ParkedStream = tables::parse(&value)?;
            parked.next_revision = parked.next_revision.next();
            parked.done.clear();
            draft.write(parked.put());
        }
        Ok(())
    }

    /// Lets an instance go on with what waits, as far as it gets.
    async fn resume(
        &mut self,
        draft: &mut Draft,
        id: &Arc<str>,
        asked: Unpark,
    ) -> Result<(), Fault> {
        draft.load(&*self.state, [id]).await?;
        let Some(mut instance) = draft.get(id).cloned() else { return Ok(()) };
        let Some(parked) = instance.parked.take() else { return Ok(()) };
        let now = self.ports.shared.clock.now();
        let mut waiting = std::mem::take(&mut instance.waiting);
        if asked == Unpark::Discard
            && let Some(message) = waiting.pop_front()
        {
            instance.messages_count = instance.messages_count.saturating_add(1);
            instance.note(discarded(&message, parked.cause, now));
        }
        let mut waiting_bytes: usize = waiting.iter().map(|it| tables::json(it).len()).sum();
        while let Some(message) = waiting.pop_front() {
            let message_bytes = tables::json(&message).len();
            let after = self.resumed(&instance, &message, now).await?;
            waiting_bytes = waiting_bytes.saturating_sub(message_bytes);
            match after.and_then(|after| fits(after, waiting_bytes)) {
                Ok(after) => instance = after,
                Err(cause) => {
                    waiting.push_front(message);
                    instance.parked = Some(ParkedInstance { cause: cut(cause), parked_at: now });
                    break;
                }
            }
        }
        let process = &self.manager.description.name;
        let is_parked = instance.parked.is_some();
        info!(%process, instance = %id, ?asked, is_parked, "parked instance was asked about");
        instance.waiting = waiting;
        if instance.is_over() && instance.ended_at.is_none() {
            // It never began: what it was parked with came to nothing. It is kept as if it had ended.
            instance.ended_at = Some(now);
        }
        self.keep(draft, instance)
    }

    /// An instance after a message that waited; `Err`: why it cannot be handled.
    async fn resumed(
        &mut self,
        instance: &Instance,
        message: &Message,
        now: Timestamp,
    ) -> Result<Result<Instance, String>, Fault> {
        let Message::Event(place) = message else {
            let Some(incoming) = Incoming::kept(message.clone()) else {
                return Ok(Ok(instance.clone()));
            };
            return self.asked(instance, &incoming.looked_at(), now);
        };
        let Some(event) = self.event(place).await? else {
            return Ok(Err(format!("the event at {}@{} is gone", place.stream, place.revision)));
        };
        let events = [event];
        let correlated = match self.correlate(&events)? {
            Ok(correlated) => correlated,
            Err(NotCorrelated::First(cause)) => return Ok(Err(cause)),
            Err(NotCorrelated::TryFewer) => return Ok(Err("it is read again".to_owned())),
        };
        let [event] = &events;
        let Some((given, part, _)) = correlated.of(0).find(|(_, part, _)| *part == place.part)
        else {
            // Upcasters make less of it than before: nothing is left to be told.
            return Ok(Ok(instance.clone()));
        };
        let incoming = Incoming::event(message.clone(), part, event, &given).looked_at();
        self.asked(instance, &incoming, now)
    }

    async fn event(&self, place: &EventPlace) -> Result<Option<RecordedEvent>, ReadError> {
        let store = &self.ports.shared.store;
        let page = store.read_stream(&place.stream, place.revision, 1, Direction::Forwards).await?;
        Ok(page.events.into_iter().find(|event| event.revision == place.revision))
    }

    /// Lets a stream go on that waited, as far as it gets; returns it when nothing of it waits after the
    /// draft.
    async fn resume_stream(
        &mut self,
        draft: &mut Draft,
        name: &str,
        fence: Fence,
    ) -> Result<Option<StreamId>, Fault> {
        let Some(value) = self.state.get(tables::STREAMS, name.as_bytes()).await? else {
            return Ok(None);
        };
        let mut parked: ParkedStream = tables::parse(&value)?;
        let index = usize::try_from(parked.event.partition.0).unwrap_or(usize::MAX);
        let read_up_to = self.feeds.place(index).and_then(|place| place.read_up_to);
        let read_up_to = read_up_to.max(Some(parked.event.position));
        loop {
            let stream = parked.event.stream.clone();
            let store = &self.ports.shared.store;
            let from = parked.next_revision;
            let page = store.read_stream(&stream, from, EVENTS_MAX, Direction::Forwards).await?;
            let passed = page.events.iter().take_while(|it| Some(it.position) <= read_up_to);
            let events: Vec<_> = passed.cloned().collect();
            let is_end = page.next.is_none() || events.len() < page.events.len();
            for event in &events {
                let told = self.resume_event(draft, event, &mut parked, fence).await?;
                if let Err(cause) = told {
                    let now = self.ports.shared.clock.now();
                    parked.parked = ParkedInstance { cause: cut(cause), parked_at: now };
                    parked.event = EventPlace::of(event, 0);
                    draft.write_last(parked.put());
                    return Ok(None);
                }
                parked.next_revision = event.revision.next();
                parked.done.clear();
                draft.write_last(parked.put());
            }
            if is_end {
                draft.write_last(parked.delete());
                return Ok(Some(stream));
            }
        }
    }

    /// Tells whom it concerns of an event whose stream waited; `Err`: why that is not known.
    async fn resume_event(
        &mut self,
        draft: &mut Draft,
        event: &RecordedEvent,
        parked: &mut ParkedStream,
        fence: Fence,
    ) -> Result<Result<(), String>, Fault> {
        let wanted = self.filter.event_types.as_ref();
        if !wanted.is_none_or(|wanted| wanted.contains(&event.event_type)) {
            return Ok(Ok(()));
        }
        let correlated = match self.correlate(std::slice::from_ref(event))? {
            Ok(correlated) => correlated,
            Err(NotCorrelated::First(cause)) => return Ok(Err(cause)),
            Err(NotCorrelated::TryFewer) => return Ok(Err("it is read again".to_owned())),
        };
        for (given, part, instances) in correlated.of(0) {
            for id in instances {
                if parked.done.iter().any(|(its, name)| *its == part && name == id) {
                    continue;
                }
                if draft.is_full(&self.ports.shared.states.capabilities()) {
                    draft.write_last(parked.put());
                    self.commit(draft, fence).await?;
                }
                draft.load(&*self.state, [id]).await?;
                let message = Message::Event(EventPlace::of(event, part));
                let incoming = Incoming::event(message, part, event, &given).looked_at();
                self.react(draft, id, incoming)?;
                parked.done.push((part, Arc::clone(id)));
            }
        }
        Ok(Ok(()))
    }
}

/// An instance, if it fits beside what still waits for it.
fn fits(instance: Instance, waiting_bytes: usize) -> Result<Instance, String> {
    let size = tables::encode(&instance).len();
    if size <= REACTED_BYTES_MAX && size + waiting_bytes <= INSTANCE_BYTES_MAX {
        return Ok(instance);
    }
    Err(InstanceTooLarge { size, max: REACTED_BYTES_MAX }.to_string())
}

fn discarded(message: &Message, cause: String, now: Timestamp) -> HistoryEntry {
    let message = Box::new(message.handled());
    HistoryEntry {
        at: now,
        message: HandledMessage::Discarded { message, cause },
        commands: Vec::new(),
        started_timers: Vec::new(),
        cancelled_timers: Vec::new(),
        is_end: false,
    }
}
