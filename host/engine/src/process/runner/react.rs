//! One message and one instance: the plugin is asked, and what it says becomes part of the draft.

use std::sync::Arc;
use std::time::Duration;

use annals_core::event::RecordedEvent;
use annals_core::id::{CausationId, CommandId, CorrelationId};
use annals_core::plugin::GivenEvent;
use annals_core::port::state_store::StateWrite;
use annals_core::time::Timestamp;
use uuid::Uuid;

use super::{MESSAGES_MAX, Runner};
use crate::process::Fault;
use crate::process::check::{Checked, TIMERS_MAX};
use crate::process::draft::Draft;
use crate::process::id::{self, Cause};
use crate::process::instance::{
    HistoryEntry, Instance, Message, ParkedInstance, Pending, SentCommand, Timer,
};
use crate::process::manager::{CallError, Question};
use crate::process::tables::{self, INSTANCE_BYTES_MAX, REACTED_BYTES_MAX};
use crate::projection::fence::Fence;

/// A timer that is due sooner goes on the depth of what started it: nobody has waited.
const DEPTH_ENDS_AFTER: Duration = Duration::from_secs(1);

/// A message, with what is known of what led to it.
#[derive(Debug, Clone)]
pub(super) struct Incoming<'a> {
    pub(super) message: Message,
    cause: Cause,
    message_id: Uuid,
    correlation_id: CorrelationId,
    causation_id: CausationId,
    depth: u16,
    event: Option<&'a GivenEvent<'a>>,
}

impl<'a> Incoming<'a> {
    /// An event, with the data of one of its parts.
    pub(super) fn event(
        message: Message,
        part: u32,
        recorded: &RecordedEvent,
        given: &'a GivenEvent<'a>,
    ) -> Self {
        let id = recorded.id.uuid();
        let own = || CorrelationId::from(recorded.command_id.unwrap_or(CommandId::new(id)));
        Self {
            message,
            cause: Cause::Event(id, part),
            message_id: id,
            correlation_id: recorded.origin.correlation_id.clone().unwrap_or_else(own),
            causation_id: CausationId::new(id),
            depth: recorded.command_id.map_or(0, id::depth_of),
            event: Some(given),
        }
    }

    /// A timer or an outcome; `None`: an event, which has to be read.
    pub(super) fn kept(message: Message) -> Option<Self> {
        let (cause, message_id, correlation_id, causation_id, depth) = match &message {
            Message::Event(_) => return None,
            Message::Timer { timer, .. } => {
                let correlation_id = timer.correlation_id.clone();
                (Cause::Timer(timer.id), timer.id, correlation_id, timer.causation_id, timer.depth)
            }
            Message::Reply { sent, .. } => {
                let (id, correlation_id) = (sent.id.uuid(), sent.correlation_id.clone());
                (Cause::Reply(id), id, correlation_id, CausationId::new(id), sent.depth)
            }
        };
        let event = None;
        Some(Self { message, cause, message_id, correlation_id, causation_id, depth, event })
    }

    /// The same after an operator looked at it: what it leads to is counted from here.
    pub(super) fn looked_at(mut self) -> Self {
        self.depth = 0;
        self
    }
}

impl Runner {
    /// Handles the outcomes that are there; returns whether there were any.
    pub(super) async fn take_answers(
        &mut self,
        draft: &mut Draft,
        fence: Fence,
    ) -> Result<bool, Fault> {
        let mut answered = std::mem::take(&mut self.answered);
        let later = answered.split_off(answered.len().min(MESSAGES_MAX));
        self.answered = later;
        draft.load(&*self.state, answered.iter().map(|it| &it.instance)).await?;
        let has_some = !answered.is_empty();
        for answered in answered {
            self.make_room(draft, fence, &answered.instance).await?;
            let (sent, reply) = (Box::new(answered.sent), answered.reply);
            draft.has_answered(&answered.instance);
            if let Some(incoming) = Incoming::kept(Message::Reply { sent, reply }) {
                self.react(draft, &answered.instance, incoming)?;
            }
        }
        Ok(has_some)
    }

    /// Fires the timers that are due; returns whether there were any.
    pub(super) async fn fire_timers(
        &mut self,
        draft: &mut Draft,
        fence: Fence,
    ) -> Result<bool, Fault> {
        let now = self.ports.shared.clock.now();
        if self.next_due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let due = tables::due(&*self.state, now, MESSAGES_MAX).await?;
        if due.is_empty() {
            // Another host has fired them. Waiting for a time that is over would be no waiting.
            self.next_due = tables::next_due(&*self.state).await?;
        }
        draft.load(&*self.state, due.iter().map(|(_, instance)| instance)).await?;
        for (at, instance) in &due {
            self.make_room(draft, fence, instance).await?;
            if draft.get(instance).and_then(Instance::next_due) != Some(*at) {
                // Nothing is due then any more.
                let key = tables::timed_key(*at, instance);
                draft.write(StateWrite::Delete(tables::row(tables::DUE, key)));
                continue;
            }
            // What was handled before in this draft may have cancelled it.
            let timers = draft.get(instance).map(|it| it.timers.iter());
            let mut fired: Vec<_> = timers
                .into_iter()
                .flatten()
                .filter(|(_, timer)| timer.due_at <= now)
                .map(|(name, timer)| (name.clone(), timer.clone()))
                .collect();
            fired.sort_by(|(a, first), (b, second)| (first.due_at, a).cmp(&(second.due_at, b)));
            for (name, timer) in fired {
                if let Some(incoming) = Incoming::kept(Message::Timer { name, timer }) {
                    self.react(draft, instance, incoming)?;
                }
            }
        }
        Ok(!due.is_empty())
    }

    /// Commits what is in the draft when no more fits; `next` is in it then.
    pub(super) async fn make_room(
        &mut self,
        draft: &mut Draft,
        fence: Fence,
        next: &Arc<str>,
    ) -> Result<(), Fault> {
        if draft.is_full(&self.ports.shared.states.capabilities()) {
            self.commit(draft, fence).await?;
        }
        Ok(draft.load(&*self.state, [next]).await?)
    }

    /// Lets an instance that is in the draft handle a message.
    pub(super) fn react(
        &mut self,
        draft: &mut Draft,
        id: &Arc<str>,
        incoming: Incoming<'_>,
    ) -> Result<(), Fault> {
        let now = self.ports.shared.clock.now();
        let before = draft.get(id).cloned();
        let is_new = before.is_none();
        let mut next = before.unwrap_or_else(|| Instance::new(Arc::clone(id), now));
        if !take_out(&mut next, &incoming.message) {
            // It was cancelled, replaced or answered.
            return Ok(());
        }
        if next.parked.is_some() {
            let messages_max = self.ports.shared.options.processes.messages_waiting_max.get();
            if next.waiting.len() >= messages_max {
                return Err(Fault::WaitingFull { instance: Arc::clone(id), messages_max });
            }
            next.waiting.push_back(incoming.message);
            return self.keep(draft, next);
        }
        match self.asked(&next, &incoming, now)? {
            // Nothing was there, and nothing came of it.
            Ok(after) if is_new && !after.is_running() && after.pending.is_empty() => Ok(()),
            Ok(after) => match draft.put(after, REACTED_BYTES_MAX) {
                Ok(()) => Ok(()),
                Err(too_large) => {
                    self.park(draft, next, incoming.message, (too_large.to_string(), now))
                }
            },
            Err(cause) => self.park(draft, next, incoming.message, (cause, now)),
        }
    }

    /// The instance as it is after a message; `Err`: why it cannot be handled.
    pub(super) fn asked(
        &mut self,
        instance: &Instance,
        incoming: &Incoming<'_>,
        now: Timestamp,
    ) -> Result<Result<Instance, String>, Fault> {
        let question = Question {
            message: &incoming.message,
            message_id: incoming.message_id,
            correlation_id: &incoming.correlation_id,
            now,
            event: incoming.event,
        };
        let checked = match self.manager.react(instance, &question) {
            Ok(checked) => checked,
            Err(CallError::Refused(cause)) => return Ok(Err(cause)),
            Err(CallError::Start(failure)) => return Err(Fault::Start(failure)),
        };
        let after = Applied { runner: self, incoming, now };
        Ok(after.to(instance.clone(), checked))
    }

    fn park(
        &self,
        draft: &mut Draft,
        mut instance: Instance,
        message: Message,
        (cause, now): (String, Timestamp),
    ) -> Result<(), Fault> {
        let (process, id) = (&self.manager.description.name, &instance.id);
        tracing::warn!(%process, instance = %id, cause, "instance parked");
        instance.parked = Some(ParkedInstance { cause: cut(cause), parked_at: now });
        instance.waiting.push_front(message);
        self.keep(draft, instance)
    }

    /// Keeps an instance that grew by what waits only.
    pub(super) fn keep(&self, draft: &mut Draft, instance: Instance) -> Result<(), Fault> {
        let instance_id = Arc::clone(&instance.id);
        draft
            .put(instance, INSTANCE_BYTES_MAX)
            .map_err(|source| Fault::TooLarge { instance: instance_id, source })
    }
}

/// Takes a message out of what is to come; `false` when it is not there any more.
fn take_out(instance: &mut Instance, message: &Message) -> bool {
    match message {
        Message::Event(_) => true,
        Message::Timer { name, timer } => {
            let is_there = instance.timers.get(name).is_some_and(|there| there.id == timer.id);
            if is_there {
                instance.timers.remove(name);
            }
            is_there
        }
        Message::Reply { sent, .. } => {
            let is_there = instance.pending.front().is_some_and(|there| there.id == sent.id);
            if is_there {
                instance.pending.pop_front();
            }
            is_there
        }
    }
}

/// A reaction on its way into an instance.
struct Applied<'a> {
    runner: &'a Runner,
    incoming: &'a Incoming<'a>,
    now: Timestamp,
}

impl Applied<'_> {
    /// The instance with what the plugin said.
    fn to(&self, mut instance: Instance, said: Option<Checked>) -> Result<Instance, String> {
        let mut entry = HistoryEntry {
            at: self.now,
            message: self.incoming.message.handled(),
            commands: Vec::new(),
            started_timers: Vec::new(),
            cancelled_timers: Vec::new(),
            is_end: false,
        };
        instance.messages_count = instance.messages_count.saturating_add(1);
        if let Some(said) = said {
            self.apply(&mut instance, &mut entry, said)?;
        }
        instance.note(entry);
        Ok(instance)
    }

    fn apply(
        &self,
        instance: &mut Instance,
        entry: &mut HistoryEntry,
        said: Checked,
    ) -> Result<(), String> {
        let was_running = instance.is_running();
        self.check_depth(&said)?;
        for name in said.cancel_timers {
            if instance.timers.remove(&name).is_some() {
                entry.cancelled_timers.push(name);
            }
        }
        let is_end = said.state.is_none();
        let limits = &self.runner.ports.shared.options.processes;
        self.send(instance, entry, said.commands, limits.commands_pending_max.get())?;
        for timer in said.start_timers {
            let started = Timer {
                id: id::timer_id(self.names(instance), self.incoming.cause, &timer.name),
                due_at: timer.due_at,
                data: timer.data.into(),
                correlation_id: self.incoming.correlation_id.clone(),
                causation_id: self.incoming.causation_id,
                depth: self.depth_of_timer(timer.due_at),
            };
            entry.started_timers.push(timer.name.clone());
            instance.timers.insert(timer.name, started);
        }
        if instance.timers.len() > TIMERS_MAX {
            let count = instance.timers.len();
            return Err(format!("it would have {count} timers, at most {TIMERS_MAX} are allowed"));
        }
        instance.state = said.state;
        if is_end {
            entry.is_end = was_running;
            instance.timers.clear();
            instance.ended_at = Some(self.now);
        } else {
            if !was_running {
                instance.started_at = self.now;
            }
            instance.ended_at = None;
        }
        Ok(())
    }

    fn send(
        &self,
        instance: &mut Instance,
        entry: &mut HistoryEntry,
        commands: Vec<crate::process::check::CheckedCommand>,
        pending_max: usize,
    ) -> Result<(), String> {
        let count = instance.pending.len() + commands.len();
        if count > pending_max {
            return Err(format!(
                "{count} of its commands would wait for their outcome, at most {pending_max} are \
                 allowed (processes.commands_pending_max)"
            ));
        }
        for (ordinal, command) in commands.into_iter().enumerate() {
            let depth = self.incoming.depth.saturating_add(1);
            let names = self.names(instance);
            let pending = Pending {
                id: id::command_id(names, self.incoming.cause, ordinal, depth),
                aggregate: command.aggregate,
                target_id: command.target_id,
                command: command.command,
                data: command.data,
                correlation_id: self.incoming.correlation_id.clone(),
                causation_id: self.incoming.causation_id,
                wanted_at: self.now,
                depth,
            };
            let (command_id, command) = (pending.id, pending.command.clone());
            let target = pending.target();
            entry.commands.push(SentCommand { command_id, command, target });
            instance.pending.push_back(pending);
        }
        Ok(())
    }

    fn names<'b>(&'b self, instance: &'b Instance) -> (&'b annals_core::name::PluginName, &'b str) {
        (&self.runner.manager.description.name, &instance.id)
    }

    /// A process manager that triggers itself must not do so for ever.
    fn check_depth(&self, said: &Checked) -> Result<(), String> {
        let depth_max = self.runner.ports.shared.options.processes.causation_depth_max.get();
        let starts = said.start_timers.iter().any(|timer| self.depth_of_timer(timer.due_at) > 0);
        if self.incoming.depth < depth_max || (said.commands.is_empty() && !starts) {
            return Ok(());
        }
        Err(format!(
            "{depth_max} commands of process managers led to each other without anybody waiting, \
             which looks like a circle (processes.causation_depth_max)"
        ))
    }

    fn depth_of_timer(&self, due_at: Timestamp) -> u16 {
        let wait = Duration::from_millis(due_at.ms_since(self.now));
        if wait >= DEPTH_ENDS_AFTER { 0 } else { self.incoming.depth.saturating_add(1) }
    }
}

/// Longest cause that is kept, in bytes; what is beyond is cut.
pub(in crate::process) const CAUSE_BYTES_MAX: usize = 4 << 10;

/// A cause that is not too long to be kept.
pub(super) fn cut(cause: String) -> String {
    crate::process::instance::cut(cause, CAUSE_BYTES_MAX)
}
